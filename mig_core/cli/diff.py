"""``mig diff``: what differs between two times, or between groups of endpoints."""

from __future__ import annotations

import csv as csv_files
import json as jsons
import sys
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mig_core.cli import exit_codes, tables
from mig_core.cli.completion import complete_action
from mig_core.cli.formats import Format
from mig_core.cli.group_diff import print_group_diff
from mig_core.cli.results import ActionArgument, CsvOption, JsonlOption, JsonOption, one_format
from mig_core.cli.row_options import ColumnsOption, RowOptions, WhereOption, facts_of, names_of
from mig_core.cli.row_output import chosen_rows
from mig_core.cli.terminal import DIM, YELLOW, data, flush, note
from mig_core.client.connection import connect
from mig_core.client.csv_answers import cell_text, csv_cell
from mig_core.plugin.printing import row_text
from mig_core.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mig_core.client.client import MigClient
    from mig_core.domain.document import JSON

app = typer.Typer(add_completion=False, rich_markup_mode=None)

Document = dict[str, Any]
COUNTS = ("gone", "new", "changed", "differing")
SIGNS = {"gone": "-", "new": "+", "changed": "~"}


@app.command("diff")
def diff(
    action: ActionArgument,
    later: Annotated[
        str, typer.Argument(help="The same question, asked later; not with --by", autocompletion=complete_action)
    ] = "",
    by: Annotated[str, typer.Option("--by", help="Compare groups of endpoints of one action: a tag, like role")] = "",
    key: Annotated[
        str, typer.Option("--key", help="By which columns a row is the same row (default: those that each row has)")
    ] = "",
    where: WhereOption = "",
    columns: ColumnsOption = "",
    limit: Annotated[int, typer.Option("--limit", min=0, help="At most so many lines; 0: all")] = 0,
    json: JsonOption = False,
    jsonl: JsonlOption = False,
    csv: CsvOption = False,
) -> int:
    """Rows gone, new and changed, by endpoint; or, with --by, what is not in all groups of endpoints."""
    output = one_format(Format.TEXT, json=json, jsonl=jsonl, csv=csv)
    if bool(by) is bool(later):
        raise typer.BadParameter("compare two actions, or one action --by a tag")
    client = connect().client
    first = client.action(client.action_id(action))
    options = RowOptions(where, names_of(columns), limit=limit, format=output)
    if by:
        return print_group_diff(client, first, options, tuple(facts_of(by, "--by")))
    second = client.action(client.action_id(later))
    modules = [[one["module"] for one in each["operations"]] for each in (first, second)]
    if modules[0] != modules[1]:
        asked = " and ".join(", ".join(each) for each in modules)
        raise typer.BadParameter(f"only answers of the same modules can be compared; these are of {asked}")
    return _between_times(client, first, second, options, names_of(key))


def _between_times(
    client: MigClient, first: Document, second: Document, options: RowOptions, given: tuple[str, ...]
) -> int:
    from mig_core.domain.reading.reading import DiffWish

    chosen = chosen_rows(client, second, options)
    known = [one.name for one in chosen.fields()]
    for name in given:
        if name not in known:
            raise typer.BadParameter(f"--key: there is no column {name!r:.60}; there are: {', '.join(known)}")
    keys = given or tuple(one.name for one in chosen.fields() if one.always)
    pages = client.diff(str(first["id"]), str(second["id"]), DiffWish(chosen, options.columns, keys))
    sums: Counter[str] = Counter()
    head = _print(pages, options, keys, sums)
    total = sums["gone"] + sums["new"] + sums["changed"]
    note(
        f"{sums['gone']} gone, {sums['new']} new, {sums['changed']} changed, on {sums['differing']} of {head['both']}"
        " endpoints that answered both",
        "" if total else DIM,
    )
    if options.limit and options.limit < total:
        note(f"{options.limit} of {total} are shown; --limit 0 shows all", YELLOW)
    if head["partial"]:
        note(
            f"{head['partial']} of them did not look at everything: what is marked ? may be there all the same", YELLOW
        )
    for name, text in (
        ("onlyfirst", "answered only the first"),
        ("onlysecond", "answered only the second"),
        ("silent", "answered neither"),
    ):
        if head[name]:
            note(f"not compared: {head[name]} {text}", YELLOW)
    return exit_codes.ALL_ANSWERED


def _kind(item: Document) -> str:
    return "gone" if item["after"] is None else "new" if item["before"] is None else "changed"


def _print(pages: Iterable[Document], options: RowOptions, keys: tuple[str, ...], sums: Counter[str]) -> Document:
    """Prints as many entries as were asked for, and sums up all; returns the last page."""
    kept: list[Document] = []
    writer = csv_files.writer(sys.stdout) if options.format is Format.CSV else None
    shown, page = 0, {}
    for page in pages:
        if writer is not None and not sums:
            writer.writerow(
                ["agent", "change", "certain", *page["columns"], *(f"before_{one}" for one in page["columns"])]
            )
        sums.update({name: page[name] for name in COUNTS})
        for one in page["items"]:
            shown += 1
            if options.limit and shown > options.limit:
                break
            if options.format is Format.JSON:
                kept.append({"change": _kind(one), **one})
            elif options.format is Format.JSONL:
                data(jsons.dumps({"change": _kind(one), **one}, ensure_ascii=True))
            elif writer is not None:
                writer.writerow(_csv_line(one, page["columns"]))
            else:
                data(visible(_line(one, page["columns"], keys)))
    if options.format is Format.JSON:
        rest = {name: value for name, value in page.items() if name not in ("items", "cursor")}
        tables.document({**rest, **sums, "items": kept})
    flush()
    return page


def _csv_line(item: Document, columns: list[str]) -> list[str]:
    row = item["before"] if item["after"] is None else item["after"]
    before = item["before"] if _kind(item) == "changed" else {}
    certain = "true" if item["certain"] else "false"
    return [csv_cell(item["agentname"]), _kind(item), certain, *_cells(row, columns), *_cells(before, columns)]


def _cells(row: Mapping[str, JSON], columns: list[str]) -> list[str]:
    return [csv_cell(row[one]) if one in row else "" for one in columns]


def _line(item: Document, columns: list[str], keys: tuple[str, ...]) -> str:
    kind = _kind(item)
    sign = SIGNS[kind] + ("" if item["certain"] else "?")
    before, after = item["before"] or {}, item["after"] or {}
    if kind != "changed":
        return f"{item['agentname']} {sign} {row_text(columns, after or before)}"
    same = [one for one in columns if one in keys]
    changes = [
        f"{one}: {_shown(before, one)} -> {_shown(after, one)}"
        for one in columns
        if before.get(one, ...) != after.get(one, ...)
    ]
    return f"{item['agentname']} {sign} {row_text(same, after)} {'; '.join(changes)}"


def _shown(row: Document, column: str) -> str:
    return cell_text(row[column]) if column in row else "(none)"

"""``mig diff ACTION --by role``: values that are not on endpoints of every group."""

from __future__ import annotations

import csv as csv_files
import json as jsons
import sys
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import typer

from mig_core.cli import exit_codes, tables
from mig_core.cli.formats import Format
from mig_core.cli.row_output import chosen_rows, print_account
from mig_core.cli.terminal import DIM, YELLOW, data, flush, note
from mig_core.client.csv_answers import cell_text, csv_cell
from mig_core.text import visible

if TYPE_CHECKING:
    from mig_core.cli.row_options import RowOptions
    from mig_core.client.client import MigClient
    from mig_core.domain.reading.where import Fact

Document = dict[str, Any]


def print_group_diff(client: MigClient, action: Document, options: RowOptions, groups: tuple[Fact, ...]) -> int:
    """Prints each such value with the number of endpoints in each group; returns the exit status."""
    from mig_core.domain.reading.reading import MAX_STACKED, MAX_VALUES, StackWish

    chosen = chosen_rows(client, action, options)
    columns = options.columns or tuple(one.name for one in chosen.fields())
    if len(columns) > MAX_STACKED:
        raise typer.BadParameter(f"say which --columns, at most {MAX_STACKED}; there are: {', '.join(columns)}")
    options = replace(options, columns=columns)
    pages = client.stack(str(action["id"]), StackWish(chosen, columns, groups, limit=MAX_VALUES))
    head = next(pages)
    answered = {_group(one): int(one["answered"]) for one in head["groups"]}
    values: dict[str, dict[str, int]] = {}
    for one in chain(head["items"], chain.from_iterable(page["items"] for page in pages)):
        values.setdefault(jsons.dumps(one["value"], sort_keys=True), {})[_group(one)] = one["endpoints"]
    differing = [(text, counts) for text, counts in sorted(values.items()) if len(counts) < len(answered)]
    shown = differing[: options.limit or None]
    if options.format is Format.JSON:
        tables.document({"answered": answered, "items": _documents(shown), "account": head["account"]})
    elif options.format is Format.JSONL:
        for line in _documents(shown):
            data(jsons.dumps(line, ensure_ascii=True))
    else:
        _table(options, shown, answered)
    flush()
    print_account(head["account"])
    if set(answered) == {_group({"group": [None] * len(groups)})}:
        asked_for = ", ".join(".".join((one.column, *one.path)) for one in groups)
        note(f"no endpoint that answered has {asked_for}, so there is one group; mig agents shows tags", YELLOW)
    cut = f"; {len(shown)} are shown" if len(shown) < len(differing) else ""
    note(f"{len(differing)} of {len(values)} values are not in all of {len(answered)} groups{cut}", DIM)
    return exit_codes.ALL_ANSWERED


def _documents(shown: list[tuple[str, dict[str, int]]]) -> list[Document]:
    return [{"value": jsons.loads(text), "endpoints": counts} for text, counts in shown]


def _table(options: RowOptions, shown: list[tuple[str, dict[str, int]]], answered: dict[str, int]) -> None:
    text = csv_cell if options.format is Format.CSV else cell_text
    groups = sorted(answered)
    head = [*options.columns, *(f"{one or '(none)'} ({answered[one]})" for one in groups)]
    rows = []
    for value, counts in shown:
        row = jsons.loads(value)
        cells = [text(row[one]) if one in row else "" for one in options.columns]
        rows.append([*cells, *(str(counts.get(one, 0)) for one in groups)])
    if options.format is Format.CSV:
        csv_files.writer(sys.stdout).writerows([[csv_cell(one) for one in head], *rows])
    else:
        tables.table(head, rows, widest=200)


def _group(entry: Document) -> str:
    """A group's values in one line; tags are what endpoints call themselves."""
    return visible(", ".join("" if one is None else str(one) for one in entry["group"]))

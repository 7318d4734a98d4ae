"""Printing rows and stacks of answers, and the account of every endpoint that was asked.

The platform makes them; what is kept here is one page at a time.
"""

from __future__ import annotations

import csv
import itertools
import json
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mig_core.cli.formats import Format
from mig_core.cli.row_options import SHOWN_VALUES, RowOptions
from mig_core.cli.tables import table
from mig_core.cli.terminal import DIM, YELLOW, data, flush, note
from mig_core.client.csv_answers import cell_text, csv_cell
from mig_core.client.shapes import shapes_of
from mig_core.domain.reading.reading import MAX_PAGE, MAX_VALUES, RowsWish, Sorting, StackWish, choice, fact_text
from mig_core.plugin.printing import row_text
from mig_core.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mig_core.client.client import MigClient
    from mig_core.domain.reading.reading import Choice
    from mig_core.plugin.columns import Row

Document = dict[str, Any]
ENDLESS = 1 << 62
LEADER_INTERVAL = 2.0
"""Seconds between two looks at a stack whose answers still arrive."""


def print_rows(client: MigClient, action: Document, options: RowOptions) -> Document:
    """Prints what was asked of an action's rows; returns the account.

    Raises:
        ConditionError: ``--where`` is no condition.
        typer.BadParameter: an option names a column that there is not.
    """
    chosen = chosen_rows(client, action, options)
    if options.stacked:
        account = _print_stack(client, action, chosen, options)
    else:
        account = _print_plain(client, action, chosen, options)
    flush()
    print_account(account)
    return account


def chosen_rows(client: MigClient, action: Document, options: RowOptions) -> Choice:
    """Which rows are meant; raises as :func:`print_rows`."""
    shapes = shapes_of(client, action)
    options.check(shapes)
    return choice(shapes, options.where)


def stack_wish(chosen: Choice, options: RowOptions) -> StackWish:
    """What the platform is asked for."""
    return StackWish(chosen, options.stack, options.group_by, bool(options.rare), min(_most(options), MAX_VALUES))


def _most(options: RowOptions) -> int:
    """How many values are shown at most."""
    if options.rare or options.limit:
        return options.rare or options.limit or 0
    return SHOWN_VALUES if options.format is Format.TEXT and options.limit is None else ENDLESS


def _print_stack(client: MigClient, action: Document, chosen: Choice, options: RowOptions) -> Document:
    wish = stack_wish(chosen, options)
    pages = client.stack(str(action["id"]), wish)
    first = next(pages)
    entries = itertools.islice(_entries(first, pages), _most(options))
    groups = [fact_text(one) for one in options.group_by]
    head = [*groups, *options.stack, "endpoints", "share", "rows", "first", "last"]
    shown = _write_entries(head, groups, entries, options, first)
    if shown < first["values"]:
        note(f"{shown} of {first['values']} values are shown; --limit shows more, --limit 0 all", YELLOW)
    account: Document = first["account"]
    return account


def _write_entries(
    head: list[str], groups: list[str], entries: Iterable[Document], options: RowOptions, first: Document
) -> int:
    shown = 0
    if options.parquet is not None:
        from mig_core.cli.parquet import write_parquet

        return write_parquet(options.parquet, head, (_flat(_document(one, groups)) for one in entries))
    if options.format is Format.TEXT:
        lines = [_line(one, options.stack, cell_text) for one in entries]
        table(head, lines, widest=200)
        return len(lines)
    if options.format in (Format.CSV, Format.JSONL):
        writer = csv.writer(sys.stdout) if options.format is Format.CSV else None
        if writer is not None:
            writer.writerow(head)
        for one in entries:
            shown += 1
            if writer is not None:
                writer.writerow(_line(one, options.stack, csv_cell))
            else:
                data(json.dumps(_document(one, groups), ensure_ascii=True))
        return shown
    kept = [_document(one, groups) for one in entries]
    data(
        json.dumps({"values": first["values"], "account": first["account"], "stack": kept}, ensure_ascii=True, indent=2)
    )
    return len(kept)


def _entries(first: Document, pages: Iterator[Document]) -> Iterator[Document]:
    yield from first["items"]
    for page in pages:
        yield from page["items"]


def share(entry: Document) -> float:
    """Which part of the endpoints that answered (in its group) has the value."""
    return float(entry["endpoints"]) / entry["answered"] if entry["answered"] else 0.0


def _line(entry: Document, columns: tuple[str, ...], text: Any) -> list[str]:
    cells = [text(entry["value"][column]) if column in entry["value"] else "" for column in columns]
    groups = ["" if one is None else text(one) for one in entry["group"]]
    percent = f"{100 * share(entry):.1f}%"
    ends = [text(entry["first"]), text(entry["last"])]
    return [*groups, *cells, str(entry["endpoints"]), percent, str(entry["rows"]), *ends]


def _document(entry: Document, groups: list[str]) -> Document:
    counts = {name: entry[name] for name in ("endpoints", "answered", "rows", "first", "last")}
    group = dict(zip(groups, entry["group"], strict=True))
    return {**({"group": group} if groups else {}), "value": entry["value"], **counts, "share": round(share(entry), 6)}


def _flat(document: Document) -> Document:
    """For a table, where a column that is called like a count gives way to it."""
    return {**document.get("group", {}), **document["value"], **document}


def _print_plain(client: MigClient, action: Document, chosen: Choice, options: RowOptions) -> Document:
    sorting = tuple(Sorting(one.removeprefix("-"), one.startswith("-")) for one in options.sort)
    limit = min(options.limit or MAX_PAGE, MAX_PAGE)
    pages = client.rows(str(action["id"]), RowsWish(chosen, options.columns, sorting, limit))
    first = next(pages)
    columns: list[str] = first["columns"]
    rows = itertools.islice(_entries(first, pages), options.limit or None)
    several = sum(1 for one in chosen.shapes if one is not None) > 1
    head = ["agent", *(["module"] if several else []), *columns]
    if options.parquet is not None:
        from mig_core.cli.parquet import write_parquet

        flat = (
            {"agent": one["agentname"], **({"module": one["module"]} if several else {}), **one["row"]} for one in rows
        )
        write_parquet(options.parquet, head, flat, {one.name: one.kind for one in chosen.fields()})
    else:
        _write_rows(rows, head, columns, options, first, several=several)
    account: Document = first["account"]
    return account


def _write_rows(
    rows: Iterable[Document],
    head: list[str],
    columns: list[str],
    options: RowOptions,
    first: Document,
    *,
    several: bool,
) -> None:
    if options.format is Format.CSV:
        writer = csv.writer(sys.stdout)
        writer.writerow(head)
        for one in rows:
            row: Row = one["row"]
            cells = [csv_cell(row[column]) if column in row else "" for column in columns]
            writer.writerow([csv_cell(one["agentname"]), *([one["module"]] if several else []), *cells])
    elif options.format is Format.TEXT:
        for one in rows:
            module = f"{one['module']}: " if several else ""
            data(f"{visible(one['agentname'])} {module}{visible(row_text(columns, one['row']))}")
    elif options.format is Format.JSONL:
        for one in rows:
            data(json.dumps(one, ensure_ascii=True))
    else:
        data(f'{{"account": {json.dumps(first["account"])}, "rows": [')
        mark = ""
        for one in rows:
            sys.stdout.write(mark + json.dumps(one, ensure_ascii=True))
            mark = ",\n"
        data("]}")


class Leader:
    """What leads a stack while answers still arrive, for a person who waits."""

    def __init__(self, client: MigClient, action: Document, options: RowOptions) -> None:
        self._client = client
        self._action = action
        self._options = options
        self._shown = options.stacked
        self._next = time.monotonic() + LEADER_INTERVAL
        self._text = ""

    def text(self) -> str:
        """To be put behind the progress; the platform is asked now and then only."""
        if self._shown and time.monotonic() >= self._next:
            chosen = chosen_rows(self._client, self._action, self._options)
            page = next(
                self._client.stack(str(self._action["id"]), replace(stack_wish(chosen, self._options), limit=1))
            )
            if page["items"]:
                entry = page["items"][0]
                value = ", ".join(cell_text(one)[:40] for one in entry["value"].values())
                self._text = visible(f"; {page['values']} values, first: {value} ({entry['endpoints']})")
            self._next = time.monotonic() + LEADER_INTERVAL
        return self._text


def print_account(account: Document) -> None:
    """Every endpoint that was asked: who answered, and who did not, and what cannot be said."""
    asked, answered = account["targeted"], account["answered"]
    partial = f", {account['partial']} of them not completely" if account["partial"] else ""
    note(f"{answered} of {asked} {_endpoints(asked)} answered{partial}; {account['withrows']} have such rows", DIM)
    silent = {state: count for state, count in account["counts"].items() if state != "success" and count}
    if silent:
        note(f"not answered, or not well: {', '.join(f'{count} {state}' for state, count in silent.items())}", YELLOW)
    if account["undecidedrows"]:
        count = account["undecided"]
        note(
            f"{account['undecidedrows']} rows on {count} {_endpoints(count)} cannot be judged: a value is not known",
            YELLOW,
        )
    if account["unreadable"]:
        count = account["unreadable"]
        note(f"{count} {_endpoints(count)} found something that these columns do not show; see it without them", YELLOW)


def _endpoints(count: int) -> str:
    return "endpoint" if count == 1 else "endpoints"

"""Entries of a log, one a line, in each format that a list of them can have."""

from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING, Any

from mig_core.cli import tables
from mig_core.cli.formats import Format
from mig_core.cli.terminal import data, flush
from mig_core.client.csv_answers import NOT_KNOWN, csv_cell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


def print_entries(
    entries: Iterable[Mapping[str, Any]],
    output: Format,
    members: Sequence[str],
    head: Sequence[str],
    shown: Callable[[Any], Sequence[object]],
    *,
    nothing: str = NOT_KNOWN,
) -> None:
    """Prints them.

    Args:
        members: of an entry, that CSV has.
        head: of the table for people.
        shown: an entry's cells in that table.
        nothing: what CSV says of a member that is null.
    """
    if output is Format.JSON:
        tables.document(list(entries))
    elif output is Format.JSONL:
        for one in entries:
            data(json.dumps(one, ensure_ascii=True))
    elif output is Format.CSV:
        writer = csv.writer(sys.stdout)
        writer.writerow(members)
        writer.writerows([nothing if one[name] is None else csv_cell(one[name]) for name in members] for one in entries)
    else:
        tables.table(head, (shown(one) for one in entries))
    flush()

"""Rows with times as a timeline, in the shape that Timesketch imports.

Each time in each row is an event: ``message``, ``datetime`` (RFC 3339, UTC) and ``timestamp_desc``, which Timesketch
requires (https://timesketch.org/guides/user/import-from-json-csv/), ``timestamp`` in microseconds since 1970, then
``agent``, ``module``, ``action`` and the row's cells.
"""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mig_core.client.answer_rows import cell_name
from mig_core.client.csv_answers import guarded
from mig_core.domain.times import parse_time
from mig_core.errors import InvalidDocument
from mig_core.plugin.columns import ColumnKind
from mig_core.plugin.printing import row_text
from mig_core.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import TextIO

    from mig_core.client.answer_rows import AnswerReader
    from mig_core.plugin.columns import Row

REQUIRED = ("message", "datetime", "timestamp_desc")
OWN = (*REQUIRED, "timestamp", "agent", "module", "action")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Event = dict[str, Any]


def timeline(reader: AnswerReader, action: Mapping[str, Any], commands: Iterable[Mapping[str, Any]]) -> Iterator[Event]:
    """The events in an action's answers, by agent; a cell that is no time gives none.

    Args:
        action: its document.
        commands: the documents of its answers.
    """
    modules = [str(one["module"]) for one in action["operations"]]
    times = {
        name: {cell_name(name, one.name): one.help for one in reader.columns(name) if one.kind is ColumnKind.TIME}
        for name in modules
    }
    for command in commands:
        for row in reader.rows(modules, command):
            module = str(row.get("module", modules[0]))
            for column, meaning in times[module].items():
                moment = _moment(row.get(column))
                if moment is not None:
                    yield _event(row, module, str(action["id"]), column, meaning, moment)


def write_jsonl(events: Iterable[Event], sink: TextIO) -> int:
    """A line an event; returns how many."""
    count = 0
    for event in events:
        sink.write(json.dumps(event, ensure_ascii=True) + "\n")
        count += 1
    return count


def write_csv(events: Iterable[Event], columns: Sequence[str], sink: TextIO) -> int:
    """A header and a line an event; no text is taken for a formula by a spreadsheet. Returns how many.

    Args:
        columns: of the rows; see :func:`columns_of`.
    """
    table = csv.writer(sink)
    table.writerow([*OWN, *columns])
    count = 0
    for event in events:
        table.writerow([_cell(event.get(name, "")) for name in (*OWN, *columns)])
        count += 1
    return count


def columns_of(reader: AnswerReader, actions: Iterable[Mapping[str, Any]]) -> list[str]:
    """The columns that rows of these actions may have, beside an event's own."""
    modules = dict.fromkeys(str(one["module"]) for action in actions for one in action["operations"])
    return list(dict.fromkeys(_free(cell_name(name, one.name)) for name in modules for one in reader.columns(name)))


def _event(row: Row, module: str, action: str, column: str, meaning: str, moment: datetime) -> Event:
    cells = {name: cell for name, cell in row.items() if name not in ("agent", "module")}
    return {
        "message": f"{visible(str(row['agent']))} {module}: {visible(row_text(cells, cells))}",
        "datetime": moment.isoformat(timespec="microseconds"),
        "timestamp_desc": f"{module} {column}: {meaning}",
        "timestamp": (moment - _EPOCH) // _MICROSECOND,
        "agent": row["agent"],
        "module": module,
        "action": action,
        **{_free(name): cell for name, cell in cells.items()},
    }


def _free(name: str) -> str:
    """A cell's name that is not one of an event's own."""
    return f"row_{name}" if name in OWN else name


def _moment(cell: object) -> datetime | None:
    if not isinstance(cell, str):
        return None
    try:
        return parse_time(cell)
    except (ValueError, InvalidDocument):
        return None


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return guarded(text)

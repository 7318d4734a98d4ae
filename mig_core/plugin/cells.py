"""Cells: what a module found as the JSON of its column's kind, and back again.

:class:`CellMaker` is for what a module of this very process gives, and strict; :func:`read_cell` for what came from an
endpoint, and total.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mig_core.domain.times import format_time, parse_time
from mig_core.plugin.columns import ColumnKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.domain.document import JSON
    from mig_core.plugin.columns import Column, Row

Cell = str | int | float | bool | datetime | list[str] | tuple[str, ...] | None
"""What a module may give for a column: see :class:`CellMaker`."""

MAX_TEXT = 1 << 16
"""Characters of a text in a row. :class:`CellMaker` leaves cutting to its caller, who books it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_GO_TIME = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d{1,9})?) \+0000 UTC", re.ASCII)
_HEX = re.compile(r"[0-9A-Fa-f:]+")
_NUMBERS: dict[ColumnKind, type | tuple[type, ...]] = {
    ColumnKind.INTEGER: int,
    ColumnKind.SIZE: int,
    ColumnKind.DURATION: (int, float),
}


class CellMaker:
    """Puts a module's values for one column into rows."""

    __slots__ = ("_column", "_name", "convert")

    def __init__(self, column: Column) -> None:
        self._column = column
        self._name = column.name
        self.convert = _CONVERTERS.get(column.kind, _text)
        """A value that is not None as its cell; None if it is not of the column's kind."""

    def put(self, value: Cell, row: Row) -> None:
        """Puts a value into a row.

        Args:
            value: None when it is not known; an empty text or list when there is none, which leaves the column out. A
                ``time`` is an aware :class:`datetime` or seconds since 1970; names of files are as :func:`os.fsdecode`
                gives them, a byte that is no UTF-8 becomes ``\\xff``.
            row: gets the cell.

        Raises:
            TypeError: the value is not of the column's kind.
        """
        if value is None:
            row[self._name] = None
            return
        cell = self.convert(value)
        if cell is None:
            kind = self._column.kind.value
            raise TypeError(f"column {self._name} is of kind {kind}, and was given a {type(value).__name__}")
        if cell or (cell != "" and cell != []):  # most cells are true
            row[self._name] = cell


def _text(value: Cell) -> JSON:
    if not isinstance(value, str):
        return None
    return value if value.isascii() else clean(value)


def _hash(value: Cell) -> JSON:
    return folded(clean(value)) if isinstance(value, str) else None


def _integer(value: Cell) -> JSON:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Cell) -> JSON:
    return value if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) else None


def _boolean(value: Cell) -> JSON:
    return value if isinstance(value, bool) else None


def _list(value: Cell) -> JSON:
    if not isinstance(value, list | tuple):
        return None
    try:
        return list(value) if all(map(str.isascii, value)) else [clean(one) for one in value]
    except TypeError:  # not all of them are texts
        return None


def _time(value: Cell) -> JSON:
    return time_text(value) if isinstance(value, datetime | int | float) and not isinstance(value, bool) else None


_CONVERTERS: dict[ColumnKind, Callable[[Cell], JSON]] = {
    ColumnKind.HASH: _hash,
    ColumnKind.INTEGER: _integer,
    ColumnKind.SIZE: _integer,
    ColumnKind.DURATION: _number,
    ColumnKind.BOOLEAN: _boolean,
    ColumnKind.LIST: _list,
    ColumnKind.TIME: _time,
}
"""Kind -> what gives the cell, or None for a value that is not of the kind; texts for all others."""
AS_THEY_ARE: dict[ColumnKind, type | None] = {
    **dict.fromkeys(ColumnKind, str),
    **dict.fromkeys((ColumnKind.INTEGER, ColumnKind.SIZE, ColumnKind.DURATION), int),
    ColumnKind.BOOLEAN: bool,
    **dict.fromkeys((ColumnKind.HASH, ColumnKind.LIST, ColumnKind.TIME), None),
}
"""Kind -> the very class whose values are cells already: empty texts aside, and but for names that are no UTF-8."""


def read_cell(column: Column, value: JSON, row: Row) -> None:
    """Puts a value of an answer into a row: as it is when it is of the column's kind, else as not known."""
    if value in ("", []):
        return
    kind = column.kind
    if kind in _NUMBERS:
        good = isinstance(value, _NUMBERS[kind]) and not isinstance(value, bool)
    elif kind is ColumnKind.BOOLEAN:
        good = isinstance(value, bool)
    elif kind is ColumnKind.LIST:
        good = isinstance(value, list) and all(isinstance(one, str) for one in value)
    else:
        good = isinstance(value, str)
        if isinstance(value, str) and kind is ColumnKind.TIME and (parts := _GO_TIME.fullmatch(value)):
            value = f"{parts[1]}T{parts[2]}Z"
        elif isinstance(value, str) and kind is ColumnKind.HASH:
            value = folded(value)
    row[column.name] = value if good else None


def clean(text: str) -> str:
    """A text that can be written as UTF-8: undecodable bytes of a name (PEP 383) become ``\\xff``."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def folded(text: str) -> str:
    """A hash as rows have it: hexadecimal in lower case, any other (base64) as it is."""
    return text.lower() if _HEX.fullmatch(text) else text


def time_text(moment: datetime | float) -> str:
    """A moment, or seconds since 1970, as RFC 3339 in UTC; outside the years 1 to 9999 ``@`` and the seconds."""
    if isinstance(moment, datetime):
        return format_time(moment)
    try:
        return format_time(_EPOCH + timedelta(seconds=moment))
    except OverflowError:
        return f"@{int(moment)}"


def seconds_of(text: str) -> float | None:
    """The moment of a ``time`` cell in seconds since 1970; None when it is none."""
    try:
        if text.startswith("@"):
            return float(int(text[1:25]))
        return (parse_time(text) - _EPOCH).total_seconds()
    except ValueError:
        return None

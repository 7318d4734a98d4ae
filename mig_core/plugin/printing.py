"""What a module's ``lines`` are made with: hostile JSON taken apart, text without control characters, Go's durations.

For plugin authors. It imports little, because it is loaded in each operation's process. What
a terminal would obey is escaped by ``mig``, whatever a module has done here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mig_core.text import excerpt, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mig_core.domain.document import JSON
    from mig_core.domain.result import Coverage

__all__ = ["coverage_lines", "duration_text", "entries", "excerpt", "mapping", "printable", "row_text"]

_NS = 1_000_000_000


def mapping(value: object) -> Mapping[str, JSON]:
    """``value`` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def entries(value: object) -> Sequence[JSON]:
    """``value`` if it is a JSON array, else an empty one."""
    return value if isinstance(value, list) else []


def row_text(names: Iterable[str], row: Mapping[str, JSON]) -> str:
    """A row's cells as ``name=value``; ``?`` is a value that is not known. Nothing and false are left out."""
    return " ".join(f"{name}={_cell_text(row[name])}" for name in names if row.get(name, False) is not False)


def _cell_text(cell: JSON) -> str:
    if cell is None:
        return "?"
    if isinstance(cell, list):
        return ",".join(_cell_text(one) for one in cell)
    text = "true" if cell is True else str(cell)
    return json.dumps(text, ensure_ascii=False) if not text or set(text) & set(' "=') else text


def coverage_lines(coverage: Coverage) -> Iterator[str]:
    """A printable line for each reason why something was not looked at, and one more if the answer is not complete."""
    for skipped in coverage.skipped:
        examples = f" ({', '.join(skipped.examples)})" if skipped.examples else ""
        yield printable(f"Not looked at: {skipped.count} {skipped.reason}{examples}")
    if not coverage.complete:
        yield "The answer is not complete."


def duration_text(nanoseconds: int) -> str:
    """A duration as Go and the original's statistics write it: ``119.457µs``, ``1.634247ms``, ``1h0m0.5s``, ``0s``.

    For settings, which are rounded to milliseconds and read back, there is
    :func:`mig_core.domain.times.format_duration`.

    Args:
        nanoseconds: not negative.
    """
    if nanoseconds == 0:
        return "0s"
    for limit, unit, digits in ((1_000, "ns", 0), (1_000_000, "µs", 3), (_NS, "ms", 6)):
        if nanoseconds < limit:
            return _decimal(nanoseconds, digits) + unit
    minutes, rest = divmod(nanoseconds, 60 * _NS)
    hours, minutes = divmod(minutes, 60)
    before = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return before + _decimal(rest, 9) + "s"


def _decimal(value: int, digits: int) -> str:
    """``value / 10**digits``, without trailing zeros."""
    whole, fraction = divmod(value, 10**digits)
    return f"{whole}.{fraction:0{digits}d}".rstrip("0") if fraction else str(whole)

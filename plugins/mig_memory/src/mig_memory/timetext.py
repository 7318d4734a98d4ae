"""Durations as text, in the form the original's results have (Go's). Used by ``module``."""

from __future__ import annotations

_NS = 1_000_000_000


def duration_text(nanoseconds: int) -> str:
    """A duration: ``119.457µs``, ``1.634247ms``, ``2.165011816s``, ``1h0m0.5s``."""
    if nanoseconds == 0:
        return "0s"
    for unit, name, digits in ((1_000, "ns", 0), (1_000_000, "µs", 3), (_NS, "ms", 6)):
        if nanoseconds < unit:
            return _decimal(nanoseconds, 10**digits, digits) + name
    minutes, rest = divmod(nanoseconds, 60 * _NS)
    hours, minutes = divmod(minutes, 60)
    before = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return before + _decimal(rest, _NS, 9) + "s"


def _decimal(value: int, unit: int, digits: int) -> str:
    whole, fraction = divmod(value, unit)
    return f"{whole}.{fraction:0{digits}d}".rstrip("0") if fraction else str(whole)

"""Durations as text, in the form the original's results have. Used by ``module``."""

from __future__ import annotations

_NS = 1_000_000_000


def duration_text(nanoseconds: int) -> str:
    """A duration: ``119.457µs``, ``22.575257ms``, ``2.165011816s``, ``1h0m0.5s``."""
    if nanoseconds < 1_000:
        return f"{nanoseconds}ns" if nanoseconds else "0s"
    if nanoseconds < 1_000_000:
        return _decimal(nanoseconds, 1_000) + "µs"
    if nanoseconds < _NS:
        return _decimal(nanoseconds, 1_000_000) + "ms"
    minutes, rest = divmod(nanoseconds, 60 * _NS)
    hours, minutes = divmod(minutes, 60)
    before = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return before + _decimal(rest, _NS) + "s"


def _decimal(value: int, unit: int) -> str:
    whole, fraction = divmod(value, unit)
    digits = str(fraction).zfill(len(str(unit)) - 1).rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)

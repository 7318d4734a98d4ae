"""Times and durations as text, in the forms the original's results have (Go's).

Used by ``rows``.
"""

from __future__ import annotations

import functools
import time

_NS = 1_000_000_000
_DAY = 86_400


def time_text(nanoseconds: int) -> str:
    """A moment (nanoseconds since 1970) in UTC: ``2026-11-23 06:13:13.956905563 +0000 UTC``.

    The fraction has no trailing zeros and is left out when zero. Moments outside the years 1 to 9999 are given as
    ``@seconds``.
    """
    seconds, fraction = divmod(nanoseconds, _NS)
    days, second = divmod(seconds, _DAY)
    date = _date_text(days)
    if not date:
        return f"@{seconds}"
    minutes, second = divmod(second, 60)
    hour, minute = divmod(minutes, 60)
    text = f"{date} {hour:02d}:{minute:02d}:{second:02d}"
    if fraction:
        text += f".{fraction:09d}".rstrip("0")
    return text + " +0000 UTC"


@functools.lru_cache(maxsize=1024)
def _date_text(days: int) -> str:
    """The date so many days after 1970 began; empty outside the years 1 to 9999."""
    try:
        year, month, day = time.gmtime(days * _DAY)[:3]
    except (OverflowError, ValueError, OSError):
        return ""
    return f"{year:04d}-{month:02d}-{day:02d}" if 1 <= year <= 9999 else ""


def duration_text(nanoseconds: int) -> str:
    """A duration: ``119.457µs``, ``1.634247ms``, ``2.165011816s``, ``1h0m0.5s``."""
    if nanoseconds == 0:
        return "0s"
    if nanoseconds < 1_000:
        return f"{nanoseconds}ns"
    if nanoseconds < 1_000_000:
        return _decimal(nanoseconds, 1_000, 3) + "µs"
    if nanoseconds < _NS:
        return _decimal(nanoseconds, 1_000_000, 6) + "ms"
    minutes, rest = divmod(nanoseconds, 60 * _NS)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return text + _decimal(rest, _NS, 9) + "s"


def _decimal(value: int, unit: int, digits: int) -> str:
    whole, fraction = divmod(value, unit)
    return f"{whole}.{fraction:0{digits}d}".rstrip("0").rstrip(".") if fraction else str(whole)

"""Times as text, in the form the original's results have (Go's). Used by ``rows``."""

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

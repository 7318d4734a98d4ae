"""Points in time and durations as text: RFC 3339 in UTC, and Go-style durations such as ``1h30m`` or ``300s``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

CLOCK_TOLERANCE = timedelta(seconds=60)
"""How far clocks may differ without anybody noticing: windows begin so much in the past, and a signature may be dated
so much in the future."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)

_TOO_EXACT = re.compile(r"(\.\d{6})\d+", re.ASCII)
_LONGEST_EXACT = len("2026-11-23T03:00:00.000000Z")


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with ``Z``; microseconds only when there are any. ``moment`` must be aware."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_time(text: object) -> datetime:
    """An aware UTC time from RFC 3339 text; digits past microseconds are dropped.

    Raises:
        ValueError: it is not RFC 3339, or lies outside the years 1 to 9999.
    """
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        raise ValueError(f"must be a time like 2026-11-23T03:00:00Z, got {text!r:.60}")
    try:
        if text.endswith("Z") and len(text) <= _LONGEST_EXACT:
            return datetime.fromisoformat(text)
        return datetime.fromisoformat(_TOO_EXACT.sub(r"\1", text)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"is not a possible time: {text!r:.60}") from error


def parse_duration(text: object) -> timedelta:
    """A duration from text such as ``300s``, ``1h30m``, ``2d`` or ``250ms``; never negative, at most 100 years.

    Raises:
        ValueError: it has another form, or no unit.
    """
    if not isinstance(text, str) or len(text) > 40 or not _DURATION.fullmatch(text):
        raise ValueError(f'must be a duration like "300s", "5m" or "1h30m", got {text!r:.60}')
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if seconds > 100 * 366 * 86400:
        raise ValueError(f"must be at most 100 years, got {text!r}")
    return timedelta(seconds=seconds)


def format_duration(duration: timedelta) -> str:
    """The text :func:`parse_duration` reads, exact to the millisecond: ``1h30m``, ``2.5s``, ``0s``."""
    milliseconds = round(duration.total_seconds() * 1000)
    if milliseconds == 0:
        return "0s"
    parts = []
    for unit, size in (("h", 3_600_000), ("m", 60_000)):
        count, milliseconds = divmod(milliseconds, size)
        if count:
            parts.append(f"{count}{unit}")
    if milliseconds:
        parts.append(f"{milliseconds / 1000:g}s")
    return "".join(parts)

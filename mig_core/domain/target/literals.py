"""Values as they are written in a target: points in time, intervals, action ids.

Each function takes the text between the quotes and returns the value, or None when it is not one; the parser knows the
position and makes the error.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_TIME = re.compile(
    r"\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?: ?(?:[Zz]|[+-]\d\d(?::?\d\d)?))?)?", re.ASCII
)
_INTERVAL = re.compile(r"\s*(?:\d{1,12}\s*[a-z]{1,7}\s*){1,7}", re.ASCII | re.IGNORECASE)
_PART = re.compile(r"(\d+)\s*([a-z]+)", re.ASCII | re.IGNORECASE)
_UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86400),
    **dict.fromkeys(("w", "week", "weeks"), 7 * 86400),
}
MAX_INTERVAL = timedelta(days=36600)
"""About 100 years."""

MIN_INTEGER, MAX_INTEGER = -(1 << 63), (1 << 63) - 1
"""PostgreSQL's bigint."""


def read_time(text: str) -> datetime | None:
    """A date with or without time of day and offset, like ``2026-11-23 03:00``; UTC when no offset is written."""
    if not _TIME.fullmatch(text):
        return None
    compact = text[:10] + text[10:].replace("z", "Z").replace("t", "T")
    date, time_of_day = compact[:10], compact[11:].replace(" ", "")
    try:
        moment = datetime.fromisoformat(f"{date}T{time_of_day or '00:00'}")
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def read_interval(text: str) -> timedelta | None:
    """``1 minute``, ``2 hours 30 minutes``, ``7d``: units from second to week, at most :data:`MAX_INTERVAL`."""
    if len(text) > 200 or not _INTERVAL.fullmatch(text):
        return None
    seconds = 0
    for number, unit in _PART.findall(text):
        size = _UNITS.get(unit.lower())
        if size is None:
            return None
        seconds += int(number) * size
    return timedelta(seconds=seconds) if seconds <= MAX_INTERVAL.total_seconds() else None


def read_action_id(text: str) -> str | None:
    """The canonical form of a UUID written with hyphens."""
    from uuid import UUID  # most targets name no action

    try:
        return str(UUID(text)) if len(text) == 36 else None
    except ValueError:
        return None

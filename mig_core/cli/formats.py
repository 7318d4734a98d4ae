"""Which answers are printed, and how."""

from __future__ import annotations

from enum import StrEnum


class Show(StrEnum):
    """Which answers are printed."""

    FOUND = "found"
    NOTFOUND = "notfound"
    ALL = "all"


class Format(StrEnum):
    """How answers are printed."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"

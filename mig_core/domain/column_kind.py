"""Kinds of columns: what the cells of a row are, and so how they are compared, sorted and written."""

from __future__ import annotations

from enum import Enum


class ColumnKind(Enum):
    """What a column's cells are, and so how they are compared and written."""

    TEXT = "text"
    INTEGER = "integer"
    SIZE = "size"
    TIME = "time"
    DURATION = "duration"
    BOOLEAN = "boolean"
    ADDRESS = "address"
    PATH = "path"
    HASH = "hash"
    LIST = "list"


NUMBERS = frozenset({ColumnKind.INTEGER, ColumnKind.SIZE, ColumnKind.DURATION})
"""Kinds whose cells are JSON numbers."""

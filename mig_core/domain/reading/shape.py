"""Where rows lie in the elements of a module's results: what the module declares, as a document that travels.

The rules are :func:`mig_core.plugin.rows.rows_of`'s. A shape comes from an investigator's program and is bounded; it
decides only what is read, never what is stored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mig_core.domain.column_kind import ColumnKind

if TYPE_CHECKING:
    from mig_core.domain.document import JSON, Members

MAX_COLUMNS = 100
MAX_STEPS = 8
"""Members in one another, on the way to a row or from there to a cell."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)
_KEY = re.compile(r"@([1-9])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Field:
    """One column: see :class:`mig_core.plugin.columns.Column`, which has the same members."""

    name: str
    kind: ColumnKind
    at: str = ""
    always: bool = False

    @property
    def path(self) -> tuple[str, ...]:
        """Names of members in one another, from the row's entry to the cell; empty for a key (:attr:`key`)."""
        return () if self.key else tuple((self.at or self.name).split("."))

    @property
    def key(self) -> int:
        """Which ``*`` of the way to the row its value is, counted from 1; 0: it lies in the entry."""
        found = _KEY.fullmatch(self.at)
        return int(found[1]) if found else 0


@dataclass(frozen=True, slots=True)
class Step:
    """One member on the way to the rows: by its name, or every one (``*``); with ``each``, the entries of its list."""

    name: str
    each: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """How one operation's results are rows."""

    module: str
    rows_at: str
    fields: tuple[Field, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        """The way from the elements to a row's entry."""
        names = self.rows_at.split(".") if self.rows_at else []
        return tuple(Step(one.removesuffix("[]"), one.endswith("[]")) for one in names)

    def field(self, name: str) -> Field | None:
        """A column by its name."""
        return next((one for one in self.fields if one.name == name), None)

    def to_json(self) -> dict[str, JSON]:
        """The document."""
        return {
            "module": self.module,
            "rowsat": self.rows_at,
            "columns": [
                {"name": one.name, "kind": one.kind.value, "at": one.at, "always": one.always} for one in self.fields
            ],
        }


def read_shape(document: Members) -> Shape:
    """The shape in a document.

    Raises:
        InvalidDocument: it is none, or exceeds a limit.
    """
    module = document.text("module", max_length=32)
    rows_at = document.text("rowsat", max_length=500, default="")
    fields: list[Field] = []
    for one in document.objects("columns", minimum=0, maximum=MAX_COLUMNS):
        name = one.text("name", max_length=63)
        if not _NAME.fullmatch(name) or any(name == other.name for other in fields):
            one.refuse("name", "must be lower case letters, digits and _, and no two may be alike")
        kind = one.text("kind", max_length=20)
        if kind not in (known := [each.value for each in ColumnKind]):
            one.refuse("kind", f"must be one of {', '.join(known)}")
        field = Field(
            name, ColumnKind(kind), one.text("at", max_length=500, default=""), one.boolean("always", default=False)
        )
        if len(field.path) > MAX_STEPS or field.key > rows_at.split(".").count("*") + rows_at.split(".").count("*[]"):
            one.refuse("at", "is longer than a way in elements can be, or names a * that rowsat has not")
        fields.append(field)
        one.close()
    if len(rows_at.split(".")) > MAX_STEPS:
        document.refuse("rowsat", f"has more than {MAX_STEPS} steps")
    document.close()
    return Shape(module, rows_at, tuple(fields))

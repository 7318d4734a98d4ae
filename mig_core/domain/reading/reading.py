"""What is wanted of an action's answers, as a document: rows, or a stack of values.

``{"shapes": [...], "where": "...", "columns": [...], ...}``; :func:`read_rows_wish` and :func:`read_stack_wish` read it
at the platform, ``to_json`` writes it at the investigator's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mig_core.domain.action import MAX_OPERATIONS
from mig_core.domain.document import members
from mig_core.domain.ids import check_uuid
from mig_core.domain.reading.shape import MAX_COLUMNS, Field, Shape, read_shape
from mig_core.domain.reading.where import Condition, Fact, parse_where
from mig_core.domain.target import names
from mig_core.domain.target.parser import MAX_TEXT
from mig_core.domain.target.tree import JsonText

if TYPE_CHECKING:
    from mig_core.domain.document import JSON, Members

MAX_PAGE = 10_000
"""Rows of one page."""
MAX_VALUES = 25_000
"""Values of one page of a stack. Each page counts them all anew."""
MAX_STACKED = 8
"""Columns that are stacked together."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which rows are meant."""

    shapes: tuple[Shape | None, ...]
    """One for each operation of the action, in its order; None for one that has no rows."""
    where: str = ""
    conditions: tuple[Condition | None, ...] = field(default=(), compare=False)
    """``where`` as each shape understands it; made by :func:`choice`."""

    def fields(self) -> tuple[Field, ...]:
        """All columns, each once; of two with one name the first operation's."""
        found: dict[str, Field] = {}
        for shape in self.shapes:
            for one in shape.fields if shape else ():
                found.setdefault(one.name, one)
        return tuple(found.values())

    def to_json(self) -> dict[str, JSON]:
        """Its members in a document."""
        return {"shapes": [None if one is None else one.to_json() for one in self.shapes], "where": self.where}


def choice(shapes: tuple[Shape | None, ...], where: str = "") -> Choice:
    """A choice with its conditions read.

    Raises:
        ConditionError: ``where`` is no condition on these columns.
    """
    bare = Choice(shapes)
    if not where.strip():
        return bare
    known = bare.fields()
    conditions = tuple(None if one is None else parse_where(where, _own_first(one, known)) for one in shapes)
    if not any(conditions):
        parse_where(where, known)
    return Choice(shapes, where, conditions)


def _own_first(shape: Shape, known: tuple[Field, ...]) -> list[Field]:
    return [*shape.fields, *(one for one in known if shape.field(one.name) is None)]


@dataclass(frozen=True, slots=True)
class Sorting:
    """A column to sort by."""

    column: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class RowsWish:
    """Rows, by agent and then as the agent gave them, or sorted."""

    choice: Choice
    columns: tuple[str, ...] = ()
    """Empty: all."""
    sort: tuple[Sorting, ...] = ()
    limit: int = MAX_PAGE
    cursor: str = ""

    def to_json(self) -> dict[str, JSON]:
        """The document."""
        return {
            **self.choice.to_json(),
            "columns": list(self.columns),
            "sort": [f"-{one.column}" if one.descending else one.column for one in self.sort],
            "limit": self.limit,
            "cursor": self.cursor,
        }


@dataclass(frozen=True, slots=True)
class StackWish:
    """Values of columns, each with the endpoints that have it."""

    choice: Choice
    columns: tuple[str, ...] = ()
    group_by: tuple[Fact, ...] = ()
    rare: bool = False
    """The least frequent first, not the most frequent."""
    limit: int = 100
    cursor: str = ""

    def to_json(self) -> dict[str, JSON]:
        """The document."""
        return {
            **self.choice.to_json(),
            "columns": list(self.columns),
            "groupby": [fact_text(one) for one in self.group_by],
            "rare": self.rare,
            "limit": self.limit,
            "cursor": self.cursor,
        }


@dataclass(frozen=True, slots=True)
class DiffWish:
    """What differs between two actions of the same modules, agent by agent."""

    choice: Choice
    columns: tuple[str, ...] = ()
    """What is compared; empty: all."""
    key: tuple[str, ...] = ()
    """By what a row is the same row; empty: a row has no name but itself, and nothing is *changed*."""
    limit: int = 1000
    """Agents of one page."""
    cursor: str = ""

    def to_json(self, other: str) -> dict[str, JSON]:
        """The document; ``other`` is the later action."""
        return {
            "other": other,
            **self.choice.to_json(),
            "columns": list(self.columns),
            "key": list(self.key),
            "limit": self.limit,
            "cursor": self.cursor,
        }


def fact_text(fact: Fact) -> str:
    """A fact as it is written: ``tags.role``."""
    return ".".join((fact.column, *fact.path))


def read_fact(text: str) -> Fact | None:
    """``tags.role``, ``environment.os``, ``os`` and its like, ``agent``; None when it is none of them."""
    head, dot, rest = text.partition(".")
    if dot and head in names.DOCUMENTS and all(rest.split(".")):
        return Fact(head, tuple(rest.split(".")))
    known = names.AGENTS.operand(text)
    if isinstance(known, JsonText):
        return Fact(known.column, known.path)
    return Fact("agent") if text == "agent" else None


def read_choice(document: Members) -> Choice:
    """The members ``shapes`` and ``where``.

    Raises:
        InvalidDocument: they are none.
        ConditionError: ``where`` is no condition.
    """
    shapes: list[Shape | None] = []
    for index, one in enumerate(document.items("shapes", minimum=1, maximum=MAX_OPERATIONS)):
        path = f"{document.path_of('shapes')}[{index}]"
        shapes.append(None if one is None else read_shape(members(one, subject="request", path=path)))
    return choice(tuple(shapes), document.text("where", max_length=MAX_TEXT, default=""))


def read_rows_wish(document: Members) -> RowsWish:
    """The whole document of a wish for rows.

    Raises:
        InvalidDocument, ConditionError
    """
    chosen = read_choice(document)
    columns = _columns(document, chosen, MAX_COLUMNS)
    known = {one.name for one in chosen.fields()} | {"agent"}
    sort = []
    for one in document.texts("sort", maximum=MAX_STACKED, max_length=64):
        name = one.removeprefix("-")
        if name not in known:
            document.refuse("sort", f"there is no column {name!r:.80}")
        sort.append(Sorting(name, one.startswith("-")))
    wish = RowsWish(chosen, columns, tuple(sort), *_page(document, MAX_PAGE))
    document.close()
    return wish


def read_stack_wish(document: Members) -> StackWish:
    """The whole document of a wish for a stack.

    Raises:
        InvalidDocument, ConditionError
    """
    chosen = read_choice(document)
    columns = _columns(document, chosen, MAX_STACKED)
    groups = []
    for one in document.texts("groupby", maximum=MAX_STACKED, max_length=500):
        fact = read_fact(one)
        if fact is None:
            document.refuse("groupby", f"must be like tags.role or environment.os, got {one!r:.80}")
        groups.append(fact)
    wish = StackWish(
        chosen, columns, tuple(groups), document.boolean("rare", default=False), *_page(document, MAX_VALUES)
    )
    document.close()
    return wish


def read_diff_wish(document: Members) -> tuple[str, DiffWish]:
    """The later action, and the rest of the document of a wish for differences.

    Raises:
        InvalidDocument, ConditionError
    """
    other = check_uuid(document.take("other"), subject="request", path="other")
    chosen = read_choice(document)
    columns = _columns(document, chosen, MAX_COLUMNS)
    key = _columns(document, chosen, MAX_STACKED, "key")
    wish = DiffWish(chosen, columns, key, *_page(document, MAX_PAGE))
    document.close()
    return other, wish


def _columns(document: Members, chosen: Choice, maximum: int, member: str = "columns") -> tuple[str, ...]:
    columns = document.texts(member, maximum=maximum, max_length=63)
    known = {one.name for one in chosen.fields()}
    for one in columns:
        if one not in known:
            document.refuse(member, f"there is no column {one!r:.80}; there are: {', '.join(known) or 'none'}")
    return tuple(dict.fromkeys(columns))


def _page(document: Members, most: int) -> tuple[int, str]:
    limit = document.integer("limit", minimum=1, maximum=most, default=100)
    return limit, document.text("cursor", max_length=10_000, default="")

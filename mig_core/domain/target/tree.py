"""The nodes a target is parsed into: small, frozen, and few, so that each user of the tree covers them all.

What SQL spells in two ways is one node here: ``<>`` is Not(=), ``NOT IN`` is Not(In), ``BETWEEN`` is two comparisons,
``IS NOT NULL`` is Not(IsNull). In SQL's own logic these are the same.

Every test is NULL exactly when its operand is NULL, except :class:`IsNull`, :class:`AddressWithin` and
:class:`Answered`, which are never NULL.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum, StrEnum

from mig_core.records import dataclass


class Kind(Enum):
    """What a column holds, and so what it can be compared with."""

    TEXT = "text"
    INTEGER = "integer"
    TIME = "time"


class Answer(StrEnum):
    """What ``found(ACTION)`` and its sisters ask about an agent's command of that action."""

    FOUND = "found"
    """It found something."""
    NOTFOUND = "notfound"
    """It succeeded and found nothing."""
    NOANSWER = "noanswer"
    """It was sent and has not succeeded."""


class Comparator(StrEnum):
    """The comparisons; texts compare by code point."""

    EQUAL = "="
    LESS = "<"
    LESS_EQUAL = "<="
    GREATER = ">"
    GREATER_EQUAL = ">="


@dataclass(frozen=True, slots=True)
class Column:
    """A column of its own, by its name in the database."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class JsonText:
    """The text at ``path`` in ``environment`` or ``tags``; NULL when there is none."""

    column: str
    path: tuple[str, ...]

    @property
    def kind(self) -> Kind:
        """Always text, also for a JSON number."""
        return Kind.TEXT


@dataclass(frozen=True, slots=True)
class FromNow:
    """``NOW()`` plus an offset, to the microsecond; a day is 24 hours whatever the calendar says."""

    offset: timedelta


Operand = Column | JsonText
Value = str | int | datetime | FromNow


@dataclass(frozen=True, slots=True)
class Everything:
    """``all``."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """``operand comparator value``."""

    operand: Operand
    comparator: Comparator
    value: Value


@dataclass(frozen=True, slots=True)
class In:
    """The operand equals one of ``values``, which are all texts, all integers or all times."""

    operand: Operand
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Like:
    """SQL's LIKE over the whole text, backslash escapes. ILIKE ignores the case of ASCII letters only."""

    operand: Operand
    pattern: str
    ignore_case: bool


@dataclass(frozen=True, slots=True)
class Matches:
    """The regular expression (:mod:`mig_core.domain.target.regex`) occurs somewhere in the text."""

    operand: Operand
    pattern: str
    ignore_case: bool


@dataclass(frozen=True, slots=True)
class IsNull:
    """The operand has no value."""

    operand: Operand


@dataclass(frozen=True, slots=True)
class AddressWithin:
    """Any of the agent's addresses lies in any of ``networks`` (CIDR text in canonical form)."""

    networks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """The agent has a command of action ``action`` (UUID in canonical form) that answered like this."""

    answer: Answer
    action: str


@dataclass(frozen=True, slots=True)
class Not:
    """NOT."""

    item: Node


@dataclass(frozen=True, slots=True)
class And:
    """AND over two or more."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """OR over two or more."""

    items: tuple[Node, ...]


Predicate = Comparison | In | Like | Matches | IsNull | AddressWithin | Answered
"""What can be said of one agent by itself."""
Node = Everything | Predicate | Not | And | Or

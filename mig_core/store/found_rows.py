"""What the store says about the rows of answers: rows, stacks, differences, and who stands behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_core.domain.command import CommandState


@dataclass(frozen=True, slots=True)
class Account:
    """Every endpoint that was asked, and what rows can say about it."""

    targeted: int
    counts: Mapping[CommandState, int]
    answered: int
    """Endpoints whose answer has results, also those that ran out of time."""
    partial: int
    """Those of them that did not look at everything."""
    with_rows: int
    """Those of them that have a row that is meant."""
    undecided_rows: int
    """Rows that the condition cannot judge, because a value is not known."""
    undecided: int
    """Endpoints that have such rows."""
    unreadable: int
    """Endpoints that found something of which these columns show nothing."""


@dataclass(frozen=True, slots=True)
class RowPage:
    """Rows: the agent's id and name, the operation, and the cells as JSON text; an empty one is no value."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, str, int, tuple[str, ...]], ...]
    cursor: str
    account: Account | None
    """On the first page."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that is not in both answers of an endpoint."""

    agent: str
    agent_name: str
    operation: int
    before: tuple[str, ...] | None
    """The cells as JSON text; None: it was not there."""
    after: tuple[str, ...] | None
    certain: bool
    """Whether the answer that lacks it looked at everything, and has rows if it found something."""


@dataclass(frozen=True, slots=True)
class Diff:
    """Rows gone, new and changed, of one page of agents."""

    columns: tuple[str, ...]
    items: tuple[Difference, ...]
    gone: int
    """Of this page, as ``new`` and ``changed`` are."""
    new: int
    changed: int
    differing: int
    """Endpoints of this page that have any of these."""
    both: int
    """Endpoints that answered both actions; only they are compared."""
    partial: int
    """Those of them of whom an answer did not look at everything."""
    only_first: int
    only_second: int
    silent: int
    """Endpoints that were asked, and answered neither."""
    cursor: str


@dataclass(frozen=True, slots=True)
class Stacked:
    """One value, or one combination of values."""

    groups: tuple[str | None, ...]
    cells: tuple[str, ...]
    """JSON text; an empty one is no value."""
    endpoints: int
    rows: int
    first: str
    """The first endpoint by name that has it."""
    last: str


@dataclass(frozen=True, slots=True)
class Stack:
    """Values with the endpoints that have them."""

    columns: tuple[str, ...]
    entries: tuple[Stacked, ...]
    values: int
    """How many different ones there are; ``entries`` may have fewer."""
    rows: int
    answered_by_group: Mapping[tuple[str | None, ...], int]
    """Of each group of endpoints, how many answered; with no grouping the only group is ``()``."""
    cursor: str
    account: Account

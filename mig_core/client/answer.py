"""An answer, and what of a question those need to know who show it or make frames of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.plugin.columns import Column, Row

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of the question at one agent: an answer, or why there is none."""

    agent: str
    """Its name, as the platform shows it: no two agents have the same."""
    agent_id: str
    state: str
    """``success``, ``failed``, ``refused``, ``timeout``, ``killed``, ``cancelled`` or ``expired`` (no answer came)."""
    reason: str
    """Empty for a plain success."""
    found: bool
    complete: bool
    """Whether everything that was asked about was looked at."""
    skipped: tuple[str, ...]
    """What was not looked at: reason and count."""
    rows: tuple[Row, ...]
    """Column name -> cell, with ``agent`` first. A cell that is missing has no value; None is not known."""
    document: Document = field(repr=False)
    """The API's document (``docs/rest-api.md``), with ``results`` as the modules gave them."""

    @property
    def shortcomings(self) -> list[str]:
        """Why this answer says nothing, or not everything; empty when everything was looked at."""
        if self.state != "success":
            return [f"{self.state}: {self.reason}" if self.reason else self.state, *self.skipped]
        if not self.complete:
            return list(self.skipped or ("the run was cut short",))
        return ["it found something that has no rows"] if self.found and not self.rows else []


class Asked(Protocol):
    """A question: see :class:`mig_core.client.question.Question`."""

    @property
    def id(self) -> str:
        """The action's id."""
        ...

    @property
    def name(self) -> str:
        """The action's name."""
        ...

    @property
    def state(self) -> str:
        """Whether it is under way."""
        ...

    @property
    def modules(self) -> list[str]:
        """Names of the modules that were asked."""
        ...

    @property
    def asked(self) -> int:
        """Agents that were asked."""
        ...

    @property
    def counts(self) -> dict[str, int]:
        """Agents by state."""
        ...

    @property
    def summary(self) -> str:
        """All of it in a line."""
        ...

    def __iter__(self) -> Iterator[Answer]:
        """Answers as they arrive."""
        ...

    def answers_now(self) -> Iterator[Answer]:
        """The answers that are there now."""
        ...

    def columns_of(self, module: str) -> tuple[Column, ...]:
        """What rows of a module have."""
        ...

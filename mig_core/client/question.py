"""A question that was asked, and its answers. Made by :class:`mig_core.client.mig.Mig`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mig_core.client import notebook
from mig_core.client.answer import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.client.answer_rows import AnswerReader
    from mig_core.client.connection import Connection
    from mig_core.client.stack import Stack
    from mig_core.plugin.columns import Column, Row

Document = dict[str, Any]
OPEN = ("queued", "sent")
"""States of commands that may still be answered."""


class Question:
    """A question under way or ended. Iterating gives each agent's answer as it arrives, until the question has ended.

    It holds no answers: each iteration fetches them anew, those that are there first. ``for`` can be left and begun
    again, and an interrupt (Ctrl-C) stops nothing but the waiting.
    """

    def __init__(self, connection: Connection, action: Document, reader: AnswerReader) -> None:
        self._connection = connection
        self._reader = reader
        self.action = action
        """The API's document of the action, as it was when last heard of."""

    def __repr__(self) -> str:
        return f"<Question {self.id} {self.name!r} {self.state}: {self.summary}>"

    def _repr_html_(self) -> str:
        """For Jupyter."""
        return notebook.question_html(self)

    @property
    def id(self) -> str:
        """The action's id, as ``mig results`` takes it."""
        return str(self.action["id"])

    @property
    def name(self) -> str:
        """The action's name."""
        return str(self.action["name"])

    @property
    def state(self) -> str:
        """``pending`` (waits for signatures), ``running``, ``completed``, ``cancelled`` or ``expired`` …"""
        return str(self.action["state"])

    @property
    def modules(self) -> list[str]:
        """Names of the modules that were asked, an operation each."""
        return [str(one["module"]) for one in self.action["operations"]]

    @property
    def asked(self) -> int:
        """Agents that were asked."""
        return int(self.action["targeted"])

    @property
    def counts(self) -> dict[str, int]:
        """Agents by what became of the question there; they sum up to ``asked``."""
        return {state: number for state, number in self.action["counts"].items() if number}

    @property
    def summary(self) -> str:
        """``"4 asked: 3 success, 1 expired; 1 found"``."""
        parts = ", ".join(f"{number} {state}" for state, number in self.counts.items()) or "nobody"
        return f"{self.asked} asked: {parts}; {self.action['found']} found"

    def refresh(self) -> Question:
        """Asks the platform how it stands; returns itself."""
        self.action = self._connection.client.action(self.id)
        return self

    def __iter__(self) -> Iterator[Answer]:
        for event in self._connection.client.follow(self.id):
            if event.kind == "command":
                yield self._answer(event.data)
            else:
                self.action = self.action | event.data

    def answers_now(self) -> Iterator[Answer]:
        """The answers that are there now, by agent; waits for none."""
        self.refresh()
        for command in self._connection.client.commands(self.id):
            if command["state"] not in OPEN:
                yield self._answer(command)

    def wait(self, *, progress: bool = False) -> Question:
        """Waits until the question has ended; returns itself.

        Args:
            progress: shows a bar (tqdm, of the extra ``mig-core[notebook]``).
        """
        for _ in notebook.with_progress(self, self) if progress else self:
            pass
        return self

    def rows(self) -> list[Row]:
        """All rows of all agents, when the question has ended: see :attr:`Answer.rows`."""
        return [row for answer in self for row in answer.rows]

    def stack(self, *columns: str, where: str = "", rare: bool = False, limit: int = 20) -> Stack:
        """Values of columns, each with how many endpoints have it, when the question has ended.

        Args:
            columns: of the rows: ``"sha256"``.
            where: only rows that fit: ``"size > '10m'"``.
            rare: the values that the fewest endpoints have.
            limit: most values; 0: all.

        Raises:
            ConditionError: ``where`` is no condition on these columns.
            ApiError: there is no such column.
        """
        from mig_core.client.stack import stack_answers

        client = self._connection.client
        return stack_answers(client, self.wait().action, columns, where=where, rare=rare, limit=limit)

    def plot_stack(self, *columns: str, where: str = "", rare: bool = False, limit: int = 20) -> Any:
        """A stack as bars; the axes of matplotlib. See :meth:`stack`."""
        return self.stack(*columns, where=where, rare=rare, limit=limit).plot()

    def not_looked_at(self) -> dict[str, list[str]]:
        """Agents whose answer says nothing, or not everything, when the question has ended; each with the reasons."""
        return {answer.agent: reasons for answer in self if (reasons := answer.shortcomings)}

    def columns_of(self, module: str) -> tuple[Column, ...]:
        """What rows of a module have, beside ``agent``; nothing where it is not installed here."""
        return self._reader.columns(module)

    def cancel(self, reason: str = "") -> Question:
        """Signs and sends a cancel; returns itself.

        Raises:
            ApiError: it is not this investigator's to cancel.
        """
        from datetime import UTC, datetime

        from mig_core.domain import envelope as envelopes
        from mig_core.domain.action import Cancel
        from mig_core.domain.envelope import Envelope
        from mig_core.domain.ids import ActionId

        payload = Cancel(ActionId(self.id), reason, datetime.now(UTC)).to_payload()
        signed = self._connection.signer.sign(Envelope(envelopes.CANCEL, payload))
        self.action = self.action | self._connection.client.cancel(self.id, signed)
        return self

    def to_pandas(self) -> Any:
        """The rows as a pandas data frame: see :mod:`mig_core.client.frames`."""
        from mig_core.client.frames import to_pandas

        return to_pandas(self)

    def to_polars(self) -> Any:
        """The rows as a polars data frame: see :mod:`mig_core.client.frames`."""
        from mig_core.client.frames import to_polars

        return to_polars(self)

    def _answer(self, command: Document) -> Answer:
        skipped = tuple(
            f"{one['reason']}: {one['count']}"
            for result in command["results"] or ()
            for one in (result.get("coverage") or {}).get("skipped") or ()
        )
        return Answer(
            agent=command["agentname"],
            agent_id=command["agent"],
            state=command["state"],
            reason=command["reason"],
            found=bool(command["found"]),
            complete=command["state"] == "success" and command["complete"] is not False,
            skipped=skipped,
            rows=tuple(self._reader.rows(self.modules, command)),
            document=command,
        )

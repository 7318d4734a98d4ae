"""What is kept about commands: the way out to the relay, answers, and following them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from mig_core.domain.command import CommandState
    from mig_core.domain.ids import ActionId, AgentId, CommandId
    from mig_core.domain.result import Answer
    from mig_core.store.rows import CommandRow, Recording, Unanswered, Unsent, UnsentCancel


class Commands(Protocol):
    """The lines of the books."""

    async def claim_unsent(
        self, relays: Sequence[str], *, limit: int, lease: timedelta, now: datetime
    ) -> Sequence[Unsent]:
        """Leases QUEUED commands to one scheduler; unless they are marked sent in time another one may claim them."""
        ...

    async def mark_sent(self, commands: Sequence[CommandId], now: datetime, *, relay: str = "") -> None:
        """The relay has them. A command that was answered in the meantime stays as it is.

        With ``relay`` so does one whose agent has gone to another relay since: that one is to have it.
        """
        ...

    async def unanswered(
        self, relay: str, *, after: CommandId | None, limit: int, now: datetime
    ) -> Sequence[Unanswered]:
        """Commands that agents of this relay were sent and have not answered, in the order of their ids.

        Those whose window has ended are not among them. Those of a cancelled action are: an agent that has the cancel
        answers so, and its command ends as cancelled.
        """
        ...

    async def no_longer_held(self, commands: Sequence[CommandId], lease: datetime) -> frozenset[CommandId]:
        """Those of which who claimed them until ``lease`` has lost the lease: somebody else has them, or a relay."""
        ...

    async def give_back(self, commands: Sequence[CommandId], until: datetime, *, lease: datetime) -> None:
        """What was claimed until ``lease`` and could not be handed over: from then on any scheduler may try again.

        What is :meth:`no_longer_held` stays as it is; likewise with the next two.
        """
        ...

    async def hand_over_again(self, commands: Sequence[CommandId], now: datetime) -> int:
        """Has those that are not answered handed over once more, by any scheduler; returns how many. They stay SENT."""
        ...

    async def abandon(self, command: CommandId, reason: str, now: datetime, *, lease: datetime) -> None:
        """Ends a command that can never be sent: EXPIRED, with the reason. One that is final stays as it is."""
        ...

    async def withdraw(self, commands: Sequence[CommandId], now: datetime, *, lease: datetime) -> None:
        """Ends what was claimed, not handed over, and is wanted no more: CANCELLED. What is final stays as it is."""
        ...

    async def claim_unsent_cancels(
        self, relays: Sequence[str], *, limit: int, lease: timedelta, now: datetime
    ) -> Sequence[UnsentCancel]:
        """Leases cancels that are to be handed to agents."""
        ...

    async def mark_cancels_sent(self, cancels: Sequence[tuple[ActionId, AgentId]]) -> None:
        """The relay has them."""
        ...

    async def record(
        self,
        answers: Sequence[Answer],
        now: datetime,
        *,
        settle: bool = False,
        sent: Mapping[CommandId, datetime] | None = None,
    ) -> Sequence[Recording]:
        """Closes the books for verified answers, in one transaction; says for each what became of it.

        ``sent`` says of commands that are not marked yet since when the relay had them; of others it is now.
        ``settle`` ends those actions with it of which no command is open any more.
        NUL characters, which jsonb cannot hold, are stored as U+FFFD; the answer's proof is kept as it is.
        """
        ...

    async def awaited(self, claims: Sequence[tuple[CommandId | None, str]]) -> Sequence[Recording | None]:
        """For each pair of a command and an agent: None while the command waits for that agent's answer.

        Else what would become of an answer: FOREIGN (also for no command at all), DUPLICATE or LATE.
        """
        ...

    async def get(self, action: ActionId, agent: AgentId, *, proof: bool = False) -> CommandRow:
        """One command, with what the agent signed if ``proof`` asks for it.

        Raises:
            NotFound
        """
        ...

    async def list(
        self,
        action: ActionId,
        *,
        states: Sequence[CommandState] = (),
        found: bool | None = None,
        cursor: str = "",
        limit: int = 100,
        proofs: bool = False,
    ) -> tuple[Sequence[CommandRow], str]:
        """Commands of an action, by agent name; with what the agents signed if ``proofs`` asks for it."""
        ...

    async def history(
        self, agent: AgentId, *, cursor: str = "", limit: int = 100
    ) -> tuple[Sequence[tuple[CommandRow, str, int]], str]:
        """An agent's commands of all actions, the latest action first.

        Each without its results, with the action's name and the results' size in bytes.
        """
        ...

    async def finished_since(self, action: ActionId, *, position: str, limit: int = 500) -> Sequence[CommandRow]:
        """Commands that became final after ``position`` ("" for the beginning), in that order.

        Each row carries the next position. Follows commits: a row is never passed over, whichever transaction commits
        first. A page may be shorter than ``limit`` although there is more (large results); the last one is empty. Rows
        have ``results_text`` instead of ``results``.

        Raises:
            InvalidDocument: the position was not given out by this method.
        """
        ...

"""What is kept about agents: enrolment, identity, signs of life."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from mig_core.domain.agent import AgentState, Enrolment, Heartbeat
    from mig_core.domain.ids import AgentId
    from mig_core.domain.target import Target
    from mig_core.store.rows import AgentEvent, AgentRow


class Agents(Protocol):
    """Endpoints that enrolled."""

    async def enrol(
        self, enrolment: Enrolment, *, approved: bool, token_digest: bytes, now: datetime, secret_digest: bytes = b""
    ) -> AgentRow:
        """Adds an agent (PENDING, or ONLINE when approved), or refreshes a known one and its relay token.

        The token's digest is stored only for an agent that is (now) approved. A pending agent that enrols again with
        ``approved`` becomes approved. A known agent must enrol with the pinned key and a later ``sent`` than before.
        Enrolling is a sign of life: an approved agent is ONLINE after it.

        Args:
            enrolment: what the agent sent; verified.
            approved: by the secret of the settings.
            token_digest: SHA-256 of its new token.
            now: the time.
            secret_digest: SHA-256 of another secret that it brings; looked at only for an agent that is not admitted.

        Raises:
            Refused: that secret admits nobody.
            NoRoom: as many agents wait for approval as may.
            Conflict: another key, an older enrolment (replay), or a retired agent.
        """
        ...

    async def approve(self, agent: AgentId, now: datetime) -> AgentRow:
        """PENDING -> OFFLINE (until its first heartbeat); harmless to repeat.

        Raises:
            NotFound
            Conflict: it is retired.
        """
        ...

    async def retire(self, agent: AgentId, now: datetime) -> AgentRow:
        """Takes an agent out for good: key and token refused, its open commands expire at once with the reason.

        Raises:
            NotFound
        """
        ...

    async def retire_silent(self, agents: Sequence[AgentId], since: datetime, now: datetime) -> Sequence[AgentId]:
        """Retires those of the agents of which nothing was heard since; returns which they were."""
        ...

    async def renew_tokens(self, agents: Sequence[AgentId]) -> Sequence[AgentId]:
        """Makes the relay tokens of those that are approved worthless: each enrols again, by its key, for another.

        Returns whose they were.
        """
        ...

    async def same_machine(self, agent: AgentRow) -> Sequence[AgentRow]:
        """Other agents that say they run on the machine of this one, by when they enrolled; at most twenty.

        What they say proves nothing: for people only.
        """
        ...

    async def get(self, agent: AgentId) -> AgentRow:
        """One agent.

        Raises:
            NotFound
        """
        ...

    async def events(self, agent: AgentId) -> Sequence[AgentEvent]:
        """What happened to an agent, the newest first; at most a hundred.

        A name changed, two processes spoke for it, its ledger went back.
        """
        ...

    async def list(
        self,
        *,
        target: Target | None = None,
        states: Sequence[AgentState] = (),
        now: datetime,
        cursor: str = "",
        limit: int = 100,
        retired_after: datetime | None = None,
    ) -> tuple[Sequence[AgentRow], str]:
        """Agents by name. The target is evaluated by a role that can read agents and commands and nothing else.

        Retired ones only when they were retired after ``retired_after``, if it is given.
        """
        ...

    async def count(self, target: Target, *, now: datetime) -> int:
        """How many agents a new action with this target would reach (PENDING and RETIRED ones never)."""
        ...

    async def token_matches(self, agent: AgentId, digest: bytes) -> bool:
        """Whether this is the relay token (SHA-256, constant time) of an agent that is approved and not retired."""
        ...

    async def tokens_match(self, given: Sequence[tuple[AgentId, bytes]]) -> Sequence[bool]:
        """:meth:`token_matches` for many at once, in their order."""
        ...

    async def public_keys(self, agents: Sequence[AgentId]) -> Mapping[AgentId, bytes]:
        """Pinned keys of those agents that are approved and not retired."""
        ...

    async def beat(self, heartbeats: Sequence[Heartbeat], now: datetime) -> Sequence[AgentId]:
        """Records verified heartbeats of approved agents: facts, counters, state ONLINE (OFFLINE: it takes its leave).

        Returns the agents whose heartbeat changed something; a sequence number that is not larger than the last one
        changes nothing, except that a process which is neither the present nor the last one shows that there are two.
        """
        ...

    async def age(self, *, now: datetime, idle_after: timedelta, offline_after: timedelta) -> Mapping[AgentState, int]:
        """Moves silent agents to IDLE and OFFLINE; returns how many went to each."""
        ...

    async def forget_pending(self, *, before: datetime) -> int:
        """Forgets agents that wait for approval and last asked before; returns how many."""
        ...

    async def not_admitted(self, relay: str, *, limit: int) -> Sequence[AgentId]:
        """Approved agents of a relay whose place to receive is not made yet."""
        ...

    async def mark_admitted(self, agents: Sequence[AgentId]) -> None:
        """Their place is made."""
        ...

    async def to_dismiss(self, relay: str, *, limit: int, now: datetime) -> Sequence[AgentId]:
        """Retired agents of a relay whose place there is to be removed by now; the first that was to be, first."""
        ...

    async def mark_dismissed(self, agents: Sequence[AgentId], now: datetime) -> None:
        """Their place is removed, by who asked at ``now``.

        It is to be once more two minutes after the agent was retired: a scheduler that had claimed one of its commands
        before may have made the place anew.
        """
        ...

    async def dismiss_later(self, agents: Sequence[AgentId], until: datetime) -> None:
        """Their place cannot be removed now."""
        ...

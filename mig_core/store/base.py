"""What API and scheduler need of the store, by noun. Everything is asyncio; every method is one transaction.

Lists come in pages: a method that takes ``cursor`` ("" for the first page) returns rows and the next cursor ("" after
the last page); a cursor that the list did not give out raises InvalidDocument. All methods may raise StoreUnavailable,
those that take a target TargetError when the database cannot evaluate it in time; what else they raise is said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime, timedelta

    from mig_core.domain.action import Action
    from mig_core.domain.agent import AgentState, Enrolment, Heartbeat
    from mig_core.domain.command import ActionState, CommandState
    from mig_core.domain.ids import ActionId, AgentId, CommandId, Fingerprint
    from mig_core.domain.result import Answer
    from mig_core.domain.target import Target
    from mig_core.relay.base import RelayQueue
    from mig_core.store.rows import (
        ActionRow,
        AgentRow,
        CommandRow,
        Investigator,
        Permission,
        Recording,
        Unsent,
        UnsentCancel,
    )


class Investigators(Protocol):
    """Who may log in, and their sessions."""

    async def any(self) -> bool:
        """Whether there is an investigator at all (a platform without one accepts a bootstrap)."""
        ...

    async def bootstrap(self, investigator: Investigator) -> None:
        """Adds the first investigator.

        Raises:
            Conflict: there is one already.
        """
        ...

    async def add(self, investigator: Investigator) -> None:
        """Adds one.

        Raises:
            Conflict: the fingerprint is known already.
        """
        ...

    async def get(self, fingerprint: Fingerprint) -> Investigator:
        """One investigator.

        Raises:
            NotFound
        """
        ...

    async def list(self) -> Sequence[Investigator]:
        """All, by name."""
        ...

    async def change(
        self, fingerprint: Fingerprint, *, active: bool | None = None, permissions: frozenset[Permission] | None = None
    ) -> Investigator:
        """Changes what is given; disabling ends all sessions at once.

        Raises:
            NotFound
            Conflict: nobody active with the INVESTIGATORS permission would be left.
        """
        ...

    async def put_nonce(self, digest: bytes, expires: datetime) -> None:
        """Remembers a login nonce (its SHA-256), and forgets expired ones."""
        ...

    async def spend_nonce(self, digest: bytes, now: datetime) -> bool:
        """Whether the nonce was known and unexpired; it is not any more."""
        ...

    async def open_session(self, digest: bytes, fingerprint: Fingerprint, expires: datetime) -> None:
        """Remembers a session token (its SHA-256)."""
        ...

    async def session(self, digest: bytes, now: datetime) -> Investigator | None:
        """Whose session this is: None when unknown, expired, or the investigator is not active."""
        ...

    async def close_session(self, digest: bytes) -> None:
        """Forgets a session."""
        ...


class Agents(Protocol):
    """Endpoints that enrolled."""

    async def enrol(self, enrolment: Enrolment, *, approved: bool, token_digest: bytes, now: datetime) -> AgentRow:
        """Adds an agent (PENDING, or ONLINE when approved), or refreshes a known one and its relay token.

        The token's digest is stored only for an agent that is (now) approved. A pending agent that enrols again with
        ``approved`` becomes approved. A known agent must enrol with the pinned key and a later ``sent`` than before.
        Enrolling is a sign of life: an approved agent is ONLINE after it.

        Raises:
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

    async def get(self, agent: AgentId) -> AgentRow:
        """One agent.

        Raises:
            NotFound
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
    ) -> tuple[Sequence[AgentRow], str]:
        """Agents by name. The target is evaluated by a role that can read agents and commands and nothing else."""
        ...

    async def count(self, target: Target, *, now: datetime) -> int:
        """How many agents a new action with this target would reach (PENDING and RETIRED ones never)."""
        ...

    async def token_matches(self, agent: AgentId, digest: bytes) -> bool:
        """Whether this is the relay token (SHA-256, constant time) of an agent that is approved and not retired."""
        ...

    async def public_keys(self, agents: Sequence[AgentId]) -> Mapping[AgentId, bytes]:
        """Pinned keys of those agents that are approved and not retired."""
        ...

    async def beat(self, heartbeats: Sequence[Heartbeat], now: datetime) -> Sequence[AgentId]:
        """Records verified heartbeats of approved agents: state ONLINE, facts, counters.

        Returns the agents whose heartbeat changed something; a sequence number that is not larger than the last one
        changes nothing.
        """
        ...

    async def age(self, *, now: datetime, idle_after: timedelta, offline_after: timedelta) -> Mapping[AgentState, int]:
        """Moves silent agents to IDLE and OFFLINE; returns how many went to each."""
        ...

    async def not_admitted(self, relay: str, *, limit: int) -> Sequence[AgentId]:
        """Approved agents of a relay whose place to receive is not made yet."""
        ...

    async def mark_admitted(self, agents: Sequence[AgentId]) -> None:
        """Their place is made."""
        ...


class Actions(Protocol):
    """Questions, and what became of them."""

    async def create(
        self, action: Action, envelope: bytes, *, signers: Sequence[Fingerprint], state: ActionState, now: datetime
    ) -> ActionRow:
        """Adds an action, PENDING or SCHEDULED; ``signers[0]`` is its creator.

        Raises:
            Conflict: the id is known already.
        """
        ...

    async def sign(
        self, action: ActionId, envelope: bytes, *, signers: Sequence[Fingerprint], state: ActionState
    ) -> ActionRow:
        """Replaces the envelope of a PENDING action by one with more signatures.

        Raises:
            NotFound
            Conflict: it is not pending (any more), or somebody else signed at the same moment.
        """
        ...

    async def get(self, action: ActionId) -> ActionRow:
        """One action with its counts.

        Raises:
            NotFound
        """
        ...

    async def list(
        self,
        *,
        states: Sequence[ActionState] = (),
        name: str = "",
        created_by: Fingerprint | None = None,
        cursor: str = "",
        limit: int = 50,
    ) -> tuple[Sequence[ActionRow], str]:
        """Actions, latest first. ``name`` is a part of the name, without regard to case."""
        ...

    async def cancel(self, action: ActionId, envelope: bytes, *, by: Fingerprint, now: datetime) -> ActionRow:
        """Records a signed cancel: no new command leaves; queued ones become CANCELLED; for sent ones a cancel goes to
        the agents' relays.

        Sent commands stay open until the agent answers (CANCELLED, or its real answer) or the window ends. The action's
        state becomes CANCELLED when the last command is final. Harmless to repeat.

        Raises:
            NotFound
            Conflict: it has already ended.
        """
        ...

    async def due(self, *, now: datetime, limit: int = 100) -> Sequence[ActionId]:
        """SCHEDULED actions whose window is open."""
        ...

    async def fan_out(self, action: ActionId, target: Target, *, now: datetime) -> int | None:
        """Makes one QUEUED command for each targeted agent, in one statement, and the action INFLIGHT.

        The target is evaluated under the read-only role. Returns the number of commands, or None when another scheduler
        was first (or the action is not SCHEDULED). With no agent, or a target that the database cannot evaluate in
        time, the action is COMPLETED with the reason.
        """
        ...

    async def settle(self, now: datetime) -> Sequence[ActionId]:
        """Ends actions whose every command is final; returns them."""
        ...

    async def expire(self, *, now: datetime, grace: timedelta) -> int:
        """Ends what nobody will answer any more: PENDING actions past their window, and open commands past window plus
        grace.

        The reason says since when the agent is silent. Returns how many commands and actions changed.
        """
        ...

    async def forget(self, *, before: datetime) -> int:
        """Deletes ended actions (and their commands) that finished before; returns how many actions."""
        ...


class Commands(Protocol):
    """The lines of the books."""

    async def claim_unsent(
        self, relays: Sequence[str], *, limit: int, lease: timedelta, now: datetime
    ) -> Sequence[Unsent]:
        """Leases QUEUED commands to one scheduler; unless they are marked sent in time another one may claim them."""
        ...

    async def mark_sent(self, commands: Sequence[CommandId], now: datetime) -> None:
        """The relay has them. A command that was answered in the meantime stays as it is."""
        ...

    async def claim_unsent_cancels(
        self, relays: Sequence[str], *, limit: int, lease: timedelta, now: datetime
    ) -> Sequence[UnsentCancel]:
        """Leases cancels that are to be handed to agents."""
        ...

    async def mark_cancels_sent(self, cancels: Sequence[tuple[ActionId, AgentId]]) -> None:
        """The relay has them."""
        ...

    async def record(self, answers: Sequence[Answer], now: datetime) -> Sequence[Recording]:
        """Closes the books for verified answers, in one transaction; says for each what became of it.

        NUL characters, which jsonb cannot hold, are stored as U+FFFD.
        """
        ...

    async def get(self, action: ActionId, agent: AgentId) -> CommandRow:
        """One command.

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
    ) -> tuple[Sequence[CommandRow], str]:
        """Commands of an action, by agent name."""
        ...

    async def finished_since(self, action: ActionId, *, position: str, limit: int = 500) -> Sequence[CommandRow]:
        """Commands that became final after ``position`` ("" for the beginning), in that order.

        Each row carries the next position. Follows commits: a row is never passed over, whichever transaction commits
        first. A page may be shorter than ``limit`` although there is more (large results); the last one is empty.

        Raises:
            InvalidDocument: the position was not given out by this method.
        """
        ...


class Wakeups(Protocol):
    """What wakes those who wait (LISTEN/NOTIFY). One connection a process.

    Channels: ``action`` (an action is due or changed; key = action id), ``outbox`` (commands or cancels are queued),
    ``agent`` (an agent waits to be admitted; key = agent id), ``relay`` (key = agent id: messages wait for its poll),
    ``inbound`` (agents sent something). A watch without key is woken by everything on its channel. A wakeup may be
    missed while the connection is down; after a reconnect everybody is woken once.
    """

    def watch(self, channel: str, key: str = "") -> AbstractAsyncContextManager[Watch]:
        """Registers *before* the caller looks at the tables, so that nothing falls between."""
        ...


class Watch(Protocol):
    """One registered interest."""

    async def wait(self, timeout: float) -> bool:
        """True at the first wakeup since the last ``wait`` (at once if there was one); False after ``timeout`` s."""
        ...


class Numbers(Protocol):
    """Counters and sums."""

    async def count(self, increments: Mapping[str, int]) -> None:
        """Adds to named counters that outlive processes, like ``result.forged``."""
        ...

    async def counters(self) -> Mapping[str, int]:
        """All counters."""
        ...

    async def dashboard(self, now: datetime) -> Mapping[str, Mapping[str, int]]:
        """Sums by name: ``agents`` and ``actions`` by state, ``commands`` of the last 24 hours by state, ``versions``.

        The last are those of agents online.
        """
        ...


class Store(Protocol):
    """All of it."""

    investigators: Investigators
    agents: Agents
    actions: Actions
    commands: Commands
    numbers: Numbers
    relay_queue: RelayQueue
    wakeups: Wakeups

    async def open(self) -> None:
        """Connects; waits for the database up to 30 s.

        Raises:
            StoreUnavailable
            ConfigurationError: the schema's version is not the one this program needs.
        """
        ...

    async def ready(self) -> bool:
        """Whether the database answers now (for /healthz)."""
        ...

    async def close(self) -> None:
        """Gives everything back."""
        ...

"""What a relay does, apart from who does it.

A relay moves bytes (JSON objects, see :mod:`mig_core.domain.messages`); trust lives in the signed documents inside. It
has two ends. Agents hold an :class:`AgentRelay` (threads, no event loop); schedulers hold a :class:`PlatformRelay`
(asyncio). Both ends deliver at least once and in any order; everything above is idempotent by command id.

``mig_core.testing.RelayContract`` holds every driver to the same behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from datetime import datetime

    from mig_core.domain.ids import AgentId
    from mig_core.domain.messages import Backlog, Claimed, Exchange, Inbound, Kind, Outgoing, Piece


TWO_SESSIONS = (
    "another process receives this agent's messages: its state directory is in use twice, here and on a machine that it"
    " was copied to or from"
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message for this agent. Until ``acknowledge`` is called the relay keeps it and will deliver it again.

    ``acknowledge`` may be called from any thread, once; it never raises: if the connection is gone the message simply
    comes again.
    """

    body: bytes
    acknowledge: Callable[[], None]


class AgentRelay(Protocol):
    """The endpoint's end. Reconnects by itself, with jittered back-off, until closed."""

    def start(self, handle: Callable[[Delivery], None]) -> None:
        """Connects in the background and calls ``handle`` for each message.

        ``handle`` runs on the relay's thread and must return at once. At most ``prefetch`` unacknowledged messages are
        held.
        """
        ...

    @property
    def connected(self) -> bool:
        """Whether messages can arrive right now."""
        ...

    @property
    def trouble(self) -> str:
        """What the platform should know about receiving here; empty: nothing. Another process may take the messages."""
        ...

    def publish(self, kind: Kind, body: bytes, *, timeout: float = 30.0) -> None:
        """Returns when the relay has taken responsibility for the message. From any thread.

        Raises:
            RelayUnavailable: not within ``timeout`` seconds; the message may or may not have arrived: send it again.
            RelayDenied: the relay refuses this agent's login, for now at least: approval may be pending, or RabbitMQ
                cannot ask mig-api. Keep the message and try again later.
            RelayRefused: the relay, or a proxy before it, will not take this very message.
            RelayUnwanted: nobody waits for it any more; forget it.
        """
        ...

    def close(self) -> None:
        """Stops receiving, closes the connection and joins the thread. Unacknowledged messages will come again."""
        ...


class Batch(Protocol):
    """Messages that arrived together; unless acknowledged they come again."""

    @property
    def messages(self) -> Sequence[Inbound]:
        """At least one."""
        ...

    async def acknowledge(self) -> None:
        """Call after what they say is committed. Never raises."""
        ...


class PlatformRelay(Protocol):
    """The scheduler's end. Reconnects by itself until closed; calls wait for the connection, up to their own limit."""

    @property
    def name(self) -> str:
        """``amqp``, ``https`` or ``memory``: what an agent's enrolment says."""
        ...

    @property
    def epoch(self) -> int:
        """0: what it has confirmed is on disk. Else a number that changes when what it had may be gone.

        Such a relay keeps on disk only what nobody else keeps (:attr:`~mig_core.domain.messages.Outgoing.kept`).
        """
        ...

    async def open(self) -> None:
        """Connects, and makes what all agents share.

        Raises:
            RelayUnavailable: it cannot be reached now. Call again later.
            RelayDenied: the login is refused.
        """
        ...

    async def trouble(self) -> str:
        """What keeps it from carrying messages now, in words for an investigator; empty: nothing. Never raises."""
        ...

    async def admit(self, agents: Sequence[AgentId]) -> None:
        """Makes each agent's place to receive; harmless to repeat."""
        ...

    async def dismiss(self, agents: Sequence[AgentId]) -> None:
        """Removes an agent's place, and what waits in it."""
        ...

    async def vacant(self, agents: Sequence[AgentId]) -> Sequence[AgentId]:
        """Those of the agents for whom nothing waits: they have taken all there was, or it is lost.

        Raises:
            RelayUnavailable: it cannot be asked now.
        """
        ...

    async def publish(self, messages: Sequence[Outgoing]) -> Sequence[int]:
        """Hands over many at once; returns the indices of those that were *not* confirmed (to be tried again later).

        Raises:
            RelayUnavailable: nothing can be said about any of them.
            RelayDenied: the login is refused (any more).
            RelayRefused: the relay will not take one of them, now or later; the others may be repeated.
        """
        ...

    def batches(self, *, limit: int = 200) -> AsyncIterator[Batch]:
        """What agents sent, in batches of at most ``limit``, as soon as there is anything

        Ends when the relay is closed.
        """
        ...

    async def close(self) -> None:
        """Ends ``batches`` and the connection."""
        ...


class RelayQueue(Protocol):
    """The queue behind the ``https`` relay; the store provides it (PostgreSQL), the API and the scheduler use it."""

    async def put_commands(self, messages: Sequence[Outgoing]) -> None:
        """Queues messages and wakes the agents' polls."""
        ...

    async def may_receive(self, agent: AgentId, session: str, *, now: datetime) -> bool:
        """Whether this process of the agent is the one that receives its messages.

        The newest is, as after a restart. Of two that take turns it is the one that came back, for as long as it is
        there: the other is told so, and both are counted as two sessions of one agent.
        """
        ...

    async def claim(
        self, agent: AgentId, session: str, *, limit: int, lease: float, now: datetime
    ) -> Sequence[Claimed]:
        """Up to ``limit`` unexpired messages, leased for ``lease`` seconds to one agent process.

        ``session`` names that process: a claim under another session of the same agent ends the older one's leases, so
        that a dead poll never keeps commands from a live one.
        """
        ...

    async def acknowledge(self, agent: AgentId, ids: Sequence[int]) -> None:
        """Removes messages for good. Foreign ids are ignored."""
        ...

    async def exchange(self, exchanges: Sequence[Exchange], *, now: datetime) -> Sequence[Sequence[Claimed] | None]:
        """:meth:`put_inbound`, :meth:`acknowledge` and :meth:`may_receive` of many agents at once, and their messages.

        All of it is committed, or nothing. None: another process of the agent receives. Messages are given without a
        lease: the caller remembers what it gave to whom, and says so (``held``) until it gives it again.
        """
        ...

    async def put_inbound(self, agent: AgentId, kind: Kind, body: bytes) -> None:
        """Stores what an agent sent, durably, and wakes a scheduler."""
        ...

    async def put_piece(self, agent: AgentId, piece: Piece, now: datetime) -> bool:
        """Stores a piece of a large message; whether that completes it. A complete one is as if it had been put whole.

        Bounded: an agent's third unfinished upload takes the oldest one's place.

        Raises:
            NoRoom: the pieces are larger together than a message may be.
        """
        ...

    async def drop_pieces(self, *, before: datetime) -> int:
        """Forgets uploads of which nothing came since before; returns how many pieces."""
        ...

    async def backlog(self) -> Backlog:
        """What lies here and is not recorded yet."""
        ...

    async def take_inbound(
        self, *, limit: int, lease: float, now: datetime, recorded: Sequence[int] = ()
    ) -> Sequence[tuple[int, Inbound]]:
        """Leases the oldest messages to one scheduler; ``recorded`` are removed in the same transaction."""
        ...

    async def remove_inbound(self, ids: Sequence[int]) -> None:
        """Removes messages for good, after what they say is committed."""
        ...

    async def dismiss(self, agents: Sequence[AgentId]) -> None:
        """Removes everything queued for these agents."""
        ...

"""The scheduler's end of the ``https`` relay: a queue in the database that mig-api serves to polling agents."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mig_core.errors import RelayUnavailable, StoreError, StoreUnavailable
from mig_core.network.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from mig_core.domain.ids import AgentId
    from mig_core.domain.messages import Inbound, Outgoing
    from mig_core.relay.base import RelayQueue

log = logging.getLogger(__name__)


class HttpsPlatformRelay:
    """A :class:`~mig_core.relay.base.PlatformRelay` over a :class:`~mig_core.relay.base.RelayQueue`.

    Args:
        queue: the store's.
        wait: returns when something may have arrived, or after so many seconds. It is called *before* the queue is
            looked at, so what arrives in between is not missed; it may return too early.
        lease: seconds after which a batch nobody acknowledged comes again.
        interval: seconds after which the queue is looked at unasked: ended leases wake nobody.
    """

    def __init__(
        self,
        queue: RelayQueue,
        wait: Callable[[float], Awaitable[None]],
        *,
        lease: float = 60.0,
        interval: float = 5.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        self._queue = queue
        self._wait = wait
        self._lease = lease
        self._interval = interval
        self._now = now
        self._backoff = backoff
        self._closed = asyncio.Event()
        self._recorded: list[int] = []
        """Acknowledged messages that are not removed yet: the next look at the queue does it."""

    @property
    def name(self) -> str:
        """``https``."""
        return "https"

    @property
    def epoch(self) -> int:
        """0: all of it is in the database."""
        return 0

    async def open(self) -> None:
        """Nothing to connect: the store does that."""

    async def trouble(self) -> str:
        """Nothing that the database would not say itself."""
        return ""

    async def admit(self, agents: Sequence[AgentId]) -> None:
        """Nothing to make: the queue takes messages for anybody."""

    async def dismiss(self, agents: Sequence[AgentId]) -> None:
        """Removes what waits for these agents.

        Raises:
            RelayUnavailable: the database cannot be reached.
        """
        try:
            await self._queue.dismiss(agents)
        except StoreUnavailable as error:
            raise RelayUnavailable(f"https relay: {error}") from error

    async def vacant(self, agents: Sequence[AgentId]) -> Sequence[AgentId]:
        """Nobody: nothing is lost here."""
        return ()

    async def publish(self, messages: Sequence[Outgoing]) -> Sequence[int]:
        """Queues all of them, or none.

        Raises:
            RelayUnavailable: the database cannot be reached.
        """
        now = self._now()
        alive = [message for message in messages if message.expires > now]
        try:
            if alive:
                await self._queue.put_commands(alive)
        except StoreUnavailable as error:
            raise RelayUnavailable(f"https relay: {error}") from error
        return ()

    async def batches(self, *, limit: int = 200) -> AsyncIterator[HttpsBatch]:
        """What agents sent, until the relay is closed."""
        backoff = self._backoff()
        closed = asyncio.ensure_future(self._closed.wait())
        try:
            while not self._closed.is_set():
                arrived = asyncio.ensure_future(self._wait(self._interval))
                try:
                    await asyncio.sleep(0)  # lets it begin to listen
                    taken = await self._take(limit)
                    backoff.reset()
                    if not taken:
                        await asyncio.wait({arrived, closed}, return_when=asyncio.FIRST_COMPLETED)
                        if arrived.done():
                            arrived.result()
                except StoreError as error:
                    taken = ()
                    delay = backoff.next()
                    log.warning("https relay: next attempt in %.1f s: %s", delay, error)
                    await asyncio.wait({closed}, timeout=delay)
                finally:
                    arrived.cancel()
                    await asyncio.gather(arrived, return_exceptions=True)
                if taken and not self._closed.is_set():
                    yield HttpsBatch(taken, self._recorded)
        finally:
            closed.cancel()

    async def _take(self, limit: int) -> Sequence[tuple[int, Inbound]]:
        recorded = tuple(self._recorded)
        taken = await self._queue.take_inbound(limit=limit, lease=self._lease, now=self._now(), recorded=recorded)
        del self._recorded[: len(recorded)]
        return taken

    async def close(self) -> None:
        """Ends ``batches``; what was not acknowledged comes again when its lease ends."""
        self._closed.set()
        recorded = tuple(self._recorded)
        if recorded:
            try:
                await self._queue.remove_inbound(recorded)
            except StoreError as error:
                log.warning("https relay: %d messages come again: %s", len(recorded), error)


class HttpsBatch:
    """Messages leased together.

    Args:
        taken: the messages by number.
        recorded: where their numbers go when they are acknowledged.
    """

    def __init__(self, taken: Sequence[tuple[int, Inbound]], recorded: list[int]) -> None:
        self._recorded = recorded
        self._numbers = [number for number, _ in taken]
        self._messages = [message for _, message in taken]

    @property
    def messages(self) -> Sequence[Inbound]:
        """At least one."""
        return self._messages

    async def acknowledge(self) -> None:
        """Has them removed by the next look at the queue. If the database is away then they come again."""
        self._recorded += self._numbers

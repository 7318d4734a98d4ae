"""A relay inside one process: for tests, and for experiments without a broker or a database.

It keeps the promises the real ones keep (``mig_core.testing.relay_contract`` holds it to them) and loses everything
when the process ends. Agents' ends live in threads, platform ends on event loops; :class:`MemoryRelay` is between them,
behind one lock.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mig_core.domain.messages import Inbound, Kind
from mig_core.errors import RelayUnavailable
from mig_core.relay.base import Delivery

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from mig_core.domain.ids import AgentId
    from mig_core.domain.messages import Outgoing

log = logging.getLogger(__name__)


class MemoryRelay:
    """What lies between the ends. Thread-safe.

    Args:
        lease: seconds after which a batch that a scheduler did not acknowledge comes again.
        now: decides what has expired.
    """

    def __init__(self, *, lease: float = 60.0, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.lease = lease
        self._now = now
        self.changed = threading.Condition()
        """Guards everything, and is notified when anything changes. For the ends only."""
        self.up = True
        """Whether ends can reach it."""
        self.interruptions = 0
        """How often it went away; each time all leases end."""
        self._numbers = itertools.count()
        self._places: dict[str, deque[_Command]] = {}
        self._inbound: deque[Inbound] = deque()
        self._platforms: list[MemoryPlatformRelay] = []

    def agent_end(self, agent: AgentId, *, prefetch: int = 8) -> MemoryAgentRelay:
        """One agent's end."""
        return MemoryAgentRelay(self, agent, prefetch)

    def platform_end(self) -> MemoryPlatformRelay:
        """A scheduler's end; several share what agents send."""
        return MemoryPlatformRelay(self)

    def interrupt(self) -> None:
        """Takes the relay away from both ends, as a broker that stops does. What was unacknowledged comes again."""
        with self.changed:
            self.up = False
            self.interruptions += 1
            for platform in self._platforms:
                platform.lose_leases()
            for place in self._places.values():
                for command in place:
                    command.reader = None
            self.changed.notify_all()

    def restore(self) -> None:
        """Ends :meth:`interrupt`."""
        with self.changed:
            self.up = True
            self.changed.notify_all()
        self.wake_platforms()

    # -- for the ends; those that say so want the lock held

    def make_place(self, agent: str) -> None:
        """Lets messages for this agent wait."""
        with self.changed:
            self._places.setdefault(agent, deque())

    def remove_place(self, agent: str) -> None:
        """Forgets the agent and what waits for it."""
        with self.changed:
            self._places.pop(agent, None)

    def put(self, messages: Sequence[Outgoing]) -> None:
        """Queues messages; makes places for agents that have none."""
        with self.changed:
            for message in messages:
                place = self._places.setdefault(message.agent, deque())
                place.append(_Command(next(self._numbers), message.body, message.expires))
            self.changed.notify_all()

    def next_command(self, agent: str, reader: object) -> _Command | None:
        """The first live message nobody reads, leased to ``reader``. Wants the lock."""
        place = self._places.get(agent, deque())
        now = self._now()
        for command in tuple(place):
            if command.reader is None and command.expires <= now:
                place.remove(command)
            elif command.reader is None:
                command.reader = reader
                return command
        return None

    def settle(self, agent: str, command: _Command) -> None:
        """Removes a message for good."""
        with self.changed:
            place = self._places.get(agent, deque())
            if command in place:
                place.remove(command)
            self.changed.notify_all()

    def release(self, agent: str, reader: object) -> None:
        """Ends all leases of a reader. Wants the lock."""
        for command in self._places.get(agent, ()):
            if command.reader is reader:
                command.reader = None
        self.changed.notify_all()

    def put_inbound(self, messages: Sequence[Inbound]) -> None:
        """Queues what an agent sent, or what a scheduler gives back."""
        with self.changed:
            self._inbound.extend(messages)
        self.wake_platforms()

    def take_inbound(self, limit: int) -> list[Inbound]:
        """Takes the oldest messages out; whoever does so gives them back or has settled them."""
        with self.changed:
            count = min(limit, len(self._inbound)) if self.up else 0
            return [self._inbound.popleft() for _ in range(count)]

    def join(self, platform: MemoryPlatformRelay) -> None:
        """Wakes this end from now on."""
        with self.changed:
            self._platforms.append(platform)

    def leave(self, platform: MemoryPlatformRelay) -> None:
        """The inverse of :meth:`join`."""
        with self.changed:
            if platform in self._platforms:
                self._platforms.remove(platform)

    def wake_platforms(self) -> None:
        """Tells every scheduler to look."""
        with self.changed:
            platforms = tuple(self._platforms)
        for platform in platforms:
            platform.wake()


@dataclass(eq=False, slots=True)
class _Command:
    number: int
    body: bytes
    expires: datetime
    reader: object | None = field(default=None, repr=False)


class MemoryAgentRelay:
    """An :class:`~mig_core.relay.base.AgentRelay`; made by :meth:`MemoryRelay.agent_end`."""

    def __init__(self, hub: MemoryRelay, agent: AgentId, prefetch: int) -> None:
        self._hub = hub
        self._agent = agent
        self._prefetch = prefetch
        self._held: set[int] = set()
        self._interruptions = hub.interruptions
        self._closed = False
        self._thread: threading.Thread | None = None

    def start(self, handle: Callable[[Delivery], None]) -> None:
        """Calls ``handle`` for each message, on a thread of this end."""
        self._thread = threading.Thread(target=self._run, args=(handle,), name="relay", daemon=True)
        self._thread.start()

    @property
    def connected(self) -> bool:
        """Whether messages can arrive right now."""
        return self._thread is not None and self._hub.up and not self._closed

    @property
    def trouble(self) -> str:
        """None: whoever starts last receives."""
        return ""

    def publish(self, kind: Kind, body: bytes, *, timeout: float = 30.0) -> None:
        """Returns when the hub has the message.

        Raises:
            RelayUnavailable: interrupted for longer than ``timeout`` seconds, or closed.
        """
        deadline = time.monotonic() + timeout
        with self._hub.changed:
            while not self._hub.up and not self._closed and (left := deadline - time.monotonic()) > 0:
                self._hub.changed.wait(left)
            if self._closed or not self._hub.up:
                raise RelayUnavailable("the relay is closed" if self._closed else "memory relay: interrupted")
        self._hub.put_inbound([Inbound(kind, self._agent, body)])

    def close(self) -> None:
        """Stops receiving. Unacknowledged messages will come again."""
        with self._hub.changed:
            self._closed = True
            self._hub.changed.notify_all()
        if self._thread is not None:
            self._thread.join(2.0)

    def _run(self, handle: Callable[[Delivery], None]) -> None:
        while (command := self._next()) is not None:
            try:
                handle(Delivery(command.body, functools.partial(self._acknowledge, command)))
            except Exception:
                log.exception("the handler of relay messages failed")

    def _next(self) -> _Command | None:
        """Waits for a message; None when closed."""
        with self._hub.changed:
            while not self._closed:
                if self._interruptions != self._hub.interruptions:
                    self._interruptions = self._hub.interruptions
                    self._held.clear()
                if self._hub.up and len(self._held) < self._prefetch:
                    command = self._hub.next_command(self._agent, self)
                    if command is not None:
                        self._held.add(command.number)
                        return command
                self._hub.changed.wait()
            self._hub.release(self._agent, self)
            return None

    def _acknowledge(self, command: _Command) -> None:
        with self._hub.changed:
            if self._closed or command.reader is not self or command.number not in self._held:
                return  # as with a broker: the connection it came over is gone
            self._held.remove(command.number)
        self._hub.settle(self._agent, command)


class MemoryPlatformRelay:
    """A :class:`~mig_core.relay.base.PlatformRelay`; made by :meth:`MemoryRelay.platform_end`."""

    def __init__(self, hub: MemoryRelay) -> None:
        self._hub = hub
        self._loop: asyncio.AbstractEventLoop | None = None
        self._something = asyncio.Event()
        self._unsettled: list[MemoryBatch] = []
        self._closed = False

    @property
    def name(self) -> str:
        """``memory``."""
        return "memory"

    @property
    def epoch(self) -> int:
        """0: nothing is ever forgotten."""
        return 0

    async def open(self) -> None:
        """Joins the hub.

        Raises:
            RelayUnavailable: the hub is interrupted.
        """
        self._require()
        self._loop = asyncio.get_running_loop()
        self._hub.join(self)

    async def trouble(self) -> str:
        """None."""
        return ""

    async def admit(self, agents: Sequence[AgentId]) -> None:
        """Makes each agent's place to receive."""
        self._require()
        for agent in agents:
            self._hub.make_place(agent)

    async def dismiss(self, agents: Sequence[AgentId]) -> None:
        """Removes each agent's place, and what waits in it."""
        self._require()
        for agent in agents:
            self._hub.remove_place(agent)

    async def vacant(self, agents: Sequence[AgentId]) -> Sequence[AgentId]:
        """Nobody: nothing is lost here."""
        return ()

    async def publish(self, messages: Sequence[Outgoing]) -> Sequence[int]:
        """Queues all of them.

        Raises:
            RelayUnavailable: the hub is interrupted.
        """
        self._require()
        self._hub.put(messages)
        return ()

    async def batches(self, *, limit: int = 200) -> AsyncIterator[MemoryBatch]:
        """What agents sent, until this end is closed."""
        while not self._closed:
            self._something.clear()
            with self._hub.changed:
                batch = MemoryBatch(self, self._hub.take_inbound(limit))
                if batch.messages:
                    self._unsettled.append(batch)
            if batch.messages:
                asyncio.get_running_loop().call_later(self._hub.lease, self._give_back, batch)
                yield batch
            else:
                await self._something.wait()

    async def close(self) -> None:
        """Ends ``batches``; what was not acknowledged comes again, to any end."""
        self._closed = True
        self._hub.leave(self)
        self.lose_leases()
        self._something.set()

    def settle(self, batch: MemoryBatch) -> None:
        """For :class:`MemoryBatch`."""
        with self._hub.changed:
            if batch in self._unsettled:
                self._unsettled.remove(batch)

    def _give_back(self, batch: MemoryBatch) -> None:
        with self._hub.changed:
            if batch in self._unsettled:
                self._unsettled.remove(batch)
                self._hub.put_inbound(batch.messages)

    def wake(self) -> None:
        """For the hub, from any thread: something may have arrived."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._something.set)

    def lose_leases(self) -> None:
        """For the hub: gives back what is not settled."""
        with self._hub.changed:
            unsettled, self._unsettled = self._unsettled, []
            for batch in unsettled:
                self._hub.put_inbound(batch.messages)

    def _require(self) -> None:
        if self._closed or not self._hub.up:
            raise RelayUnavailable("the relay is closed" if self._closed else "memory relay: interrupted")


class MemoryBatch:
    """Messages taken together."""

    def __init__(self, relay: MemoryPlatformRelay, messages: Sequence[Inbound]) -> None:
        self._relay = relay
        self._messages = messages

    @property
    def messages(self) -> Sequence[Inbound]:
        """At least one."""
        return self._messages

    async def acknowledge(self) -> None:
        """The messages will not come again."""
        self._relay.settle(self)

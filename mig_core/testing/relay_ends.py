"""Both ends of a relay, as plain objects a test can call: the ground :mod:`mig_core.testing.relay_contract` stands on.

Agents' ends live in threads and hand messages to a callback; platform ends are asyncio. Here a callback becomes an
inbox, and each platform end gets an event loop in a thread of its own, so that tests read from top to bottom.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import secrets
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from mig_core.domain.document import dump
from mig_core.domain.ids import AgentId, agent_id
from mig_core.domain.messages import Kind, Outgoing

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from mig_core.domain.document import JSON
    from mig_core.domain.messages import Inbound
    from mig_core.relay.base import AgentRelay, Batch, Delivery, PlatformRelay

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds after which something that should have happened counts as failed. Generous: machines are shared."""


@dataclass(frozen=True, slots=True)
class RelayPair:
    """What a driver's author provides: how to make both ends of one and the same relay.

    Everything a pair makes must start empty: nothing of another test may arrive. Messages are JSON objects.
    """

    new_platform: Callable[[], PlatformRelay]
    """A new scheduler's end. If batches are leased: for at most two seconds."""
    new_agent: Callable[[AgentId, int], AgentRelay]
    """A new agent's end for an id and a prefetch; it also makes that agent's login known."""
    restart: Callable[[], None] | None = None
    """Breaks all connections and brings the relay back with everything it had confirmed; None: cannot be done."""
    new_patient_platform: Callable[[], PlatformRelay] | None = None
    """If batches are leased: one that leases for longer than a test may stall on a busy machine."""


class AgentEnd:
    """An agent's relay and what arrived on it."""

    def __init__(self, relay: AgentRelay, agent: AgentId) -> None:
        self.relay = relay
        self.agent = agent
        self.inbox: queue.Queue[Delivery] = queue.Queue()

    def start(self) -> AgentEnd:
        """Begins to receive, and waits until that works."""
        self.relay.start(self.inbox.put)
        self.wait_connected()
        return self

    def wait_connected(self, *, connected: bool = True) -> None:
        """Waits until the relay says so."""
        deadline = time.monotonic() + PATIENCE
        while self.relay.connected is not connected:
            assert time.monotonic() < deadline, f"connected was not {connected} within {PATIENCE} s"
            time.sleep(0.01)

    def next(self, timeout: float = PATIENCE) -> Delivery:
        """The next message; fails if none comes."""
        try:
            return self.inbox.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(f"no message for {self.agent} within {timeout} s") from None

    def take(self, count: int) -> list[bytes]:
        """The bodies of the next messages, which are acknowledged."""
        bodies = []
        for _ in range(count):
            delivery = self.next()
            delivery.acknowledge()
            bodies.append(delivery.body)
        return bodies

    def expect_silence(self, seconds: float = 0.4) -> None:
        """Fails if a message comes."""
        with contextlib.suppress(queue.Empty):
            delivery = self.inbox.get(timeout=seconds)
            raise AssertionError(f"unexpected message for {self.agent}: {delivery.body!r:.100}")


class PlatformEnd:
    """A platform relay on a loop of its own, and the batches that arrived on it."""

    def __init__(self, relay: PlatformRelay) -> None:
        self.relay = relay
        self.inbox: queue.Queue[Batch] = queue.Queue()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="platform-end", daemon=True)
        self._reader: asyncio.Task[None] | None = None
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T], timeout: float = PATIENCE) -> T:
        """Runs a coroutine on the relay's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)

    def open(self) -> PlatformEnd:
        """Opens the relay and begins to receive."""
        self.call(self._open())
        return self

    def send(self, agent: AgentId, *bodies: bytes, seconds: float = 300.0) -> None:
        """Publishes messages that may wait for ``seconds``; fails unless all are confirmed."""
        expires = datetime.now(UTC) + timedelta(seconds=seconds)
        failed = self.call(self.relay.publish([Outgoing(agent, body, expires) for body in bodies]))
        assert not list(failed), f"not confirmed: {list(failed)}"

    def next_batch(self, timeout: float = PATIENCE) -> Batch:
        """The next batch, not acknowledged; fails if none comes."""
        try:
            return self.inbox.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(f"nothing came in within {timeout} s") from None

    def acknowledge(self, batch: Batch) -> None:
        """Acknowledges."""
        self.call(batch.acknowledge())

    def take(self, count: int) -> list[Inbound]:
        """At least ``count`` messages, acknowledged batch by batch."""
        taken: list[Inbound] = []
        while len(taken) < count:
            batch = self.next_batch()
            self.acknowledge(batch)
            taken.extend(batch.messages)
        return taken

    def close(self) -> None:
        """Closes the relay and ends the loop."""
        if self._loop.is_closed():
            return
        self.call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _open(self) -> None:
        await self.relay.open()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for batch in self.relay.batches():
            self.inbox.put(batch)

    async def _close(self) -> None:
        await self.relay.close()
        if self._reader is not None:
            await self._reader  # batches() must end by itself


@dataclass(slots=True)
class Ends:
    """All ends a test has made; closed after it."""

    pair: RelayPair
    agents: list[AgentEnd] = field(default_factory=list)
    platforms: list[PlatformEnd] = field(default_factory=list)

    def platform(self, *, patient: bool = False) -> PlatformEnd:
        """A new scheduler's end, open; with long leases when it is to be ``patient``."""
        make = (self.pair.new_patient_platform if patient else None) or self.pair.new_platform
        end = PlatformEnd(make())
        self.platforms.append(end)
        return end.open()

    def agent(self, agent: AgentId, *, prefetch: int = 8) -> AgentEnd:
        """A new agent's end, receiving. The agent must have been admitted."""
        end = AgentEnd(self.pair.new_agent(agent, prefetch), agent)
        self.agents.append(end)
        return end.start()

    def close(self) -> None:
        """Closes everything."""
        for agent in self.agents:
            agent.relay.close()
        for platform in self.platforms:
            platform.close()


def new_agent_id() -> AgentId:
    """An id nobody has."""
    return agent_id(secrets.token_bytes(32))


def body(**members: JSON) -> bytes:
    """A message: a JSON object, as relays may take it apart and put it together again."""
    return dump(members)


def bodies_of(messages: Sequence[Inbound], kind: Kind) -> list[bytes]:
    """What of one kind came in."""
    return [message.body for message in messages if message.kind is kind]

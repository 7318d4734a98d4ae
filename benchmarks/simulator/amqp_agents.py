"""A simulated agent on the ``amqp`` relay: a connection, a login and two channels of its own, like the real agent's.

It sits on the product's own connection class; a real agent wraps the same one into a thread.
"""

from __future__ import annotations

import asyncio
import functools
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mig_core.domain.messages import Kind
from mig_core.errors import RelayError
from mig_core.relay.amqp_broker import Broker
from mig_core.relay.amqp_connection import AmqpConnection, Channel, Outcome
from mig_core.relay.amqp_errors import NOT_FOUND
from mig_core.relay.topology import INBOUND, agent_queue

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.simulator.agent import SimulatedAgent
    from benchmarks.simulator.counts import Counts

_PREFETCH = 18
"""Messages held at once, as the real agent does with two workers."""
_PAUSE = 1.0
"""Seconds after a failure, and between two looks whether the agent's queue is there."""


class AmqpAgent:
    """Connects one agent until its task is cancelled.

    Args:
        doors: lets so many agents connect at the same time.
    """

    def __init__(
        self,
        agent: SimulatedAgent,
        relay: str,
        token: str,
        counts: Counts,
        *,
        heartbeat_interval: float,
        listening: Callable[[], None],
        doors: asyncio.Semaphore,
    ) -> None:
        self._agent = agent
        self._broker = Broker.from_url(relay, login=(str(agent.id), token))
        self._counts = counts
        self._interval = heartbeat_interval
        self._listening: Callable[[], None] | None = listening
        self._doors = doors
        self._unconfirmed: dict[int, tuple[Kind, bytes]] = {}
        self._number = 0
        self._publisher: Channel | None = None

    async def run(self) -> None:
        """Consumes, answers, and says that it is alive."""
        while True:
            connection = None
            try:
                async with self._doors:
                    connection = await AmqpConnection.open(self._broker)
                await self._session(connection)
            except RelayError as error:
                self._counts.broken += 1
                self._counts.complain(str(error))
            finally:
                self._publisher = None
                if connection is not None:
                    await connection.close()
            await asyncio.sleep(_PAUSE * random.uniform(0.5, 1.5))

    async def _session(self, connection: AmqpConnection) -> None:
        self._publisher = await connection.channel()
        unconfirmed, self._unconfirmed = self._unconfirmed, {}
        for kind, body in unconfirmed.values():
            self._publish(kind, body)
        beating = asyncio.create_task(self._beat())
        try:
            consumer = await self._consumer(connection)
            if self._listening is not None:
                self._listening()
                self._listening = None
            await asyncio.wait(
                {connection.closed, consumer.closed, self._publisher.closed}, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    async def _consumer(self, connection: AmqpConnection) -> Channel:
        """A consumer on our queue, as soon as a scheduler has made it."""
        while True:
            channel = await connection.channel(prefetch=_PREFETCH)
            try:
                await channel.consume(agent_queue(self._agent.id), functools.partial(self._arrived, channel))
            except RelayError:
                if channel.reply_code != NOT_FOUND:
                    raise
                await asyncio.sleep(_PAUSE * random.uniform(0.5, 1.5))
            else:
                return channel

    def _arrived(self, channel: Channel, tag: int, _user_id: str, body: bytes) -> None:
        self._counts.received += 1
        answer = self._agent.answer(body, datetime.now(UTC))
        if answer is None:
            self._counts.repeated += 1
        else:
            self._publish(Kind.RESULT, answer)
        channel.ack(tag)

    async def _beat(self) -> None:
        self._publish(Kind.HEARTBEAT, self._agent.heartbeat(datetime.now(UTC)))
        await asyncio.sleep(random.uniform(0, self._interval))
        while True:
            self._publish(Kind.HEARTBEAT, self._agent.heartbeat(datetime.now(UTC)))
            await asyncio.sleep(self._interval)

    def _publish(self, kind: Kind, body: bytes) -> None:
        """Sends; what is not confirmed is kept, and sent again over the next connection."""
        self._number += 1
        self._unconfirmed[self._number] = (kind, body)
        if self._publisher is not None:
            done = functools.partial(self._published, self._number, kind)
            self._publisher.publish(INBOUND, kind, body, done, user_id=str(self._agent.id))

    def _publish_again(self, number: int) -> None:
        if number in self._unconfirmed:
            self._publish(*self._unconfirmed.pop(number))

    def _published(self, number: int, kind: Kind, outcome: Outcome) -> None:
        if outcome is not Outcome.TAKEN:
            self._counts.complain(f"a {kind} was {outcome.value}")
            if self._publisher is not None and not self._publisher.closed.done():  # else the next connection sends it
                asyncio.get_running_loop().call_later(_PAUSE, self._publish_again, number)
            return
        self._unconfirmed.pop(number, None)
        self._counts.answered += kind is Kind.RESULT

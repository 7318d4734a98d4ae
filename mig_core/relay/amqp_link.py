"""What a scheduler holds of RabbitMQ: a connection to publish on and one for everything else, made and lost together.

In an alarm (memory, disk) RabbitMQ reads nothing more from a connection that publishes. Everything that must go on then
(taking in, acknowledging, making queues) is on the other one.
"""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

from mig_core.errors import RelayUnavailable
from mig_core.relay import topology
from mig_core.relay.amqp_connection import AmqpConnection, Outcome
from mig_core.relay.amqp_errors import NOT_FOUND
from mig_core.relay.amqp_window import Window

if TYPE_CHECKING:
    from mig_core.errors import RelayError
    from mig_core.relay.amqp_broker import Broker
    from mig_core.relay.amqp_connection import Channel

CLASSIC = {"x-queue-type": "classic"}
PROBE = "probe"
"""Routing key to which nothing is bound."""


class Link:
    """Both connections. If one of them, or one of their channels, ends, all of it has to be made anew."""

    def __init__(self, connection: AmqpConnection, publishing: AmqpConnection, publisher: Channel) -> None:
        self.connection = connection
        """To receive on, and for what is neither receiving nor publishing."""
        self.publisher = publisher
        self.ended: asyncio.Future[RelayError] = asyncio.get_running_loop().create_future()
        self._publishing = publishing
        self._windows: set[Window] = set()
        self._last_published = 0.0
        publishing.on_blocked = self._on_blocked
        for closed in (connection.closed, publishing.closed):
            closed.add_done_callback(self._end)
        self.watch(publisher)

    @classmethod
    async def open(cls, broker: Broker) -> Link:
        """Connects, makes exchanges and shared queues.

        Raises:
            RelayError
        """
        connection = await AmqpConnection.open(broker)
        try:
            await _make_shared(connection)
            publishing = await AmqpConnection.open(broker)
            try:
                return cls(connection, publishing, await publishing.channel())
            except BaseException:
                await publishing.close()
                raise
        except BaseException:
            await connection.close()
            raise

    @property
    def blocked(self) -> str:
        """Why RabbitMQ takes no messages now; empty: it does, or was not asked."""
        return self._publishing.blocked

    def window(self, *, patience: float) -> Window:
        """For messages that are about to be published; it gives up when RabbitMQ takes none any more.

        Raises:
            RelayUnavailable: it takes none now.
        """
        self._last_published = asyncio.get_running_loop().time()
        if self.blocked:
            raise RelayUnavailable(f"{self._publishing.broker} takes no messages now: {self.blocked}")
        window = Window(patience=patience)
        self._windows.add(window)
        return window

    def done(self, window: Window) -> None:
        """The window's messages are settled."""
        self._windows.discard(window)

    async def trouble(self, *, idle: float, patience: float) -> str:
        """What keeps RabbitMQ from taking messages; empty: nothing.

        It tells of an alarm only who publishes, so after ``idle`` seconds without a message one is sent to nobody.
        """
        loop = asyncio.get_running_loop()
        if not self.blocked and loop.time() - self._last_published >= idle:
            self._last_published = loop.time()
            taken = asyncio.Event()
            done = functools.partial(_when_taken, taken)
            self.publisher.publish(topology.COMMANDS, PROBE, b"", done, seconds=1.0, mandatory=False)
            await self._settled(taken, loop.time() + patience)
            if not (taken.is_set() or self._publishing.blocked):
                return "it confirms nothing"
        return f"it takes no messages now: {self._publishing.blocked}" if self._publishing.blocked else ""

    async def _settled(self, taken: asyncio.Event, deadline: float) -> None:
        """Returns when the broker has taken the message, or will not."""
        while not (taken.is_set() or self.blocked or self.ended.done()):
            if asyncio.get_running_loop().time() >= deadline:
                return
            await asyncio.sleep(0.02)

    def watch(self, channel: Channel) -> None:
        """Ends with this channel, too."""
        channel.closed.add_done_callback(self._end)

    async def close(self) -> None:
        """Closes both connections."""
        await asyncio.gather(self.connection.close(), self._publishing.close())

    def _on_blocked(self) -> None:
        if self.blocked:
            for window in tuple(self._windows):
                window.give_up()

    def _end(self, closed: asyncio.Future[RelayError]) -> None:
        if not self.ended.done() and not closed.cancelled():
            self.ended.set_result(closed.result())


def _when_taken(taken: asyncio.Event, outcome: Outcome) -> None:
    if outcome is Outcome.TAKEN:
        taken.set()


async def _make_shared(connection: AmqpConnection) -> None:
    """Exchanges and shared queues, unless they exist (perhaps of another type, by an operator's choice)."""
    for exchange in (topology.COMMANDS, topology.INBOUND):
        channel = await connection.channel()
        await channel.call("exchange_declare", exchange=exchange, exchange_type="direct", durable=True)
        channel.close()
    for queue, kind in topology.SHARED_QUEUES.items():
        channel = await connection.channel()
        try:
            await channel.call("queue_declare", queue=queue, passive=True)
        except RelayUnavailable:
            if channel.reply_code != NOT_FOUND:
                raise
            channel = await connection.channel()
            await channel.call("queue_declare", queue=queue, durable=True, arguments=CLASSIC)
        await channel.call("queue_bind", queue=queue, exchange=topology.INBOUND, routing_key=kind)
        channel.close()

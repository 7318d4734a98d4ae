"""The scheduler's end of the ``amqp`` relay, on the scheduler's event loop.

Messages go out in one stream with confirms awaited per window, not per message (ten times faster); answers come in
through shared queues, and one acknowledgement settles a batch. Several schedulers share the queues; RabbitMQ deals the
messages out.

Queues are classic and durable: one per agent could not be quorum queues in these numbers, and quorum queues of RabbitMQ
4 drop what was given back 20 times, while an answer must survive any number of failed schedulers. An operator who wants
the two shared queues replicated declares them beforehand; what exists is taken as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from mig_core.errors import RelayDenied, RelayError, RelayUnavailable
from mig_core.network.backoff import Backoff
from mig_core.relay import topology
from mig_core.relay.amqp_connection import NOT_FOUND, AmqpConnection, Broker, Channel, Outcome
from mig_core.relay.amqp_inbound import AmqpBatch, Arrivals
from mig_core.relay.amqp_window import Window

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from mig_core.domain.ids import AgentId
    from mig_core.domain.messages import Outgoing
    from mig_core.relay.tls import TlsOptions

log = logging.getLogger(__name__)

_STEADY = 5.0
_CLASSIC: Final = {"x-queue-type": "classic"}


class AmqpPlatformRelay:
    """A :class:`~mig_core.relay.base.PlatformRelay` over RabbitMQ.

    Args:
        url: with the scheduler's login, like ``amqps://scheduler:secret@broker:5671/mig``.
        tls: for ``amqps``; None: the system's certificate authorities.
        prefetch: messages of each shared queue that may wait here unacknowledged.
        lease: seconds after which a batch nobody acknowledged is given back.
        patience: seconds that calls wait for a connection, and for the next confirm.

    Raises:
        ConfigurationError: the URL or a TLS file cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        tls: TlsOptions | None = None,
        prefetch: int = 400,
        lease: float = 120.0,
        patience: float = 30.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        self._broker = Broker.from_url(url, tls=tls)
        self._prefetch = prefetch
        self._patience = patience
        self._now = now
        self._backoff = backoff
        self._arrivals = Arrivals(lease=lease)
        self._link: _Link | None = None
        self._changed = asyncio.Condition()
        self._keeper: asyncio.Task[None] | None = None
        self._consuming = False
        self._closed = False

    @property
    def name(self) -> str:
        """``amqp``."""
        return "amqp"

    async def open(self) -> None:
        """Connects, makes exchanges and shared queues.

        Raises:
            RelayUnavailable: RabbitMQ cannot be reached now. Call again later.
            RelayDenied: the login is refused.
        """
        link = await _Link.open(self._broker)
        await self._use(link)
        self._keeper = asyncio.create_task(self._keep(link))

    async def admit(self, agents: Sequence[AgentId]) -> None:
        """Makes each agent's queue; harmless to repeat. About 200 new ones a second."""
        async with self._channel() as channel:
            for agent in agents:
                queue = topology.agent_queue(agent)
                await channel.call("queue_declare", queue=queue, durable=True, arguments=_CLASSIC)
                await channel.call("queue_bind", queue=queue, exchange=topology.COMMANDS, routing_key=agent)

    async def dismiss(self, agents: Sequence[AgentId]) -> None:
        """Deletes each agent's queue, and what waits in it."""
        async with self._channel() as channel:
            for agent in agents:
                await channel.call("queue_delete", queue=topology.agent_queue(agent))

    async def publish(self, messages: Sequence[Outgoing]) -> Sequence[int]:
        """Hands over many at once; what has expired already is dropped. An agent without a queue gets one.

        Returns:
            Indices of those RabbitMQ did not confirm, in ascending order.

        Raises:
            RelayUnavailable: no connection, or none of them was confirmed.
            RelayDenied: this login may not publish commands.
        """
        failed = await self._send(messages, range(len(messages)))
        homeless = [index for index, outcome in failed.items() if outcome is Outcome.RETURNED]
        if homeless:
            try:
                await self.admit(sorted({messages[index].agent for index in homeless}))
                again = await self._send(messages, homeless)
                failed = {index: outcome for index, outcome in failed.items() if index not in homeless} | again
            except RelayError as error:
                log.warning("no place could be made for %d messages: %s", len(homeless), error)
        if Outcome.DENIED in failed.values():
            raise RelayDenied(f"{self._broker}: may not publish to {topology.COMMANDS}")
        if failed and list(failed.values()) == [Outcome.LOST] * len(messages):
            raise RelayUnavailable(f"{self._broker}: none of {len(messages)} messages was confirmed")
        return sorted(failed)

    async def batches(self, *, limit: int = 200) -> AsyncIterator[AmqpBatch]:
        """What agents sent, until the relay is closed; also limited to about 32 MiB a batch."""
        self._consuming = True
        if self._link is not None:
            await self._consume(self._link)
        while (batch := await self._arrivals.take(limit)) is not None:
            yield batch

    async def close(self) -> None:
        """Ends ``batches`` and the connection; what was not acknowledged comes again."""
        self._closed = True
        self._arrivals.end()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        link, self._link = self._link, None
        async with self._changed:
            self._changed.notify_all()
        if link is not None:
            await link.connection.close()

    async def _send(self, messages: Sequence[Outgoing], indices: Iterable[int]) -> dict[int, Outcome]:
        """Publishes these; returns what became of those that were not taken."""
        channel = (await self._connected()).publisher
        window = Window(patience=self._patience)
        now = self._now()
        for index in indices:
            message = messages[index]
            left = (message.expires - now).total_seconds()
            if left <= 0:
                continue
            if not await window.room(len(message.body)):
                break
            done = window.expect(index, len(message.body))
            channel.publish(topology.COMMANDS, message.agent, message.body, done, seconds=left)
        return await window.failures(indices)

    async def _connected(self) -> _Link:
        try:
            async with asyncio.timeout(self._patience), self._changed:
                await self._changed.wait_for(lambda: self._link is not None or self._closed)
        except TimeoutError:
            pass
        if self._link is None:
            raise RelayUnavailable(f"{self._broker}: {'closed' if self._closed else 'not connected'}")
        return self._link

    @contextlib.asynccontextmanager
    async def _channel(self) -> AsyncIterator[Channel]:
        """A channel for a few calls: an error closes it, and must not take others' work along."""
        channel = await (await self._connected()).connection.channel()
        try:
            yield channel
        finally:
            channel.close()

    async def _use(self, link: _Link) -> None:
        if self._consuming:
            await self._consume(link)
        self._link = link
        async with self._changed:
            self._changed.notify_all()

    async def _consume(self, link: _Link) -> None:
        try:
            channel = await link.connection.channel(prefetch=self._prefetch)
            link.watch(channel)
            self._arrivals.follow(channel)
            for queue, kind in topology.SHARED_QUEUES.items():
                await channel.consume(queue, functools.partial(self._arrivals.arrived, kind))
        except RelayError as error:  # the keeper comes again
            log.warning("not receiving: %s", error)
            await link.connection.close()

    async def _keep(self, link: _Link) -> None:
        """Waits for each connection's end and makes the next one."""
        loop = asyncio.get_running_loop()
        backoff = self._backoff()
        while True:
            began = loop.time()
            reason = await link.ended
            self._link = None
            await link.connection.close()
            if loop.time() - began > _STEADY:
                backoff.reset()
            while True:
                delay = backoff.next()
                log.warning("no relay, next attempt in %.1f s: %s", delay, reason)
                await asyncio.sleep(delay)
                try:
                    link = await _Link.open(self._broker)
                    break
                except RelayError as error:
                    reason = error
                except Exception as error:
                    log.exception("%s: not foreseen", self._broker)
                    reason = RelayUnavailable(f"{self._broker}: {error!r:.200}")
            log.info("%s: connected again", self._broker)
            await self._use(link)


class _Link:
    """One connection with its publishing channel. If one of its channels ends, all of it has to be made anew."""

    def __init__(self, connection: AmqpConnection, publisher: Channel) -> None:
        self.connection = connection
        self.publisher = publisher
        self.ended: asyncio.Future[RelayError] = asyncio.get_running_loop().create_future()
        connection.closed.add_done_callback(self._end)
        self.watch(publisher)

    @classmethod
    async def open(cls, broker: Broker) -> _Link:
        connection = await AmqpConnection.open(broker)
        try:
            await _make_shared(connection)
            return cls(connection, await connection.channel())
        except BaseException:
            await connection.close()
            raise

    def watch(self, channel: Channel) -> None:
        channel.closed.add_done_callback(self._end)

    def _end(self, closed: asyncio.Future[RelayError]) -> None:
        if not self.ended.done() and not closed.cancelled():
            self.ended.set_result(closed.result())


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
            await channel.call("queue_declare", queue=queue, durable=True, arguments=_CLASSIC)
        await channel.call("queue_bind", queue=queue, exchange=topology.INBOUND, routing_key=kind)
        channel.close()

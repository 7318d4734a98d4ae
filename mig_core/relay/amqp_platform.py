"""The scheduler's end of the ``amqp`` relay, on the scheduler's event loop.

Messages go out in one stream with confirms awaited per window, not per message (ten times faster); answers come in
through shared queues, and one acknowledgement settles a batch. Several schedulers share the queues; RabbitMQ deals the
messages out. What goes out and what comes in have a connection each: in an alarm RabbitMQ reads nothing more from one
that publishes, and only what comes in empties it.

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
from typing import TYPE_CHECKING

from mig_core.errors import RelayDenied, RelayError, RelayRefused, RelayUnavailable
from mig_core.network.backoff import Backoff
from mig_core.relay import topology
from mig_core.relay.amqp_broker import Broker
from mig_core.relay.amqp_connection import Outcome
from mig_core.relay.amqp_errors import is_out_of_reach
from mig_core.relay.amqp_inbound import AmqpBatch, Arrivals
from mig_core.relay.amqp_link import CLASSIC, Link

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from mig_core.domain.ids import AgentId
    from mig_core.domain.messages import Outgoing
    from mig_core.relay.amqp_connection import Channel
    from mig_core.relay.tls import TlsOptions

log = logging.getLogger(__name__)

_STEADY = 5.0
_LONGEST_PAUSE = 5.0
"""Seconds between two attempts to connect, at most: schedulers are few, and all commands wait for them."""
_IDLE = 10.0
"""Seconds without a message after which RabbitMQ is asked whether it takes any."""
_AT_ONCE = 16
"""Queues that are made at the same time: each waits for RabbitMQ's disk."""


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
        backoff: Callable[[], Backoff] = lambda: Backoff(limit=_LONGEST_PAUSE),
    ) -> None:
        self._broker = Broker.from_url(url, tls=tls)
        self._prefetch = prefetch
        self._patience = patience
        self._now = now
        self._backoff = backoff
        self._arrivals = Arrivals(lease=lease)
        self._link: Link | None = None
        self._reason: RelayError | None = None
        self._changed = asyncio.Condition()
        self._keeper: asyncio.Task[None] | None = None
        self._consuming = False
        self._closed = False
        self._epoch = 0

    @property
    def name(self) -> str:
        """``amqp``."""
        return "amqp"

    @property
    def epoch(self) -> int:
        """See the protocol: with each new connection RabbitMQ may have been started anew."""
        return self._epoch

    async def open(self) -> None:
        """Connects, makes exchanges and shared queues.

        Raises:
            RelayUnavailable: RabbitMQ cannot be reached now. Call again later.
            RelayDenied: the login is refused.
        """
        link = await Link.open(self._broker)
        await self._use(link)
        self._keeper = asyncio.create_task(self._keep(link))

    async def admit(self, agents: Sequence[AgentId]) -> None:
        """Makes each agent's queue, some at a time; harmless to repeat.

        One that cannot be made (a queue of that name lies on a node of the cluster that is down) keeps no other agent
        from its own; the error is raised at the end.
        """
        shares = [agents[first::_AT_ONCE] for first in range(min(_AT_ONCE, len(agents)))]
        outcomes = await asyncio.gather(*(self._make_queues(share) for share in shares), return_exceptions=True)
        for failure in outcomes:
            if failure is not None:
                raise failure

    async def _make_queues(self, agents: Sequence[AgentId]) -> None:
        """One after the other, over one channel."""
        waiting = list(reversed(agents))
        failure: RelayError | None = None
        while waiting:
            async with self._channel() as channel:
                try:
                    while waiting:
                        queue = topology.agent_queue(waiting[-1])
                        await channel.call("queue_declare", queue=queue, durable=True, arguments=CLASSIC)
                        await channel.call(
                            "queue_bind", queue=queue, exchange=topology.COMMANDS, routing_key=waiting[-1]
                        )
                        waiting.pop()
                except RelayError as error:
                    if not channel.reply_code:  # not this queue: the connection is gone
                        raise
                    failure = error
                    waiting.pop()
        if failure is not None:
            raise failure

    async def dismiss(self, agents: Sequence[AgentId]) -> None:
        """Deletes each agent's queue, and what waits in it."""
        async with self._channel() as channel:
            for agent in agents:
                await channel.call("queue_delete", queue=topology.agent_queue(agent))

    async def vacant(self, agents: Sequence[AgentId]) -> Sequence[AgentId]:
        """See the protocol. A queue on a node of the cluster that is down is not empty."""
        vacant: list[AgentId] = []
        waiting = list(reversed(agents))
        while waiting:
            async with self._channel() as channel:
                try:
                    while waiting:
                        if await channel.ready(topology.agent_queue(waiting[-1])) == 0:
                            vacant.append(waiting[-1])
                        waiting.pop()
                except RelayError as error:
                    if not channel.reply_code:  # not this queue: the connection is gone
                        raise
                    agent = waiting.pop()
                    if not is_out_of_reach(error):
                        vacant.append(agent)
        return vacant

    async def publish(self, messages: Sequence[Outgoing]) -> Sequence[int]:
        """Hands over many at once; what has expired already is dropped. An agent without a queue gets one.

        Returns:
            Indices of those RabbitMQ did not confirm, in ascending order.

        Raises:
            RelayUnavailable: no connection, none of them was confirmed, or RabbitMQ takes no messages now.
            RelayRefused: one of them is larger than RabbitMQ takes; some may have been confirmed.
            RelayDenied: this login may not publish commands.
        """
        failed = await self._send(messages, range(len(messages)))
        homeless = [index for index, outcome in failed.items() if outcome is Outcome.RETURNED]
        if homeless:
            try:
                await self.admit(sorted({messages[index].agent for index in homeless}))
            except RelayError as error:
                log.warning("no place could be made for all of %d messages: %s", len(homeless), error)
            with contextlib.suppress(RelayError):  # those of them that have a place now
                again = await self._send(messages, homeless)
                failed = {index: outcome for index, outcome in failed.items() if index not in homeless} | again
        if self._link is not None and self._link.blocked and failed:
            log.warning("%s takes no messages now: %d wait", self._broker, len(failed))
        if Outcome.TOO_LARGE in failed.values():
            raise RelayRefused(f"{self._broker}: a message is larger than it takes (max_message_size)")
        if Outcome.DENIED in failed.values():
            raise RelayDenied(f"{self._broker}: may not publish to {topology.COMMANDS}")
        if failed and list(failed.values()) == [Outcome.LOST] * len(messages):
            raise RelayUnavailable(f"{self._broker}: none of {len(messages)} messages was confirmed")
        return sorted(failed)

    async def batches(self, *, limit: int = 200) -> AsyncIterator[AmqpBatch]:
        """What agents sent, until the relay is closed; also limited to about 8 MiB a batch."""
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
            await link.close()

    async def _send(self, messages: Sequence[Outgoing], indices: Iterable[int]) -> dict[int, Outcome]:
        """Publishes these; returns what became of those that were not taken."""
        link = await self._connected()
        window = link.window(patience=self._patience)
        try:
            now = self._now()
            for index in indices:
                message = messages[index]
                left = (message.expires - now).total_seconds()
                if left <= 0:
                    continue
                if not await window.room(len(message.body)):
                    break
                done = window.expect(index, len(message.body))
                persistent = not message.kept
                link.publisher.publish(
                    topology.COMMANDS, message.agent, message.body, done, seconds=left, persistent=persistent
                )
            return await window.failures(indices)
        finally:
            link.done(window)

    async def trouble(self) -> str:
        """What keeps it from carrying messages now; empty: nothing."""
        link = self._link
        if link is None:
            return f"not connected: {self._reason}" if self._reason else "not connected"
        return await link.trouble(idle=_IDLE, patience=5.0)

    async def _connected(self) -> Link:
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

    async def _use(self, link: Link) -> None:
        if self._consuming:
            await self._consume(link)
        self._link = link
        self._epoch += 1
        async with self._changed:
            self._changed.notify_all()

    async def _consume(self, link: Link) -> None:
        try:
            channel = await link.connection.channel(prefetch=self._prefetch)
            link.watch(channel)
            self._arrivals.follow(channel)
            for queue, kind in topology.SHARED_QUEUES.items():
                await channel.consume(queue, functools.partial(self._arrivals.arrived, kind))
        except RelayError as error:  # the keeper comes again
            log.warning("not receiving: %s", error)
            await link.close()

    async def _keep(self, link: Link) -> None:
        """Waits for each connection's end and makes the next one."""
        loop = asyncio.get_running_loop()
        backoff = self._backoff()
        while True:
            began = loop.time()
            reason = await link.ended
            self._link, self._reason = None, reason
            await link.close()
            if loop.time() - began > _STEADY:
                backoff.reset()
            while True:
                delay = backoff.next()
                log.warning("no relay, next attempt in %.1f s: %s", delay, reason)
                await asyncio.sleep(delay)
                try:
                    link = await Link.open(self._broker)
                    break
                except RelayError as error:
                    reason = error
                except Exception as error:
                    log.exception("%s: not foreseen", self._broker)
                    reason = RelayUnavailable(f"{self._broker}: {error!r:.200}")
                self._reason = reason
            log.info("%s: connected again", self._broker)
            await self._use(link)

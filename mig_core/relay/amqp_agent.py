"""The agent's end of the ``amqp`` relay: consumes its own queue, publishes results and heartbeats.

One thread runs an event loop that owns the connections; every other thread only hands work to it. Publishing and
receiving have a connection each: in an alarm (memory, disk) RabbitMQ reads nothing more from a connection that
publishes, not even acknowledgements, and what waits in its queues is what fills it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import logging
import threading
from typing import TYPE_CHECKING, Any

from mig_core.errors import RelayDenied, RelayError, RelayRefused, RelayUnavailable
from mig_core.network.backoff import Backoff
from mig_core.relay.amqp_broker import Broker
from mig_core.relay.amqp_connection import AmqpConnection, Channel, Outcome
from mig_core.relay.amqp_errors import ACCESS_REFUSED, NOT_FOUND, is_out_of_reach
from mig_core.relay.base import TWO_SESSIONS, Delivery
from mig_core.relay.topology import INBOUND, agent_queue

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mig_core.domain.ids import AgentId
    from mig_core.domain.messages import Kind
    from mig_core.relay.tls import TlsOptions

log = logging.getLogger(__name__)

_STEADY = 5.0
"""Seconds a connection must last before the next attempt after it is a quick one again."""
_CLOSE_PATIENCE = 1.9
NODE_DOWN = "the node of RabbitMQ's cluster that holds this agent's messages is down"
_IN_USE = "in exclusive use"
"""RabbitMQ's words when somebody else consumes."""


class AmqpAgentRelay:
    """An :class:`~mig_core.relay.base.AgentRelay` over RabbitMQ.

    Args:
        url: ``amqps://broker:5671/mig``; a login in it is ignored.
        agent_id: who we are; also the login's name.
        token: what the enrolment issued; the login's password.
        tls: for ``amqps``; None: the system's certificate authorities.
        prefetch: how many messages may wait unacknowledged here.

    Raises:
        ConfigurationError: the URL or a TLS file cannot be used.
    """

    def __init__(
        self,
        url: str,
        agent_id: AgentId,
        token: str,
        *,
        tls: TlsOptions | None = None,
        prefetch: int = 8,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        self._broker = Broker.from_url(url, tls=tls, login=(agent_id, token))
        self._agent = agent_id
        self._prefetch = prefetch
        self._backoff = backoff
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._handle: Callable[[Delivery], None] = lambda _delivery: None
        self._unfinished: dict[int, _Publication] = {}
        # The rest belongs to the loop's thread; others only read.
        self._main: asyncio.Task[None] | None = None
        self._publisher: Channel | None = None
        self._waiting: dict[int, _Publication] = {}
        self._connected = False
        self._trouble = ""
        self._denied: RelayDenied | None = None
        self._blocked = ""

    def start(self, handle: Callable[[Delivery], None]) -> None:
        """Connects in the background and calls ``handle`` for each message."""
        self._handle = handle
        self._loop = asyncio.new_event_loop()
        self._main = self._loop.create_task(self._serve())
        self._thread = threading.Thread(target=self._run, args=(self._loop,), name="relay", daemon=True)
        self._thread.start()

    @property
    def connected(self) -> bool:
        """Whether messages can arrive right now."""
        return self._connected

    @property
    def trouble(self) -> str:
        """See the protocol."""
        return self._trouble

    def publish(self, kind: Kind, body: bytes, *, timeout: float = 30.0) -> None:
        """Returns when RabbitMQ has the message safe.

        Raises:
            RelayUnavailable: not within ``timeout`` seconds, or not started, or closed.
            RelayDenied: the login is refused. It may be accepted later: keep the message.
            RelayRefused: the message is larger than RabbitMQ takes.
        """
        message = _Publication(kind, body)
        self._unfinished[id(message)] = message
        try:
            self._call(functools.partial(self._accept, message), or_raise=True)
            message.taken.result(timeout)
        except TimeoutError:
            self._call(lambda: self._waiting.pop(id(message), None))
            blocked = f"; it takes no messages now: {self._blocked}" if self._blocked else ""
            raise RelayUnavailable(f"{self._broker}: {kind} not taken within {timeout:g} s{blocked}") from None
        finally:
            del self._unfinished[id(message)]

    def close(self) -> None:
        """Closes the connection and joins the thread."""
        if self._thread is not None:
            self._call(self._stop)
            self._thread.join(_CLOSE_PATIENCE)

    # -- from here on: the loop's thread

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            with contextlib.suppress(asyncio.CancelledError):
                loop.run_until_complete(self._main or asyncio.sleep(0))
        finally:
            self._connected = False
            loop.close()
            # From here on _call raises, so this reaches every thread that waits.
            for message in tuple(self._unfinished.values()):
                message.fail(RelayUnavailable("the relay is closed"))

    def _call(self, what: Callable[[], object], *, or_raise: bool = False) -> None:
        """Has the loop's thread do something, in the order of the calls."""
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(what)
                return
            problem = "the relay is not started"
        except RuntimeError:
            problem = "the relay is closed"
        if or_raise:
            raise RelayUnavailable(problem)

    def _stop(self) -> None:
        if self._main is not None:
            self._main.cancel()

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep("receiving", self._receive))
            group.create_task(self._keep("sending", self._send))

    async def _keep(self, what: str, part: Callable[[AmqpConnection], Awaitable[None]]) -> None:
        """Gives one part of the work a connection of its own, and a new one whenever it ends."""
        loop = asyncio.get_running_loop()
        backoff = self._backoff()
        while True:
            began = loop.time()
            try:
                reason: Exception = await self._session(part)
            except RelayError as error:
                reason = error
            except Exception as error:
                log.exception("%s: not foreseen", self._broker)
                reason = error
            if what == "sending":
                self._deny(reason if isinstance(reason, RelayDenied) else None)
            if loop.time() - began > _STEADY:
                backoff.reset()
            delay = backoff.next()
            log.warning("not %s, next attempt in %.1f s: %s", what, delay, reason)
            await asyncio.sleep(delay)

    def _deny(self, denied: RelayDenied | None) -> None:
        self._denied = denied
        if denied is not None:
            for message in tuple(self._waiting.values()):
                self._finish(message, denied)

    async def _session(self, part: Callable[[AmqpConnection], Awaitable[None]]) -> RelayError:
        """One connection's life; returns, or raises, why it ended."""
        connection = await AmqpConnection.open(self._broker)
        working = asyncio.ensure_future(part(connection))
        try:
            ends: list[asyncio.Future[Any]] = [connection.closed, working]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            working.cancel()
            (ending,) = await asyncio.gather(working, return_exceptions=True)
            await connection.close()
        if isinstance(ending, Exception) and not isinstance(ending, RelayError):
            raise ending
        return connection.closed.result() if connection.closed.done() else RelayUnavailable(f"{self._broker}: lost")

    async def _receive(self, connection: AmqpConnection) -> None:
        """Keeps a consumer on our queue, as long as the connection lasts."""
        backoff = Backoff(0.3, 10.0)
        try:
            while not connection.closed.done():
                channel = None
                try:
                    channel = await connection.channel(prefetch=self._prefetch)
                    arrived = functools.partial(self._arrived, channel)
                    await channel.consume(agent_queue(self._agent), arrived, exclusive=True)
                    self._connected, self._trouble = True, ""
                    backoff.reset()
                    log.info("%s: receiving", self._broker)
                    reason: RelayError = await channel.closed
                except RelayError as error:
                    reason = error
                self._connected = False
                if connection.closed.done():
                    return
                code = channel.reply_code if channel is not None else 0
                if trouble := trouble_of(code, reason):
                    self._trouble = trouble
                    log.error("%s: not receiving: %s", self._broker, trouble)
                elif code == NOT_FOUND:
                    log.info("%s: no queue for this agent yet; is it approved, does a scheduler run?", self._broker)
                else:
                    log.warning("not receiving: %s", reason)
                await asyncio.sleep(backoff.next())
        finally:
            self._connected = False

    async def _send(self, connection: AmqpConnection) -> None:
        """Keeps a channel to publish on, as long as the connection lasts."""
        self._denied = None
        connection.on_blocked = functools.partial(self._block, connection)
        backoff = Backoff(0.2, 10.0)
        try:
            while not connection.closed.done():
                channel = await connection.channel()
                self._publisher = channel
                for message in tuple(self._waiting.values()):
                    self._hand_over(message, channel)
                reason = await channel.closed
                self._publisher = None
                if not connection.closed.done():
                    log.warning("not sending: %s", reason)
                    await asyncio.sleep(backoff.next())
        finally:
            self._publisher, self._blocked = None, ""

    def _block(self, connection: AmqpConnection) -> None:
        """The broker takes no messages any more, or again: what came meanwhile is handed over then."""
        self._blocked = connection.blocked
        if not self._blocked and self._publisher is not None:
            for message in tuple(self._waiting.values()):
                self._hand_over(message, self._publisher)

    def _arrived(self, channel: Channel, tag: int, _user_id: str, body: bytes) -> None:
        acknowledge = functools.partial(self._call, functools.partial(channel.ack, tag))
        try:
            self._handle(Delivery(body, acknowledge))
        except Exception:
            log.exception("the handler of relay messages failed; the message comes again after a reconnection")

    def _accept(self, message: _Publication) -> None:
        if self._denied is not None:
            message.fail(self._denied)
            return
        self._waiting[id(message)] = message
        if self._publisher is not None:
            self._hand_over(message, self._publisher)

    def _hand_over(self, message: _Publication, channel: Channel) -> None:
        if channel.blocked or message.channel is channel:
            return  # nothing more is written while the broker does not read; it would only be sent twice
        message.channel = channel
        done = functools.partial(self._published, message)
        channel.publish(INBOUND, message.kind, message.body, done, user_id=self._agent)

    def _published(self, message: _Publication, outcome: Outcome) -> None:
        if outcome is Outcome.TAKEN:
            self._finish(message, None)
        elif outcome is Outcome.DENIED:
            self._finish(
                message, RelayDenied(f"{self._broker}: {message.kind} refused", next_step="see the broker's log")
            )
        elif outcome is Outcome.TOO_LARGE:
            problem = f"{self._broker}: {message.kind} of {len(message.body)} bytes is larger than it takes"
            self._finish(message, RelayRefused(problem, next_step="raise max_message_size in rabbitmq.conf"))
        elif outcome is Outcome.RETURNED:
            self._finish(message, RelayUnavailable(f"{self._broker}: no queue for {message.kind}s; start a scheduler"))
        # LOST: it stays among the waiting, and is sent again on the next channel.

    def _finish(self, message: _Publication, error: RelayError | None) -> None:
        self._waiting.pop(id(message), None)
        if error is not None:
            message.fail(error)
        elif not message.taken.done():
            message.taken.set_result(None)


def trouble_of(code: int, reason: RelayError) -> str:
    """What the platform should know, when RabbitMQ does not let this agent receive; empty: nothing."""
    if code == ACCESS_REFUSED and _IN_USE in str(reason):
        return TWO_SESSIONS
    return NODE_DOWN if code == NOT_FOUND and is_out_of_reach(reason) else ""


class _Publication:
    """A message some thread waits for."""

    def __init__(self, kind: Kind, body: bytes) -> None:
        self.kind = kind
        self.body = body
        self.taken: concurrent.futures.Future[None] = concurrent.futures.Future()
        self.channel: Channel | None = None
        """Over which it was sent last."""

    def fail(self, error: RelayError) -> None:
        if not self.taken.done():
            self.taken.set_exception(error)

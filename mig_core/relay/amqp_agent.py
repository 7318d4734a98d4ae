"""The agent's end of the ``amqp`` relay: consumes its own queue, publishes results and heartbeats.

One thread runs an event loop that owns the connection; every other thread only hands work to it. Messages to publish
and messages to receive have a channel each, so that an agent that is not admitted yet (no queue) can already send
heartbeats.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import logging
import threading
from typing import TYPE_CHECKING, Any

from mig_core.errors import RelayDenied, RelayError, RelayUnavailable
from mig_core.network.backoff import Backoff
from mig_core.relay.amqp_connection import ACCESS_REFUSED, NOT_FOUND, AmqpConnection, Broker, Channel, Outcome
from mig_core.relay.base import TWO_SESSIONS, Delivery
from mig_core.relay.topology import INBOUND, agent_queue

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.domain.ids import AgentId
    from mig_core.domain.messages import Kind
    from mig_core.relay.tls import TlsOptions

log = logging.getLogger(__name__)

_STEADY = 5.0
"""Seconds a connection must last before the next attempt after it is a quick one again."""
_CLOSE_PATIENCE = 1.9
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
            RelayDenied: the login or the message is refused. The login may be accepted later: keep the message.
        """
        message = _Publication(kind, body)
        self._unfinished[id(message)] = message
        try:
            self._call(functools.partial(self._accept, message), or_raise=True)
            message.taken.result(timeout)
        except TimeoutError:
            self._call(lambda: self._waiting.pop(id(message), None))
            raise RelayUnavailable(f"{self._broker}: {kind} not taken within {timeout:g} s") from None
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
        loop = asyncio.get_running_loop()
        backoff = self._backoff()
        while True:
            began = loop.time()
            try:
                await self._session()
            except RelayError as error:
                reason: Exception = error
            except Exception as error:
                log.exception("%s: not foreseen", self._broker)
                reason = error
            self._denied = reason if isinstance(reason, RelayDenied) else None
            if self._denied is not None:
                for message in tuple(self._waiting.values()):
                    self._finish(message, self._denied)
            if loop.time() - began > _STEADY:
                backoff.reset()
            delay = backoff.next()
            log.warning("no relay, next attempt in %.1f s: %s", delay, reason)
            await asyncio.sleep(delay)

    async def _session(self) -> None:
        """One connection's life; ends by raising why."""
        connection = await AmqpConnection.open(self._broker)
        self._denied = None
        parts = [asyncio.ensure_future(part) for part in (self._receive(connection), self._send(connection))]
        try:
            ends: list[asyncio.Future[Any]] = [connection.closed, *parts]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._connected = False
            self._publisher = None
            for part in parts:
                part.cancel()
            endings = await asyncio.gather(*parts, return_exceptions=True)
            await connection.close()
        for ending in endings:
            if isinstance(ending, Exception) and not isinstance(ending, RelayError):
                raise ending
        raise connection.closed.result() if connection.closed.done() else RelayUnavailable(f"{self._broker}: lost")

    async def _receive(self, connection: AmqpConnection) -> None:
        """Keeps a consumer on our queue, as long as the connection lasts."""
        backoff = Backoff(0.3, 10.0)
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
            if channel is not None and channel.reply_code == ACCESS_REFUSED and _IN_USE in str(reason):
                self._trouble = TWO_SESSIONS
                log.error("%s: not receiving: %s", self._broker, TWO_SESSIONS)
            elif channel is not None and channel.reply_code == NOT_FOUND:
                log.info("%s: no queue for this agent yet; is it approved, does a scheduler run?", self._broker)
            else:
                log.warning("not receiving: %s", reason)
            await asyncio.sleep(backoff.next())

    async def _send(self, connection: AmqpConnection) -> None:
        """Keeps a channel to publish on, as long as the connection lasts."""
        backoff = Backoff(0.2, 10.0)
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
        done = functools.partial(self._published, message)
        channel.publish(INBOUND, message.kind, message.body, done, user_id=self._agent)

    def _published(self, message: _Publication, outcome: Outcome) -> None:
        if outcome is Outcome.TAKEN:
            self._finish(message, None)
        elif outcome is Outcome.DENIED:
            self._finish(
                message, RelayDenied(f"{self._broker}: {message.kind} refused", next_step="see the broker's log")
            )
        elif outcome is Outcome.RETURNED:
            self._finish(message, RelayUnavailable(f"{self._broker}: no queue for {message.kind}s; start a scheduler"))
        # LOST: it stays among the waiting, and is sent again on the next channel.

    def _finish(self, message: _Publication, error: RelayError | None) -> None:
        self._waiting.pop(id(message), None)
        if error is not None:
            message.fail(error)
        elif not message.taken.done():
            message.taken.set_result(None)


class _Publication:
    """A message some thread waits for."""

    def __init__(self, kind: Kind, body: bytes) -> None:
        self.kind = kind
        self.body = body
        self.taken: concurrent.futures.Future[None] = concurrent.futures.Future()

    def fail(self, error: RelayError) -> None:
        if not self.taken.done():
            self.taken.set_exception(error)

"""One connection to RabbitMQ as coroutines: the file that uses pika (``amqp_errors`` knows its errors, ``amqp_frames``
how it writes).

Both ends of the ``amqp`` relay sit on it: the agent's on an event loop in a thread of its own, the scheduler's on the
scheduler's loop. Everything here runs on one event loop and is not thread-safe. What pika reports becomes RelayDenied
(the broker knows us and says no) or RelayUnavailable (everything else); nothing here reconnects.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

import pika
from pika.exceptions import ChannelClosed, ConnectionClosed

from mig_core.errors import RelayDenied, RelayError, RelayUnavailable
from mig_core.relay.amqp_errors import largest_message, translated
from mig_core.relay.amqp_frames import GatheringConnection
from mig_core.relay.pausable_loop import PausableLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_core.relay.amqp_broker import Broker

_MAX_EXPIRATION_MS = 2**32 - 1

log = logging.getLogger(__name__)


class Outcome(Enum):
    """What became of a published message."""

    TAKEN = "taken"
    """The broker has it safe."""
    RETURNED = "returned"
    """No queue wanted it."""
    LOST = "lost"
    """Not known, or not taken just now: send it again."""
    DENIED = "denied"
    """The broker will not take it from this login."""
    TOO_LARGE = "too large"
    """The broker takes messages, but none as large as this one."""


class AmqpConnection:
    """An open connection. ``closed`` becomes done, with the reason as its result, when the connection has ended."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.closed: asyncio.Future[RelayError] = asyncio.get_running_loop().create_future()
        self.blocked = ""
        """Why the broker takes no messages now (an alarm: memory, disk); empty: it takes them, or was not asked. It
        says so to who publishes, and reads nothing from that connection while it lasts, not even acknowledgements."""
        self.on_blocked: Callable[[], None] = lambda: None
        """Called when ``blocked`` changes."""
        self._reading = PausableLoop(asyncio.get_running_loop())
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pika: Any = None

    @classmethod
    async def open(cls, broker: Broker) -> AmqpConnection:
        """Connects and logs in, within about 15 s.

        Raises:
            RelayUnavailable: nobody there, or no AMQP.
            RelayDenied: the login or the virtual host is refused (also while RabbitMQ cannot ask mig-api).
        """
        if logging.getLogger("pika").level == logging.NOTSET:
            # pika reports at ERROR what we translate and cope with; errors are for what someone must act on.
            logging.getLogger("pika").setLevel(logging.CRITICAL)
        self = cls(broker)
        self._pika = GatheringConnection(
            _parameters(broker),
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_closed,
            on_close_callback=self._on_closed,
            custom_ioloop=cast("asyncio.AbstractEventLoop", self._reading),
        )
        self._pika.add_on_connection_blocked_callback(self._on_blocked)
        self._pika.add_on_connection_unblocked_callback(self._on_unblocked)
        try:
            await self._opened
        except asyncio.CancelledError:
            await self.close()
            raise
        return self

    async def channel(self, *, prefetch: int = 0) -> Channel:
        """A new channel with publisher confirms on. At most ``prefetch`` unacknowledged deliveries a consumer.

        Raises:
            RelayError: the connection or the channel was closed meanwhile.
        """
        if self.closed.done():
            raise self.closed.result()
        opened: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        raw = self._pika.channel(on_open_callback=functools.partial(_settle, opened))
        channel = Channel(raw, self)
        await channel.reply(opened)
        await channel.call("basic_qos", prefetch_count=prefetch)
        await channel.turn_on_confirms()
        return channel

    def pause_reading(self) -> None:
        """Reads nothing until :meth:`resume_reading`: the broker waits, or ends the connection after half a minute."""
        self._reading.pause()

    def resume_reading(self) -> None:
        """Reads on."""
        self._reading.resume()

    async def close(self, *, patience: float = 1.0) -> None:
        """Closes politely; after ``patience`` seconds, at once."""
        if not self.closed.done():
            if not (self._pika.is_closing or self._pika.is_closed):
                self._pika.close()
            await asyncio.wait({self.closed}, timeout=patience)
        if not self.closed.done():
            # The broker does not answer, and pika has no public way to let go of the socket.
            self._pika._terminate_stream(ConnectionClosed(320, "given up"))  # noqa: SLF001  see above
            await asyncio.wait({self.closed}, timeout=patience)

    def _on_blocked(self, _connection: object, frame: Any) -> None:
        self.blocked = str(frame.method.reason)[:200] or "an alarm"
        log.warning("%s takes no messages now: %s", self.broker, self.blocked)
        self.on_blocked()

    def _on_unblocked(self, _connection: object, _frame: object) -> None:
        self.blocked = ""
        log.info("%s takes messages again", self.broker)
        self.on_blocked()

    def _on_open(self, _connection: object) -> None:
        _settle(self._opened, None)

    def _on_closed(self, _connection: object, error: BaseException) -> None:
        reason = translated(error, self.broker)
        _settle(self.closed, reason)
        if not self._opened.done():
            self._opened.set_exception(reason)


class Channel:
    """One channel. ``closed`` becomes done, with the reason as its result, when the channel has ended."""

    def __init__(self, raw: Any, connection: AmqpConnection) -> None:
        self._raw = raw
        self._connection = connection
        self._replies: set[asyncio.Future[Any]] = set()
        self._unconfirmed: dict[int, tuple[int, Callable[[Outcome], None]]] = {}
        """Tag -> bytes of the message, and whom to tell what became of it."""
        self._returned: set[int] = set()
        self._published = 0
        self.reply_code = 0
        """Why the broker closed the channel; 0: it did not."""
        self.closed: asyncio.Future[RelayError] = asyncio.get_running_loop().create_future()
        raw.add_on_close_callback(self._on_closed)
        raw.add_on_cancel_callback(lambda _frame: self.close())
        raw.add_on_return_callback(self._on_return)

    @property
    def blocked(self) -> str:
        """Why the broker takes no messages over this connection now."""
        return self._connection.blocked

    def pause_reading(self) -> None:
        """See :meth:`AmqpConnection.pause_reading`."""
        self._connection.pause_reading()

    def resume_reading(self) -> None:
        """Reads on."""
        self._connection.resume_reading()

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return bool(self._raw.is_open) and not self.closed.done()

    async def call(self, method: str, **arguments: object) -> Any:
        """One of pika's channel methods that the broker answers, for example ``queue_declare``; returns the answer.

        Raises:
            RelayDenied: no permission, or what exists differs from what is declared.
            RelayUnavailable: no such thing (``reply_code`` is then NOT_FOUND), or the connection went away.
        """
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if not self.is_open:
            raise await self._reason()
        getattr(self._raw, method)(callback=functools.partial(_settle, answered), **arguments)
        return await self.reply(answered)

    async def ready(self, queue: str) -> int:
        """How many messages wait in a queue and were given to nobody yet; raises as :meth:`call`."""
        return int((await self.call("queue_declare", queue=queue, passive=True)).method.message_count)

    async def reply(self, answered: asyncio.Future[Any]) -> Any:
        """Waits for an answer of the broker and returns it; raises as :meth:`call`."""
        self._replies.add(answered)
        try:
            return await answered
        finally:
            self._replies.discard(answered)

    async def turn_on_confirms(self) -> None:
        """From now on the broker says what became of every message; raises as :meth:`call`."""
        await self.call("confirm_delivery", ack_nack_callback=self._on_confirm)

    async def consume(self, queue: str, arrived: Callable[[int, str, bytes], None], *, exclusive: bool = False) -> None:
        """Calls ``arrived(tag, user_id, body)`` for each message; raises as :meth:`call`.

        With ``exclusive`` nobody else may consume the queue: while somebody does, the broker refuses.
        """

        def deliver(_channel: object, method: Any, properties: Any, body: bytes) -> None:
            arrived(method.delivery_tag, properties.user_id or "", body)

        await self.call("basic_consume", queue=queue, on_message_callback=deliver, exclusive=exclusive)

    def ack(self, tag: int, *, multiple: bool = False) -> None:
        """Settles a delivery (``multiple``: and all before it). Does nothing on a closed channel."""
        if self.is_open:
            self._raw.basic_ack(tag, multiple)

    def nack(self, tag: int, *, requeue: bool) -> None:
        """Gives a delivery back, or drops it. Does nothing on a closed channel."""
        if self.is_open:
            self._raw.basic_nack(tag, False, requeue)

    def publish(
        self,
        exchange: str,
        routing_key: str,
        body: bytes,
        done: Callable[[Outcome], None],
        *,
        user_id: str | None = None,
        seconds: float | None = None,
        mandatory: bool = True,
        persistent: bool = True,
    ) -> None:
        """Sends a message; ``done`` is called exactly once.

        Args:
            user_id: our own login, which the broker then vouches for.
            seconds: how long the message may wait for a consumer.
            mandatory: whether it must find a queue.
            persistent: taken means on disk; else in a queue that forgets it when the broker ends.
        """
        if not self.is_open:
            done(Outcome.LOST)
            return
        expiration = None if seconds is None else str(min(max(int(seconds * 1000), 1), _MAX_EXPIRATION_MS))
        self._published += 1  # the broker counts the same way: this is the tag of its confirm
        tag = self._published
        self._unconfirmed[tag] = (len(body), done)
        properties = pika.BasicProperties(
            delivery_mode=2 if persistent else 1,
            message_id=str(tag),
            user_id=user_id,
            expiration=expiration,
            content_type="application/json",
        )
        self._raw.basic_publish(exchange, routing_key, body, properties, mandatory=mandatory)

    def close(self) -> None:
        """Begins to close; unsettled deliveries come again."""
        if self._raw.is_open:
            self._raw.close()

    async def _reason(self) -> RelayError:
        if self._raw.is_closing:
            await asyncio.wait({self.closed}, timeout=1.0)
        return self.closed.result() if self.closed.done() else RelayUnavailable(f"{self._connection.broker}: closing")

    def _on_return(self, _channel: object, _method: object, properties: Any, _body: bytes) -> None:
        self._returned.add(int(properties.message_id))  # its confirm follows

    def _on_confirm(self, frame: Any) -> None:
        taken = frame.method.NAME == "Basic.Ack"
        for tag in self._tags(frame.method.delivery_tag, frame.method.multiple):
            _, done = self._unconfirmed.pop(tag, (0, None))
            returned = tag in self._returned
            self._returned.discard(tag)
            if done is not None:
                done(Outcome.RETURNED if returned else Outcome.TAKEN if taken else Outcome.LOST)

    def _tags(self, last: int, multiple: bool) -> Iterator[int]:
        if not multiple:
            return iter((last,))
        # Tags were put in ascending order, so the first ones are meant (0: all of them).
        first = next(iter(self._unconfirmed), self._published + 1)
        return iter(range(first, (last or self._published) + 1))

    def _on_closed(self, _channel: object, error: BaseException) -> None:
        if isinstance(error, ChannelClosed):
            self.reply_code = error.reply_code
        reason = translated(error, self._connection.broker)
        _settle(self.closed, reason)
        for answered in tuple(self._replies):
            if not answered.done():
                answered.set_exception(reason)
        unconfirmed, self._unconfirmed = self._unconfirmed, {}
        largest = largest_message(error)
        outcome = Outcome.DENIED if isinstance(reason, RelayDenied) else Outcome.LOST
        for size, done in unconfirmed.values():
            done(Outcome.TOO_LARGE if largest is not None and size > largest else outcome)


def _parameters(broker: Broker) -> object:
    tls = pika.SSLOptions(broker.context, broker.host) if broker.context is not None else None
    return pika.ConnectionParameters(
        broker.host,
        broker.port,
        broker.virtual_host,
        pika.PlainCredentials(broker.login, broker.password),
        heartbeat=broker.heartbeat,
        ssl_options=tls,
        connection_attempts=1,
        socket_timeout=10,
        stack_timeout=15,
        # A blocked connection is the broker's way to be left alone; it is unblocked when the alarm is over.
        blocked_connection_timeout=None,
    )


def _settle(future: asyncio.Future[Any], value: object) -> None:
    if not future.done():
        future.set_result(value)


async def login_time(broker: Broker) -> float:
    """Logs in and leaves again; returns the seconds it took.

    Raises:
        RelayUnavailable: nobody there, or no AMQP.
        RelayDenied: the login or the virtual host is refused.
    """
    began = time.monotonic()
    connection = await AmqpConnection.open(broker)
    await connection.close(patience=0.2)
    return time.monotonic() - began

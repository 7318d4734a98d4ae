"""What arrived from agents over RabbitMQ and is not acknowledged yet, cut into batches."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from mig_core.domain.envelope import MAX_RESULT_BYTES
from mig_core.domain.messages import Inbound
from mig_core.relay.topology import sender

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_core.domain.messages import Kind
    from mig_core.relay.amqp_connection import Channel

_BATCH_BYTES = 8 << 20
MOST_HELD = 64 << 20
"""Bytes that may be here, waiting or not acknowledged. RabbitMQ counts what it hands out in messages; one that has more
to give than this waits at its end of the connection."""

log = logging.getLogger(__name__)


class Arrivals:
    """Deliveries of the channel followed last, in their order. Used on one event loop.

    Args:
        lease: seconds after which a batch that was not acknowledged is given back to the broker.
    """

    def __init__(self, *, lease: float) -> None:
        self._lease = lease
        self._held = 0
        self._paused = False
        self._channel: Channel | None = None
        self._waiting: deque[tuple[int, Inbound]] = deque()
        self._unsettled: deque[AmqpBatch] = deque()
        self._something = asyncio.Event()
        self._ended = False

    def follow(self, channel: Channel) -> None:
        """From now on deliveries are this channel's; what is left of the one before comes again by itself."""
        self._channel = channel
        self._waiting.clear()
        self._unsettled.clear()
        self._held, self._paused = 0, False

    def end(self) -> None:
        """Makes :meth:`take` return None."""
        self._ended = True
        self._something.set()

    def arrived(self, kind: Kind, tag: int, user_id: str, body: bytes) -> None:
        """Takes in one delivery. ``kind``: what its queue holds; ``user_id``: the login the broker vouches for."""
        if self._channel is None:
            return
        if len(body) > MAX_RESULT_BYTES:
            log.warning("a %s of %d bytes by %.80r is too large and counts as malformed", kind, len(body), user_id)
            body = b""
        self._waiting.append((tag, Inbound(kind, sender(user_id), body)))
        self._held += len(body)
        if self._held > MOST_HELD and not self._paused:
            self._paused = True
            self._channel.pause_reading()
        self._something.set()

    async def take(self, limit: int) -> AmqpBatch | None:
        """The next batch, as soon as there is anything; None when there will be no more."""
        while not self._waiting and not self._ended:
            self._something.clear()
            await self._something.wait()
        if self._ended or self._channel is None:
            return None
        tags: list[int] = []
        messages: list[Inbound] = []
        size = 0
        while self._waiting and len(tags) < limit and size < _BATCH_BYTES:
            tag, message = self._waiting.popleft()
            tags.append(tag)
            messages.append(message)
            size += len(message.body)
        batch = AmqpBatch(self, self._channel, tags, messages, size)
        self._unsettled.append(batch)
        batch.expiry = asyncio.get_running_loop().call_later(self._lease, self.give_back, batch)
        return batch

    def settle(self, batch: AmqpBatch) -> None:
        """Acknowledges: in one go if everything before it is settled, else message by message."""
        if not self._forget(batch):
            return
        if batch.first:
            batch.channel.ack(batch.tags[-1], multiple=True)
        else:
            for tag in batch.tags:
                batch.channel.ack(tag)

    def give_back(self, batch: AmqpBatch) -> None:
        """Lets the broker deliver it again, to whichever scheduler."""
        if self._forget(batch):
            log.warning(
                "%d messages were not acknowledged within %.0f s; they come again", len(batch.tags), self._lease
            )
            for tag in batch.tags:
                batch.channel.nack(tag, requeue=True)

    def _forget(self, batch: AmqpBatch) -> bool:
        if batch.expiry is not None:
            batch.expiry.cancel()
        if batch not in self._unsettled:
            return False
        batch.first = self._unsettled[0] is batch
        self._unsettled.remove(batch)
        self._held -= batch.size
        if self._paused and self._held <= MOST_HELD // 2 and self._channel is not None:
            self._paused = False
            self._channel.resume_reading()
        return True


class AmqpBatch:
    """Messages that arrived together; unless acknowledged they come again."""

    def __init__(
        self, arrivals: Arrivals, channel: Channel, tags: Sequence[int], messages: Sequence[Inbound], size: int
    ) -> None:
        self._arrivals = arrivals
        self._messages = messages
        self.channel = channel
        self.tags = tags
        self.size = size
        self.first = False
        self.expiry: asyncio.TimerHandle | None = None

    @property
    def messages(self) -> Sequence[Inbound]:
        """At least one."""
        return self._messages

    async def acknowledge(self) -> None:
        """Call after what they say is committed. Never raises."""
        self._arrivals.settle(self)

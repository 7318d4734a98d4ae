"""What an agent of the ``https`` relay has to say, and which of its two threads says it with which exchange.

The poll carries what is there when it goes. While it is away, the other thread sends: at once, except for a heartbeat
that the poll is soon back for. Nothing here touches the network, and nothing is forgotten before its exchange has an
answer.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mig_core.domain.exchanges import MAX_MESSAGES
from mig_core.domain.messages import Kind
from mig_core.errors import RelayRefused, RelayUnavailable
from mig_core.network.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.errors import RelayError

log = logging.getLogger(__name__)

CARRIED_BYTES = 40 << 10
"""Larger messages do not travel in an exchange."""
TOGETHER_BYTES = 48 << 10
"""Of all messages of one exchange: mig-api takes it the short way."""
GATHER = 0.005
"""Seconds in which more may come that travels along."""
HEARTBEAT_PATIENCE = 5.0
"""A heartbeat waits so long for a poll that is due back."""
MOST_ACKNOWLEDGED = 500


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds."""

    linger: float = 1.0
    """Longest time a poll waits, after messages came in, for what they bring about."""
    afterwards: float = 0.02
    """The same, once all of them are acknowledged: an answer follows at once, or there is none."""
    head: float = 5.0
    """A poll's answer whose head is not here by then is kept back on the way (by a proxy that waits for the body)."""


@dataclass(eq=False, slots=True)
class Letter:
    """A message until the relay has it, or it cannot have it."""

    kind: Kind
    body: bytes = field(repr=False)
    deadline: float
    done: bool = False
    error: RelayError | None = None
    alone: bool = False
    """To be sent by itself: with others it was refused."""
    carried: bool = False
    """Whether an exchange that has no answer yet carries it."""


@dataclass(eq=False, slots=True)
class Parcel:
    """What one exchange carries, and how many messages it may bring."""

    letters: list[Letter] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)
    room: int = 0
    hurried: bool = False
    """Whether the answer must not be waited for: heads are kept back on the way."""


class Outbox:
    """Thread-safe.

    Args:
        prefetch: how many messages may wait unacknowledged here.
        now: seconds that never run backwards.
    """

    def __init__(
        self,
        prefetch: int,
        patience: Patience,
        *,
        now: Callable[[], float] = time.monotonic,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        self._patience = patience
        self._prefetch = prefetch
        self._now = now
        self._changed = threading.Condition()
        self._letters: list[Letter] = []
        self._acknowledged: list[int] = []
        self._settling: set[int] = set()
        """Acknowledged, in an exchange that has no answer yet."""
        self._held: set[int] = set()
        self._fresh: set[int] = set()
        """What the last poll brought."""
        self._closed = False
        self._polls_turn = False
        self._away: Parcel | None = None
        """What the poll that has no answer yet carries."""
        self._poll_back = 0.0
        """When the poll that is away is back at the latest."""
        self._heads_late = False
        self._apart = False
        """Whether heartbeats and answers travel apart: together they were not taken, and one of them may be."""
        self._backoff = backoff()
        self._acknowledge_from = 0.0
        self._beats: tuple[float, float] = (0.0, 0.0)
        """When the last two heartbeats were handed in."""

    @property
    def closed(self) -> bool:
        """Whether nothing can be handed in any more."""
        return self._closed

    def close(self) -> None:
        """What waits here fails; acknowledgements can still be fetched once."""
        with self._changed:
            self._closed = True
            for letter in self._letters:
                letter.error = RelayUnavailable("the relay is closed")
            self._letters.clear()
            if self._away is not None:
                for letter in self._away.letters:
                    letter.error = RelayUnavailable("the relay is closed")
            self._changed.notify_all()

    def hand_in(self, kind: Kind, body: bytes, seconds: float) -> None:
        """Returns when an exchange that carried the message was answered.

        Raises:
            RelayUnavailable: not within so many seconds, or closed.
            RelayError: what was answered instead.
        """
        letter = Letter(kind, body, self._now() + seconds)
        with self._changed:
            if self._closed:
                raise RelayUnavailable("the relay is closed")
            if kind is Kind.HEARTBEAT:
                self._beats = (self._beats[1], self._now())
            self._letters.append(letter)
            self._changed.notify_all()
            poll = None
            if not self._wait_for(letter, self._patience.head) and letter.carried and self._away is not None:
                poll = self._away
                self._letters.append(letter)
                self._changed.notify_all()
            self._wait_for(letter, seconds)
            if letter.done and poll is not None and poll is self._away and not self._heads_late:
                self._heads_late = True
                log.info("answers' heads are kept back on the way; answers and polls travel apart from now on")
            if letter in self._letters:
                self._letters.remove(letter)
        if letter.error is not None:
            raise letter.error
        if not letter.done:
            raise RelayUnavailable(f"no answer within {seconds:.0f} s")

    def _wait_for(self, letter: Letter, seconds: float) -> bool:
        left = max(0.0, min(seconds, letter.deadline - self._now()))
        return self._changed.wait_for(lambda: letter.done or letter.error is not None, left)

    def hold(self, number: int) -> bool:
        """Notes a message that came in; whether it is a new one."""
        with self._changed:
            if number in self._held or number in self._settling or number in self._acknowledged:
                return False
            self._held.add(number)
            self._fresh.add(number)
            return True

    def acknowledge(self, number: int) -> None:
        """Its answer is safe."""
        with self._changed:
            if number in self._held:
                self._held.remove(number)
                self._acknowledged.append(number)
                self._changed.notify_all()

    def poll_seconds(self, wait: float) -> float:
        """How long a poll should wait, if it is to be back when the next heartbeat is there."""
        before, last = self._beats
        due = last + (last - before) + HEARTBEAT_PATIENCE / 2 - self._now()
        return due if before and 1.0 < due < wait else wait

    def for_poll(self, wait: float) -> Parcel | None:
        """What the next poll carries, once there is room for messages; None when closed.

        Args:
            wait: the seconds that it will wait.
        """
        with self._changed:
            self._changed.wait_for(lambda: len(self._held) < self._prefetch or self._closed)
            self._polls_turn = True
            try:
                self._linger()
                if self._closed:
                    return None
                parcel = self._take(self._now())
            finally:
                self._polls_turn = False
            parcel.room = self._prefetch - len(self._held)
            self._away = parcel
            parcel.hurried = self._heads_late and bool(parcel.letters)
            self._poll_back = self._now() + (0.0 if parcel.hurried else wait)
            self._changed.notify_all()
            return parcel

    def to_send(self, seconds: float | None) -> Parcel | None:
        """What is to be sent beside the poll; None when there was nothing for so many seconds, or it is all over."""
        with self._changed:
            end = None if seconds is None else self._now() + seconds
            while not self._closed:
                due = self._due()
                now = self._now()
                if due is not None and due <= now:
                    # Others may follow at once; and the poll may be back for it at this very moment.
                    self._changed.wait_for(lambda: self._closed, GATHER)
                    due = self._due()
                    if due is None or due > self._now():
                        continue
                    return self._take(self._now())
                if end is not None and now >= end:
                    return None
                self._changed.wait(min((one - now for one in (due, end) if one is not None), default=None))
            return self._take(self._now()) if self._acknowledged else None

    def arrived(self, parcel: Parcel) -> None:
        """The relay has it for good."""
        with self._changed:
            self._is_back(parcel)
            self._apart = False
            for letter in parcel.letters:
                letter.done, letter.carried = True, False
            self._settling.difference_update(parcel.acknowledged)
            if parcel.acknowledged:
                self._backoff.reset()
            parcel.letters, parcel.acknowledged = [], []
            self._changed.notify_all()

    def failed(self, parcel: Parcel, error: RelayError) -> None:
        """It may have it or not."""
        with self._changed:
            self._is_back(parcel)
            self._apart = self._apart or len({letter.kind for letter in parcel.letters}) > 1
            several = len(parcel.letters) + parcel.room > 1
            for letter in parcel.letters:
                letter.carried = False
                if letter.done or letter in self._letters:
                    continue  # another exchange has it, or will
                if isinstance(error, RelayRefused) and several and not self._closed:
                    letter.alone = True
                    self._letters.append(letter)
                else:
                    letter.error = error
            if parcel.acknowledged:
                self._settling.difference_update(parcel.acknowledged)
                self._acknowledged[:0] = parcel.acknowledged
                self._acknowledge_from = self._now() + self._backoff.next()
            self._changed.notify_all()

    def _is_back(self, parcel: Parcel) -> None:
        if self._away is parcel:
            self._away = None

    def _due(self) -> float | None:
        """From when the thread that sends has something to do; None: only when something changes."""
        if self._polls_turn:
            return None
        times = [self._due_of(letter) for letter in self._letters]
        if self._acknowledged:
            times.append(self._acknowledge_from)
        return min(times, default=None)

    def _due_of(self, letter: Letter) -> float:
        now = self._now()
        waits = letter.kind is Kind.HEARTBEAT and now < self._poll_back < min(
            now + HEARTBEAT_PATIENCE, letter.deadline - 2.0
        )
        return self._poll_back + 1.0 if waits else now

    def _linger(self) -> None:
        """Waits for what the last messages bring about."""
        end = self._now() + self._patience.linger
        while self._fresh and not self._closed:
            if any(not letter.alone for letter in self._letters):
                end = min(end, self._now() + GATHER / 4)
            if not self._fresh & self._held:
                # As many came as fit: there are more, and answers have their turn with each poll.
                end = min(end, self._now() + (self._patience.afterwards if len(self._fresh) < self._prefetch else 0.0))
            left = end - self._now()
            if left <= 0:
                break
            self._changed.wait(left)
            if any(not letter.alone for letter in self._letters) and not self._fresh & self._held:
                break
        self._fresh.clear()

    def _take(self, now: float) -> Parcel:
        parcel = Parcel()
        size = 0
        for letter in [one for one in self._letters if not (self._polls_turn and one.alone)]:
            size += len(letter.body)
            apart = self._apart and parcel.letters and letter.kind is not parcel.letters[0].kind
            full = (
                apart
                or size > TOGETHER_BYTES
                or len(parcel.letters) == MAX_MESSAGES
                or (letter.alone and parcel.letters)
            )
            if parcel.letters and full:
                break
            self._letters.remove(letter)
            if letter.done:
                continue
            letter.carried = True
            parcel.letters.append(letter)
            if letter.alone:
                break
        if self._acknowledged and (now >= self._acknowledge_from or self._closed):
            parcel.acknowledged = self._acknowledged[:MOST_ACKNOWLEDGED]
            del self._acknowledged[: len(parcel.acknowledged)]
            self._settling.update(parcel.acknowledged)
        return parcel

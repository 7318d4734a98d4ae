"""The spool: signed answers that wait for the relay, one file each.

An answer is synced to disk before the agent acknowledges its command, and removed after the relay has taken it; so
neither a crash nor a relay that is away for days loses one. What the relay is handed twice is counted once by the
platform.

Each answer has its own next attempt. Small ones that never failed are one *lane*, large ones another, those that failed
a third, so that an answer which the relay will not take, or which takes long, keeps none of the others waiting.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import threading
import time
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from mig_core.agent.records.lost_answers import LostAnswers
from mig_core.domain.ids import CommandId
from mig_core.durable import remove_file, replace_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger(__name__)

RESERVE = 8 << 20
"""Beyond what the spool may hold: for short answers that say that it is full."""
_LARGE = 1 << 20
_NAME = re.compile(r"(\d{12})-([0-9a-f-]{36})-(\d{1,12})-([0-9a-f]{32})\.answer")


class Lane(Enum):
    """Who waits for whom."""

    QUICK = "quick"
    """Small answers that have not failed yet."""
    LARGE = "large"
    AGAIN = "again"
    """Those that failed."""


@dataclass(frozen=True, slots=True)
class Spooled:
    """An answer on disk."""

    path: Path
    command: CommandId
    size: int
    until: int
    """When its action's window ends, in seconds since 1970; 0: not known."""
    digest: str
    """Of the content, the first half of its SHA-256."""

    def read(self) -> bytes:
        """The signed envelope's bytes.

        Raises:
            OSError: it cannot be read (any more), or is not what was written.
        """
        content = self.path.read_bytes()
        if _digest(content) != self.digest:
            raise OSError(errno.EBADMSG, "the file is damaged", str(self.path))
        return content


@dataclass(eq=False, slots=True)
class Waiting:
    """An answer that waits, and how it fared. Only the spool changes it, but for what senders note for themselves."""

    spooled: Spooled
    since: float
    """When it was stored, in seconds since 1970."""
    due: float = 0.0
    """Monotonic: the next attempt."""
    taken: bool = False
    tries: int = 0
    """Failures that count: none once it is known that nothing got through."""
    problem: str = ""
    """Why the last attempt failed."""
    refused: bool = False
    """Whether it was the relay that would not take it, and not the relay that was away."""
    own: bool = False
    """Whether the failure is this answer's own: others got through meanwhile."""
    stands_in: bool = False
    """Whether it is there in place of an answer that could not be sent."""
    refusals: int = 0
    """For senders: attempts that failed while others got through."""
    mark: int = 0
    """For senders: what they had sent at the last attempt."""

    @property
    def lane(self) -> Lane:
        """Where it waits."""
        if self.tries:
            return Lane.AGAIN
        return Lane.QUICK if self.spooled.size <= _LARGE else Lane.LARGE


class Spool:
    """The answers that wait. Thread-safe."""

    def __init__(self, directory: Path, *, max_bytes: int, clock: Callable[[], float] = time.time) -> None:
        """Opens the directory, made (0700) if it is missing; what waits in it is offered at once.

        Args:
            max_bytes: when so much waits no further command is begun.
            clock: seconds since 1970.

        Raises:
            OSError: the directory cannot be used.
        """
        directory.mkdir(mode=0o700, exist_ok=True)
        self.directory = directory
        self.max_bytes = max_bytes
        self.lost = LostAnswers(directory.with_name(directory.name + ".lost.json"), clock)
        self._clock = clock
        self._changed = threading.Condition()
        self._closed = False
        self._waiting: list[Waiting] = []
        self._bytes = 0
        self._next = 0
        for name in sorted(os.listdir(directory)):
            match = _NAME.fullmatch(name)
            if match is None:
                log.info("removing %s from the spool: it is not a whole answer", name)
                remove_file(directory / name)
                continue
            state = (directory / name).stat()
            spooled = Spooled(directory / name, CommandId(match[2]), state.st_size, int(match[3]), match[4])
            self._waiting.append(Waiting(spooled, state.st_mtime))
            self._bytes += spooled.size
            self._next = int(match[1]) + 1

    def commands(self) -> tuple[CommandId, ...]:
        """The commands whose answers wait."""
        with self._changed:
            return tuple(one.spooled.command for one in self._waiting)

    @property
    def held(self) -> int:
        """Bytes of all answers together."""
        with self._changed:
            return self._bytes

    @property
    def full(self) -> bool:
        """Whether no further command should be begun."""
        return self.held >= self.max_bytes

    @property
    def brimful(self) -> bool:
        """Whether not even an answer that says so fits any more."""
        return self.held >= self.max_bytes + RESERVE

    def __len__(self) -> int:
        with self._changed:
            return len(self._waiting)

    def waiting(self) -> tuple[Waiting, ...]:
        """All of them, as they are now, in the order in which they were stored."""
        with self._changed:
            return tuple(self._waiting)

    def store(self, command: CommandId, answer: bytes, *, until: int = 0) -> Spooled:
        """Makes an answer durable. It is not sent before :meth:`offer`.

        Raises:
            OSError: it could not be stored (disk full); nothing is left behind.
        """
        with self._changed:
            number = self._next
            self._next += 1
        digest = _digest(answer)
        path = self.directory / f"{number:012}-{command}-{max(0, until)}-{digest}.answer"
        spooled = Spooled(path, command, len(answer), max(0, until), digest)
        replace_file(spooled.path, answer)
        with self._changed:
            self._bytes += spooled.size
        return spooled

    def offer(self, spooled: Spooled, *, stands_in: bool = False) -> None:
        """Lets senders see a stored answer."""
        with self._changed:
            self._waiting.append(Waiting(spooled, self._clock(), stands_in=stands_in))
            self._changed.notify_all()

    def take(self, lane: Lane, timeout: float | None = None) -> Waiting | None:
        """The next answer of a lane that is due, for the caller alone until it is put back or removed.

        None when there is none within ``timeout`` seconds, or after ``close``.
        """
        end = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                free = [one for one in self._waiting if not one.taken and one.lane is lane]
                first = min(free, key=lambda one: one.due, default=None)
                if first is not None and first.due <= now:
                    first.taken = True
                    return first
                if end is not None and now >= end:
                    return None
                moments = [one for one in (None if first is None else first.due, end) if one is not None]
                self._changed.wait(min(moments) - now if moments else None)
            return None

    def put_back(self, one: Waiting, problem: str, seconds: float, *, refused: bool, own: bool) -> None:
        """Tries again after so many seconds.

        Args:
            one: an answer that was taken.
            problem: why it failed.
            seconds: until the next attempt.
            refused: whether the relay would not take it.
            own: whether the failure is this answer's own.
        """
        with self._changed:
            one.taken, one.tries, one.problem, one.refused, one.own = False, one.tries + 1, problem, refused, own
            one.due = time.monotonic() + seconds
            self._changed.notify_all()

    def relay_works(self) -> None:
        """Something got through: what failed while nothing did is due, among those that never failed."""
        with self._changed:
            for one in self._waiting:
                if one.tries and not one.own and not one.refused and not one.taken:
                    one.tries, one.due = 0, 0.0
            self._changed.notify_all()

    def remove(self, one: Waiting) -> None:
        """Forgets an answer: the relay has it, or nobody wants it."""
        remove_file(one.spooled.path)
        with self._changed:
            self._waiting.remove(one)
            self._bytes -= one.spooled.size
            self._changed.notify_all()

    def wait_for_room(self, timeout: float | None = None) -> bool:
        """Returns True as soon as the spool is not full, False once it is closed or after ``timeout`` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._bytes < self.max_bytes or self._closed, timeout)
            return self._bytes < self.max_bytes and not self._closed

    def close(self) -> None:
        """Wakes everybody who waits. What waits stays on disk."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]

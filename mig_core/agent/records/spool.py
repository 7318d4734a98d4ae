"""The spool: signed answers that wait for the relay, one file each.

An answer is synced to disk before the agent acknowledges its command, and removed after the relay has taken it; so
neither a crash nor a relay that is away for days loses one. What the relay is handed twice is counted once by the
platform.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mig_core.domain.ids import CommandId
from mig_core.durable import remove_file, replace_file

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

_NAME = re.compile(r"(\d{12})-([0-9a-f-]{36})\.answer")


@dataclass(frozen=True, slots=True)
class Spooled:
    """An answer in the spool."""

    path: Path
    command: CommandId
    size: int

    def read(self) -> bytes:
        """The signed envelope's bytes.

        Raises:
            OSError: it cannot be read (any more).
        """
        return self.path.read_bytes()


class Spool:
    """The answers that wait, oldest first. Thread-safe."""

    def __init__(self, directory: Path, *, max_bytes: int) -> None:
        """Opens the directory, made (0700) if it is missing; what waits in it is offered at once.

        Raises:
            OSError: the directory cannot be used.
        """
        directory.mkdir(mode=0o700, exist_ok=True)
        self._directory = directory
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._closed = False
        self._waiting: deque[Spooled] = deque()
        self._bytes = 0
        self._next = 0
        for name in sorted(os.listdir(directory)):
            match = _NAME.fullmatch(name)
            if match is None:
                log.info("removing %s from the spool: it is not a whole answer", name)
                remove_file(directory / name)
                continue
            spooled = Spooled(directory / name, CommandId(match[2]), (directory / name).stat().st_size)
            self._waiting.append(spooled)
            self._bytes += spooled.size
            self._next = int(match[1]) + 1

    def commands(self) -> tuple[CommandId, ...]:
        """The commands whose answers wait."""
        with self._changed:
            return tuple(one.command for one in self._waiting)

    @property
    def full(self) -> bool:
        """Whether no further command should be begun."""
        with self._changed:
            return self._bytes >= self._max_bytes

    def __len__(self) -> int:
        with self._changed:
            return len(self._waiting)

    def store(self, command: CommandId, answer: bytes) -> Spooled:
        """Makes an answer durable. It is not sent before :meth:`offer`.

        Raises:
            OSError: it could not be stored (disk full); nothing is left behind.
        """
        with self._changed:
            number = self._next
            self._next += 1
        spooled = Spooled(self._directory / f"{number:012}-{command}.answer", command, len(answer))
        replace_file(spooled.path, answer)
        with self._changed:
            self._bytes += spooled.size
        return spooled

    def offer(self, spooled: Spooled) -> None:
        """Lets the sender see a stored answer."""
        with self._changed:
            self._waiting.append(spooled)
            self._changed.notify_all()

    def first(self, timeout: float | None = None) -> Spooled | None:
        """The oldest answer, waited for at most ``timeout`` seconds; None when there is none, or after ``close``."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, timeout)
            return self._waiting[0] if self._waiting and not self._closed else None

    def remove(self, spooled: Spooled) -> None:
        """Forgets an answer: the relay has it."""
        remove_file(spooled.path)
        with self._changed:
            self._waiting.remove(spooled)
            self._bytes -= spooled.size
            self._changed.notify_all()

    def put_back(self, spooled: Spooled) -> None:
        """Puts an answer last: the relay does not want it now."""
        with self._changed:
            self._waiting.remove(spooled)
            self._waiting.append(spooled)

    def wait_for_room(self) -> bool:
        """Returns True as soon as the spool is not full, False once it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._bytes < self._max_bytes or self._closed)
            return not self._closed

    def close(self) -> None:
        """Wakes everybody who waits. What waits stays on disk."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

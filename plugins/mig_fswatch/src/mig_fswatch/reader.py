"""The thread that reads the kernel's events, so that neither hashing nor a slow sink lets its queues run full.

It also finds out who did it, because a moment later nobody knows. What nobody takes from it is bounded: past that it
says that something was lost, and everything is compared.
"""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from mig_fswatch.notice import Notice, What

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_fswatch.notice import Source

MANY = 50
"""Events at once from which on ..."""
PAUSE = 0.02
"""... it waits so many seconds before it reads again: the kernel folds what is the same meanwhile."""
FOREIGN = 0.003
"""Seconds that it waits after a read in which nothing was of ours: a busy file system must not wake it each time."""
ADD, STOP = b"a", b"x"
MOUNTINFO = "/proc/self/mountinfo"


class Reader:
    """Reads until it is stopped."""

    def __init__(self, sources: Sequence[Source], wake: threading.Event, most: int) -> None:
        """``wake`` is set when there is something to take; at most about ``most`` notices wait for that."""
        self._most = most
        self._sources = {one.fileno(): one for one in sources}
        self._wake = wake
        self._waiting: deque[tuple[Source, Notice]] = deque()
        self._stop_read, self._stop_write = os.pipe()
        self.mounts_changed = False
        """Whether the list of mounts is another; whoever heeds it sets it back."""
        self.failure = ""
        """Why it ended, if it was not told to."""
        self.read = 0
        """Notices so far."""
        self._thread = threading.Thread(target=self._run, name="fswatch-reader", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends, when what it reads now is read."""
        os.write(self._stop_write, STOP)
        self._thread.join(2.0)

    def add(self, source: Source) -> None:
        """Reads one more source from now on."""
        self._sources[source.fileno()] = source
        os.write(self._stop_write, ADD)

    def waiting(self) -> int:
        """Notices that nobody has taken yet."""
        return len(self._waiting)

    def take(self, most: int) -> list[tuple[Source, Notice]]:
        """The oldest notices, and who gave them."""
        taken: list[tuple[Source, Notice]] = []
        while self._waiting and len(taken) < most:
            taken.append(self._waiting.popleft())
        return taken

    def _run(self) -> None:
        try:
            self._loop()
        except Exception as error:  # it must not end without a word: the module ends with it, and starts again
            logging.getLogger(__name__).exception("reading the kernel's events failed")
            self.failure = f"{type(error).__name__}: {error}"
        self._wake.set()

    def _loop(self) -> None:
        poll = select.poll()
        for fd in self._sources:
            poll.register(fd, select.POLLIN)
        poll.register(self._stop_read, select.POLLIN)
        mounts = os.open(MOUNTINFO, os.O_RDONLY | os.O_CLOEXEC)
        try:
            poll.register(mounts, select.POLLPRI)
            while True:
                pause = 0.0
                for fd, _event in poll.poll():
                    if fd == self._stop_read:
                        if STOP in os.read(fd, 100):
                            return
                        for one in list(self._sources):
                            poll.register(one, select.POLLIN)
                        continue
                    if fd == mounts:
                        self.mounts_changed = True
                        self._wake.set()
                        continue
                    pause = max(pause, self._take_from(self._sources[fd]))
                if pause:
                    time.sleep(pause)
        finally:
            os.close(mounts)

    def _take_from(self, source: Source) -> float:
        """Reads once; seconds to wait before the next time."""
        notices = source.read()
        self.read += len(notices)
        if len(self._waiting) > self._most:
            self._waiting.clear()
            self._waiting.append((source, Notice(None, "", What.LOST, None)))
        else:
            self._waiting.extend((source, one) for one in notices)
        if not notices:
            return FOREIGN
        self._wake.set()
        return PAUSE if len(notices) >= MANY else 0.0

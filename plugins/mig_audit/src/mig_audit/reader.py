"""The reader: a thread that takes records from the kernel and never waits for anything else.

It hands them to a bounded queue; when that is full it drops them and counts. It reads in gulps: after each it sleeps a
few milliseconds, so that a busy system costs twenty wake-ups a second and not thousands; meanwhile the records are
safe in the socket's buffer and, behind it, in the kernel's backlog.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from typing import TYPE_CHECKING

from mig_audit.receive import Overrun, receiver

if TYPE_CHECKING:
    import socket

    Batch = list[tuple[int, str]]

PAUSE_MS = 50
"""Milliseconds between gulps."""
AT_ONCE = 16
"""Batches that leave the queue together: what has left it does not count against its maximum any more."""


class Queue:
    """Between the reader and the maker of events."""

    def __init__(self, maximum: int) -> None:
        """``maximum`` counts records."""
        self._maximum = maximum
        self._batches: deque[Batch] = deque()
        self._size = 0
        self._changed = threading.Condition()
        self.dropped = 0
        """Records that did not fit, in all."""
        self.overruns = 0
        """Times that the kernel found the socket's buffer full."""
        self.failure = ""
        """Why the reader has ended, if it was not asked to."""

    def put(self, batch: Batch) -> None:
        """Adds records; drops them when there is no room. Never waits."""
        with self._changed:
            if self._size + len(batch) > self._maximum:
                self.dropped += len(batch)
                return
            self._batches.append(batch)
            self._size += len(batch)

    def wake(self) -> None:
        """Tells the taker that there is something to do."""
        with self._changed:
            self._changed.notify()

    def take(self, timeout: float) -> list[Batch]:
        """The oldest batches, at most ``AT_ONCE``; when there are none, waits for some at most ``timeout`` seconds."""
        with self._changed:
            if not self._batches:
                self._changed.wait(timeout)
            taken = [self._batches.popleft() for _ in range(min(AT_ONCE, len(self._batches)))]
            self._size -= sum(map(len, taken))
            return taken

    def size(self) -> int:
        """Records that wait."""
        return self._size


class Reader:
    """The thread."""

    def __init__(self, opened: socket.socket, queue: Queue) -> None:
        """Prepares; :meth:`start` begins."""
        self._receiver = receiver(opened)
        self._queue = queue
        self._descriptor = opened.fileno()
        self._stop = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread = threading.Thread(target=self._run, name="audit-reader", daemon=True)

    def start(self) -> None:
        """Begins to read."""
        self._thread.start()

    def stop(self) -> None:
        """Reads what is still there, then ends."""
        os.eventfd_write(self._stop, 1)
        self._thread.join()
        os.close(self._stop)

    def _run(self) -> None:
        arrival = select.poll()
        arrival.register(self._descriptor, select.POLLIN)
        arrival.register(self._stop, select.POLLIN)
        stop = select.poll()
        stop.register(self._stop, select.POLLIN)
        try:
            while True:
                arrival.poll()
                self._gulp()
                if stop.poll(PAUSE_MS):
                    self._gulp()
                    return
        except Exception as error:  # whatever it is, the module must not go on blind
            self._queue.failure = f"audit socket: {error}"
            self._queue.wake()

    def _gulp(self) -> None:
        while True:
            try:
                batch = self._receiver.take()
            except Overrun:
                self._queue.overruns += 1
                continue
            if not batch:
                break
            self._queue.put(batch)
        self._queue.wake()

"""Large files read ahead by other threads, where the agent allows a run more than one.

Digests and RE2 give up Python's lock, so two threads get through large files nearly twice as fast; on small ones they
would only be in each other's way. ``evaluation`` asks for what it needs in the directory's order, so answers are the
same with any number of threads.
"""

from __future__ import annotations

import os
import queue
import stat
from collections import deque
from typing import TYPE_CHECKING

from mig_file.reader import ENDLESS_SIZE, Reader, open_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from mig_file.content import Questions
    from mig_file.evaluation import Plan
    from mig_file.openfile import Group
    from mig_file.reader import Reading
    from mig_file.walk import Batch

    Read = tuple[os.stat_result, Reading]

LARGE = 1 << 20
"""Files of at least this many bytes are worth another thread."""
SMALL_IN_A_ROW = 200
"""After so many small files only one of ``SAMPLE`` is asked for its size, until one is large: asking costs a fifth."""
SAMPLE = 8
LOOK_AHEAD = 256
"""How many names further on to look for large files."""


class ReadAhead:
    """The threads, and what they are reading for the batch at hand."""

    def __init__(self, threads: int, questions: Questions, expired: Callable[[], bool], *, large: int = LARGE) -> None:
        """Starts no thread before there is something to read. ``large`` is for tests."""
        from concurrent.futures import ThreadPoolExecutor

        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="mig-file")
        self._readers: queue.SimpleQueue[Reader] = queue.SimpleQueue()
        self._all_readers = [Reader(questions, expired) for _ in range(threads)]
        for one in self._all_readers:
            self._readers.put(one)
        self._at_once = 2 * threads
        self._large = large
        self._small = 0
        self._rest: deque[str] = deque()
        self._batch: Batch | None = None
        self._plans: Mapping[str, Plan] = {}
        self._reading: dict[str, Future[Read]] = {}

    @property
    def bytes_read(self) -> int:
        """Bytes of content read from disk so far."""
        return sum(one.bytes for one in self._all_readers)

    def begin(self, batch: Batch, order: list[str], plans: Mapping[str, Plan]) -> None:
        """Says which files come next, with what is to be found out about each."""
        self.end()
        self._batch, self._plans = batch, plans
        self._rest.extend(order)

    def end(self) -> None:
        """Gives up what nobody came for; after it, the batch's directory may be closed."""
        self._rest.clear()
        for one in self._reading.values():
            one.cancel()
        for one in self._reading.values():
            if not one.cancelled():
                one.exception()  # waits; what it says was not asked for
        self._reading.clear()

    def take(self, name: str) -> Read | None:
        """What is known of a file; None if it was not worth reading ahead.

        Raises:
            OSError: it cannot be opened.
            DeadlinePassed: time ran out while it was read.
        """
        self._go_on()
        future = self._reading.pop(name, None)
        return future.result() if future is not None else None

    def close(self) -> None:
        """Ends the threads."""
        self.end()
        self._pool.shutdown()

    def _go_on(self) -> None:
        batch = self._batch
        for _ in range(LOOK_AHEAD):
            if batch is None or not self._rest or len(self._reading) >= self._at_once:
                return
            name = self._rest.popleft()
            plan = self._plans[name]
            if not plan.may_read_ahead or name in batch.links:
                continue
            self._small += 1
            if self._small > SMALL_IN_A_ROW and self._small % SAMPLE:
                continue
            try:
                status = batch.status(name)
            except OSError:
                continue  # whoever looks at it next will find out
            if stat.S_ISREG(status.st_mode) and self._large <= status.st_size < ENDLESS_SIZE:
                self._small = 0
                self._reading[name] = self._pool.submit(self._read, batch.fd, name, plan.groups[0])

    def _read(self, directory: int, name: str, group: Group) -> Read:
        reader = self._readers.get()
        try:
            fd = open_file(name, directory, follow=False)
            try:
                status = os.fstat(fd)
                return status, reader.read(fd, status.st_size, group.questions, group.algorithms)
            finally:
                os.close(fd)
        finally:
            self._readers.put(reader)

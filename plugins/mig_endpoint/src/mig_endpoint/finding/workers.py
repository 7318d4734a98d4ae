"""Files read by several processes, where the agent allows a run more than one processor.

Threads would be in each other's way: most of the time of a small file is Python's own. So the run's process forks
workers, and reads as they do: whoever is free takes the next share of the files collected. What was seen is then judged
in the order of the walk by the run's process alone, so answers do not depend on the number of workers. A worker that
dies is missed by nobody: its files are read again.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
import warnings
from collections import deque
from typing import TYPE_CHECKING

from mig_core.records import dataclass, field
from mig_endpoint.files.interruptions import FILES_BETWEEN_LOOKS_AT_THE_CLOCK, DeadlinePassed
from mig_endpoint.files.opening import Status, is_file, open_file
from mig_endpoint.finding import shares
from mig_endpoint.finding.reader import Reader, Reading
from mig_endpoint.finding.shares import Part, Report, Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mig_endpoint.finding.content import Question, Questions
    from mig_endpoint.finding.openfile import Group

    Share = list[Part]

AHEAD = 2
"""How many shares a worker has: the next one waits for it, not the other way round."""
GRACE = 5.0
"""Seconds after the deadline that a worker has to say so."""
WAIT_MS = 200
"""How often the clock is looked at while workers are waited for."""


def look_at(reader: Reader, directory: int, name: str, group: Group) -> tuple[Status | os.stat_result, Reading] | None:
    """What one read of a file gives; None if no slot of the group can pass.

    Raises:
        OSError: it cannot be opened.
        DeadlinePassed: time ran out while it was read.
    """
    fd = open_file(name, directory, follow=False)
    try:
        # 1. most files of most runs: they are small, and cannot pass
        reading = reader.read_small(fd, group.questions, group.algorithms)
        if reading is not None and group.is_moot(reading):
            return None
        # 2. the others
        status = os.fstat(fd)
        if not is_file(status):
            return status, Reading()
        if reading is None:
            reading = reader.read(fd, status.st_size, group.questions, group.algorithms, closely=True)
        return None if group.is_moot(reading) else (status, reading)
    finally:
        os.close(fd)


@dataclass(slots=True, eq=False)
class _Worker:
    pid: int
    connection: socket.socket
    shares: deque[int] = field(default_factory=deque)
    """Numbers of those it has, the eldest first."""


class Workers:
    """The run's process and its workers."""

    def __init__(
        self,
        processes: int,
        questions: Questions,
        expired: Callable[[], bool],
        group_of: Callable[[tuple[int, ...]], Group],
    ) -> None:
        """Forks nobody before there is something to read.

        Args:
            processes: how many, this one included.
            questions: all of the run.
            expired: whether time is over.
            group_of: what has to be read for slots, by their numbers; the same in every process.
        """
        self._processes = processes
        self._questions = questions
        self._by_number: Sequence[Question] = list(questions.patterns)
        self._expired = expired
        self._group_of = group_of
        self._reader = Reader(questions, self._expired_here)
        self._workers: list[_Worker] | None = None
        self._shares: Sequence[Share] = ()
        self._left: deque[int] = deque()
        """Numbers of the shares that nobody has."""
        self._offered = 0
        """How many shares were complete."""
        self._reports: dict[int, Report] = {}
        self._worker_bytes = 0
        self._over_since: float | None = None
        """When it was first seen that time is over."""

    @property
    def pids(self) -> list[int]:
        """The workers' process ids."""
        return [worker.pid for worker in self._workers or ()]

    @property
    def bytes_read(self) -> int:
        """Bytes of content read from disk so far, by all."""
        return self.own_bytes + self._worker_bytes

    @property
    def own_bytes(self) -> int:
        """Those that this process has read."""
        return self._reader.bytes

    def read(self, work: Sequence[Share], progress: Callable[[], object]) -> list[Report]:
        """Reads the files of all shares. ``progress`` is called now and then."""
        self.offer(work, len(work))
        while len(self._reports) < len(work):
            self._serve(0 if self._left else WAIT_MS)
            if self._left:
                own = self._left.popleft()
                self._reports[own] = self._report(work[own], self._reader)
            progress()
            if not self._left and self._is_overdue():
                self._give_up()
        return [self._reports[number] for number in range(len(work))]

    def offer(self, work: Sequence[Share], ready: int) -> None:
        """Lets workers begin, while there may come more of the work: :meth:`read` goes on with it, and ends it.

        Args:
            work: the same object as last time, as long as it was not read.
            ready: so many shares, the first ones, are complete.
        """
        if self._shares is not work:
            self._shares, self._left, self._reports, self._offered = work, deque(), {}, 0
        self._left.extend(range(self._offered, ready))
        self._offered = ready
        if self._workers is None and ready > 1:
            self._workers = []
            with contextlib.suppress(OSError):  # no more processes or sockets to be had: fewer do it too
                while len(self._workers) < self._processes - 1:
                    self._workers.append(self._fork())
        self._serve(0)

    def close(self) -> None:
        """Ends the workers."""
        for worker in tuple(self._workers or ()):
            self._dismiss(worker)

    def _is_overdue(self) -> bool:
        """Whether time has been over for so long that whoever still reads will not come back."""
        if not self._expired():
            return False
        if self._over_since is None:
            self._over_since = time.monotonic()
        return time.monotonic() - self._over_since > GRACE

    def _give_up(self) -> None:
        """Leaves behind the workers that have something: they hang in a file."""
        for worker in tuple(self._workers or ()):
            for number in worker.shares:
                self._reports[number] = Report(late=(0, 0))
            if worker.shares:
                self._dismiss(worker, os.WNOHANG)

    def _serve(self, wait: int) -> None:
        """Takes reports, and gives the workers more to do."""
        for worker in self._ready(wait):
            report = shares.receive_report(worker.connection, self._by_number)
            if report is None:
                self._left.extendleft(reversed(worker.shares))
                self._dismiss(worker)
            else:
                self._reports[worker.shares.popleft()] = report
                self._worker_bytes += report.bytes
        for worker in self._workers or ():
            while self._left and len(worker.shares) < self._depth() and self._give(worker):
                self._left.popleft()

    def _depth(self) -> int:
        """How many shares a worker may have: one that is a single file, and large, is enough."""
        share = self._shares[self._left[0]]
        return 1 if len(share) == 1 and len(share[0].names) == 1 else AHEAD

    def _give(self, worker: _Worker) -> bool:
        number = self._left[0]
        try:
            shares.send_share(worker.connection, self._shares[number])
        except OSError:
            return False  # it is gone; its end of the socket says so too
        worker.shares.append(number)
        return True

    def _expired_here(self) -> bool:
        """Asked while this process reads a large file, again and again: workers must not wait for its end."""
        self._serve(0)
        return self._expired()

    def _ready(self, wait: int) -> Iterable[_Worker]:
        poll = select.poll()
        busy = {worker.connection.fileno(): worker for worker in self._workers or () if worker.shares}
        if not busy:
            return ()
        for descriptor in busy:
            poll.register(descriptor, select.POLLIN)
        return [busy[descriptor] for descriptor, _ in poll.poll(wait)]

    def _dismiss(self, worker: _Worker, how: int = 0) -> None:
        """Ends a worker. ``how``: options of waitpid(2)."""
        assert self._workers is not None
        self._workers.remove(worker)
        worker.connection.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGKILL)
        os.waitpid(worker.pid, how)

    def _fork(self) -> _Worker:
        ours, theirs = socket.socketpair()
        try:
            with warnings.catch_warnings():
                # a thread may wait in mig_endpoint.files.calls; it holds no lock that a worker takes
                warnings.simplefilter("ignore", DeprecationWarning)
                pid = os.fork()
        except OSError:
            ours.close()
            theirs.close()
            raise
        if pid:
            theirs.close()
            return _Worker(pid, ours)
        status = 1
        try:
            ours.close()
            for other in self._workers or ():
                other.connection.close()
            self._work(theirs)
            status = 0
        finally:
            os._exit(status)

    def _work(self, connection: socket.socket) -> None:
        """A worker's life."""
        reader = Reader(self._questions, self._expired)
        numbers = {question: number for number, question in enumerate(self._by_number)}
        while (share := shares.receive_share(connection)) is not None:
            try:
                report = self._report(share, reader)
            finally:
                for part in share:
                    os.close(part.directory)
            shares.send_report(connection, report, numbers)

    def _report(self, share: Share, reader: Reader) -> Report:
        before = reader.bytes
        seen, failed = [], []
        late = None
        for first, part in enumerate(share):
            group = self._group_of(part.slots)
            for second, name in enumerate(part.names):
                place = (first, second)
                try:
                    if second % FILES_BETWEEN_LOOKS_AT_THE_CLOCK == 0 and self._expired():
                        raise DeadlinePassed
                    found = look_at(reader, part.directory, name, group)
                except OSError as failure:
                    failed.append((place, failure.errno or 0))
                except DeadlinePassed:
                    late = place
                    break
                else:
                    if found is not None:
                        status, reading = found
                        facts = Status(status.st_mode, status.st_size, status.st_mtime_ns)
                        seen.append(Seen(place, facts, reading))
            if late is not None:
                break
        return Report(reader.bytes - before, seen, failed, late)

"""Several processes for one mig-api: forked from one that listens and answers nothing itself.

Each worker is a whole mig-api on the same sockets, and answers whoever it accepts: what is queued for an agent lies in
the database, which wakes them all. Bounds that are one process's own (failed logins, bodies in memory, connections to
the database) are divided among them; their counters are added up, through a piece of memory that they share. A worker
that dies is replaced, and all of them end with the one that forked them.
"""

from __future__ import annotations

import contextlib
import json
import logging
import mmap
import os
import signal
import struct
import time
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

from mig_core.network.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mig_core.config.server import ApiSettings

log = logging.getLogger(__name__)

MOST_WORKERS = 64
SLOT_BYTES = 64 << 10
PUBLISH_SECONDS = 1.0
"""How old the other workers' numbers may be."""
GRACE_SECONDS = 5.0
"""What a worker has to end, once it is told to."""
STEADY_SECONDS = 60.0
"""A worker that lived so long is replaced as quickly as the first one that died."""
BEGIN_AGAIN = 75
"""Status of a worker that ended because the settings are others now: all of them are to begin again."""
_HEAD = struct.Struct("<II")
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Blackboard:
    """One slot of shared memory a worker; each writes its own and reads all.

    Args:
        workers: how many.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._memory = mmap.mmap(-1, workers * SLOT_BYTES)
        self._seen: dict[int, Mapping[str, Any]] = {}

    def write(self, worker: int, numbers: Mapping[str, Any]) -> None:
        """Replaces what a worker says. Called by that worker only."""
        text = json.dumps(numbers).encode("ascii")
        if len(text) <= SLOT_BYTES - _HEAD.size:
            start = worker * SLOT_BYTES
            self._memory[start + _HEAD.size : start + _HEAD.size + len(text)] = text
            self._memory[start : start + _HEAD.size] = _HEAD.pack(len(text), zlib.crc32(text))

    def read(self, worker: int) -> Mapping[str, Any]:
        """What a worker said last. What is being written at this very moment is not taken; what was before it is."""
        start = worker * SLOT_BYTES
        size, check = _HEAD.unpack(self._memory[start : start + _HEAD.size])
        text = self._memory[start + _HEAD.size : start + _HEAD.size + min(size, SLOT_BYTES)]
        if size and zlib.crc32(text) == check:
            self._seen[worker] = json.loads(text)
        return self._seen.get(worker, {})


@dataclass(frozen=True, slots=True)
class Place:
    """Which of several workers a process is."""

    number: int
    """From 0."""
    board: Blackboard
    alive: int
    """A descriptor that ends with the process that forked this one."""

    @property
    def workers(self) -> int:
        """How many there are."""
        return self.board.workers

    @property
    def first(self) -> bool:
        """Whether it does what one of them has to do."""
        return self.number == 0

    def share_of(self, settings: ApiSettings) -> ApiSettings:
        """The settings of one worker: a part of the connections to the database, and no right to migrate it."""
        database = settings.database
        size = max(2, -(-database.pool_size // self.workers))
        mine = replace(database, pool_size=size, owner_url="", owner_url_file=None)
        return replace(settings, database=mine)


class Workers:
    """Runs ``work`` in so many processes. Must be made before there are threads or an event loop.

    Args:
        workers: how many.
        work: what each of them does; returns its exit status.
    """

    def __init__(self, workers: int, work: Callable[[Place], int]) -> None:
        self._work = work
        self._board = Blackboard(workers)
        self._reading, self._writing = os.pipe()
        self._running: dict[int, int] = {}
        self._began = [0.0] * workers
        self._pauses = [Backoff(0.2, 30.0) for _ in range(workers)]
        self._stopping = False

    def run(self) -> int:
        """Until SIGTERM or SIGINT; the exit status.

        One that is to begin again ends the others in good order. So does one that ends with an error before it was up
        (it writes on the blackboard then): another one would fare no better.
        """
        with contextlib.ExitStack() as stack:
            for one in (signal.SIGTERM, signal.SIGINT):
                stack.callback(signal.signal, one, signal.signal(one, self._stop))
            stack.callback(signal.signal, signal.SIGHUP, signal.signal(signal.SIGHUP, self._pass_on))
            stack.callback(os.close, self._reading)
            stack.callback(os.close, self._writing)
            for number in range(self._board.workers):
                self._start(number)
            while self._running:
                pid, status = os.wait()
                if pid not in self._running:
                    continue  # the first process of a container also buries what others left behind
                number = self._running.pop(pid)
                code = os.waitstatus_to_exitcode(status)
                if self._stopping:
                    continue
                if code == BEGIN_AGAIN or (code > 0 and not self._board.read(number)):
                    self._end_all()
                    return code
                self._replace(number, code)
        return 0

    def pause_after(self, number: int, *, lived: float) -> float:
        """Seconds until a worker that ended after so many is replaced."""
        if lived >= STEADY_SECONDS:
            self._pauses[number].reset()
        return self._pauses[number].next()

    def _start(self, number: int) -> None:
        # A signal that comes while it forks waits: the child must not take it for its parent, and forget it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                self._be_worker(number, before)
            self._running[pid] = number
            self._began[number] = time.monotonic()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if self._stopping:
            self._tell(signal.SIGTERM)

    def _be_worker(self, number: int, mask: set[signal.Signals | int]) -> NoReturn:
        status = 1
        try:
            os.close(self._writing)
            for one in (signal.SIGTERM, signal.SIGINT):
                signal.signal(one, signal.SIG_DFL)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until its own handler is there
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            status = self._work(Place(number, self._board, self._reading))
        except Exception:
            log.exception("worker %d failed", number + 1)
        finally:
            logging.shutdown()
            os._exit(status)

    def _replace(self, number: int, code: int) -> None:
        pause = self.pause_after(number, lived=time.monotonic() - self._began[number])
        log.error("worker %d has ended with status %d; another one starts in %.1f s", number + 1, code, pause)
        end = time.monotonic() + pause
        while not self._stopping and time.monotonic() < end:
            time.sleep(0.1)
        if not self._stopping:
            self._start(number)

    def _stop(self, _number: int, _frame: object) -> None:
        self._stopping = True
        self._tell(signal.SIGTERM)

    def _pass_on(self, number: int, _frame: object) -> None:
        self._tell(number)

    def _tell(self, number: int) -> None:
        for pid in tuple(self._running):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _end_all(self) -> None:
        self._tell(signal.SIGTERM)
        end = time.monotonic() + GRACE_SECONDS
        while self._running and time.monotonic() < end:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            self._running.pop(pid, None)  # its status says nothing new
            if not pid:
                time.sleep(0.02)
        self._tell(signal.SIGKILL)


def added(numbers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Sums of what several workers say: numbers, and numbers by name."""
    total: dict[str, Any] = {}
    for one in numbers:
        for name, value in one.items():
            if isinstance(value, dict):
                by_name = total.setdefault(name, {})
                for key, number in value.items():
                    by_name[key] = by_name.get(key, 0) + number
            else:
                total[name] = total.get(name, 0) + value
    return total

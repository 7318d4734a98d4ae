"""Strays: processes that a module started, that left its group, and whose parents have died.

The zygote is a subreaper (prctl(2)), so a run's strays become its children, and it kills them. When the zygote itself
dies, and where a persistent module leaves some behind, they become the agent's, which is a subreaper too.

A stray is told from what the agent started by its session: every module's process is in a session of its own, and no
process can join a session that is there already.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

from mig_core.agent.operations.confinement import become_subreaper, children

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)

_PAUSE = 0.01


class Strays:
    """Knows which children are no strays. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted: set[int] = set()
        """Sessions of processes that were started here and are still wanted."""
        self._possible = False

    def adopt(self) -> None:
        """From now on strays come to this process; what are its children already are none.

        Not for process 1 of a container: it is given orphans that are nobody's business here.
        """
        if os.getpid() == 1:
            return
        self._wanted |= {os.getsid(0), *map(_session_of, children())}
        self._possible = become_subreaper()

    @contextlib.contextmanager
    def starting(self) -> Iterator[set[int]]:
        """For the time in which a process with a session of its own is started: add its id to what this gives."""
        with self._lock:
            yield self._wanted

    def forget(self, process: int) -> None:
        """A process that was started with a session of its own has ended: what is left in that session is a stray."""
        with self._lock:
            self._wanted.discard(process)

    def end(self, seconds: float = 0.0) -> None:
        """Kills those there are, and for so long those that come because of it."""
        end = time.monotonic() + seconds
        while self._possible and self._end_some() and time.monotonic() < end:
            time.sleep(_PAUSE)

    def _end_some(self) -> int:
        with self._lock:
            found = [child for child in children() if _session_of(child) not in self._wanted]
            for child in found:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(child, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    if os.waitpid(child, os.WNOHANG)[0]:
                        log.info("process %d, which a module left behind, was ended", child)
        return len(found)


def _session_of(process: int) -> int:
    """A process's session; of one that is gone already, this process's own, so that it is left alone."""
    try:
        return os.getsid(process)
    except ProcessLookupError:
        return os.getsid(0)

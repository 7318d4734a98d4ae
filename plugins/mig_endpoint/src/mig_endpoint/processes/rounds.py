"""Everybody, and then whoever is new: a walk of seconds or minutes must not miss what starts, or becomes another
program by exec, behind its back.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from mig_endpoint.processes import reasons

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.plugin.coverage import Tally
    from mig_endpoint.processes.proc import Proc
    from mig_endpoint.processes.process import Process

MOST = 5
"""Rounds, the first included. Each later one is about the few processes that are new since the one before."""


class Rounds:
    """Which processes to look at, round by round::

        for ids in rounds:
            for pid in ids:
                visit(proc, pid, tally, rounds.note, look)

    Args:
        proc: /proc.
        tally: books who was still changing after the last round.
        leave_out: ids that are never looked at.
    """

    def __init__(self, proc: Proc, tally: Tally, leave_out: frozenset[int] = frozenset()) -> None:
        self._proc = proc
        self._tally = tally
        self._leave_out = leave_out
        self._noted: dict[int, tuple[int | str, ...]] = {}
        self._changes = Counter[int]()

    def note(self, process: Process) -> None:
        """To be called before anything is asked of a process that is looked at. By any thread."""
        self._noted[process.pid] = process.incarnation()

    def was_counted(self, process: Process) -> bool:
        """Whether this is the same process as in a round before, whatever program it has become."""
        return self._changes[process.pid] > 0

    def __iter__(self) -> Iterator[list[int]]:
        ids = [pid for pid in self._proc.ids() if pid not in self._leave_out]
        for _ in range(MOST - 1):
            yield ids
            ids = self._different()
            if not ids:
                return
        yield ids
        for pid in self._different():
            restless = self._changes[pid] >= MOST - 1
            self._tally.skip(reasons.RESTLESS if restless else reasons.STARTED, f"process {pid}")

    def _different(self) -> list[int]:
        found = []
        for pid in self._proc.ids():
            if pid in self._leave_out:
                continue
            before, now = self._noted.get(pid), self._look(pid)
            if now is None or now == before:
                continue
            is_same = before is not None and before[0] == now[0]
            self._changes[pid] = self._changes[pid] + 1 if is_same else 0
            found.append(pid)
        return found

    def _look(self, pid: int) -> tuple[int | str, ...] | None:
        """What a process is now; None for one that has ended or is booked already."""
        if self._proc.is_hidden(pid):
            hidden = ("hidden",)
            return hidden if self._noted.setdefault(pid, hidden) != hidden else None
        try:
            return self._proc.process(pid).peek()
        except OSError:
            return None

"""Decides about processes: which of them pass which searches.

Between ``module``, which wants rows, and ``mig_endpoint.processes`` and ``scan``, which look. Processes are independent
of each other, so several may be looked at in parallel; what was found is put together in the order of their ids.
"""

from __future__ import annotations

import os
import threading
from functools import partial
from typing import TYPE_CHECKING

from mig_core.plugin.coverage import Tally
from mig_core.records import dataclass, field
from mig_endpoint.processes import mappings
from mig_endpoint.processes import reasons as process_reasons
from mig_endpoint.processes.askers import find_askers, own_id
from mig_endpoint.processes.executable import name_of
from mig_endpoint.processes.origins import Origins
from mig_endpoint.processes.rounds import Rounds
from mig_endpoint.processes.scan import Scan
from mig_endpoint.processes.visit import visit
from mig_memory import facts, patterns, reasons
from mig_memory.search import IN_MEMORY, Check, CheckKind
from mig_memory.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mig_core.domain.document import JSON
    from mig_endpoint.processes.askers import Askers
    from mig_endpoint.processes.executable import Name
    from mig_endpoint.processes.plan import Extent
    from mig_endpoint.processes.proc import Proc
    from mig_endpoint.processes.process import Process
    from mig_memory.search import Search

MAX_ROWS = 20_000
_Passed = tuple["Extent | None", Check]
"""A check that a process has passed; in which part of its memory, for checks of memory."""


@dataclass(slots=True)
class Slot:
    """A row, or several: a whole search with ``matchall``, else one check of it."""

    search: Search
    check: Check | None
    hits: list[dict[str, JSON]] = field(default_factory=list)
    """Descriptions of the processes that were found."""


@dataclass(slots=True)
class _Verdict:
    """What looking at one process gave."""

    tally: Tally = field(default_factory=Tally)
    slots: list[int] = field(default_factory=list)
    described: dict[str, JSON] = field(default_factory=dict)
    again: bool = False
    """Whether the process was looked at before, as another program."""


class Evaluation:
    """The searches of one run, and what they have found so far. To be closed.

    Args:
        searches: what is asked.
        proc: where processes are.
        tally: for what was looked at, and what was not.
        remaining: seconds until the deadline.
        max_rows: how many rows are kept.
    """

    def __init__(
        self,
        searches: Sequence[Search],
        proc: Proc,
        tally: Tally,
        remaining: Callable[[], float],
        *,
        max_rows: int = MAX_ROWS,
    ) -> None:
        self.tally = tally
        self.hits = 0
        self._proc = proc
        self._origins = Origins(remaining)
        self.slots = [
            Slot(search, check) for search in searches for check in ([None] if search.matchall else search.checks)
        ]
        self._searches = [one for one in searches if one.checks]
        self._remaining = remaining
        self._max_rows = max_rows
        self._needs_libraries = any(one.of(CheckKind.LIBRARY) for one in self._searches)
        self._log_failures = any(one.logfailures for one in searches)
        wanted = dict.fromkeys(check for one in self._searches for check in one.checks)
        self._paths = {
            check: patterns.for_paths(check.text)
            for check in wanted
            if check.kind in (CheckKind.NAME, CheckKind.LIBRARY)
        }
        in_memory = [check for check in wanted if check.kind in IN_MEMORY]
        self._index = {check: index for index, check in enumerate(in_memory)}
        memory = patterns.memory_for_each(len(in_memory) + sum(check.wide for check in in_memory))
        self._battery = patterns.Battery([_pattern(check, memory) for check in in_memory])
        self._thread = threading.local()
        for kind in ("processes", "bytes"):
            tally.examined(kind, 0)

    def close(self) -> None:
        """Lets go of what did not answer."""
        self._origins.close()

    def _expired(self) -> bool:
        return self._remaining() <= 0

    def look_at_all(self, threads: int = 1) -> Iterator[None]:
        """Looks at every process, then at those that are new or have become another; yields after each of them."""
        rounds = Rounds(self._proc, self.tally, frozenset({own_id()}))
        for ids in rounds:
            examine = partial(self._examine, askers=find_askers(ids), rounds=rounds)
            yield from self._look_at(ids, examine, threads)

    def _look_at(self, pids: Sequence[int], examine: Callable[[int], _Verdict], threads: int) -> Iterator[None]:

        if threads > 1 and len(self._battery.patterns) > 0:
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(threads) as pool:
                for verdict in pool.map(examine, pids):
                    self._take(verdict)
                    yield
        else:
            for pid in pids:
                self._take(examine(pid))
                yield

    def _take(self, verdict: _Verdict) -> None:
        self.tally.add(verdict.tally)
        for index in verdict.slots:
            hits = self.slots[index].hits
            if verdict.again and verdict.described in hits:
                continue
            self.hits += 1
            if self.hits <= self._max_rows:
                hits.append(verdict.described)
            else:
                self.tally.skip(reasons.FULL)

    def _examine(self, pid: int, askers: Askers, rounds: Rounds) -> _Verdict:
        verdict = _Verdict()
        if not self._searches:
            return verdict
        if self._expired():
            verdict.tally.skip(reasons.TIME, f"process {pid}")
            return verdict

        def judge(process: Process) -> None:
            verdict.again = rounds.was_counted(process)
            self._judge(process, verdict, asks=pid in askers.others)

        visit(self._proc, pid, verdict.tally, rounds.note, judge)
        return verdict

    def _judge(self, process: Process, verdict: _Verdict, *, asks: bool) -> None:
        if not process.has_memory():
            return
        name = name_of(process)
        passed = self._by_path(process, name)
        by_extent = self._to_look_for(passed)
        if by_extent and asks:
            verdict.tally.skip(reasons.ASKER, f"process {process.pid} {facts.printable(name.shown)}")
        elif by_extent:
            passed |= self._in_memory(process, by_extent, verdict.tally)
        if not verdict.again:
            verdict.tally.examined("processes")
        verdict.slots = [index for index, slot in enumerate(self.slots) if _is_hit(slot, passed)]
        verdict.described = facts.describe(process, name) if verdict.slots else {}

    def _by_path(self, process: Process, name: Name) -> set[_Passed]:
        """Which name and library checks a process passes."""
        names = {facts.printable(name.shown), facts.printable(name.path)}
        files: list[str] = []
        if self._needs_libraries:
            executable = os.fsencode(process.executable.link)
            files = [os.fsdecode(one) for one in mappings.libraries(process.mappings, executable)]
        subjects = {CheckKind.NAME: names, CheckKind.LIBRARY: [facts.printable(one) for one in files]}
        return {
            (None, check)
            for check, matches in self._paths.items()
            if any(matches(subject) for subject in subjects[check.kind])
        }

    def _to_look_for(self, passed: set[_Passed]) -> dict[Extent, list[Search]]:
        """The searches that need this process's memory, by the extent they look at."""
        needed: dict[Extent, list[Search]] = {}
        for search in self._searches:
            if not search.of(*IN_MEMORY):
                continue
            if search.matchall and not passed.issuperset(_needed(search, CheckKind.NAME, CheckKind.LIBRARY)):
                continue
            needed.setdefault(search.extent, []).append(search)
        return needed

    def _in_memory(self, process: Process, by_extent: dict[Extent, list[Search]], tally: Tally) -> set[_Passed]:
        """Which content and byte checks a process passes, extent by extent."""
        try:
            scan = Scan(process, self._origins, self._window(), self._expired)
        except PermissionError:
            tally.failed(self._proc.denied, f"process {process.pid}", "permission denied")
            return set()
        passed: set[_Passed] = set()
        try:
            for extent, searches in by_extent.items():
                checks = {self._index[check]: check for search in searches for check in search.of(*IN_MEMORY)}
                missing = set(checks)
                scan.search(extent, missing)
                passed |= {(extent, check) for index, check in checks.items() if index not in missing}
        finally:
            scan.close()
            self._book(process, scan, tally)
        return passed

    def _book(self, process: Process, scan: Scan, tally: Tally) -> None:
        seen, example = scan.seen, f"process {process.pid}"
        tally.examined("bytes", seen.bytes)
        if seen.expired:
            tally.skip(reasons.TIME, example)
        if seen.ended:
            tally.skip(process_reasons.ENDED, example)
        if seen.devices:
            tally.skip(process_reasons.DEVICE, example, count=seen.devices)
        for reason, count in seen.left.items():
            tally.skip(reason, example, count=-(-count >> 10))
        for start, end in seen.unreadable:
            where = f"{example}: {start:#x} to {end:#x}"
            tally.skip(process_reasons.UNREADABLE, where)
            if self._log_failures:
                tally.error(f"Could not read memory of {where}")

    def _window(self) -> Window:
        """A window for each thread."""
        window: Window | None = getattr(self._thread, "window", None)
        if window is None:
            window = self._thread.window = Window(self._battery)
        return window


def _needed(search: Search, *kinds: CheckKind) -> Iterator[_Passed]:
    for check in search.of(*kinds):
        yield (search.extent if check.kind in IN_MEMORY else None, check)


def _is_hit(slot: Slot, passed: set[_Passed]) -> bool:
    if slot.check is None:
        return bool(slot.search.checks) and passed.issuperset(_needed(slot.search, *CheckKind))
    return (slot.search.extent if slot.check.kind in IN_MEMORY else None, slot.check) in passed


def _pattern(check: Check, memory: int) -> patterns.Pattern:
    if check.kind is CheckKind.BYTES:
        return patterns.for_bytes(bytes.fromhex(check.text), memory=memory)
    return patterns.for_contents(check.text, memory=memory, wide=check.wide)

"""Runs files through the slots of all searches that look at them: names first, then metadata, then content.

One open and one read of a file serve every search. The visitor of ``walk``; ``module`` drives both.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from mig_endpoint import coverage
from mig_endpoint.files.interruptions import DeadlinePassed
from mig_endpoint.files.naming import join
from mig_endpoint.files.opening import is_file, open_file
from mig_file import reasons
from mig_file.bundle import LARGE, Bundle
from mig_file.content import Questions
from mig_file.names import NameBatch
from mig_file.openfile import OpenFile
from mig_file.plans import Plans, SearchRun
from mig_file.reader import Reader
from mig_file.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mig_core.plugin.coverage import Reason, Tally
    from mig_endpoint.files.naming import PathText
    from mig_endpoint.files.opening import Status
    from mig_endpoint.files.walk import Batch
    from mig_file.bundle import Known
    from mig_file.checks import Slot
    from mig_file.plans import Pair, Plan
    from mig_file.reader import Reading
    from mig_file.search import Search

MAX_ANSWER_BYTES = 24 << 20
"""About how large the rows may become as JSON: what the platform accepts, with room for the rest."""
FILES_BETWEEN_LOOKS_AT_THE_CLOCK = 16


class Evaluation:
    """All searches of a run."""

    def __init__(
        self,
        searches: Sequence[Search],
        tally: Tally,
        expired: Callable[[], bool],
        now: int,
        *,
        processes: int = 1,
        large: int = LARGE,
    ) -> None:
        """Makes them ready.

        Args:
            processes: how many may read files at once, this one included.
            large: from how many bytes on a file is one process's work for a while; for tests.
            expired: whether time is over; asked for every file looked at.
            now: what ages are counted from, in nanoseconds since 1970.
        """
        self.runs = [SearchRun(one) for one in searches]
        self._active: list[SearchRun] = []
        self._open_to = 0
        """How deep a search that wants more goes."""
        self._tally = tally
        self._expired = expired
        self._now = now
        questions = Questions(question for run in self.runs for slot in run.slots for question in slot.questions)
        self._reader = Reader(questions, self._expired_after_progress)
        self._plans = Plans(self.runs)
        self._any_full = False
        self._workers: Workers | None = None
        if processes > 1 and hasattr(os, "fork"):
            self._workers = Workers(processes, questions, expired, self._plans.group_of)
        self._bundle = Bundle(large=large)
        self._known: Known | None = None
        """What was read ahead of the batch at hand; None when nothing was."""
        self._out_of_time = False
        self._room = MAX_ANSWER_BYTES
        self.files = 0
        """Evaluations, as the original counts them (``filescount``): a file below two paths counts twice."""
        self._unexamined = 0
        """Files in ``files`` that were counted and not looked at, because a limit was reached."""
        self.on_progress: Callable[[], None] | None = None
        """Called now and then."""

    def focus(self, searches: Iterable[Search]) -> None:
        """Says which searches the next walk is for."""
        wanted = set(map(id, searches))
        self._active = [run for run in self.runs if id(run.search) in wanted]
        self._note_depth()

    def _note_depth(self) -> None:
        self._open_to = max((run.maxdepth for run in self._active if not run.is_full), default=0)

    @property
    def bytes_read(self) -> int:
        """Bytes of content read from disk so far."""
        return self._reader.bytes + (self._workers.bytes_read if self._workers is not None else 0)

    @property
    def examined(self) -> int:
        """Files that were looked at so far."""
        return self.files - self._unexamined

    def close(self) -> None:
        """Ends other processes, if there are any."""
        if self._workers is not None:
            self._workers.close()

    def stopped(self) -> bool:
        """Whether the whole run is over; looks at the clock."""
        if self._expired_after_progress() and not self._out_of_time:
            self._out_of_time = True
            self._tally.skip(coverage.TIME, count=0)
        return self._out_of_time or self._room <= 0

    def why_not(self, depth: int) -> Reason | None:
        """Why not to go on at this depth; None: go."""
        if self._out_of_time or self._room <= 0:
            return coverage.TIME if self._out_of_time else coverage.FULL
        if depth <= self._open_to:
            return None
        return coverage.LIMIT if any(depth <= run.maxdepth for run in self._active) else reasons.DEPTH

    def visit(self, batch: Batch) -> None:
        """Looks at some files of a directory."""
        self.files += len(batch.names)
        names = NameBatch(batch.names)
        everywhere: list[Pair] = []
        chosen: list[tuple[Pair, list[str]]] = []
        for run in self._active:
            if batch.depth > run.maxdepth:
                continue
            if run.is_full:
                self._tally.skip(coverage.LIMIT, batch.path_of(""), count=len(batch.names))
                continue
            for slot in run.slots:
                if slot.names:
                    if candidates := _candidates(slot, names):
                        chosen.append(((run, slot), candidates))
                elif not slot.is_empty:
                    everywhere.append((run, slot))
        if everywhere or chosen:
            plans = self._plans.of_batch(everywhere, chosen)
            # in the directory's order, whichever search a file is for
            if everywhere:
                order = batch.names
            elif len(chosen) == 1:
                order = chosen[0][1]
            else:
                order = [name for name in batch.names if name in plans]
            if self._workers is not None and batch.regular and plans.may_read_ahead:
                try:
                    self._bundle.add(batch, order, plans)
                except OSError:  # too many open files; this one is looked at now
                    pass
                else:
                    if self._bundle.is_full():
                        self.catch_up()
                    return
            self.catch_up()
            self._look_at_all(batch, order, plans)
        elif all(run.is_full for run in self._active):
            self._unexamined += len(batch.names)

    def catch_up(self) -> None:
        """Looks at what was collected to be read ahead; to be called after each walk."""
        if not self._bundle or self._workers is None:
            return
        for (batch, order, plans), known in self._bundle.read(self._workers, self._expired_after_progress):
            self._known = known
            if self._out_of_time:
                self._stop_for_time(batch.path_of(""), len(order))
            elif self._room <= 0:
                self._tally.skip(coverage.FULL, batch.path_of(""), count=len(order))
            else:
                if not self._any_full and not any(isinstance(one, DeadlinePassed) for one in known.values()):
                    # the others were looked at, and there is nothing to say of them
                    order = [name for name in order if name in known or name in batch.links]
                self._look_at_all(batch, order, plans)
        self._known = None

    def _expired_after_progress(self) -> bool:
        if self.on_progress is not None:
            self.on_progress()
        return self._expired()

    def _look_at_all(self, batch: Batch, order: list[str], plans: Mapping[str, Plan]) -> None:
        for place, name in enumerate(order):
            plan = plans[name]
            if self._any_full:
                plan = self._without_full(plan, batch, name)
                if not plan.pairs:
                    continue
            try:
                self._look_at(batch, name, plan)
            except DeadlinePassed:
                self._stop_for_time(batch.path_of(name), len(order) - place)
                return
            except OSError as failure:  # it went away, or was made unreadable, since it was listed
                coverage.failed(self._tally, batch.path_of(name), failure)
            look_at_clock = self._known is None and place % FILES_BETWEEN_LOOKS_AT_THE_CLOCK == 0
            if look_at_clock and self._expired_after_progress():  # what is known was read in time
                self._stop_for_time(batch.path_of(name), len(order) - place - 1)
                return
            if self._room <= 0:
                self._tally.skip(coverage.FULL, batch.path_of(name), count=len(order) - place)
                return

    def _without_full(self, plan: Plan, batch: Batch, name: str) -> Plan:
        """The plan without searches that have as many matches as they want."""
        left = tuple(pair for pair in plan.pairs if not pair[0].is_full)
        if len(left) < len(plan.pairs):
            self._tally.skip(coverage.LIMIT, batch.path_of(name))
        return self._plans.of(left)

    def _stop_for_time(self, path: PathText, unexamined: int) -> None:
        self._out_of_time = True
        self._unexamined += unexamined
        self._tally.skip(coverage.TIME, path, count=unexamined)

    def _look_at(self, batch: Batch, name: str, plan: Plan) -> None:
        status: os.stat_result | None = None
        if plan.has_metadata:
            status = batch.status(name)
            passing = tuple(pair for pair in plan.pairs if pair[1].passes_metadata(status, self._now))
            if not passing:
                return
            if len(passing) < len(plan.pairs):
                plan = self._plans.of(passing)
        if plan.opens and batch.regular:
            self._look_inside(batch, name, plan)
            return
        if plan.opens:
            self._tally.skip(reasons.NOT_READ, batch.path_of(name))
        if plan.ready:
            status = status or batch.status(name)
            for pair in plan.ready:
                self._record(pair, batch, name, status, "")

    def _look_inside(self, batch: Batch, name: str, plan: Plan) -> None:
        if self._known is not None and name not in batch.links:
            known = self._known.get(name)
            if isinstance(known, Exception):
                raise known
            if known is not None:
                self._conclude(batch, name, plan, *known, -1)
            return
        try:
            fd = open_file(name, batch.fd, follow=name in batch.links)
        except OSError as failure:
            coverage.failed(self._tally, batch.path_of(name), failure)
            for pair in plan.ready:  # they lack only the SHA-256
                self._record(pair, batch, name, batch.status(name), "")
            return
        try:
            status = os.fstat(fd)
            first = None
            if plan.is_plain and is_file(status):
                group = plan.groups[0]
                first = self._reader.read(fd, status.st_size, group.questions, group.algorithms)
                if group.is_moot(first):
                    return
            self._conclude(batch, name, plan, status, first, fd)
        finally:
            os.close(fd)

    def _conclude(
        self, batch: Batch, name: str, plan: Plan, status: os.stat_result | Status, first: Reading | None, fd: int
    ) -> None:
        """Judges an open file by its content. ``first`` is its first reading, if it has been read."""
        path = batch.path_of(name)
        if not is_file(status):
            self._tally.skip(coverage.ENDLESS if stat.S_ISREG(status.st_mode) else coverage.CHANGED, path)
            return
        content = OpenFile(fd, status.st_size, path, self._reader, self._tally)
        right = content.judge(plan.groups, first)
        if not right and not plan.ready:
            return
        for pair in plan.pairs:
            if not pair[1].reading or pair[1] in right:
                self._record(pair, batch, name, status, content.sha256(pair[1]))

    def _record(self, pair: Pair, batch: Batch, name: str, status: os.stat_result | Status, sha256: str) -> None:
        run, slot = pair
        native = join(batch.path, name)
        if slot.seen is not None:
            if native in slot.seen:
                return
            slot.seen.add(native)
        if run.is_full:
            self._tally.skip(coverage.LIMIT, batch.path_of(name))
            return
        run.matches += 1
        if run.matches >= run.limit:
            self._any_full = True
            self._note_depth()
        slot.hits.add(native, status, sha256)
        self._room -= slot.row_bytes + len(native)


def _candidates(slot: Slot, names: NameBatch) -> list[str]:
    """The names that pass the slot's name checks, in their order."""
    candidates = names.names
    for check in slot.names:
        matching = names.matching(check.pattern)
        if check.negated:
            candidates = [name for name in candidates if name not in matching]
        elif not matching:
            return []
        else:
            candidates = [name for name in candidates if name in matching]
    return candidates

"""Runs entries through the slots of all searches that look at them: names first, then metadata, then content.

The visitor of the walk; ``module`` drives both. Names are judged here, a directory's at once; ``inspection`` looks at
files, ``entries`` at everything else, ``answer`` takes in what passed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mig_endpoint import coverage
from mig_endpoint.files.interruptions import DeadlinePassed
from mig_endpoint.finding import reasons
from mig_endpoint.finding.answer import Answer
from mig_endpoint.finding.bundle import LARGE, Bundle
from mig_endpoint.finding.content import Questions
from mig_endpoint.finding.entries import Entries
from mig_endpoint.finding.inspection import Inspection
from mig_endpoint.finding.names import NameBatch
from mig_endpoint.finding.plans import Plans, SearchRun
from mig_endpoint.finding.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mig_core.plugin.coverage import Reason, Tally
    from mig_endpoint.files.batch import Batch
    from mig_endpoint.finding.answer import Keep
    from mig_endpoint.finding.archives import Archives
    from mig_endpoint.finding.plans import Choice, Chosen, Pair
    from mig_endpoint.finding.search import Search
    from mig_endpoint.finding.workers import Workers


class Evaluation:
    """All searches of a run."""

    def __init__(
        self,
        searches: Sequence[Search],
        tally: Tally,
        expired: Callable[[], bool],
        now: int,
        keep: Keep,
        *,
        processes: int = 1,
        large: int = LARGE,
        members_with_content: bool = False,
    ) -> None:
        """Makes them ready.

        Args:
            searches: what is asked.
            tally: where what is left out is booked.
            expired: whether time is over; asked for every file looked at.
            now: what ages are counted from, in nanoseconds since 1970.
            keep: what becomes of entries that pass.
            processes: how many may read files at once, this one included.
            members_with_content: whether ``keep`` wants the content of members of archives.
            large: from how many bytes on a file is one process's work for a while; for tests.
        """
        self.runs = [SearchRun(one) for one in searches]
        self._active: list[SearchRun] = []
        self._tally = tally
        self._expired = expired
        questions = Questions(question for run in self.runs for slot in run.slots for question in slot.questions)
        self._reader = Reader(questions, self._expired_after_progress)
        self._plans = Plans(self.runs)
        self._answer = Answer(tally, keep)
        self._inspection = Inspection(self._plans, self._reader, self._answer, tally, self._expired_after_progress, now)
        self._entries = Entries(self._answer, tally, now, self.catch_up)
        # What only some runs need is imported by these: a module's start is part of every answer.
        self._archives: Archives | None = None
        if any(slot.may_ask_members for run in self.runs for slot in run.slots):
            from mig_endpoint.finding.archives import Archives

            self._archives = Archives(
                self._answer,
                tally,
                self._expired_after_progress,
                now,
                self.catch_up,
                with_content=members_with_content,
            )
        self._workers: Workers | None = None
        if processes > 1 and hasattr(os, "fork"):
            from mig_endpoint.finding.workers import Workers

            self._workers = Workers(processes, questions, expired, self._plans.group_of)
        self._bundle = Bundle(large=large)
        self._into_archives: list[Pair] = []
        """Slots that ask for members of archives."""
        self.wants_others = False
        """Whether entries that are no regular files are asked for, or have to be said."""
        self.files = 0
        """Evaluations, as the original counts them (``filescount``): a file below two paths counts twice."""
        self.on_progress: Callable[[], None] | None = None
        """Called now and then."""

    def focus(self, searches: Iterable[Search]) -> None:
        """Says which searches the next walk is for."""
        wanted = set(map(id, searches))
        self._active = [run for run in self.runs if id(run.search) in wanted]
        self._into_archives = [(run, slot) for run in self._active for slot in run.slots if slot.may_ask_members]
        self.wants_others = any(slot.may_ask or slot.says for run in self._active for slot in run.slots)
        self._answer.focus(self._active)

    @property
    def bytes_read(self) -> int:
        """Bytes of content read from disk so far."""
        return self._reader.bytes + (self._workers.bytes_read if self._workers is not None else 0)

    @property
    def examined(self) -> int:
        """Files that were looked at so far."""
        return self.files - self._inspection.unexamined

    def close(self) -> None:
        """Ends other processes, if there are any."""
        if self._workers is not None:
            self._workers.close()

    def stopped(self) -> bool:
        """Whether the whole run is over; looks at the clock."""
        if self._expired_after_progress() and not self._inspection.out_of_time:
            self._inspection.out_of_time = True
            self._tally.skip(coverage.TIME, count=0)
        return self._inspection.out_of_time or self._answer.is_full

    def why_not(self, depth: int) -> Reason | None:
        """Why not to go on at this depth; None: go."""
        if self._inspection.out_of_time:
            return coverage.TIME
        if self._answer.is_full:
            return coverage.FULL
        if depth <= self._answer.open_to:
            return None
        return coverage.LIMIT if any(depth <= run.maxdepth for run in self._active) else reasons.DEPTH

    def visit(self, batch: Batch) -> None:
        """Looks at some entries of a directory."""
        self.files += len(batch.names)
        if batch.named:  # a special file that somebody named counts as one
            self.files += len(batch.specials)
        # 1. who wants which names
        everywhere, chosen, others = self._choose(batch)
        # 2. the files
        if everywhere or chosen:
            self._look_at_files(batch, everywhere, chosen)
        elif batch.names and all(run.is_full for run in self._active):
            self._inspection.unexamined += len(batch.names)
        # 3. everything else
        if others or batch.specials:
            self._entries.look_at(batch, others)
        # 4. what is in archives
        if self._archives is not None and self._into_archives:
            self._look_into_archives(self._archives, batch)

    def _look_into_archives(self, archives: Archives, batch: Batch) -> None:
        pairs = [pair for pair in self._into_archives if batch.depth <= pair[0].maxdepth]
        for place, name in enumerate(batch.names):
            wanting = [pair for pair in pairs if not pair[0].is_full]
            if not wanting:
                if pairs:
                    self._tally.skip(coverage.LIMIT, batch.path_of(name), count=len(batch.names) - place)
                return
            try:
                archives.look_at(batch, name, wanting)
            except DeadlinePassed:
                self._inspection.stop_for_time(batch, name, len(batch.names) - place)
                return
            if self._answer.is_full:
                self._tally.skip(coverage.FULL, batch.path_of(name), count=len(batch.names) - place)
                return

    def _choose(self, batch: Batch) -> Choice:
        """Which slots want all files of a batch, which some, and which want entries that are no files."""
        others = batch.others
        names = NameBatch([*batch.names, *others] if others else batch.names)
        choice: Choice = ([], [], [])
        everywhere, chosen, _ = choice
        for run in self._active:
            if batch.depth > run.maxdepth:
                continue
            if run.is_full:
                self._tally.skip(coverage.LIMIT, batch.path_of(""), count=len(batch.names))
                continue
            for slot in run.slots:
                if slot.is_plain and not others:
                    if not slot.names:
                        everywhere.append((run, slot))
                    elif candidates := slot.candidates(names):
                        chosen.append(((run, slot), candidates))
                elif candidates := slot.candidates(names):
                    _sort(batch, (run, slot), candidates, choice)
        return choice

    def _look_at_files(self, batch: Batch, everywhere: list[Pair], chosen: list[Chosen]) -> None:
        # 1. what is to be done with each; in the directory's order, whichever search it is for
        plans = self._plans.of_batch(everywhere, chosen)
        if everywhere:
            order = batch.names
        elif len(chosen) == 1:
            order = chosen[0][1]
        else:
            order = [name for name in batch.names if name in plans]
        # 2. together with other directories', by several processes
        if self._workers is not None and plans.may_read_ahead and not batch.calls.guarded:
            try:
                self._bundle.add(batch, order, plans)
            except OSError:  # too many open files; this one is looked at now
                pass
            else:
                if self._bundle.is_full():
                    self.catch_up()
                else:
                    self._bundle.offer(self._workers)
                return
        # 3. or now
        self.catch_up()
        self._inspection.look_at_all(batch, order, plans)

    def catch_up(self) -> None:
        """Looks at what was collected to be read ahead; to be called after each walk."""
        if not self._bundle or self._workers is None:
            return
        for (batch, order, plans), known in self._bundle.read(self._workers, self._expired_after_progress):
            if self._inspection.out_of_time:
                self._inspection.stop_for_time(batch, "", len(order))
            elif self._answer.is_full:
                self._tally.skip(coverage.FULL, batch.path_of(""), count=len(order))
            else:
                if not self._answer.any_full and not any(isinstance(one, DeadlinePassed) for one in known.values()):
                    # the others were looked at, and there is nothing to say of them
                    order = [name for name in order if name in known or name in batch.links]
                self._inspection.look_at_all(batch, order, plans, known)

    def _expired_after_progress(self) -> bool:
        if self.on_progress is not None:
            self.on_progress()
        return self._expired()


def _sort(batch: Batch, pair: Pair, candidates: list[str], choice: Choice) -> None:
    """Puts the names that a slot wants with the files or with the other entries; there may be links among them."""
    everywhere, chosen, others = choice
    slot = pair[1]
    if not slot.is_empty and (slot.may_ask or slot.says or batch.named):
        wanted = [name for name in candidates if name in batch.others or (slot.own_links and name in batch.links)]
        if wanted:
            others.append((pair, wanted))
    if not slot.files or slot.is_empty:
        return
    if batch.others:
        candidates = [name for name in candidates if name not in batch.others]
    if batch.links and not slot.file_links:
        candidates = [name for name in candidates if name not in batch.links]
    elif not slot.names and candidates:
        everywhere.append(pair)
        return
    if candidates:
        chosen.append((pair, candidates))

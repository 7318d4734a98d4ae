"""Runs files through the slots of all searches that look at them: names first, then metadata, then content.

One open and one read of a file serve every search. The visitor of ``walk``; ``module`` drives both.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from mig_file import rows
from mig_file import tally as reasons
from mig_file.ahead import LARGE, ReadAhead
from mig_file.checks import slots_of
from mig_file.content import Questions
from mig_file.interruptions import DeadlinePassed
from mig_file.names import NameBatch
from mig_file.naming import join
from mig_file.openfile import OpenFile, groups_of
from mig_file.reader import ENDLESS_SIZE, NOTHING_FOUND, Reader, open_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mig_file.checks import Slot
    from mig_file.naming import PathText
    from mig_file.reader import Reading
    from mig_file.search import Search
    from mig_file.tally import Tally
    from mig_file.walk import Batch

MAX_ANSWER_BYTES = 24 << 20
"""About how large the rows may become as JSON: what the platform accepts, with room for the rest."""
FILES_BETWEEN_LOOKS_AT_THE_CLOCK = 16
MAX_PLANS = 500
"""How many plans are kept; each is for one combination of slots."""


class SearchRun:
    """A search with its slots and how far it has come."""

    __slots__ = ("limit", "matches", "maxdepth", "search", "slots")

    def __init__(self, search: Search) -> None:
        """Compiles its filters."""
        self.search = search
        self.slots = slots_of(search)
        for slot in self.slots:
            slot.row_bytes = rows.row_bytes(slot)
        self.maxdepth = search.options.maxdepth or (1 << 62)
        self.limit = search.options.matchlimit or (1 << 62)
        self.matches = 0

    @property
    def is_full(self) -> bool:
        """Whether it has as many matches as it wants."""
        return self.matches >= self.limit


Pair = tuple[SearchRun, "Slot"]


class Plan:
    """What has to be done with a file for a set of slots; most files of a run share one."""

    __slots__ = ("groups", "has_metadata", "is_plain", "may_read_ahead", "opens", "pairs", "ready")

    def __init__(self, pairs: tuple[Pair, ...]) -> None:
        """Works it out."""
        self.pairs = pairs
        self.has_metadata = any(slot.metadata for _, slot in pairs)
        self.groups = groups_of(slot for _, slot in pairs if slot.reading)
        self.ready = tuple(pair for pair in pairs if not pair[1].reading)
        """Those that need not know the content to match."""
        self.is_plain = len(self.groups) == 1 and not self.groups[0].expand and not self.ready
        returns = any(slot.search.options.returnsha256 for _, slot in pairs)
        self.may_read_ahead = (
            self.is_plain and not self.has_metadata and (not returns or bool(self.groups[0].algorithms))
        )
        """Whether one plain read gives all there is to know, with nothing that might make it unnecessary."""
        self.opens = bool(self.groups) or any(slot.search.options.returnsha256 for _, slot in self.ready)


class Evaluation:
    """All searches of a run."""

    def __init__(
        self,
        searches: Sequence[Search],
        tally: Tally,
        expired: Callable[[], bool],
        now: int,
        *,
        threads: int = 1,
        large: int = LARGE,
    ) -> None:
        """Makes them ready.

        Args:
            threads: how many may read large files at once; with 1 everything happens in the caller's.
            large: from how many bytes on a file is large; for tests.
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
        self._plans: dict[tuple[int, ...], Plan] = {}
        self._any_full = False
        self._ahead = ReadAhead(threads, questions, expired, large=large) if threads > 1 else None
        self._out_of_time = False
        self._room = MAX_ANSWER_BYTES
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
        return self._reader.bytes + (self._ahead.bytes_read if self._ahead is not None else 0)

    def close(self) -> None:
        """Ends the threads, if there are any."""
        if self._ahead is not None:
            self._ahead.close()

    def stopped(self) -> bool:
        """Whether the whole run is over; looks at the clock."""
        if self._expired_after_progress() and not self._out_of_time:
            self._out_of_time = True
            self._tally.skip(reasons.TIME, count=0)
        return self._out_of_time or self._room <= 0

    def why_not(self, depth: int) -> str:
        """Why not to go on at this depth; empty: go."""
        if self._out_of_time or self._room <= 0:
            return reasons.TIME if self._out_of_time else reasons.FULL
        if depth <= self._open_to:
            return ""
        deep = [run for run in self._active if depth <= run.maxdepth]
        if not deep:
            return reasons.DEPTH
        return reasons.LIMIT

    def visit(self, batch: Batch) -> None:
        """Looks at some files of a directory."""
        self._tally.files += len(batch.names)
        names = NameBatch(batch.names)
        everywhere: list[Pair] = []
        chosen: list[tuple[Pair, list[str]]] = []
        for run in self._active:
            if batch.depth > run.maxdepth:
                continue
            if run.is_full:
                self._tally.skip(reasons.LIMIT, batch.path_of(""), count=len(batch.names))
                continue
            for slot in run.slots:
                if slot.names:
                    if candidates := _candidates(slot, names):
                        chosen.append(((run, slot), candidates))
                elif not slot.is_empty:
                    everywhere.append((run, slot))
        if everywhere or chosen:
            plans = self._plans_for(everywhere, chosen)
            # in the directory's order, whichever search a file is for
            if everywhere:
                order = batch.names
            elif len(chosen) == 1:
                order = chosen[0][1]
            else:
                order = [name for name in batch.names if name in plans]
            if self._ahead is not None and batch.regular:
                self._ahead.begin(batch, order, plans)
            try:
                self._look_at_all(batch, order, plans)
            finally:
                if self._ahead is not None:
                    self._ahead.end()
        elif all(run.is_full for run in self._active):
            self._tally.unexamined += len(batch.names)

    def _expired_after_progress(self) -> bool:
        if self.on_progress is not None:
            self.on_progress()
        return self._expired()

    def _plans_for(self, everywhere: list[Pair], chosen: list[tuple[Pair, list[str]]]) -> Mapping[str, Plan]:
        """A plan for each name: some slots want every file, some chose by name."""
        every = tuple(everywhere)
        if len(chosen) == 1 and not every:
            return _Plans(self._plan_for((chosen[0][0],)))
        plans = _Plans(self._plan_for(every))
        wanted: dict[str, list[Pair]] = {}
        for pair, names in chosen:
            for name in names:
                wanted.setdefault(name, []).append(pair)
        plans.update({name: self._plan_for(every + tuple(pairs)) for name, pairs in wanted.items()})
        return plans

    def _plan_for(self, pairs: tuple[Pair, ...]) -> Plan:
        key = tuple([id(slot) for _, slot in pairs])
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            plan = self._plans[key] = Plan(pairs)
        return plan

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
                self._tally.failed(batch.path_of(name), failure)
            if place % FILES_BETWEEN_LOOKS_AT_THE_CLOCK == 0 and self._expired_after_progress():
                self._stop_for_time(batch.path_of(name), len(order) - place - 1)
                return
            if self._room <= 0:
                self._tally.skip(reasons.FULL, batch.path_of(name), count=len(order) - place)
                return

    def _without_full(self, plan: Plan, batch: Batch, name: str) -> Plan:
        """The plan without searches that have as many matches as they want."""
        left = tuple(pair for pair in plan.pairs if not pair[0].is_full)
        if len(left) < len(plan.pairs):
            self._tally.skip(reasons.LIMIT, batch.path_of(name))
        return self._plan_for(left)

    def _stop_for_time(self, path: PathText, unexamined: int) -> None:
        self._out_of_time = True
        self._tally.unexamined += unexamined
        self._tally.skip(reasons.TIME, path, count=unexamined)

    def _look_at(self, batch: Batch, name: str, plan: Plan) -> None:
        status: os.stat_result | None = None
        if plan.has_metadata:
            status = batch.status(name)
            passing = tuple(pair for pair in plan.pairs if pair[1].passes_metadata(status, self._now))
            if not passing:
                return
            if len(passing) < len(plan.pairs):
                plan = self._plan_for(passing)
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
        if self._ahead is not None and plan.may_read_ahead:
            ahead = self._ahead.take(name)
            if ahead is not None:
                self._conclude(batch, name, plan, *ahead, -1)
                return
        try:
            fd = open_file(name, batch.fd, follow=name in batch.links)
        except OSError as failure:
            path = batch.path_of(name)
            self._tally.failed(path, failure)
            for pair in plan.ready:  # they lack only the SHA-256
                self._record(pair, batch, name, batch.status(name), "")
            return
        try:
            status = os.fstat(fd)
            first = None
            if plan.is_plain and _is_file(status):
                group = plan.groups[0]
                first = self._reader.read(fd, status.st_size, group.questions, group.algorithms)
                if first is NOTHING_FOUND and group.fails_on_nothing:  # most files of most runs end here
                    return
            self._conclude(batch, name, plan, status, first, fd)
        finally:
            os.close(fd)

    def _conclude(
        self, batch: Batch, name: str, plan: Plan, status: os.stat_result, first: Reading | None, fd: int
    ) -> None:
        """Judges an open file by its content. ``first`` is its first reading, if it has been read."""
        path = batch.path_of(name)
        if not _is_file(status):
            self._tally.skip(reasons.ENDLESS if stat.S_ISREG(status.st_mode) else reasons.CHANGED, path)
            return
        content = OpenFile(fd, status.st_size, path, self._reader, self._tally)
        right = content.judge(plan.groups, first)
        if not right and not plan.ready:
            return
        for pair in plan.pairs:
            if not pair[1].reading or pair[1] in right:
                self._record(pair, batch, name, status, content.sha256(pair[1]))

    def _record(self, pair: Pair, batch: Batch, name: str, status: os.stat_result, sha256: str) -> None:
        run, slot = pair
        native = join(batch.path, name)
        if slot.seen is not None:
            if native in slot.seen:
                return
            slot.seen.add(native)
        if run.is_full:
            self._tally.skip(reasons.LIMIT, batch.path_of(name))
            return
        run.matches += 1
        if run.matches >= run.limit:
            self._any_full = True
            self._note_depth()
        slot.hits.add(native, status, sha256)
        self._room -= slot.row_bytes + len(native)


class _Plans(dict[str, "Plan"]):
    """Plans by name, and one for every other name."""

    def __init__(self, other: Plan) -> None:
        super().__init__()
        self._other = other

    def __missing__(self, name: str) -> Plan:
        return self._other


def _is_file(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_size < ENDLESS_SIZE


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

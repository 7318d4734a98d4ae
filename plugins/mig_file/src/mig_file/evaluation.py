"""Runs files through the slots of all searches that look at them: names first, then metadata, then content.

One open and one read of a file serve every search. The visitor of ``walk``; ``module`` drives both.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from mig_file import digests, rows
from mig_file import tally as reasons
from mig_file.checks import Hit, slots_of
from mig_file.content import Questions
from mig_file.names import NameBatch
from mig_file.naming import PathText
from mig_file.reader import DeadlinePassed, Reader, Reading, open_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mig_file.checks import Slot
    from mig_file.search import Search
    from mig_file.tally import Tally
    from mig_file.walk import Batch

MAX_ANSWER_BYTES = 24 << 20
"""About how large the rows may become as JSON: what the platform accepts, with room for the rest."""
ENDLESS_SIZE = 1 << 46
"""Regular files said to be larger are no files: /proc/kcore is 128 TiB."""


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


class Evaluation:
    """All searches of a run."""

    def __init__(self, searches: Sequence[Search], tally: Tally, expired: Callable[[], bool], now: int) -> None:
        """Makes them ready.

        Args:
            expired: whether time is over; asked for every file looked at.
            now: what ages are counted from, in nanoseconds since 1970.
        """
        self.runs = [SearchRun(one) for one in searches]
        self._active: list[SearchRun] = []
        self._tally = tally
        self._expired = expired
        self._now = now
        questions = Questions(question for run in self.runs for slot in run.slots for question in slot.questions)
        self._reader = Reader(questions, expired)
        self._out_of_time = False
        self._room = MAX_ANSWER_BYTES
        self.on_progress: Callable[[], None] | None = None
        """Called now and then, between directories."""

    def focus(self, searches: Iterable[Search]) -> None:
        """Says which searches the next walk is for."""
        wanted = set(map(id, searches))
        self._active = [run for run in self.runs if id(run.search) in wanted]

    @property
    def bytes_read(self) -> int:
        """Bytes of content read from disk so far."""
        return self._reader.bytes

    def stopped(self) -> bool:
        """Whether the whole run is over."""
        return self._out_of_time or self._room <= 0

    def why_not(self, depth: int) -> str:
        """Why not to go on at this depth; empty: go."""
        if self._out_of_time or self._room <= 0:
            return reasons.TIME if self._out_of_time else reasons.FULL
        deep = [run for run in self._active if depth <= run.maxdepth]
        if not deep:
            return reasons.DEPTH
        return "" if any(not run.is_full for run in deep) else reasons.LIMIT

    def visit(self, batch: Batch) -> None:
        """Looks at some files of a directory."""
        self._tally.files += len(batch.names)
        if self._expired():
            self._stop_for_time(PathText(batch.path), len(batch.names))
            return
        names = NameBatch(batch.names)
        asked: list[tuple[tuple[SearchRun, Slot], list[str]]] = []
        for run in self._active:
            if batch.depth > run.maxdepth:
                continue
            if run.is_full:
                self._tally.skip(reasons.LIMIT, PathText(batch.path), count=len(batch.names))
                continue
            asked += [((run, slot), found) for slot in run.slots if (found := _candidates(slot, names))]
        if len(asked) == 1:
            pair, candidates = asked[0]
            self._look_at_all(batch, candidates, dict.fromkeys(candidates, [pair]))
        elif asked:
            wanted: dict[str, list[tuple[SearchRun, Slot]]] = {}
            for pair, candidates in asked:
                for name in candidates:
                    wanted.setdefault(name, []).append(pair)
            # in the directory's order, whichever search a file is for
            self._look_at_all(batch, [name for name in batch.names if name in wanted], wanted)
        elif all(run.is_full for run in self._active):
            self._tally.unexamined += len(batch.names)
        if self.on_progress is not None:
            self.on_progress()

    def _look_at_all(self, batch: Batch, order: list[str], wanted: dict[str, list[tuple[SearchRun, Slot]]]) -> None:
        for place, name in enumerate(order):
            pairs = [pair for pair in wanted[name] if not pair[0].is_full]
            if len(pairs) < len(wanted[name]):
                self._tally.skip(reasons.LIMIT, PathText(batch.path, name))
            if not pairs:
                continue
            path = PathText(batch.path, name)
            try:
                self._look_at(batch, name, path, pairs)
            except DeadlinePassed:
                self._stop_for_time(path, len(order) - place)
                return
            except OSError as failure:
                # a file that went away in between is simply not there; what cannot be opened counts as such
                self._tally.failed(path, failure)
            if self._expired():
                if place + 1 < len(order):
                    self._stop_for_time(path, len(order) - place - 1)
                else:
                    self._out_of_time = True
                    self._tally.skip(reasons.TIME, path, count=0)
                return
            if self._room <= 0:
                self._tally.skip(reasons.FULL, path, count=len(order) - place)
                return

    def _stop_for_time(self, path: PathText, unexamined: int) -> None:
        self._out_of_time = True
        self._tally.unexamined += unexamined
        self._tally.skip(reasons.TIME, path, count=unexamined)

    def _look_at(self, batch: Batch, name: str, path: PathText, pairs: list[tuple[SearchRun, Slot]]) -> None:
        status: os.stat_result | None = None
        passed: list[tuple[SearchRun, Slot]] = []
        to_read: list[tuple[SearchRun, Slot]] = []
        for pair in pairs:
            slot = pair[1]
            if slot.metadata:
                if status is None:
                    status = os.stat(name, dir_fd=batch.fd, follow_symlinks=name in batch.links)
                if not _passes_metadata(slot, status, self._now):
                    continue
            (to_read if slot.reading else passed).append(pair)
        if not to_read and not passed:
            return
        if not to_read and not any(slot.search.options.returnsha256 for _, slot in passed):
            if status is None:
                status = os.stat(name, dir_fd=batch.fd, follow_symlinks=name in batch.links)
            for pair in passed:
                self._record(pair, path, status, "")
            return
        if not batch.regular:
            self._tally.skip(reasons.NOT_READ, path)
            status = status or os.stat(name, dir_fd=batch.fd, follow_symlinks=name in batch.links)
            for pair in passed:
                self._record(pair, path, status, "")
            return
        self._look_inside(batch, name, path, passed, to_read, status)

    def _look_inside(
        self,
        batch: Batch,
        name: str,
        path: PathText,
        passed: list[tuple[SearchRun, Slot]],
        to_read: list[tuple[SearchRun, Slot]],
        status: os.stat_result | None,
    ) -> None:
        try:
            fd = open_file(name, batch.fd, follow=name in batch.links)
        except OSError as failure:
            self._tally.failed(path, failure)
            if passed:  # they lack only the SHA-256
                status = status or os.stat(name, dir_fd=batch.fd, follow_symlinks=name in batch.links)
            for pair in passed:
                self._record(pair, path, status, "")  # type: ignore[arg-type]  # it was asked for just above
            return
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode) or status.st_size >= ENDLESS_SIZE:
                self._tally.skip(
                    reasons.ENDLESS if stat.S_ISREG(status.st_mode) else reasons.CHANGED, path
                )
                return
            content = OpenFile(fd, status.st_size, path, self._reader, self._tally)
            passed += content.judge(to_read)
            for pair in passed:
                self._record(pair, path, status, content.sha256(pair[1]))
        finally:
            os.close(fd)

    def _record(self, pair: tuple[SearchRun, Slot], path: PathText, status: os.stat_result, sha256: str) -> None:
        run, slot = pair
        native = path.native
        if slot.seen is not None:
            if native in slot.seen:
                return
            slot.seen.add(native)
        if run.is_full:
            self._tally.skip(reasons.LIMIT, path)
            return
        run.matches += 1
        slot.hits.append(Hit(native, status.st_size, status.st_mode, status.st_mtime_ns, sha256))
        self._room -= slot.row_bytes + len(native)


class OpenFile:
    """The content of one open file, read once for each way of expanding it that is asked for."""

    __slots__ = ("_fd", "_path", "_reader", "_readings", "_size", "_tally", "_used")

    def __init__(self, fd: int, size: int, path: PathText, reader: Reader, tally: Tally) -> None:
        """``fd`` stands at the beginning and belongs to the caller."""
        self._fd = fd
        self._size = size
        self._path = path
        self._reader = reader
        self._tally = tally
        self._readings: dict[tuple[bool, bool], Reading] = {}
        self._used = False

    def judge(self, pairs: list[tuple[SearchRun, Slot]]) -> list[tuple[SearchRun, Slot]]:
        """Those whose content checks the file passes."""
        kinds: dict[tuple[bool, bool], list[tuple[SearchRun, Slot]]] = {}
        for pair in pairs:
            kinds.setdefault(_kind_of(pair[1]), []).append(pair)
        passed = []
        for kind, group in kinds.items():
            slots = [slot for _, slot in group]
            questions = {question: None for slot in slots for question in slot.questions}
            algorithms = {name for slot in slots for name in slot.algorithms}
            if algorithms and any(slot.search.options.returnsha256 for slot in slots):
                algorithms.add(digests.RETURNED)
            reading = self._read(kind, questions, algorithms)
            self._readings[kind] = reading
            for pair in group:
                verdict = pair[1].judge(reading)
                if verdict:
                    passed.append(pair)
                elif verdict is None and reading.problem is None:
                    self._tally.skip(reasons.LONG_LINE, self._path)
        return passed

    def sha256(self, slot: Slot) -> str:
        """The SHA-256 for a slot's row; empty if it is not asked for or cannot be had."""
        if not slot.search.options.returnsha256:
            return ""
        kind = _kind_of(slot)
        reading = self._readings.get(kind)
        if reading is None or digests.RETURNED not in (reading.digests or ()):
            if reading is not None and reading.problem is not None:
                return ""
            reading = self._readings[kind] = self._read(kind, (), (digests.RETURNED,))
        return (reading.digests or {}).get(digests.RETURNED, "")

    def _read(self, kind: tuple[bool, bool], questions: Iterable[object], algorithms: Iterable[str]) -> Reading:
        if self._used:
            os.lseek(self._fd, 0, os.SEEK_SET)
        self._used = True
        reading = self._reader.read(
            self._fd, self._size, questions, algorithms, expand=kind[0], every_kind=kind[1]  # type: ignore[arg-type]
        )
        if reading.problem is not None:
            self._tally.skip(reading.problem[0], self._path)
            self._tally.error(self._path, reading.problem[1])
        return reading


def _kind_of(slot: Slot) -> tuple[bool, bool]:
    options = slot.search.options
    return options.decompress or options.decompressall, options.decompressall


def _candidates(slot: Slot, names: NameBatch) -> list[str]:
    """The names that pass the slot's name checks, in their order."""
    if slot.is_empty:
        return []
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


def _passes_metadata(slot: Slot, status: os.stat_result, now: int) -> bool:
    return all(check.passes(status, now) for check in slot.metadata)

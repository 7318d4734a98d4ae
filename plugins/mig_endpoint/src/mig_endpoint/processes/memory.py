"""The memory of one process, read without changing it. Sources: proc_pid_mem(5), and those of ``pages``, ``origins``,
``mapped_file``, ``holes`` and ``swap``, which this puts together.

What is there is copied out of the process. What is not there would become part of it by being read: so mapped files and
shared memory are read as files, untouched memory of its own is known to be zeros, and what neither can be said of is
left, with the reason.
"""

from __future__ import annotations

import os
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from mig_endpoint.processes import reasons
from mig_endpoint.processes.holes import data_in, residence
from mig_endpoint.processes.mapped_file import NOT_READABLE, locate, open_file
from mig_endpoint.processes.origins import Kind
from mig_endpoint.processes.pages import PAGE, UNLIMITED, State, runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mig_core.plugin.coverage import Reason
    from mig_endpoint.files.calls import Guarded
    from mig_endpoint.processes.mappings import Mapping, Range
    from mig_endpoint.processes.origins import Origin, Origins
    from mig_endpoint.processes.pages import Run
    from mig_endpoint.processes.process import Process


class Holds(Enum):
    """What a part of memory holds."""

    DATA = "data"
    ZEROS = "zeros"
    """It has never been touched."""
    NOTHING = "nothing"
    """Nobody can read it: it lies behind the end of its file, or is a guard."""
    LEFT = "left"
    """It must not be read, or was not asked for: :attr:`Part.reason` says why."""


class Part(NamedTuple):
    """Addresses ``start`` to ``end`` (not included)."""

    start: int
    end: int
    holds: Holds
    reason: Reason | None = None
    """Why it is left."""
    file: int = -1
    """Descriptor of the file to read DATA from; -1 for the process's own memory."""
    shift: int = 0
    """What to add to an address for the place in the file."""
    calls: Guarded | None = None
    """What to read the file with, if not directly."""

    def goes_on_in(self, other: Part) -> bool:
        """Whether another part is more of the same."""
        same = (self.holds, self.reason, self.file) == (other.holds, other.reason, other.file)
        return same and self.end == other.start


_ANONYMOUS_HUGE = b"/anon_hugepage (deleted)"
"""MAP_ANONYMOUS with huge pages: a file of one mapping, in which a private one leaves nothing."""
_Ways = dict[State, tuple[Holds, "Reason | None"]]
_READ = (Holds.DATA, None)
_ALWAYS: _Ways = {State.OWN: _READ, State.FILE: _READ, State.GUARD: (Holds.NOTHING, None)}
_UNKNOWN = (Holds.LEFT, reasons.UNKNOWN)
_KERNEL = (Holds.LEFT, reasons.KERNEL)
_ON_DISK = (Holds.LEFT, reasons.ON_DISK)
_REMOTE = (Holds.LEFT, reasons.REMOTE)
_UNTOUCHED = (Holds.LEFT, reasons.UNTOUCHED)
# Only what is of a file: other pages in a shared mapping are a device's, or markers of userfaultfd(2) on nothing.
_SHARED: _Ways = {State.UNTOUCHED: _UNTOUCHED, State.OWN: _UNTOUCHED, State.SWAPPED: _UNTOUCHED}


class Memory:
    """One process's memory, open for reading; to be closed.

    Args:
        process: an open process.
        origins: what is known about mapped files.

    Raises:
        OSError: it cannot be opened; PermissionError without the privilege.
    """

    def __init__(self, process: Process, origins: Origins) -> None:
        self._process = process
        self._origins = origins
        self._file = -1
        self._file_of = (0, 0)
        self._calls: Guarded | None = None
        self._room: int | None = None
        self._memory = process.open("mem")
        try:
            self._pagemap = process.open("pagemap")
        except OSError:
            self._pagemap = -1

    def close(self) -> None:
        """Closes what was opened."""
        self._close_file()
        for descriptor in (self._memory, self._pagemap):
            if descriptor >= 0:
                os.close(descriptor)

    def origin(self, mapping: Mapping) -> Origin:
        """What a mapping is of."""
        return self._origins.of(self._process, mapping)

    def read(self, part: Part, position: int, room: memoryview) -> int:
        """Copies from an address of a DATA part into ``room``: how many bytes; 0 at the end of the process or file.

        Raises:
            OSError: the page at ``position`` cannot be read; TimeoutError where a file system does not answer, which
                holds for all of the part.
        """
        if part.calls is not None:  # not into the room: the file system may answer when that is long in other use
            data = part.calls.pread(part.file, min(len(room), part.end - position), position + part.shift)
            room[: len(data)] = data
            return len(data)
        source = self._memory if part.file < 0 else part.file
        try:
            return os.preadv(source, [room[: part.end - position]], position + part.shift)
        except ProcessLookupError:
            return 0

    def parts(self, one: Range, *, nofiles: bool = False) -> Iterator[Part]:
        """A range in parts, without gaps and by address; the files in them stay open until the next range.

        Args:
            one: what is to be read; not of a device.
            nofiles: leave out pages that are as in the file they were mapped from, if that has a name.
        """
        return _joined(self._parts(one, self.origin(one.mapping), nofiles=nofiles))

    def _parts(self, one: Range, origin: Origin, *, nofiles: bool) -> Iterator[Part]:
        mapping = one.mapping
        if origin.kind is Kind.KERNEL:
            return self._by_state(one, {State.UNTOUCHED: _KERNEL, State.UNKNOWN: _KERNEL})
        if not mapping.is_readable:
            return self._by_state(one, {State.UNTOUCHED: (Holds.NOTHING, None)})
        if origin.kind is Kind.OWN:
            return self._by_state(one, {State.UNTOUCHED: (Holds.ZEROS, None), State.UNKNOWN: _READ}, has_file=False)
        if nofiles and not origin.in_memory and not self._is_deleted(mapping, origin):
            if mapping.is_shared:
                return iter((Part(one.start, one.end, *_ON_DISK),))
            return self._by_state(one, {State.FILE: _ON_DISK, State.UNTOUCHED: _ON_DISK})
        return self._with_file(one, origin)

    def _with_file(self, one: Range, origin: Origin) -> Iterator[Part]:
        mapping = one.mapping
        if not origin.is_certain:
            return self._by_state(one, _SHARED)
        if origin.kind is Kind.REMOTE:
            return self._remote(one, origin)
        if not mapping.is_shared:
            return self._private(one, origin)
        if self._open(mapping, origin) >= 0:
            return self._of_file(one.start, one.end, mapping, origin)
        if self._file == NOT_READABLE:
            return iter((Part(one.start, one.end, Holds.LEFT, reasons.SECRET),))
        return self._by_state(one, _SHARED)

    def _private(self, one: Range, origin: Origin) -> Iterator[Part]:
        """A private mapping of a file: its own pages from memory, the others from the file if some are not there."""
        found = list(runs(one.start, one.end, self._pagemap))
        if all(run.state is not State.UNTOUCHED for run in found) or self._open(one.mapping, origin) < 0:
            is_empty = origin.page_size > PAGE and one.mapping.path == _ANONYMOUS_HUGE
            for run in found:
                yield from self._of_run(run, {State.UNTOUCHED: (Holds.ZEROS, None) if is_empty else _UNTOUCHED})
            return
        start = one.start
        for run in found:
            if run.state in (State.FILE, State.UNTOUCHED):
                continue
            if start < run.start:
                yield from self._of_file(start, run.start, one.mapping, origin)
            yield from self._of_run(run, {})
            start = run.end
        if start < one.end:
            yield from self._of_file(start, one.end, one.mapping, origin)

    def _remote(self, one: Range, origin: Origin) -> Iterator[Part]:
        """A file that may not answer: only what is not in memory is read from it."""
        for run in runs(one.start, one.end, self._pagemap):
            if run.state is not State.UNTOUCHED:
                yield from self._of_run(run, {State.SWAPPED: _REMOTE} if one.mapping.is_shared else {})
                continue
            try:
                there = self._open(one.mapping, origin) >= 0
                found = list(self._of_file(run.start, run.end, one.mapping, origin)) if there else []
            except OSError:
                found = []
            yield from found or [Part(run.start, run.end, *_REMOTE)]

    def _by_state(self, one: Range, ways: _Ways, *, has_file: bool = True) -> Iterator[Part]:
        for run in runs(one.start, one.end, self._pagemap, has_file=has_file):
            yield from self._of_run(run, ways)

    def _of_run(self, run: Run, ways: _Ways) -> Iterator[Part]:
        way = ways.get(run.state) or _ALWAYS.get(run.state)
        if way is None and run.state is State.SWAPPED:
            yield self._from_swap(run.start, run.end, -1, 0)
        else:
            yield Part(run.start, run.end, *(way or _UNKNOWN))

    def _from_swap(self, start: int, end: int, file: int, shift: int) -> Part:
        room = self._room_in_swap()
        if end - start > room:
            return Part(start, end, Holds.LEFT, reasons.SWAPPED)
        self._room = room - (end - start)
        return Part(start, end, Holds.DATA, None, file, shift)

    def _room_in_swap(self) -> int:
        from mig_endpoint.processes.swap import room_for

        if self._room is None:
            self._room = room_for(self._process)
        return self._room

    def _of_file(self, start: int, end: int, mapping: Mapping, origin: Origin) -> Iterator[Part]:
        """Addresses of a mapping as its open file has them: more than this process has touched."""
        shift = mapping.position - mapping.start
        size = (origin.calls or os).fstat(self._file).st_size
        stop = min(end, max(start, size - shift))
        whole = origin.page_size > PAGE
        for first, last, is_data in data_in(
            origin.calls or os, self._file, start + shift, stop + shift, all_or_nothing=whole
        ):
            if is_data and origin.in_memory and not whole:
                yield from self._perhaps_swapped(first - shift, last - shift, shift)
            else:
                zeros = Part(first - shift, last - shift, Holds.ZEROS)
                data = Part(first - shift, last - shift, Holds.DATA, None, self._file, shift, origin.calls)
                yield data if is_data else zeros
        rest = min(end, -(-stop // origin.page_size) * origin.page_size)
        if stop < rest:
            yield Part(stop, rest, Holds.ZEROS)  # the rest of the file's last page
        if rest < end:
            yield Part(rest, end, Holds.NOTHING)

    def _perhaps_swapped(self, start: int, end: int, shift: int) -> Iterator[Part]:
        """Shared memory: reading what is swapped out brings it back."""
        if self._room_in_swap() >= UNLIMITED // 2:
            yield Part(start, end, Holds.DATA, None, self._file, shift)
            return
        try:
            for first, last, is_there in residence(self._file, start + shift, end + shift):
                if is_there:
                    yield Part(first - shift, last - shift, Holds.DATA, None, self._file, shift)
                else:
                    yield self._from_swap(first - shift, last - shift, self._file, shift)
        except OSError:
            yield Part(start, end, Holds.LEFT, reasons.SWAPPED)

    def _open(self, mapping: Mapping, origin: Origin) -> int:
        """The file of a mapping: its descriptor, or negative. Kept: the next mapping often is of the same file.

        Raises:
            TimeoutError: its file system does not answer.
        """
        key = (mapping.device, mapping.inode)
        if key != self._file_of:
            self._close_file()
            self._file_of, self._calls = key, origin.calls
            if origin.calls is None:
                self._file = open_file(self._process, mapping)
            else:
                self._file = origin.calls.call(open_file, self._process, mapping)
        return self._file

    def _close_file(self) -> None:
        if self._file >= 0:
            (self._calls or os).close(self._file)
        self._file = -1

    def _is_deleted(self, mapping: Mapping, origin: Origin) -> bool:
        """Whether a mapped file has no name any more. One that only looks so has a name that ends in "(deleted)"."""
        if not mapping.path.endswith(b" (deleted)"):
            return False
        found = locate(self._process, mapping) if origin.kind is Kind.FILE else None
        return found is None or found.stat.st_nlink == 0


def _joined(parts: Iterable[Part]) -> Iterator[Part]:
    """The parts, those that go on in the next as one."""
    held: Part | None = None
    for part in parts:
        if held is not None and held.goes_on_in(part):
            held = held._replace(end=part.end)
            continue
        if held is not None:
            yield held
        held = part
    if held is not None:
        yield held

"""What the kernel says about each page of a process. Sources: ``Documentation/admin-guide/mm/pagemap.rst`` (bit 58:
Linux 6.15), ``fs/proc/task_mmu.c`` and ``include/uapi/linux/fs.h`` (PAGEMAP_SCAN: Linux 6.7, PAGE_IS_GUARD: 6.15).

Asking changes nothing. Reading a page that is not there does: the kernel makes tables, for shared memory and for huge
pages even the page itself, in the process that is looked at. So nobody reads before asking here.
"""

from __future__ import annotations

import os
import re
import struct
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = os.sysconf("SC_PAGE_SIZE")
UNLIMITED = 1 << 62
"""More bytes than anybody has, in memory or in swap."""
_ENTRY = 8
_BATCH = 64 << 10
"""Entries of pagemap read at a time: 512 KiB of them, 256 MiB of memory."""
_LARGE = 64 << 20
"""Ranges from this size on are asked about with PAGEMAP_SCAN, which also knows pages that were read and never written.

Terabytes may be reserved and hardly anything used, and other programs that look at memory leave such pages behind.
"""
# _IOWR('f', 16, struct pm_scan_arg): twelve 64-bit numbers, and regions of three.
_PAGEMAP_SCAN = 0xC0606610
_SCAN_ARGUMENT = struct.Struct("=12Q")
_IS_FILE, _IS_PRESENT, _IS_SWAPPED, _IS_PFNZERO, _IS_GUARD = 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 8
_REGIONS = 512


class State(Enum):
    """What there is of a page."""

    OWN = "own"
    """In memory, and of this process alone (or of those it forked): no file has it."""
    FILE = "file"
    """In memory, as the file or the shared memory has it."""
    SWAPPED = "swapped"
    """Swapped out. Pages of shared memory that are swapped out count as untouched."""
    GUARD = "guard"
    """A guard region (MADV_GUARD_INSTALL): nobody can touch it, nothing is in it."""
    UNTOUCHED = "untouched"
    """Not there for this process: reading it would bring it in."""
    UNKNOWN = "unknown"
    """The kernel does not say: there is no pagemap."""


_LETTERS = {b"P": State.OWN, b"F": State.FILE, b"S": State.SWAPPED, b"G": State.GUARD, b"U": State.UNTOUCHED}
_STATES = {letter[0]: state for letter, state in _LETTERS.items()}
_RUNS = re.compile(b"|".join(letter + b"+" for letter in _LETTERS))


def _letter(flags: int) -> bytes:
    """For the highest byte of an entry: bit 7 present, 6 swapped, 5 of a file or shared, 2 guard."""
    if flags & 0x04:
        return b"G"
    if flags & 0x80:
        return b"F" if flags & 0x20 else b"P"
    return b"S" if flags & 0x40 else b"U"


_TABLE = b"".join(_letter(flags) for flags in range(256))


class Run(NamedTuple):
    """Addresses ``start`` to ``end`` (not included) whose pages are in the same state."""

    start: int
    end: int
    state: State


def runs(start: int, end: int, pagemap: int, *, has_file: bool = True) -> Iterator[Run]:
    """The states of the pages from ``start`` to ``end``, without gaps and by address.

    Args:
        start: first address; need not be a page's.
        end: the address behind the last.
        pagemap: descriptor of the process's pagemap; -1 if it could not be opened.
        has_file: whether pages may be of a file; without, all in memory are told to be its own, which is quicker.
    """
    if pagemap < 0:
        yield Run(start, end, State.UNKNOWN)
    elif end - start >= _LARGE and (scanned := _scan(start, end, pagemap, has_file=has_file)) is not None:
        yield from _of_regions(start, end, pagemap, scanned, has_file=has_file)
    else:
        yield from _of_entries(start, end, pagemap)


def _of_entries(start: int, end: int, pagemap: int) -> Iterator[Run]:
    position = start
    while position < end:
        first = position // PAGE
        count = min(_BATCH, -(-end // PAGE) - first)
        batch_end = min(end, (first + count) * PAGE)
        try:
            flags = os.pread(pagemap, count * _ENTRY, first * _ENTRY)[_ENTRY - 1 :: _ENTRY]
        except OSError:
            flags = b""
        if len(flags) < count:
            yield Run(position, batch_end, State.UNKNOWN)
        else:
            letters = flags.translate(_TABLE)
            for run in _RUNS.finditer(letters):
                place, stop = max(position, (first + run.start()) * PAGE), min(batch_end, (first + run.end()) * PAGE)
                yield Run(place, stop, _STATES[letters[run.start()]])
        position = batch_end


class _Regions(NamedTuple):
    used: list[Run]
    reached: int
    """All before this address has been looked at."""


def _of_regions(start: int, end: int, pagemap: int, regions: _Regions | None, *, has_file: bool) -> Iterator[Run]:
    position = start
    while regions is not None:
        for one in regions.used:
            if one.start > position:
                yield Run(position, one.start, State.UNTOUCHED)
            stop = min(one.end, end)
            yield Run(max(one.start, position), stop, one.state)
            position = stop
        if regions.reached >= end:
            if position < end:
                yield Run(position, end, State.UNTOUCHED)
            return
        regions = _scan(regions.reached, end, pagemap, has_file=has_file)
    yield from _of_entries(position, end, pagemap)  # the kernel has changed its mind


def _scan(start: int, end: int, pagemap: int, *, has_file: bool) -> _Regions | None:
    """Which pages hold something, as far as one call says; None where the kernel cannot say."""
    import array
    import fcntl

    start, end = start // PAGE * PAGE, -(-end // PAGE) * PAGE
    found = array.array("Q", bytes(8 * 3 * _REGIONS))
    size, address = _SCAN_ARGUMENT.size, found.buffer_info()[0]
    anyof, zero = _IS_PRESENT | _IS_SWAPPED, _IS_PFNZERO
    wanted_anyway = anyof | (_IS_FILE if has_file else 0)
    for wanted in (wanted_anyway | _IS_GUARD, wanted_anyway):
        argument = bytearray(
            _SCAN_ARGUMENT.pack(size, 0, start, end, 0, address, _REGIONS, 0, zero, zero, anyof, wanted)
        )
        try:
            count = fcntl.ioctl(pagemap, _PAGEMAP_SCAN, argument)
        except OSError:  # Linux before 6.15 knows no guards, before 6.7 no scan
            continue
        reached = _SCAN_ARGUMENT.unpack(argument)[4]
        if reached <= start:
            return None
        used = [
            Run(found[3 * index], found[3 * index + 1], _of_categories(found[3 * index + 2])) for index in range(count)
        ]
        return _Regions(used, reached)
    return None


def _of_categories(categories: int) -> State:
    if categories & _IS_GUARD:
        return State.GUARD
    if categories & _IS_PRESENT:
        return State.FILE if categories & _IS_FILE else State.OWN
    return State.SWAPPED

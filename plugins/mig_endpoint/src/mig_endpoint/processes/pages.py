"""Which pages of a mapping hold something. Source: the kernel's ``Documentation/admin-guide/mm/pagemap.rst``.

Pages that a process has never touched read as zeros. They are not read: that would be slow where a program has reserved
much and used little, and it would make the kernel set up tables, for shared memory even pages, in the process that is
being looked at. Whoever reads puts zeros in their place.
"""

from __future__ import annotations

import array
import fcntl
import os
import re
import struct
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_endpoint.processes.mappings import Mapping, Range

PAGE = os.sysconf("SC_PAGE_SIZE")
_ENTRY = 8
_BATCH = 64 << 10
"""Entries of pagemap read at a time: 512 KiB of them, 256 MiB of memory."""
_LARGE = 64 << 20
"""Ranges from this size on are asked about with PAGEMAP_SCAN, which also knows pages that were read and never written.

Terabytes may be reserved and hardly anything used, and other programs that look at memory leave such pages behind.
"""
# linux/fs.h: _IOWR('f', 16, struct pm_scan_arg), Linux 6.7; twelve 64-bit numbers, and regions of three.
_PAGEMAP_SCAN = 0xC0606610
_SCAN_ARGUMENT = struct.Struct("=12Q")
_PAGE_IS_PRESENT_OR_SWAPPED = 1 << 3 | 1 << 4
_PAGE_IS_PFNZERO = 1 << 5
_REGIONS = 512
# The highest byte of an entry: bit 7 present, bit 6 swapped, bit 5 a page of a file or of shared memory.
_PRESENT = re.compile(rb"[\x40-\xff]+")
_OWN = re.compile(rb"[\x40-\x5f\x80-\x9f\xc0-\xdf]+")


class Holds(Enum):
    """What a part of memory holds."""

    DATA = "data"
    ZEROS = "zeros"
    """It has never been touched."""
    NOTHING = "nothing"
    """It lies behind the end of the file it was mapped from: nobody can read it."""
    FILE = "file"
    """The same as the file it was mapped from, and that was not wanted."""


@dataclass(frozen=True, slots=True)
class Part:
    """Addresses ``start`` to ``end`` (not included)."""

    start: int
    end: int
    holds: Holds


def parts(one: Range, pagemap: int, process: int, *, nofiles: bool) -> Iterator[Part]:
    """The range in parts, without gaps and by address.

    Args:
        one: what is to be read.
        pagemap: descriptor of the process's pagemap; -1 if it could not be opened: then everything counts as data.
        process: descriptor of the process's folder in /proc.
        nofiles: leave out pages that are as in the file they were mapped from.
    """
    mapping = one.mapping
    if mapping.has_huge_pages:
        return _of_pagemap(one, pagemap, _PRESENT, Holds.ZEROS)
    if mapping.has_file and mapping.is_shared:
        if nofiles and mapping.is_as_on_disk:
            return iter((Part(one.start, one.end, Holds.FILE),))
        return _of_file(one, process)
    if not mapping.has_file:
        if one.end - one.start >= _LARGE and pagemap >= 0 and (regions := _scanned(one.start, one.end, pagemap)):
            return _of_regions(one, pagemap, regions)
        return _of_pagemap(one, pagemap, _PRESENT, Holds.ZEROS)
    if nofiles and mapping.is_as_on_disk:
        return _of_pagemap(one, pagemap, _OWN, Holds.FILE)
    return iter((Part(one.start, one.end, Holds.DATA),))


def end_of_file(mapping: Mapping, process: int) -> int | None:
    """The first address behind the file of a mapping, on a page's border; None where that cannot be found out."""
    try:
        size = os.stat(_link(mapping), dir_fd=process).st_size
    except OSError:  # only root may look
        return None
    return mapping.start + max(0, -(-(size - mapping.position) // PAGE) * PAGE)


def _link(mapping: Mapping) -> str:
    return f"map_files/{mapping.start:x}-{mapping.end:x}"


def _of_pagemap(one: Range, pagemap: int, wanted: re.Pattern[bytes], otherwise: Holds) -> Iterator[Part]:
    position = one.start
    while position < one.end:
        first = position // PAGE
        count = min(_BATCH, -(-one.end // PAGE) - first)
        batch_end = min(one.end, (first + count) * PAGE)
        try:
            flags = os.pread(pagemap, count * _ENTRY, first * _ENTRY)[_ENTRY - 1 :: _ENTRY] if pagemap >= 0 else b""
        except OSError:
            flags = b""
        if len(flags) < count:
            yield Part(position, batch_end, Holds.DATA)
            position = batch_end
            continue
        for run in wanted.finditer(flags):
            start, end = (first + run.start()) * PAGE, min(batch_end, (first + run.end()) * PAGE)
            if start > position:
                yield Part(position, start, otherwise)
            yield Part(max(start, position), end, Holds.DATA)
            position = end
        if position < batch_end:
            yield Part(position, batch_end, otherwise)
            position = batch_end


def _of_regions(one: Range, pagemap: int, regions: _Regions | None) -> Iterator[Part]:
    position = one.start
    while regions is not None:
        for start, end in regions.used:
            if start > position:
                yield Part(position, start, Holds.ZEROS)
            stop = min(end, one.end)
            yield Part(max(start, position), stop, Holds.DATA)
            position = stop
        if regions.reached >= one.end:
            if position < one.end:
                yield Part(position, one.end, Holds.ZEROS)
            return
        regions = _scanned(regions.reached, one.end, pagemap)
    yield Part(position, one.end, Holds.DATA)  # the kernel has changed its mind


@dataclass(frozen=True, slots=True)
class _Regions:
    used: list[tuple[int, int]]
    reached: int
    """All before this address has been looked at."""


def _scanned(start: int, end: int, pagemap: int) -> _Regions | None:
    """Which pages hold something, as far as one call says; None where the kernel cannot say."""
    start, end = start // PAGE * PAGE, -(-end // PAGE) * PAGE
    found = array.array("Q", bytes(8 * 3 * _REGIONS))
    asked, zero = _PAGE_IS_PRESENT_OR_SWAPPED, _PAGE_IS_PFNZERO
    size, address = _SCAN_ARGUMENT.size, found.buffer_info()[0]
    argument = bytearray(_SCAN_ARGUMENT.pack(size, 0, start, end, 0, address, _REGIONS, 0, zero, zero, asked, asked))
    try:
        count = fcntl.ioctl(pagemap, _PAGEMAP_SCAN, argument)
    except OSError:
        return None
    reached = _SCAN_ARGUMENT.unpack(argument)[4]
    if reached <= start:
        return None
    return _Regions([(found[3 * index], found[3 * index + 1]) for index in range(count)], reached)


def _of_file(one: Range, process: int) -> Iterator[Part]:
    """A shared mapping: what of its file exists, which is more than this process has touched."""
    mapping = one.mapping
    try:
        file = os.open(_link(mapping), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY, dir_fd=process)
    except OSError:  # only root may open it
        yield Part(one.start, one.end, Holds.DATA)
        return
    try:
        base = mapping.position - mapping.start
        size = os.fstat(file).st_size
        stop = min(one.end, max(one.start, -(-(size - base) // PAGE) * PAGE))
        position = one.start
        while position < stop:
            data = _seek(file, position + base, os.SEEK_DATA, stop + base) - base
            if data > position:
                yield Part(position, data, Holds.ZEROS)
                position = data
                continue
            hole = _seek(file, position + base, os.SEEK_HOLE, stop + base) - base
            hole = max(hole, min(position + PAGE, stop))  # the file may be changing under us
            yield Part(position, hole, Holds.DATA)
            position = hole
    finally:
        os.close(file)
    if stop < one.end:
        yield Part(stop, one.end, Holds.NOTHING)


def _seek(file: int, position: int, what: int, otherwise: int) -> int:
    try:
        return min(max(os.lseek(file, position, what), position), otherwise)
    except OSError:  # no more data, or nothing that knows holes
        return otherwise

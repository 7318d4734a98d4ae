"""Which pages of a mapping hold something. Source: the kernel's ``Documentation/admin-guide/mm/pagemap.rst``.

Pages that a process has never touched read as zeros. They are not read: that would be slow where a program has reserved
much and used little, and it would make the kernel set up tables, for shared memory even pages, in the process that is
being looked at. Instead ``scan`` puts zeros in their place.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_memory.mappings import Mapping, Range

PAGE = os.sysconf("SC_PAGE_SIZE")
_ENTRY = 8
_BATCH = 64 << 10
"""Entries of pagemap read at a time: 512 KiB of them, 256 MiB of memory."""
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
    if mapping.has_file and mapping.is_shared:
        if nofiles and mapping.is_as_on_disk:
            return iter((Part(one.start, one.end, Holds.FILE),))
        return _of_file(one, process)
    if not mapping.has_file:
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

"""Where the bytes of an open file come from, one piece after the other.

Holes of a sparse file are not read (lseek(2), ``SEEK_DATA``): a ``lastlog`` of 300 GB is as quick as what is in it.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Protocol

from mig_endpoint import coverage
from mig_endpoint.files.calls import DIRECT
from mig_endpoint.files.interruptions import Unreadable

if TYPE_CHECKING:
    from mig_endpoint.files.calls import Calls

ENDLESS_READ = 64 << 20
"""A file that says it is empty and gives more bytes than this is none: ``/proc/PID/pagemap`` goes on for 256 GiB
(Documentation/admin-guide/mm/pagemap.rst, Linux 6.18)."""
SPARSE_FROM = 1 << 20
"""Files with so many bytes more than they have on disk are asked for their holes."""
_SHORT_HOLE = 1 << 20
_PERIODS = 720_720
"""Divisible by 1 to 16: an automaton that counts zeros in such steps notices nothing."""
_BLOCK = 512
"""The unit of ``st_blocks`` (stat(2))."""


class Source(Protocol):
    """Gives the content of a file in order."""

    consumed: int
    """Bytes read from disk so far."""
    omitted: int
    """Zeros behind what was filled last that :meth:`fill` left out; whoever counts or digests them sets it back."""

    def fill(self, view: memoryview) -> int:
        """Writes the next bytes; 0 at the end.

        Raises:
            Unreadable: the content cannot be had to its end.
            OSError: the file cannot be read.
        """


class Plain:
    """A file's bytes as they are."""

    __slots__ = ("_fd", "_readv", "_rest", "_size", "consumed", "omitted")

    def __init__(self, fd: int, size: int, calls: Calls = DIRECT) -> None:
        """``fd`` stands at the beginning; ``size`` in bytes if it is known to be exact, else 0."""
        self._fd = fd
        self._size = size
        self._rest = size or -1
        self._readv = calls.readv
        self.consumed = 0
        self.omitted = 0

    def fill(self, view: memoryview) -> int:
        """Writes the next bytes; 0 at the end.

        Raises:
            Unreadable: a pseudo-file without end.
            OSError: the file cannot be read.
        """
        if not self._rest:  # as many bytes as it had: no need to ask for its end
            return 0
        count = self._readv(self._fd, [view])
        self.consumed += count
        self._rest -= count
        if not self._size and self._rest < -ENDLESS_READ:
            raise Unreadable(coverage.ENDLESS, f"says it is empty and gave more than {ENDLESS_READ} bytes")
        return count


class Sparse:
    """A file's bytes, its holes as zeros that are not read; of a long hole only as many zeros as make a difference.

    A hole gives at least 1 MiB of zeros, which is more than an expression without repetition can match.
    """

    def __init__(self, fd: int, size: int, calls: Calls = DIRECT) -> None:
        """``size`` in bytes, as it is known to be."""
        self._fd = fd
        self._size = size
        self._calls = calls
        self._position = 0
        self._data_end = 0
        """Where the data end in which the position lies; before it if it lies in none."""
        self._zeros = 0
        """Still to be given of the hole at hand."""
        self._omitted_behind = 0
        self.consumed = 0
        self.omitted = 0

    def fill(self, view: memoryview) -> int:
        """Writes the next bytes; 0 at the end.

        Raises:
            OSError: the file cannot be read.
        """
        if not self._zeros and self._position >= self._data_end:
            if self._position >= self._size:
                return 0
            self._go_on()
        if self._zeros:
            return self._fill_zeros(view)
        count = self._calls.readv(self._fd, [view[: self._data_end - self._position]])
        self.consumed += count
        self._position += count
        if not count:  # it became shorter
            self._position = self._data_end = self._size
        return count

    def _go_on(self) -> None:
        """Finds out whether a hole or data come next, and how much of it."""
        try:
            data = min(self._calls.lseek(self._fd, self._position, os.SEEK_DATA), self._size)
        except OSError as failure:
            if failure.errno != errno.ENXIO:
                raise
            data = self._size  # nothing but a hole up to the end
        if hole := data - self._position:
            short = hole if hole <= 2 * _SHORT_HOLE else _SHORT_HOLE + (hole - _SHORT_HOLE) % _PERIODS
            self._zeros, self._omitted_behind = short, hole - short
            self._position = self._data_end = data
        else:
            self._data_end = min(self._calls.lseek(self._fd, data, os.SEEK_HOLE), self._size)
            self._calls.lseek(self._fd, data, os.SEEK_SET)

    def _fill_zeros(self, view: memoryview) -> int:
        count = min(self._zeros, len(view))
        view[:count] = bytes(count)
        self._zeros -= count
        if not self._zeros:
            self.omitted += self._omitted_behind
        return count


def source_of(fd: int, size: int, calls: Calls = DIRECT) -> Plain | Sparse:
    """The content of an open file.

    Args:
        fd: at its beginning.
        size: in bytes if it is known to be exact, else 0.
        calls: who asks the operating system.

    Raises:
        OSError: its status cannot be had.
    """
    if size > SPARSE_FROM and hasattr(os, "SEEK_DATA"):
        on_disk = calls.fstat(fd).st_blocks * _BLOCK
        if on_disk < size - SPARSE_FROM and _knows_holes(fd, calls):
            return Sparse(fd, size, calls)
    return Plain(fd, size, calls)


def _knows_holes(fd: int, calls: Calls) -> bool:
    try:
        calls.lseek(fd, 0, os.SEEK_DATA)
    except OSError as failure:
        if failure.errno != errno.ENXIO:
            return False
    calls.lseek(fd, 0, os.SEEK_SET)
    return True

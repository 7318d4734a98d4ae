"""Where the bytes of an open file come from, one piece after the other."""

from __future__ import annotations

import os
from typing import Protocol

from mig_endpoint import coverage
from mig_endpoint.files.interruptions import Unreadable

ENDLESS_READ = 64 << 20
"""A file that says it is empty and gives more bytes than this is none: ``/proc/PID/pagemap`` goes on for 256 GiB
(Documentation/admin-guide/mm/pagemap.rst, Linux 6.18)."""


class Source(Protocol):
    """Gives the content of a file in order."""

    def fill(self, view: memoryview) -> int:
        """Writes the next bytes; 0 at the end.

        Raises:
            Unreadable: the content cannot be had to its end.
            OSError: the file cannot be read.
        """


class Plain:
    """A file's bytes as they are."""

    __slots__ = ("_fd", "_rest", "_size")

    def __init__(self, fd: int, size: int) -> None:
        """``fd`` stands at the beginning; ``size`` in bytes if it is known to be exact, else 0."""
        self._fd = fd
        self._size = size
        self._rest = size or -1

    def fill(self, view: memoryview) -> int:
        """Writes the next bytes; 0 at the end.

        Raises:
            Unreadable: a pseudo-file without end.
            OSError: the file cannot be read.
        """
        if not self._rest:  # as many bytes as it had: no need to ask for its end
            return 0
        count = os.readv(self._fd, [view])
        self._rest -= count
        if not self._size and self._rest < -ENDLESS_READ:
            raise Unreadable(coverage.ENDLESS, f"says it is empty and gave more than {ENDLESS_READ} bytes")
        return count

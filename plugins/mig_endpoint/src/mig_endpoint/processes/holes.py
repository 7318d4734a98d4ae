"""Which parts of a file exist, and which of these are in memory. Sources: lseek(2), mincore(2), hugetlbfs in
``fs/hugetlbfs/inode.c``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from mig_endpoint.processes.pages import PAGE

if TYPE_CHECKING:
    from collections.abc import Iterator


_AT_ONCE = 64 << 20
_PROT_READ, _MAP_SHARED = 1, 1


class Calls(Protocol):
    """What is asked about a file."""

    def lseek(self, fd: int, position: int, whence: int, /) -> int:
        """Moves in what is open."""
        ...

    def fstat(self, fd: int) -> os.stat_result:
        """The status of what is open."""
        ...


def data_in(
    calls: Calls, file: int, start: int, end: int, *, all_or_nothing: bool = False
) -> Iterator[tuple[int, int, bool]]:
    """The places from ``start`` to ``end`` in a file: first, behind the last, whether there is data; without gaps.

    Args:
        calls: what to ask with: :mod:`os`, or :class:`mig_endpoint.files.calls.Guarded`.
        file: its descriptor.
        start: where to begin, in bytes.
        end: no more than the file's size.
        all_or_nothing: for file systems that cannot tell holes: all is data, or the file has no blocks at all.
    """
    if all_or_nothing:
        if start < end:
            yield start, end, calls.fstat(file).st_blocks > 0
        return
    position = start
    while position < end:
        data = _seek(calls, file, position, os.SEEK_DATA, end)
        if data > position:
            yield position, data, False
            position = data
            continue
        # not before the next page: the file may be changing under us
        hole = max(_seek(calls, file, position, os.SEEK_HOLE, end), min(position + PAGE, end))
        yield position, hole, True
        position = hole


def _seek(calls: Calls, file: int, position: int, what: int, otherwise: int) -> int:
    try:
        return min(max(calls.lseek(file, position, what), position), otherwise)
    except TimeoutError:  # a file system that does not answer
        raise
    except OSError:  # no more data, or nothing that knows holes
        return otherwise


def residence(file: int, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """The places from ``start`` to ``end`` of a file: first, behind the last, whether they are in memory; without gaps.

    Raises:
        OSError: the kernel does not say.
    """
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    position = start
    while position < end:
        first = position // PAGE * PAGE
        count = -(-min(end - first, _AT_ONCE) // PAGE)
        size = ctypes.c_size_t(count * PAGE)
        address = libc.mmap(None, size, _PROT_READ, _MAP_SHARED, file, ctypes.c_long(first))
        if address is None or address == ctypes.c_void_p(-1).value:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        answer = ctypes.create_string_buffer(count)
        failed = libc.mincore(ctypes.c_void_p(address), size, answer)
        libc.munmap(ctypes.c_void_p(address), size)
        if failed:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        flags = bytes(one & 1 for one in answer.raw)
        place = 0
        while place < count:
            stop = flags.find(b"\0" if flags[place] else b"\1", place)
            stop = count if stop < 0 else stop
            run_end = min(end, first + stop * PAGE)
            yield max(position, first + place * PAGE), run_end, bool(flags[place])
            place = stop
        position = min(end, first + count * PAGE)

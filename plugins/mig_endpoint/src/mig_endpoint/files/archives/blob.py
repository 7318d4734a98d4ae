"""Bytes that can be read anywhere: a file, a part of it, or what was unpacked into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_endpoint.files.calls import DIRECT, Direct

if TYPE_CHECKING:
    from mig_endpoint.files.calls import Calls


class FileBlob:
    """An open file, or a part of it."""

    def __init__(self, fd: int, size: int, calls: Calls = DIRECT, start: int = 0) -> None:
        """``size`` bytes from ``start`` on; the descriptor is the caller's."""
        self._fd = fd
        self._calls = calls
        self._start = start
        self.size = size

    def read(self, offset: int, length: int) -> bytes:
        """Those from ``offset`` on, fewer at the end.

        Raises:
            OSError: the file cannot be read.
        """
        length = min(length, self.size - offset)
        return self._calls.pread(self._fd, length, self._start + offset) if length > 0 and offset >= 0 else b""

    def part(self, offset: int, size: int) -> FileBlob:
        """A part of it."""
        return FileBlob(self._fd, max(0, min(size, self.size - offset)), self._calls, self._start + offset)


class MemoryBlob:
    """Bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, offset: int, length: int) -> bytes:
        """Bytes from somewhere."""
        return self._data[offset : offset + length] if offset >= 0 else b""

    def part(self, offset: int, size: int) -> MemoryBlob:
        """A part of it."""
        return MemoryBlob(self._data[offset : offset + size])


AnyBlob = FileBlob | MemoryBlob


class BlobCalls(Direct):
    """A blob in the place of an open file, for :class:`mig_endpoint.files.compressed.Expanded`."""

    def __init__(self, blob: AnyBlob) -> None:
        self._blob = blob
        self._position = 0

    def read(self, fd: int, length: int) -> bytes:
        """The next bytes."""
        data = self._blob.read(self._position, length)
        self._position += len(data)
        return data

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        """Bytes from somewhere."""
        return self._blob.read(offset, length)

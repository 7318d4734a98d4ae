"""The hits of a run, kept as bytes: a hundred thousand of them take 10 MB and no work of the garbage collector.

``evaluation`` adds them to their slot, ``rows`` makes rows of them when the answer is written.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_endpoint.files.opening import Status

_HEAD = struct.Struct("<qqIIB")
"""Size, time, mode, length of the path, length of the digest."""


class Hit(NamedTuple):
    """A file that passed, with what its row says."""

    path: str
    """As :func:`os.fsdecode` gives it."""
    size: int
    mode: int
    modified: int
    """Nanoseconds since 1970."""
    sha256: str
    """In upper case; empty if it was not asked for or could not be had."""


class Hits:
    """Hits in the order in which they were found."""

    __slots__ = ("_count", "_data")

    def __init__(self) -> None:
        self._data = bytearray()
        self._count = 0

    def add(self, path: str, status: os.stat_result | Status, sha256: str) -> None:
        """Takes a file in."""
        raw, digest = os.fsencode(path), bytes.fromhex(sha256) if sha256 else b""
        head = _HEAD.pack(status.st_size, status.st_mtime_ns, status.st_mode, len(raw), len(digest))
        self._data += head + raw + digest
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Hit]:
        return self.first(self._count)

    def first(self, count: int) -> Iterator[Hit]:
        """The first ``count`` hits; more may be added meanwhile."""
        data, position = self._data, 0
        for _ in range(count):
            size, modified, mode, length, digest = _HEAD.unpack_from(data, position)
            position += _HEAD.size
            path = os.fsdecode(bytes(data[position : position + length]))
            position += length
            yield Hit(path, size, mode, modified, data[position : position + digest].hex().upper() if digest else "")
            position += digest

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

_HEAD = struct.Struct("<qqIIIBH")
"""Size, time (seconds, nanoseconds), mode, lengths of path, digest and link target.

A file system has 64 bits for the seconds: nanoseconds in 64 bits would end in 2262.
"""
_NS = 1_000_000_000


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
    target: str = ""
    """What a link says it leads to, as :func:`os.fsdecode` gives it; empty for everything else."""


class Hits:
    """Hits in the order in which they were found."""

    __slots__ = ("_count", "_data")

    def __init__(self) -> None:
        self._data = bytearray()
        self._count = 0

    def add(self, path: str, status: os.stat_result | Status, sha256: str, target: str = "") -> None:
        """Takes an entry in."""
        raw, digest, leads = os.fsencode(path), bytes.fromhex(sha256) if sha256 else b"", os.fsencode(target)
        seconds, fraction = divmod(status.st_mtime_ns, _NS)
        lengths = (len(raw), len(digest), len(leads))
        self._data += _HEAD.pack(status.st_size, seconds, fraction, status.st_mode, *lengths) + raw + digest + leads
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Hit]:
        return self.first(self._count)

    def first(self, count: int) -> Iterator[Hit]:
        """The first ``count`` hits; more may be added meanwhile."""
        data, position = self._data, 0
        for _ in range(count):
            size, seconds, fraction, mode, *lengths = _HEAD.unpack_from(data, position)
            position += _HEAD.size
            parts = []
            for length in lengths:
                parts.append(bytes(data[position : position + length]))
                position += length
            path, digest, target = parts
            modified = seconds * _NS + fraction
            yield Hit(os.fsdecode(path), size, mode, modified, digest.hex().upper(), os.fsdecode(target))

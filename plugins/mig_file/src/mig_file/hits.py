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
"""Size, time in nanoseconds, mode, length of the path; and length of the digest, or ``_LONG``."""
_LONG = 255
_MORE = struct.Struct("<qIBH")
"""Behind such a head: time in seconds and nanoseconds, lengths of the digest and of what a link says.

A file system has 64 bits for the seconds; nanoseconds in 64 bits end in 2262.
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
        raw, digest = os.fsencode(path), bytes.fromhex(sha256) if sha256 else b""
        try:
            head = _HEAD.pack(status.st_size, status.st_mtime_ns, status.st_mode, len(raw), len(digest))
        except struct.error:  # a time far away
            self._add_long(raw, status, digest, target)
        else:
            if target:
                self._add_long(raw, status, digest, target)
            else:
                self._data += head + raw + digest
        self._count += 1

    def _add_long(self, raw: bytes, status: os.stat_result | Status, digest: bytes, target: str) -> None:
        leads = os.fsencode(target)
        self._data += _HEAD.pack(status.st_size, 0, status.st_mode, len(raw), _LONG)
        self._data += _MORE.pack(*divmod(status.st_mtime_ns, _NS), len(digest), len(leads)) + raw + digest + leads

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
            leads = 0
            if digest == _LONG:
                seconds, fraction, digest, leads = _MORE.unpack_from(data, position)
                position += _MORE.size
                modified = seconds * _NS + fraction
            path = os.fsdecode(bytes(data[position : position + length]))
            position += length
            sha256 = data[position : position + digest].hex().upper() if digest else ""
            position += digest + leads
            if leads:
                yield Hit(path, size, mode, modified, sha256, os.fsdecode(bytes(data[position - leads : position])))
            else:
                yield Hit(path, size, mode, modified, sha256)

"""The hits of a run, kept as bytes: a hundred thousand of them take 10 MB and no work of the garbage collector.

``evaluation`` adds them to their slot, ``rows`` makes rows of them when the answer is written.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class AnyStatus(Protocol):
    """What a row says, under the names that :class:`os.stat_result` has."""

    @property
    def st_mode(self) -> int:
        """Kind and permissions."""

    @property
    def st_size(self) -> int:
        """Bytes."""

    @property
    def st_mtime_ns(self) -> int:
        """Nanoseconds since 1970."""


_HEAD = struct.Struct("<qqIIB")
"""Size, time in nanoseconds, mode, length of the path; and length of the digest, or ``_LONG``."""
_LONG = 255
_MORE = struct.Struct("<qIBHIB")
"""Behind such a head: time in seconds and nanoseconds, lengths of digest, of what a link says, of a member's name and
of a known hash.

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
    member: str = ""
    """Of an archive, its path there; empty for the file itself."""
    known: str = ""
    """The hash that is in a list of the question, in upper case; empty without such a list."""


class Hits:
    """Hits in the order in which they were found."""

    __slots__ = ("_count", "_data")

    def __init__(self) -> None:
        self._data = bytearray()
        self._count = 0

    def add(
        self, path: str, status: AnyStatus, sha256: str, target: str = "", member: str = "", known: str = ""
    ) -> None:
        """Takes an entry in."""
        raw, digest = os.fsencode(path), bytes.fromhex(sha256) if sha256 else b""
        try:
            head = _HEAD.pack(status.st_size, status.st_mtime_ns, status.st_mode, len(raw), len(digest))
        except struct.error:  # a time far away
            self._add_long(raw, status, digest, target, member, known)
        else:
            if target or member or known:
                self._add_long(raw, status, digest, target, member, known)
            else:
                self._data += head + raw + digest
        self._count += 1

    def _add_long(self, raw: bytes, status: AnyStatus, digest: bytes, target: str, member: str, known: str) -> None:
        leads, inner, listed = os.fsencode(target), os.fsencode(member), bytes.fromhex(known)
        self._data += _HEAD.pack(status.st_size, 0, status.st_mode, len(raw), _LONG)
        self._data += _MORE.pack(*divmod(status.st_mtime_ns, _NS), len(digest), len(leads), len(inner), len(listed))
        self._data += raw + digest + leads + inner + listed

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
            leads = inner = listed = 0
            if digest == _LONG:
                seconds, fraction, digest, leads, inner, listed = _MORE.unpack_from(data, position)
                position += _MORE.size
                modified = seconds * _NS + fraction
            path = os.fsdecode(bytes(data[position : position + length]))
            position += length
            sha256 = data[position : position + digest].hex().upper() if digest else ""
            position += digest
            if leads or inner or listed:
                target = os.fsdecode(bytes(data[position : position + leads]))
                member = os.fsdecode(bytes(data[position + leads : position + leads + inner]))
                position += leads + inner
                known = data[position : position + listed].hex().upper()
                position += listed
                yield Hit(path, size, mode, modified, sha256, target, member, known)
            else:
                yield Hit(path, size, mode, modified, sha256)

"""A package's header as rpm keeps it in its database (rpm's ``docs/manual/hregions.md`` and ``lib/header.c``, 4.18).

Two counts, an index of tags, then the data they point to; numbers are big-endian. Only what a row needs is taken out.
Used by ``rpm_sqlite``.
"""

from __future__ import annotations

import struct

MAX_TAGS = 1 << 16
_ENTRY = struct.Struct(">IiII")
_INT32 = 4
_TEXTS = (6, 8, 9)
_NAME, _VERSION, _RELEASE, _EPOCH, _ARCH, _SOURCE = 1000, 1001, 1002, 1003, 1022, 1044
_WANTED = frozenset({_NAME, _VERSION, _RELEASE, _EPOCH, _ARCH, _SOURCE})
NONE = b"(none)"
"""What ``rpm --queryformat`` prints for a tag that is not there."""


def query_line(header: bytes) -> bytes | None:
    """What ``rpm --queryformat '%{NAME} %{EVR} %{ARCH} %{SOURCERPM}'`` prints of it; None when it is damaged."""
    tags = _tags(header)
    if tags is None or _NAME not in tags or _VERSION not in tags:
        return None
    epoch = tags.get(_EPOCH, b"")
    version = tags[_VERSION] + b"-" + tags.get(_RELEASE, NONE)
    evr = epoch + b":" + version if epoch else version
    return b" ".join((tags[_NAME], evr, tags.get(_ARCH, NONE), tags.get(_SOURCE, NONE)))


def _tags(header: bytes) -> dict[int, bytes] | None:
    if len(header) < 8:
        return None
    count, length = struct.unpack_from(">II", header)
    start = 8 + count * _ENTRY.size
    if count > MAX_TAGS or start + length > len(header):
        return None
    found: dict[int, bytes] = {}
    for place in range(count):
        tag, kind, offset, _ = _ENTRY.unpack_from(header, 8 + place * _ENTRY.size)
        if tag not in _WANTED or tag in found or not 0 <= offset < length:
            continue
        if kind == _INT32 and offset + 4 <= length:
            found[tag] = str(int.from_bytes(header[start + offset : start + offset + 4])).encode()
        elif kind in _TEXTS:
            end = header.find(b"\0", start + offset, start + length)
            if end < 0:
                return None
            found[tag] = header[start + offset : end]
    return found

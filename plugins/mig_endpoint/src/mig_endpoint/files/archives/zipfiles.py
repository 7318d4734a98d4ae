"""The list of members of a zip file. Source: APPNOTE.TXT 6.3.10, sections 4.3.12 to 4.3.16 and 4.5.

The list stands at the end and is read piece by piece, so its length does not matter; whatever lies before the archive
(self-extracting programs, executable jars) does not either.
"""

from __future__ import annotations

import calendar
import os
import stat
import struct
from typing import TYPE_CHECKING

from mig_endpoint.files.archives.member import DamagedArchive, Member, is_archive_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_endpoint.files.archives.blob import AnyBlob

STORED, DEFLATED = 0, 8
_END, _END64, _LOCATOR, _ENTRY, _LOCAL = b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\1\2", b"PK\3\4"
_END_HEAD = struct.Struct("<4s4xHHIIH")
_END64_HEAD = struct.Struct("<4s28xQQQ")
_LOCATOR_HEAD = struct.Struct("<4s4xQ4x")
_ENTRY_HEAD = struct.Struct("<4s2BH4HIIIHHH2xHII")
_LOCAL_HEAD = struct.Struct("<4s22xHH")
_MAX_COMMENT = 0xFFFF
_PIECE = 256 << 10
_ENCRYPTED, _UTF8 = 1, 0x800
_UNIX = 3
_DIRECTORY_ATTRIBUTE = 0x10
_FULL = 0xFFFFFFFF
_ZIP64, _TIMES = 0x0001, 0x5455
_NS = 1_000_000_000


def list_of_members(blob: AnyBlob) -> tuple[int, int, int] | None:
    """Where the list lies and how long it is, and what lies before the archive; None if it is no zip file.

    Raises:
        OSError: it cannot be read.
    """
    start = max(0, blob.size - _END_HEAD.size - _MAX_COMMENT)
    tail = blob.read(start, _END_HEAD.size + _MAX_COMMENT)
    place = tail.rfind(_END)
    if place < 0 or len(tail) - place < _END_HEAD.size:
        return None
    _, _, _, length, offset, _ = _END_HEAD.unpack_from(tail, place)
    end = start + place
    locator = blob.read(end - _LOCATOR_HEAD.size, _LOCATOR_HEAD.size) if end >= _LOCATOR_HEAD.size else b""
    if locator.startswith(_LOCATOR):
        _, at = _LOCATOR_HEAD.unpack(locator)
        # where it is said to be, or right before the locator if something lies before the archive
        for at64 in (at, end - _LOCATOR_HEAD.size - _END64_HEAD.size):
            head = blob.read(at64, _END64_HEAD.size)
            if head.startswith(_END64) and len(head) == _END64_HEAD.size:
                _, _, length, offset = _END64_HEAD.unpack(head)
                end = at64
                break
    first = end - length
    if first < 0 or first < offset or (length and blob.read(first, 4) != _ENTRY):
        return None  # a file that only has these letters, as programs that read zip files do
    return first, length, first - offset


def zip_members(blob: AnyBlob, *, every_place: bool = False) -> Iterator[Member]:
    """The members of a zip file, in the order of its list; nothing if it is none.

    ``every_place``: say of each where it lies, and not only of archives.

    Raises:
        DamagedArchive: the list contradicts itself.
        OSError: it cannot be read.
    """
    found = list_of_members(blob)
    if found is None:
        return
    position, left, before = found
    piece, at = b"", 0
    while left:
        if len(piece) - at < min(left, _ENTRY_HEAD.size + 3 * 0xFFFF):
            piece, at = blob.read(position, min(left, _PIECE)), 0
        if len(piece) - at < _ENTRY_HEAD.size or piece[at : at + 4] != _ENTRY:
            raise DamagedArchive("its list of members is damaged")
        length, member = _member(blob, piece, at, before, every_place=every_place)
        yield member
        at += length
        position, left = position + length, left - length


def _member(blob: AnyBlob, piece: bytes, at: int, before: int, *, every_place: bool) -> tuple[int, Member]:
    """The entry at a place of a piece of the list: its length, and what it says."""
    head = _ENTRY_HEAD.unpack_from(piece, at)
    _, _, host, _, flags, method, clock, date, _, packed, size = head[:11]
    name_length, extra_length, comment_length, _, attributes, offset = head[11:]
    length = _ENTRY_HEAD.size + name_length + extra_length + comment_length
    if length > len(piece) - at:
        raise DamagedArchive("its list of members is damaged")
    at += _ENTRY_HEAD.size
    name, extra = piece[at : at + name_length], piece[at + name_length : at + name_length + extra_length]
    size, packed, offset, seconds = _extras(extra, size, packed, offset)
    text = _text(name, utf8=bool(flags & _UTF8))
    mode = attributes >> 16 if host == _UNIX else 0
    if not stat.S_IFMT(mode):
        is_directory = text.endswith("/") or attributes & _DIRECTORY_ATTRIBUTE
        mode |= stat.S_IFDIR if is_directory else stat.S_IFREG
    modified = (seconds if seconds is not None else _seconds(date, clock)) * _NS
    place = None
    if (every_place or is_archive_name(text)) and not flags & _ENCRYPTED:
        place = _place(blob, before + offset, packed)
    return length, Member(text, mode, size, modified, place, method)


def _extras(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int, int | None]:
    """Sizes and offset that did not fit, and the time in seconds since 1970, from the extra fields."""
    seconds = None
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind == _ZIP64:
            large = [number for (number,) in struct.iter_unpack("<Q", field[: len(field) // 8 * 8])]
            size = large.pop(0) if size == _FULL and large else size
            packed = large.pop(0) if packed == _FULL and large else packed
            offset = large.pop(0) if offset == _FULL and large else offset
        elif kind == _TIMES and len(field) >= 5 and field[0] & 1:
            (seconds,) = struct.unpack_from("<i", field, 1)
    return size, packed, offset, seconds


def _place(blob: AnyBlob, offset: int, packed: int) -> AnyBlob | None:
    """The bytes of a member, behind its local header."""
    head = blob.read(offset, _LOCAL_HEAD.size) if packed else b""
    if len(head) < _LOCAL_HEAD.size or not head.startswith(_LOCAL):
        return None
    _, name_length, extra_length = _LOCAL_HEAD.unpack(head)
    return blob.part(offset + _LOCAL_HEAD.size + name_length + extra_length, packed)


def _text(name: bytes, *, utf8: bool) -> str:
    """A name as text: UTF-8 where it says so, or is; else the PC's old character set."""
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return os.fsdecode(name) if utf8 else name.decode("cp437")
    return text


def _seconds(date: int, clock: int) -> int:
    """A DOS date and time, as if it were UTC; 0 if there is no such day."""
    year, month, day = 1980 + (date >> 9), date >> 5 & 15, date & 31
    if not 1 <= month <= 12 or not 1 <= day <= 31:
        return 0
    return calendar.timegm((year, month, day, clock >> 11, clock >> 5 & 63, (clock & 31) * 2, 0, 0, 0))

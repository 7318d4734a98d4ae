"""The members of a tar file, header by header. Sources: pax(1p) (ustar and pax), GNU tar's manual, "Basic Tar Format".

Old files without a magic are known by their checksum. Long names come from GNU's own members and from pax headers.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Protocol

from mig_endpoint.files.archives.member import MAX_NAME, DamagedArchive, Member, is_archive_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_endpoint.files.archives.blob import AnyBlob

BLOCK = 512
MAX_HEADER = 1 << 20
"""Bytes of a pax header."""
_KINDS = {
    b"0": stat.S_IFREG,
    b"\0": stat.S_IFREG,
    b"7": stat.S_IFREG,
    b"S": stat.S_IFREG,
    b"1": stat.S_IFREG,
    b"2": stat.S_IFLNK,
    b"3": stat.S_IFCHR,
    b"4": stat.S_IFBLK,
    b"5": stat.S_IFDIR,
    b"6": stat.S_IFIFO,
}
_WITHOUT_DATA = frozenset((b"1", b"2", b"3", b"4", b"5", b"6"))
_LONG_NAME, _LONG_LINK, _PAX, _PAX_FOR_ALL, _SPARSE = b"L", b"K", b"x", b"g", b"S"
_GNU = b"ustar  \0"
_NS = 1_000_000_000


class Stream(Protocol):
    """The bytes of a tar file in order."""

    def read(self, length: int) -> bytes:
        """The next bytes, fewer at the end."""

    def skip(self, length: int) -> None:
        """Goes over bytes."""

    def place(self, length: int) -> AnyBlob | None:
        """The next bytes as they lie there, without going over them; None if nobody keeps them."""


def is_tar(block: bytes) -> bool:
    """Whether a file that begins so is a tar file."""
    return len(block) == BLOCK and any(block) and _checksum_fits(block)


def tar_members(stream: Stream, *, every_place: bool = False) -> Iterator[Member]:
    """The members, up to the block of zeros that ends them, or the end.

    ``every_place``: say of each where it lies, and not only of archives.

    Raises:
        DamagedArchive: a header is damaged, or larger than anybody needs.
        OSError, Unreadable, DeadlinePassed: the stream's.
    """
    for_all: dict[str, str] = {}
    own: dict[str, str] = {}
    long_name: bytes | None = None
    while True:
        block = stream.read(BLOCK)
        if not block or not any(block):
            return
        if len(block) < BLOCK or not _checksum_fits(block):
            raise DamagedArchive("a header is damaged")
        kind, size = block[156:157], _number(block[124:136])
        if kind in (_PAX, _PAX_FOR_ALL):
            (own if kind == _PAX else for_all).update(_pax(_content(stream, size, MAX_HEADER)))
            continue
        if kind in (_LONG_NAME, _LONG_LINK):
            content = _content(stream, size, MAX_NAME).split(b"\0", 1)[0]
            long_name = content if kind == _LONG_NAME else long_name
            continue
        if kind == _SPARSE:
            _go_over_sparse_headers(stream, block)
        said = for_all | own
        name = long_name if long_name is not None else _name(block)
        size = int(said["size"]) if said.get("size", "").isdigit() else size
        yield _member(stream, block, said.get("path") or os.fsdecode(name), size, said, every_place=every_place)
        if kind not in _WITHOUT_DATA:
            stream.skip(_padded(size))
        own, long_name = {}, None


def _member(stream: Stream, block: bytes, name: str, size: int, said: dict[str, str], *, every_place: bool) -> Member:
    kind = _KINDS.get(block[156:157], stat.S_IFREG)
    if name.endswith("/") and kind == stat.S_IFREG:
        kind = stat.S_IFDIR
    mode = kind | (_number(block[100:108]) & 0o7777)
    try:
        modified = int(float(said["mtime"]) * _NS) if "mtime" in said else _number(block[136:148]) * _NS
    except (ValueError, OverflowError):
        modified = 0
    wanted = kind == stat.S_IFREG and (every_place or is_archive_name(name))
    place = stream.place(size) if wanted else None
    return Member(name, mode, size, modified, place)


def _name(block: bytes) -> bytes:
    name = block[:100].split(b"\0", 1)[0]
    prefix = block[345:500].split(b"\0", 1)[0] if block[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _go_over_sparse_headers(stream: Stream, block: bytes) -> None:
    """GNU's old sparse files say where their data lie in blocks of their own behind the header."""
    more = block[257:265] == _GNU and block[482]
    while more:
        block = stream.read(BLOCK)
        more = len(block) == BLOCK and block[504]


def _content(stream: Stream, size: int, limit: int) -> bytes:
    if size > limit:
        raise DamagedArchive(f"a header of {size} bytes")
    content = stream.read(_padded(size))
    if len(content) < size:
        raise DamagedArchive("it ends in a header")
    return content[:size]


def _pax(content: bytes) -> dict[str, str]:
    """The records of a pax header: ``30 mtime=1350244992.023960108\\n``."""
    said = {}
    while content:
        head, _, _ = content.partition(b" ")
        if not head.isdigit() or not len(head) + 1 < int(head) <= len(content):
            break
        key, _, value = content[len(head) + 1 : int(head) - 1].partition(b"=")
        said[os.fsdecode(key)] = os.fsdecode(value)
        content = content[int(head) :]
    return said


def _checksum_fits(block: bytes) -> bool:
    said = block[148:156].strip(b" \0")
    if not said or not said.isdigit():
        return False
    unsigned = sum(block[:148]) + 8 * ord(" ") + sum(block[156:])
    signed = unsigned - 256 * sum(1 for byte in block[:148] + block[156:] if byte > 127)
    try:
        return int(said, 8) in (unsigned, signed)
    except ValueError:
        return False


def _number(field: bytes) -> int:
    """A number: octal digits, or base 256 where the first bit is set."""
    if field[0] & 0x80:
        return int.from_bytes(bytes((field[0] & 0x7F,)) + field[1:], "big") if field[0] != 0xFF else 0
    digits = field.strip(b" \0")
    try:
        return int(digits, 8) if digits else 0
    except ValueError:
        raise DamagedArchive("a number is none") from None


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK

"""A SQLite database as it is on disk, read without touching it: a copy in memory, with its write-ahead log or journal.

Opening a database, even read-only, may make ``-wal`` and ``-shm`` files beside it, and ``immutable=1`` leaves out what
is only in the log. So the bytes are copied and what the log or a hot journal adds is put into the copy as SQLite itself
would. Sources: The SQLite Database File Format (sqlite.org/fileformat2.html), sections 1.3, 3 and 4.
"""

from __future__ import annotations

import sqlite3
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MAGIC = b"SQLite format 3\0"
_JOURNAL = bytes.fromhex("d9d505f920a163d7")
_WAL = 0x377F0682
_HEADER = 100
_FRAME = 24
_MASK = 0xFFFFFFFF
MAX_CELL = 1 << 20
"""Bytes of one value."""
_STEPS = 100_000
"""Steps of SQLite between looks at the clock."""


class NotADatabase(ValueError):
    """It cannot be read; says why."""


def connect(database: bytes, log: bytes, journal: bytes, expired: Callable[[], bool]) -> sqlite3.Connection:
    """A connection to a copy in memory, on which nothing can be written to a file.

    Args:
        database: the bytes of the file.
        log: those of its ``-wal``, or nothing.
        journal: those of its ``-journal``, or nothing.
        expired: asked now and then; a database may hold a query without end where its table should be.

    Raises:
        NotADatabase: it is none.
    """
    if not database.startswith(_MAGIC) or len(database) < _HEADER:
        raise NotADatabase("not a SQLite database")
    copy = bytearray(database)
    size = int.from_bytes(copy[16:18])
    size = 65536 if size == 1 else size
    if size < 512 or size & (size - 1):
        raise NotADatabase("no size of pages")
    if copy[18] == 2 or copy[19] == 2:
        _apply_log(copy, log, size)
    else:
        _roll_back(copy, journal)
    copy[18] = copy[19] = 1  # or SQLite would look for a log of the copy
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(copy)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_CELL)
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA cell_size_check=ON")
        connection.set_authorizer(_only_read)
        connection.set_progress_handler(lambda: int(expired()), _STEPS)
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    except sqlite3.Error as error:
        connection.close()
        raise NotADatabase(str(error)) from None
    return connection


def _only_read(action: int, *_: object) -> int:
    allowed = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION)
    return sqlite3.SQLITE_OK if action in allowed else sqlite3.SQLITE_DENY


def _apply_log(copy: bytearray, log: bytes, size: int) -> None:
    """Puts the pages of committed transactions into the copy: frames count while salts and checksums are right."""
    if len(log) < 32:
        return
    magic, _, page_size, _, first, second, sum0, sum1 = struct.unpack_from(">8I", log)
    if magic & ~1 != _WAL or page_size != size:
        return
    order = ">" if magic & 1 else "<"
    sums = _checksum(log[:24], order, (0, 0))
    if sums != (sum0, sum1):
        return
    pending: dict[int, int] = {}
    for place in range(32, len(log) - _FRAME - size + 1, _FRAME + size):
        number, pages, salt, other, want0, want1 = struct.unpack_from(">6I", log, place)
        begin = place + _FRAME
        sums = _checksum(log[place : place + 8] + log[begin : begin + size], order, sums)
        if (salt, other) != (first, second) or sums != (want0, want1):
            return
        pending[number] = begin
        if pages:
            _write_pages(copy, log, pending, size, pages)
            pending = {}


def _write_pages(copy: bytearray, source: bytes, places: dict[int, int], size: int, pages: int) -> None:
    if pages * size > len(copy) + len(source):
        raise NotADatabase("a log that says more pages than there are")
    del copy[pages * size :]
    copy.extend(bytes(pages * size - len(copy)))
    for number, begin in places.items():
        if 0 < number <= pages:
            copy[(number - 1) * size : number * size] = source[begin : begin + size]


def _checksum(data: bytes, order: str, sums: tuple[int, int]) -> tuple[int, int]:
    first, second = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for one, other in zip(words[::2], words[1::2], strict=True):
        first = (first + one + second) & _MASK
        second = (second + other + first) & _MASK
    return first, second


def _roll_back(copy: bytearray, journal: bytes) -> None:
    """Puts back the pages that a transaction had changed when it was broken off."""
    if not journal.startswith(_JOURNAL) or len(journal) < 28:
        return
    count, _, pages, sector, size = struct.unpack_from(">5I", journal, 8)
    if size < 512 or size > 65536 or size & (size - 1) or sector < 28 or sector > 1 << 16:
        return
    step = size + 8
    whole = (len(journal) - sector) // step
    places = {
        int.from_bytes(journal[begin : begin + 4]): begin + 4
        for begin in (sector + place * step for place in reversed(range(min(count, max(whole, 0)))))
    }
    if places:
        _write_pages(copy, journal, places, size, pages)

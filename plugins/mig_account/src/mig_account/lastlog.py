"""The last login of each account by lastlog(8): a sparse file, a record at the place of each user id.

Layouts: struct lastlog of glibc 2.36, with 32-bit times (292 bytes), and of arm64 and musl (296 bytes).
"""

from __future__ import annotations

import errno
import itertools
import os
import struct
from typing import TYPE_CHECKING

from mig_account.ground import NO_RECORD, TOO_MANY, text_of
from mig_account.login_databases import LAST, LASTLOG2
from mig_account.logins import address_in
from mig_account.utmp import NO_LAYOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_account.ground import Ground
    from mig_core.plugin.cells import Cell

PATH = "/var/log/lastlog"
MAX_BYTES = 64 << 20
"""Bytes of data that are read; what is between them is holes."""
_SAMPLE = 500
"""Records by which the layout is found out."""
_EARLIEST, _LATEST = 631_152_000, 4_102_444_800
_LAYOUTS = tuple(struct.Struct(f"{order}{time}32s256s") for order in "<>" for time in ("i", "q"))


def lastlog_rows(ground: Ground, name_of: Callable[[int], str]) -> Iterator[dict[str, Cell]]:
    """A row for each user id that has a record, also for those without an account."""
    try:
        file = ground.tree.open(PATH)
    except FileNotFoundError:
        if not ground.tree.distinct(LASTLOG2):
            ground.tally.skip(NO_RECORD, "lastlog, lastlog2.db")
        return
    except OSError as error:
        ground.failed(PATH, error)
        return
    with file:
        ground.tally.examined("files")
        try:
            data = list(_data(ground, file.fileno()))
        except OSError as error:
            ground.failed(PATH, error)
            return
    layout = _layout(data)
    if layout is None:
        if any(block.strip(b"\0") for _, block in data):
            ground.tally.failed(NO_LAYOUT, PATH, "no layout of records fits")
        return
    for uid, raw in _records(data, layout):
        seconds, line, host = layout.unpack(raw)
        text = text_of(host.partition(b"\0")[0])
        ground.tally.examined("records")
        row: dict[str, Cell] = {"what": LAST, "name": name_of(uid), "uid": uid, "start": seconds}
        row |= {"tty": text_of(line.partition(b"\0")[0]), "host": text, "address": address_in(text), "path": PATH}
        yield row


def _data(ground: Ground, fd: int) -> Iterator[tuple[int, bytes]]:
    """The parts of the file that are no holes."""
    place, size, room = 0, os.fstat(fd).st_size, MAX_BYTES
    while place < size:
        try:
            place = os.lseek(fd, place, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        end = min(os.lseek(fd, place, os.SEEK_HOLE), place + room)
        if end <= place:
            ground.tally.skip(TOO_MANY, PATH)
            return
        yield place, os.pread(fd, end - place, place)
        room -= end - place
        place = end


def _layout(data: list[tuple[int, bytes]]) -> struct.Struct | None:
    """The layout by which most records make sense."""
    best, most = None, 0
    for layout in _LAYOUTS:
        sample = [_is_likely(layout.unpack(raw)) for _, raw in itertools.islice(_records(data, layout), _SAMPLE)]
        likely = 2 * sum(sample) - len(sample)
        if likely > most:
            best, most = layout, likely
    return best


def _is_likely(record: tuple[int, bytes, bytes]) -> bool:
    seconds, line, host = record
    texts = all(b"\0" not in one.rstrip(b"\0") for one in (line, host))
    return _EARLIEST <= seconds <= _LATEST and texts and line[:1] != b"\0"


def _records(data: list[tuple[int, bytes]], layout: struct.Struct) -> Iterator[tuple[int, bytes]]:
    """The records that are not empty, by user id; one may begin or end in a hole."""
    for place, block in data:
        first = place // layout.size
        piece = bytes(place - first * layout.size) + block
        for number in range(len(piece) // layout.size + 1):
            raw = piece[number * layout.size : (number + 1) * layout.size].ljust(layout.size, b"\0")
            if raw.strip(b"\0"):
                yield first + number, raw

"""Entries of journald's files that have one value of one field, the newest first, read without journalctl.

A file has, for each field, a chain of the values that occur, and for each value the entries it occurs in: finding them
reads a few kilobytes of gigabytes. Source: https://systemd.io/JOURNAL_FILE_FORMAT, journal-def.h of systemd 257. Values
that are compressed (those from 512 bytes on) are left out; what is asked for here is shorter.
"""

from __future__ import annotations

import itertools
import os
import struct
from typing import TYPE_CHECKING

from mig_account.ground import NOT_UNDERSTOOD, TOO_MANY, text_of
from mig_core.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_account.ground import Ground

FOLDERS = ("/var/log/journal", "/run/log/journal")
MAX_ENTRIES = 100_000
"""Entries of one file that are given."""
MAX_PLACES = 1_000_000
"""Places of entries in one file that are noted."""
MAX_CHAIN = 200_000
"""Objects of a chain that are gone over."""
MAX_BUCKET = 10_000
"""Fields whose hashes fall together."""
MAX_READ = 1 << 26
"""Bytes that are read at once."""
MAX_VALUE = 768
"""Bytes of a value that are read."""
_MAGIC = b"LPKSHHRH"
_COMPACT = 16
_DATA, _FIELD, _ENTRY, _ARRAY = 1, 2, 3, 6
_HEADS = {_DATA: 64, _FIELD: 40, _ENTRY: 64, _ARRAY: 24}
"""Bytes of an object of each kind before what it holds."""
_COMPRESSED = 7
_REMEMBERED = 20_000


class NotAJournal(ValueError):
    """A file that does not have the form of a journal."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry."""

    time: float
    fields: dict[str, str]
    path: str


def entries(ground: Ground, field: str, values: frozenset[str]) -> Iterator[Entry]:
    """The entries of the system's journals in which a field has one of some values, file by file, newest first."""
    for path in _files(ground):
        try:
            file = ground.tree.open(path)
        except OSError as error:
            ground.failed(path, error)
            continue
        with file:
            ground.tally.examined("files")
            try:
                for time, fields in _Journal(file.fileno()).entries(ground, path, field, values):
                    if ground.expired():
                        return
                    yield Entry(time, fields, path)
            except NotAJournal as problem:
                ground.tally.failed(NOT_UNDERSTOOD, path, str(problem))
            except OSError as error:
                ground.failed(path, error)


def has_journal(ground: Ground) -> bool:
    """Whether there is a file of a journal."""
    return next(iter(_files(ground)), None) is not None


def _files(ground: Ground) -> list[str]:
    """The system's own files, the one that is written to first, then by name: that is by time."""
    found = []
    for folder in FOLDERS:
        for machine in ground.names(folder):
            names = ground.names(f"{folder}/{machine}") if len(machine) == 32 else []
            mine = [one for one in names if one.startswith("system") and ".journal" in one]
            live = [one for one in mine if one == "system.journal"]
            rest = sorted((one for one in mine if one != "system.journal"), key=lambda one: one[-30:], reverse=True)
            found += [f"{folder}/{machine}/{one}" for one in (*live, *rest)]
    return found


class _Journal:
    """One open file."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        head = os.pread(fd, 208, 0)
        if not head.startswith(_MAGIC) or len(head) < 208:
            raise NotAJournal("not a journal")
        (flags,) = struct.unpack_from("<I", head, 12)
        self._compact = bool(flags & _COMPACT)
        self._fields_at, self._fields_size = struct.unpack_from("<QQ", head, 120)
        self._values: dict[int, bytes] = {}

    def entries(
        self, ground: Ground, path: str, field: str, values: frozenset[str]
    ) -> Iterator[tuple[float, dict[str, str]]]:
        """Time and fields of the entries, newest first."""
        wanted = {f"{field}={value}".encode() for value in values}
        everywhere = (place for data in self._data_of(field.encode(), wanted) for place in self._places(data))
        places = sorted(set(itertools.islice(everywhere, MAX_PLACES)))
        if next(everywhere, None) is not None:
            ground.tally.skip(TOO_MANY, path)
        if len(places) > MAX_ENTRIES:
            ground.tally.skip(TOO_MANY, path, count=len(places) - MAX_ENTRIES)
        for place in reversed(places[-MAX_ENTRIES:]):
            yield self._entry(place)

    def _object(self, place: int, kind: int, length: int) -> tuple[bytes, int]:
        """So much of an object, and its size.

        Raises:
            NotAJournal: there is no object of the kind.
        """
        if not 0 < place < 1 << 48:
            raise NotAJournal("a place outside of the file")
        raw = os.pread(self._fd, length, place)
        if len(raw) < _HEADS[kind] or raw[0] != kind:
            raise NotAJournal("an object of another kind than is expected")
        (size,) = struct.unpack_from("<Q", raw, 8)
        return raw, size

    def _data_of(self, field: bytes, wanted: set[bytes]) -> Iterator[int]:
        """The places of the values that are wanted."""
        place = self._first_value(field)
        for _ in range(MAX_CHAIN):
            if not place:
                return
            if self._value(place) in wanted:
                yield place
            raw, _ = self._object(place, _DATA, 64)
            (place,) = struct.unpack_from("<Q", raw, 32)
        raise NotAJournal(f"more than {MAX_CHAIN} values of a field")

    def _first_value(self, field: bytes) -> int:
        """The head of the chain of a field's values; 0 where the file has none."""
        table = self._read(self._fields_at, self._fields_size)
        for at in range(0, len(table) - 15, 16):
            (place,) = struct.unpack_from("<Q", table, at)
            for _ in range(MAX_BUCKET):
                if not place:
                    break
                raw, size = self._object(place, _FIELD, 40 + len(field) + 1)
                if size == 40 + len(field) and raw[40 : 40 + len(field)] == field:
                    return int(struct.unpack_from("<Q", raw, 32)[0])
                (place,) = struct.unpack_from("<Q", raw, 24)
            else:
                raise NotAJournal("a chain of fields without end")
        return 0

    def _read(self, place: int, length: int) -> bytes:
        """So many bytes.

        Raises:
            NotAJournal: the file ends before, or nobody would read so many.
        """
        found = os.pread(self._fd, length, place) if 0 < length <= MAX_READ and place < 1 << 48 else b""
        if not found or len(found) < length:
            raise NotAJournal("it is cut off")
        return found

    def _value(self, place: int) -> bytes:
        """``FIELD=value``; empty where it is compressed or long."""
        found = self._values.get(place)
        if found is None:
            begin = 72 if self._compact else 64
            raw, size = self._object(place, _DATA, begin + MAX_VALUE)
            found = b"" if raw[1] & _COMPRESSED or size > begin + MAX_VALUE else raw[begin:size]
            if len(self._values) < _REMEMBERED:
                self._values[place] = found
        return found

    def _places(self, data: int) -> Iterator[int]:
        """The places of the entries in which a value occurs."""
        raw, _ = self._object(data, _DATA, 64)
        first, array, count = struct.unpack_from("<QQQ", raw, 40)
        if first:
            yield first
        form = "<I" if self._compact else "<Q"
        step = struct.calcsize(form)
        left = count - 1
        for _ in range(MAX_CHAIN):
            if not array or left <= 0:
                return
            head, size = self._object(array, _ARRAY, 24)
            (following,) = struct.unpack_from("<Q", head, 16)
            body = self._read(array + 24, min(size - 24, left * step) // step * step)
            for (place,) in struct.iter_unpack(form, body):
                left -= 1
                if place:
                    yield place
            array = following
        raise NotAJournal("a chain of entries without end")

    def _entry(self, place: int) -> tuple[float, dict[str, str]]:
        raw, size = self._object(place, _ENTRY, 64)
        (realtime,) = struct.unpack_from("<Q", raw, 24)
        form = "<I" if self._compact else "<QQ"
        step = struct.calcsize(form)
        fields: dict[str, str] = {}
        for item in struct.iter_unpack(form, self._read(place + 64, (size - 64) // step * step)):
            name, equals, value = self._value(item[0]).partition(b"=") if item[0] else (b"", b"", b"")
            if equals:
                fields.setdefault(text_of(name), text_of(value))
        return realtime / 1e6, fields

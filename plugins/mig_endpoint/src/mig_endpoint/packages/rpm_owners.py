"""The files of each package in an rpm database of the sqlite form, read without changing a byte (rpm 4.16 and newer).

A header is as rpm's ``docs/manual/hregions.md`` has it: two counts, an index of tags, then the data; names of files are
parted into folders and last names. Used by ``file_owners``.
"""

from __future__ import annotations

import contextlib
import os
import struct
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_endpoint.packages.site import Site

DIRECTORIES = ("/usr/lib/sysimage/rpm", "/var/lib/rpm", "/usr/share/rpm")
SQLITE = "rpmdb.sqlite"
OTHERS = ("Packages.db", "Packages")
"""The ndb form (SUSE) and Berkeley DB's (rpm before 4.16): not read here."""
MAX_HEADER = 64 << 20
MAX_TAGS = 1 << 16
_STEPS = 100_000
_ENTRY = struct.Struct(">IiII")
_NAME, _INDEXES, _BASES, _FOLDERS = 1000, 1116, 1117, 1118
_WANTED = frozenset({_NAME, _INDEXES, _BASES, _FOLDERS})


def file_lists(site: Site) -> Iterator[tuple[str, set[bytes] | None]]:
    """Each package and its files; None for a database, or a header, that cannot be read.

    Raises:
        RanOutOfTime: the deadline passed.
    """
    for directory in site.tree.distinct(DIRECTORIES):
        database = f"{directory}/{SQLITE}"
        if site.tree.exists(database):
            yield from _sqlite(site, database)
        elif any(site.tree.exists(f"{directory}/{name}") for name in OTHERS):
            yield "", None


def _sqlite(site: Site, database: str) -> Iterator[tuple[str, set[bytes] | None]]:
    import sqlite3

    try:
        site.tree.open(database).close()  # sqlite would wait for ever at a pipe
        address = f"file:{quote(os.fsencode(site.tree.real(database)))}?mode=ro&immutable=1"
        if site.tree.exists(f"{database}-wal") and site.tree.head(f"{database}-wal", 1):
            yield "", None  # what is only in the log is not seen so
        with contextlib.closing(sqlite3.connect(address, uri=True)) as connection:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_HEADER)
            connection.set_progress_handler(lambda: site.remaining() <= 0, _STEPS)
            for place, (header,) in enumerate(connection.execute("SELECT blob FROM Packages")):
                if place % 64 == 0:
                    site.check_time()
                yield files_of(header) if isinstance(header, bytes) else ("", None)
    except (OSError, sqlite3.Error):
        site.check_time()
        yield "", None


def files_of(header: bytes) -> tuple[str, set[bytes] | None]:
    """Name and files of one package; None for a header that is damaged."""
    tags = _tags(header)
    if tags is None or _NAME not in tags:
        return "", None
    name = tags[_NAME][0].partition(b"\0")[0].decode("utf-8", "replace")
    if _BASES not in tags:
        return name, set()
    if _FOLDERS not in tags or _INDEXES not in tags:
        return name, None
    bases = _texts(*tags[_BASES])
    folders = _texts(*tags[_FOLDERS])
    raw, count = tags[_INDEXES]
    if len(raw) < count * 4 or count != len(bases):
        return name, None
    indexes = struct.unpack_from(f">{count}I", raw)
    if any(index >= len(folders) for index in indexes):
        return name, None
    return name, {folders[index] + base for index, base in zip(indexes, bases, strict=True)}


def _texts(raw: bytes, count: int) -> list[bytes]:
    return raw.split(b"\0", count)[:count]


def _tags(header: bytes) -> dict[int, tuple[bytes, int]] | None:
    if len(header) < 8:
        return None
    count, length = struct.unpack_from(">II", header)
    start = 8 + count * _ENTRY.size
    if count > MAX_TAGS or start + length > len(header):
        return None
    found: dict[int, tuple[bytes, int]] = {}
    for place in range(count):
        tag, _, offset, number = _ENTRY.unpack_from(header, 8 + place * _ENTRY.size)
        if tag in _WANTED and tag not in found and offset < length:
            found[tag] = (header[start + offset : start + length], number)
    return found

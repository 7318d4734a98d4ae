"""Reading an rpm database that is not the endpoint's own without changing a byte of it.

The ``rpm`` program is no reader that leaves things alone: on a foreign database it makes ``-wal`` and ``-shm`` files,
on a form that it was built without it makes an empty database beside it, prints nothing and ends with 0 (rpm 4.18). So
a database of the sqlite form is read directly, with sqlite's ``immutable``, and one of another form by the program from
a private copy. Used by ``rpm``.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import TYPE_CHECKING
from urllib.parse import quote

from mig_pkg import program
from mig_pkg.program import ProgramFailed
from mig_pkg.rpm_header import query_line

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    from mig_endpoint.packages.site import Site

SQLITE = "rpmdb.sqlite"
OTHERS = ("Packages.db", "Packages")
"""The ndb form (SUSE) and Berkeley DB's (rpm before 4.16)."""
MAX_DATABASE = 1 << 30
"""Bytes of a database that is copied."""
MAX_HEADER = 64 << 20
"""Bytes of one package's header in a database."""
_STEPS = 100_000
"""Steps of sqlite between looks at the clock: a database may hold a query without end where its table should be."""


def sqlite_lines(site: Site, directory: str) -> Iterator[bytes | None]:
    """A line a package, as ``rpm -qa`` with the source's format prints it; None for a header that is damaged.

    Raises:
        OSError: it cannot be read.
        TooLarge: it would have to be copied, and is larger than :data:`MAX_DATABASE`.
        ProgramFailed: sqlite cannot read it; says why.
        RanOutOfTime: the deadline passed.
    """
    import sqlite3

    with contextlib.ExitStack() as stack:
        # What is only in the write-ahead log is not seen with ``immutable``: then a copy is opened, with its log.
        if _size(site, f"{directory}/{SQLITE}-wal"):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mig-rpm-"))
            for name in (SQLITE, f"{SQLITE}-wal"):
                _copy(site, f"{directory}/{name}", f"{folder}/{name}")
            address = f"file:{quote(folder)}/{SQLITE}"
        else:
            site.tree.open(f"{directory}/{SQLITE}").close()  # sqlite would wait for ever at a pipe
            address = f"file:{quote(os.fsencode(site.tree.real(f'{directory}/{SQLITE}')))}?mode=ro&immutable=1"
        try:
            connection = stack.enter_context(contextlib.closing(sqlite3.connect(address, uri=True)))
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_HEADER)
            connection.set_progress_handler(lambda: site.remaining() <= 0, _STEPS)
            yield from _headers(connection, site.check_time)
        except sqlite3.Error as error:
            site.check_time()
            raise ProgramFailed(f"sqlite says: {error}") from None


def _headers(connection: sqlite3.Connection, check_time: Callable[[], None]) -> Iterator[bytes | None]:
    for place, (header,) in enumerate(connection.execute("SELECT blob FROM Packages ORDER BY rowid")):
        if place % 256 == 0:
            check_time()
        yield query_line(header) if isinstance(header, bytes) else None


def program_pieces(site: Site, command: tuple[str, ...], directory: str) -> Iterator[bytes]:
    """What the program prints of a private copy of the database, piece by piece.

    Raises:
        OSError: it cannot be read or copied.
        TooLarge: it is larger than :data:`MAX_DATABASE`.
        ProgramFailed: the program failed, or printed nothing of a database that is not empty.
        RanOutOfTime: the deadline passed.
    """
    with tempfile.TemporaryDirectory(prefix="mig-rpm-") as folder:
        copied = [name for name in OTHERS if _size(site, f"{directory}/{name}")]
        for name in copied:
            _copy(site, f"{directory}/{name}", f"{folder}/{name}")
        said = False
        for piece in program.output((command[0], "--dbpath", folder, *command[1:]), site.remaining):
            said = True
            yield piece
        if copied and not said:
            raise ProgramFailed(f"this endpoint's rpm cannot read a database of the form {copied[0]}")


def _size(site: Site, path: str) -> int:
    try:
        return os.stat(site.tree.real(path)).st_size
    except FileNotFoundError:
        return 0


def _copy(site: Site, source: str, target: str) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        room = os.fstatvfs(descriptor)
        if _size(site, source) > room.f_bavail * room.f_frsize // 2:
            raise ProgramFailed("there is no room for a copy of it")
        for piece in site.tree.chunks(source, MAX_DATABASE):
            site.check_time()
            file.write(piece)

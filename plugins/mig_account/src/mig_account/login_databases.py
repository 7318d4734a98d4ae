"""Logins in the databases of Debian 13 and others: wtmpdb(8) for sessions, lastlog2(8) for the last of each account.

Schemas as trixie's packages make them. wtmpdb counts microseconds, lastlog2 seconds. A session that goes on, and one
that a crash ended, both have no end.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from mig_account.ground import NOT_UNDERSTOOD
from mig_account.login_files import session_databases
from mig_account.logins import LOGINS, LOGOUT, address_in
from mig_core.plugin.coverage import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_account.ground import Ground
    from mig_core.plugin.cells import Cell

LAST = "last"
LASTLOG2 = ("/var/lib/lastlog/lastlog2.db",)
MAX_DATABASE = 32 << 20
MAX_ROWS = 500_000
MAX_TEXT = 1 << 16
_TRIES = 3
_BOOT, _USER = 1, 3
CHANGING = Reason("database that was written to while it was read")


def session_rows(ground: Ground) -> Iterator[dict[str, Cell]]:
    """A row for each session and start of wtmpdb, the newest first."""
    question = "SELECT Type, User, Login, Logout, TTY, RemoteHost, Service FROM wtmp ORDER BY Login DESC LIMIT ?"
    boots = 0
    for path, cells in _rows(ground, session_databases(ground), question):
        kind, user, login, logout, tty, host, service = cells
        is_boot = kind == _BOOT
        row: dict[str, Cell] = {"what": LOGINS, "kind": "boot" if is_boot else "login", "name": _text(user)}
        row |= _where(tty, host, service)
        row["start"] = _seconds(login, 1_000_000)
        if logout is not None:
            row |= {"end": _seconds(logout, 1_000_000), "ended": "down" if is_boot else LOGOUT}
        elif boots:
            row |= {"end": None, "ended": "crash"}
        boots += is_boot
        yield row | {"path": path}


def last_rows(ground: Ground) -> Iterator[dict[str, Cell]]:
    """A row for the last login of each account, by lastlog2."""
    question = "SELECT Name, Time, TTY, RemoteHost, Service FROM Lastlog2 LIMIT ?"
    for path, (name, moment, tty, host, service) in _rows(ground, LASTLOG2, question):
        row: dict[str, Cell] = {"what": LAST, "name": _text(name), "start": _seconds(moment, 1)}
        yield row | _where(tty, host, service) | {"path": path}


def _where(tty: object, host: object, service: object) -> dict[str, Cell]:
    text = _text(host)
    return {"tty": _text(tty), "host": text, "address": address_in(text), "service": _text(service)}


def _rows(ground: Ground, paths: tuple[str, ...], question: str) -> Iterator[tuple[str, tuple[object, ...]]]:
    """The rows of a database; what cannot be read is booked. Two names of one file are one."""
    for path in ground.tree.distinct(paths):
        connection = _connection(ground, path)
        if connection is None:
            continue
        ground.tally.examined("files")
        with closing(connection):
            try:
                for cells in connection.execute(question, (MAX_ROWS,)):
                    if ground.expired():
                        return
                    ground.tally.examined("records")
                    yield path, cells
            except sqlite3.Error as error:
                if not ground.expired():
                    ground.tally.failed(NOT_UNDERSTOOD, path, f"SQLite says: {error}")


def _connection(ground: Ground, path: str) -> sqlite3.Connection | None:
    from mig_account.sqlite_copy import NotADatabase, connect

    taken = _taken(ground, path)
    if taken is None:
        return None
    try:
        return connect(*taken, ground.expired)
    except NotADatabase as problem:
        ground.tally.failed(NOT_UNDERSTOOD, path, str(problem))
        return None


def _taken(ground: Ground, path: str) -> tuple[bytes, bytes, bytes] | None:
    """Database, log and journal as they were at one moment; read again when somebody wrote meanwhile."""
    for attempt in range(1, _TRIES + 1):
        before = _stamp(ground, path)
        database = ground.content(path, MAX_DATABASE)
        if database is None or len(database) == MAX_DATABASE:
            return None
        log = ground.content(f"{path}-wal", MAX_DATABASE) or b""
        journal = ground.content(f"{path}-journal", MAX_DATABASE) or b""
        if _stamp(ground, path) != before:
            if attempt < _TRIES:
                continue
            ground.tally.skip(CHANGING, path)
        return database, log, journal
    return None


def _stamp(ground: Ground, path: str) -> list[tuple[int, int] | None]:
    found = (ground.status_or_none(f"{path}{end}") for end in ("", "-wal", "-journal"))
    return [one and (one.st_mtime_ns, one.st_size) for one in found]


def _text(value: object) -> str:
    return value[:MAX_TEXT] if isinstance(value, str) else "" if value is None else f"{value!r:.100}"


def _seconds(value: object, unit: int) -> float | None:
    return value / unit if isinstance(value, int) else None

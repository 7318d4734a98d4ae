"""Logins in databases (wtmpdb, lastlog2): read from a copy, whatever state they are in."""

from __future__ import annotations

import shutil
import sqlite3
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mig_account.sqlite_copy import NotADatabase, connect
from mig_core.plugin.module import Context

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mig_endpoint.testing.systems import System

T = 1_790_000_000

WTMP = (
    "CREATE TABLE wtmp(ID INTEGER PRIMARY KEY, Type INTEGER, User TEXT NOT NULL, Login INTEGER, Logout INTEGER, "
    "TTY TEXT, RemoteHost TEXT, Service TEXT) STRICT"
)
LASTLOG2 = "CREATE TABLE Lastlog2(Name TEXT PRIMARY KEY, Time INTEGER, TTY TEXT, RemoteHost TEXT, Service TEXT)"
INSERT = "INSERT INTO wtmp(Type, User, Login, Logout, TTY, RemoteHost, Service) VALUES(?, ?, ?, ?, ?, ?, ?)"
SESSIONS = (
    (1, "reboot", T * 1_000_000, None, "~", "6.12", None),
    (3, "ada", (T + 10) * 1_000_000, (T + 20) * 1_000_000, "pts/0", "192.0.2.1", "sshd"),
    (1, "reboot", (T + 100) * 1_000_000, None, "~", "6.12", None),
    (3, "eve", (T + 110) * 1_000_000, None, "pts/1", "192.0.2.2", ""),
)


def test_sessions_of_wtmpdb_are_in_microseconds_and_a_crash_has_no_end(system: System) -> None:
    (system.root / "var/log").mkdir(parents=True)
    database = sqlite3.connect(system.root / "var/log/wtmp.db")
    database.execute(WTMP)
    database.executemany(INSERT, SESSIONS)
    database.commit()
    database.close()
    (system.root / "var/lib/wtmpdb").mkdir(parents=True)
    (system.root / "var/lib/wtmpdb/wtmp.db").symlink_to("/var/log/wtmp.db")

    found = system.rows(ask=["logins"])

    assert [(one["name"], one["start"][14:], one.get("ended"), (one.get("end") or "")[14:]) for one in found] == [
        ("eve", "15:10Z", None, ""),
        ("reboot", "15:00Z", None, ""),
        ("ada", "13:30Z", "logout", "13:40Z"),
        ("reboot", "13:20Z", "crash", ""),
    ]


def test_older_databases_that_were_rotated_are_read_too(system: System) -> None:
    folders = {name: system.root / "var" / name for name in ("lib/wtmpdb", "log")}
    for made in folders.values():
        made.mkdir(parents=True)
    for folder, name, user in (
        ("lib/wtmpdb", "wtmp.db", "now"),
        ("lib/wtmpdb", "wtmp_20260701.db", "july"),
        ("lib/wtmpdb", "wtmp_20260901.db", "september"),
        ("log", "wtmp.db.1", "before"),
    ):
        database = sqlite3.connect(folders[folder] / name)
        database.execute(WTMP)
        database.execute(INSERT, (3, user, T * 1_000_000, None, "pts/0", "", "sshd"))
        database.commit()
        database.close()

    result = system.ask(ask=["logins"])

    assert [row["name"] for row in system.rows(ask=["logins"])] == ["now", "before", "september", "july"]
    assert result.coverage.complete


def test_lastlog2_is_in_seconds(system: System) -> None:
    (system.root / "var/lib/lastlog").mkdir(parents=True)
    database = sqlite3.connect(system.root / "var/lib/lastlog/lastlog2.db")
    database.execute(LASTLOG2)
    database.execute("INSERT INTO Lastlog2 VALUES('ada', ?, 'ssh', '192.0.2.1', 'sshd')", (T,))
    database.commit()
    database.close()

    (row,) = system.rows(ask=["last"])

    assert (row["name"], row["start"], row["service"]) == ("ada", "2026-09-21T14:13:20Z", "sshd")


def test_what_is_only_in_the_log_of_a_database_is_read_and_no_file_is_made(system: System) -> None:
    folder = system.root / "var/log"
    folder.mkdir(parents=True)
    writer = sqlite3.connect(folder / "wtmp.db")
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("PRAGMA wal_autocheckpoint=0")
    writer.execute(WTMP)
    for one in SESSIONS:
        writer.execute(INSERT, one)
        writer.commit()
    writer.execute(INSERT, (3, "not committed", T, None, "", "", ""))
    shutil.copytree(folder, copy := system.root / "copy")
    writer.rollback()
    writer.close()
    shutil.rmtree(folder)
    shutil.move(copy, folder)
    (folder / "wtmp.db-shm").unlink()
    before = _files(folder)

    found = system.rows(ask=["logins"])

    assert [one["name"] for one in found] == ["eve", "reboot", "ada", "reboot"]
    assert _files(folder) == before


def test_a_broken_off_transaction_is_rolled_back_in_the_copy(system: System) -> None:
    folder = system.root / "var/log"
    folder.mkdir(parents=True)
    writer = sqlite3.connect(folder / "wtmp.db")
    writer.execute(WTMP)
    writer.executemany(INSERT, SESSIONS)
    writer.commit()
    writer.execute("PRAGMA cache_size=1")
    writer.execute("PRAGMA cache_spill=1")
    writer.execute("DELETE FROM wtmp")
    writer.executemany(INSERT, [(3, "x" * 900, T, None, "", "", "")] * 200)
    shutil.copytree(folder, copy := system.root / "copy")
    writer.rollback()
    writer.close()
    shutil.rmtree(folder)
    shutil.move(copy, folder)
    assert (folder / "wtmp.db-journal").stat().st_size
    before = _files(folder)

    found = system.rows(ask=["logins"])

    assert [one["name"] for one in found] == ["eve", "reboot", "ada", "reboot"]
    assert _files(folder) == before


def _files(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {one.name: (one.stat().st_mtime_ns, one.read_bytes()) for one in folder.iterdir()}


@pytest.mark.parametrize(
    "make", [lambda _: b"nonsense", lambda raw: raw[:5000], lambda raw: raw[:100] + b"\xff" * 8000]
)
def test_a_damaged_database_is_booked(make: Callable[[bytes], bytes], system: System) -> None:
    (system.root / "var/log").mkdir(parents=True)
    place = system.root / "var/log/wtmp.db"
    database = sqlite3.connect(place)
    database.execute(WTMP)
    database.executemany(INSERT, SESSIONS * 200)
    database.commit()
    database.close()
    place.write_bytes(make(place.read_bytes()))

    result = system.ask(ask=["logins"])

    assert result.success
    assert not result.coverage.complete


def test_a_view_in_place_of_the_table_ends_with_the_time(system: System) -> None:
    (system.root / "var/log").mkdir(parents=True)
    database = sqlite3.connect(system.root / "var/log/wtmp.db")
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT count(*) FROM c"
    database.execute(
        f"CREATE VIEW wtmp(Type, User, Login, Logout, TTY, RemoteHost, Service) AS SELECT ({endless}), 1, 1, 1, 1, 1, 1"
    )
    database.commit()
    database.close()

    parameters = system.module.parse_parameters({"root": str(system.root), "ask": ["logins"]})
    result = system.module.run(parameters, Context(deadline=time.monotonic() + 0.5))

    assert not result.coverage.complete


@given(database=st.binary(max_size=400), log=st.binary(max_size=400), journal=st.binary(max_size=400))
@settings(deadline=None)
def test_copying_a_database_is_total(database: bytes, log: bytes, journal: bytes) -> None:
    for head in (b"", b"SQLite format 3\0\x10\0\x02\x02"):
        try:
            connect(head + database, log, bytes.fromhex("d9d505f920a163d7") + journal, lambda: True).close()
        except NotADatabase:
            continue

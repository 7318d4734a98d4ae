"""Logins before: the records of wtmp put together as last(1) does, with the rotated files, the newest first.

A session ends with the next record of its line, with a shutdown, or, when the system starts anew without one, at a time
that nobody knows. Records are the word of whoever could write the file.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING

from mig_account import utmp
from mig_account.ground import NO_RECORD
from mig_account.journal import has_journal
from mig_account.login_files import records, rotated, session_databases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_account.ground import Ground
    from mig_core.plugin.cells import Cell

LOGINS = "logins"
MAX_RECORDS = 500_000
"""Records of one file that are read."""
LOGOUT, DOWN, CRASH, GONE = "logout", "down", "crash", "gone"


def login_rows(ground: Ground) -> Iterator[dict[str, Cell]]:
    """A row for each session and each start of the system, by wtmp."""
    history = History(ground)
    paths = rotated(ground, "wtmp")
    if not paths and not session_databases(ground) and not has_journal(ground):
        ground.tally.skip(NO_RECORD, "wtmp, wtmp.db, journal")
    for path in paths:
        for record in records(ground, path, MAX_RECORDS):
            if ground.expired():
                return
            ground.tally.examined("records")
            if row := history.earlier(record):
                yield {"what": LOGINS, **row, "path": path}


class History:
    """Puts records together, each earlier than the one before."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._ends: dict[str, float] = {}
        """When the next thing happened on a line."""
        self._ended = ""
        """How sessions ended whose line nothing more is known of; empty: they may go on."""
        self._down: float | None = None

    def earlier(self, record: utmp.Record) -> dict[str, Cell] | None:
        """The row of a record, if it has one."""
        if record.is_boot:
            return self._boot(record)
        if record.is_shutdown:
            self._ends.clear()
            self._ended, self._down = DOWN, record.time
            return None
        if record.type in (utmp.OLD_TIME, utmp.NEW_TIME):
            name = "old" if record.type == utmp.OLD_TIME else "new"
            return {"kind": "clock", "name": f"{name} time", "start": record.time}
        if record.type not in (utmp.USER, utmp.DEAD):
            return None
        row = self._login(record) if record.type == utmp.USER and record.user else None
        if record.line:
            self._ends[record.line] = record.time
        return row

    def _boot(self, record: utmp.Record) -> dict[str, Cell]:
        row: dict[str, Cell] = {"kind": "boot", "name": record.user, "host": record.host, "start": record.time}
        row |= {"ended": self._ended}
        if self._ended == DOWN:
            row["end"] = self._down
        elif self._ended:
            row["end"] = None
        self._ends.clear()
        self._ended, self._down = CRASH, None
        return row

    def _login(self, record: utmp.Record) -> dict[str, Cell]:
        row: dict[str, Cell] = {"kind": "login", "start": record.time, **who(record)}
        if record.line in self._ends:
            row |= {"end": self._ends[record.line], "ended": LOGOUT}
        elif self._ended == DOWN:
            row |= {"end": self._down, "ended": DOWN}
        elif self._ended:
            row |= {"end": None, "ended": self._ended}
        elif self._ground.tree.is_own and not self._ground.runs(record.pid):
            row |= {"end": None, "ended": GONE}
        return row


def who(record: utmp.Record) -> dict[str, Cell]:
    """The cells about somebody who came in, or tried to."""
    row: dict[str, Cell] = {
        "name": record.user,
        "tty": record.line,
        "host": record.host,
        "address": record.address or address_in(record.host),
    }
    if record.pid > 0:
        row["pid"] = record.pid
    return row


@lru_cache(maxsize=10_000)
def address_in(host: str) -> str:
    """The address that stands where the name of a host would; else nothing."""
    if len(host) > 64 or not {":", "."} & set(host):
        return ""
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        return ""

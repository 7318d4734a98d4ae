"""Who is logged in now: by utmp, where it is still written, and by the files that systemd-logind keeps of its sessions.

A record of utmp whose process has ended is no session; on a mounted system nothing runs, and the files say what was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_account import utmp
from mig_account.ground import NO_RECORD, text_of
from mig_account.login_files import records
from mig_account.logins import address_in, who

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_account.ground import Ground
    from mig_core.plugin.cells import Cell

SESSIONS = "sessions"
UTMP = ("/run/utmp", "/var/run/utmp")
LOGIND = "/run/systemd/sessions"
MAX_RECORDS = 50_000
_MAX_SESSION = 1 << 16
_ENTRIES = {
    "USER": "name",
    "TTY": "tty",
    "REMOTE_HOST": "host",
    "SERVICE": "service",
    "CLASS": "class",
    "STATE": "state",
}


def session_rows(ground: Ground) -> Iterator[dict[str, Cell]]:
    """A row for each session that each of the sources has."""
    paths = ground.tree.distinct(UTMP)
    if not paths and not ground.tree.exists(LOGIND):
        ground.tally.skip(NO_RECORD, f"utmp, {LOGIND}")
    for path in paths:
        for record in records(ground, path, MAX_RECORDS):
            ground.tally.examined("records")
            if record.type != utmp.USER or not record.user:
                continue
            row: dict[str, Cell] = {"what": SESSIONS, "kind": "login", "start": record.time, **who(record)}
            if ground.tree.is_own and not ground.runs(record.pid):
                row["state"] = "gone"
            yield row | {"path": path}
    for name in ground.names(LOGIND):
        if not name.endswith(".ref"):
            path = f"{LOGIND}/{name}"
            yield from _logind(ground, path, name)


def _logind(ground: Ground, path: str, name: str) -> Iterator[dict[str, Cell]]:
    content = ground.content(path, _MAX_SESSION)
    if content is None:
        return
    ground.tally.examined("records")
    said = dict(line.partition("=")[::2] for line in text_of(content).splitlines() if "=" in line)
    row: dict[str, Cell] = {"what": SESSIONS, "kind": "logind", "session": name, "path": path}
    row |= {cell: said[entry] for entry, cell in _ENTRIES.items() if entry in said}
    row["address"] = address_in(said.get("REMOTE_HOST", ""))
    for entry, cell, unit in (("UID", "uid", 1), ("LEADER", "pid", 1), ("REALTIME", "start", 1_000_000)):
        text = said.get(entry, "")
        if text.isascii() and text.isdigit() and len(text) < 20:
            number = int(text)
            row[cell] = number / unit if unit > 1 else number
    yield row

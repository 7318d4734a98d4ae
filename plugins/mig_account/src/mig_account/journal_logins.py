"""What journald has of logins: sessions that systemd-logind opened and closed, and what sshd refused.

Where Debian 13 keeps no btmp, only the journal has failed logins. sshd's words are those of OpenSSH 9.2 and 10.0.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_account.journal import Entry, entries
from mig_account.logins import LOGINS, LOGOUT, address_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_account.ground import Ground
    from mig_core.plugin.cells import Cell

STARTED, ENDED = "8d45620c1a4348dbb17410da57c60c66", "3354939424b4456d9802ca8333ed424a"
"""``SD_MESSAGE_SESSION_START`` and ``_STOP`` (sd-messages.h)."""
_BOTH = frozenset({STARTED, ENDED})
_SSHD = frozenset({"sshd", "sshd-session"})
_FAILED = re.compile(
    r"Failed (?P<way>[\w/-]+) for (?:invalid user )?(?P<name>.*) from (?P<host>\S+) port \d+ ssh2\Z", re.DOTALL
)
"""Names are the guesser's own words, and may hold `` from 192.0.2.1 port 22``: the last one counts."""
_METHODS_WITHOUT_GUESS = frozenset({"none", "publickey"})
"""What clients try before they ask for a password; no guess."""


def session_rows(ground: Ground) -> Iterator[dict[str, Cell]]:
    """A row for each session that logind opened, the newest first, with its end where the journal has it."""
    ends: dict[tuple[str, str], float] = {}
    for entry in entries(ground, "MESSAGE_ID", _BOTH):
        ground.tally.examined("records")
        key = (entry.fields.get("_BOOT_ID", ""), entry.fields.get("SESSION_ID", ""))
        if entry.fields.get("MESSAGE_ID") == ENDED:
            ends[key] = entry.time
            continue
        yield _session(entry, ends.pop(key, None))


def refused_rows(ground: Ground, what: str) -> Iterator[dict[str, Cell]]:
    """A row for each password that sshd refused."""
    for entry in entries(ground, "SYSLOG_IDENTIFIER", _SSHD):
        ground.tally.examined("records")
        found = _FAILED.match(entry.fields.get("MESSAGE", ""))
        if found is None or found["way"] in _METHODS_WITHOUT_GUESS:
            continue
        row: dict[str, Cell] = {"what": what, "kind": "journal", "start": entry.time, "name": found["name"]}
        row |= {"host": found["host"], "address": address_in(found["host"]), "service": found["way"]}
        yield row | _pid(entry.fields.get("_PID", "")) | {"path": entry.path}


def _session(entry: Entry, end: float | None) -> dict[str, Cell]:
    row: dict[str, Cell] = {"what": LOGINS, "kind": "journal", "name": entry.fields.get("USER_ID", "")}
    row |= {"session": entry.fields.get("SESSION_ID", ""), "start": entry.time, "path": entry.path}
    if end is not None:
        row |= {"end": end, "ended": LOGOUT}
    return row | _pid(entry.fields.get("LEADER", ""))


def _pid(text: str) -> dict[str, Cell]:
    return {"pid": int(text)} if text.isascii() and text.isdigit() and len(text) < 10 else {}

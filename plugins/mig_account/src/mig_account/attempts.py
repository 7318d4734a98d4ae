"""Logins that failed, by btmp (lastb(1)) and by pam_faillock's files; each, or counted by where they came from.

Anybody on the network fills btmp: it is read from the newest record back, within bounds, and what is older is booked.
"""

from __future__ import annotations

import struct
from collections import Counter
from typing import TYPE_CHECKING

from mig_account.ground import NO_RECORD, NOT_UNDERSTOOD, TOO_MANY, text_of
from mig_account.journal import has_journal
from mig_account.journal_logins import refused_rows
from mig_account.login_files import records, rotated
from mig_account.logins import address_in, who
from mig_core.records import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from mig_account.ground import Ground
    from mig_core.plugin.cells import Cell

ATTEMPTS, SOURCES = "attempts", "sources"
MAX_RECORDS = 500_000
"""Records of one file that are looked at."""
MAX_SOURCES = 50_000
"""Sources that are counted apart."""
MAX_NAMES = 1000
"""Names that are counted apart for one source;"""
SHOWN = 20
"""and those that are shown, the most frequent first."""
FAILLOCK = "/run/faillock"
_TALLY = struct.Struct("=52sHHQ")
"""A record of pam_faillock (modules/pam_faillock/faillock.h, Linux-PAM 1.5): source, -, status, time."""
_VALID, _RHOST = 1, 2


@dataclass(slots=True)
class _Source:
    count: int = 0
    first: float = 0.0
    last: float = 0.0
    address: str = ""
    names: Counter[str] = field(default_factory=Counter)
    lines: set[str] = field(default_factory=set)
    paths: set[str] = field(default_factory=set)


def attempt_rows(ground: Ground, known: Container[str]) -> Iterator[dict[str, Cell]]:
    """A row for each attempt, of each file the newest first.

    Args:
        ground: where.
        known: names of accounts. Any other name may be a password, and goes into a column that can be hidden.
    """
    for row in _attempts(ground):
        name = row.get("name")
        if isinstance(name, str) and name and name not in known:
            del row["name"]
            row["names"] = [name]
        yield row


def _attempts(ground: Ground) -> Iterator[dict[str, Cell]]:
    paths = rotated(ground, "btmp")
    if not paths and not has_journal(ground):
        ground.tally.skip(NO_RECORD, "btmp, journal")
    for path in paths:
        for record in records(ground, path, MAX_RECORDS):
            if ground.expired():
                return
            ground.tally.examined("records")
            yield {"what": ATTEMPTS, "kind": "login", "start": record.time, **who(record), "path": path}
    yield from _faillock(ground)
    yield from refused_rows(ground, ATTEMPTS)


def source_rows(ground: Ground) -> Iterator[dict[str, Cell]]:
    """A row for each place that attempts came from, the one with most first."""
    sources: dict[tuple[str, str], _Source] = {}
    for row in _attempts(ground):
        host = str(row.get("host") or row.get("address") or "")
        key = (str(row["kind"]), host or f"tty {row.get('tty', '')}")
        source = sources.get(key)
        if source is None:
            if len(sources) >= MAX_SOURCES:
                ground.tally.skip(TOO_MANY, key[1])
                continue
            source = sources[key] = _Source()
        _count(source, row)
    for (kind, place), source in sorted(sources.items(), key=lambda item: -item[1].count):
        yield {
            "what": SOURCES,
            "kind": kind,
            "host": "" if place.startswith("tty ") else place,
            "tty": ",".join(sorted(source.lines))[:200],
            "address": source.address,
            "count": source.count,
            "names": [f"{name} {count}" for name, count in source.names.most_common(SHOWN)],
            "start": source.first,
            "end": source.last,
            "path": ",".join(sorted(source.paths)),
        }


def _count(source: _Source, row: dict[str, Cell]) -> None:
    moment = row["start"]
    assert isinstance(moment, float)
    source.first = min(source.first, moment) if source.count else moment
    source.last = max(source.last, moment) if source.count else moment
    source.count += 1
    source.address = source.address or str(row.get("address", ""))
    name = str(row.get("name", ""))
    if name in source.names or len(source.names) < MAX_NAMES:
        source.names[name] += 1
    else:
        source.names["(others)"] += 1
    if len(source.lines) < SHOWN:
        source.lines.add(str(row.get("tty", "")))
    source.paths.add(str(row["path"]))


def _faillock(ground: Ground) -> Iterator[dict[str, Cell]]:
    """What pam_faillock remembers of each account since its last success."""
    for name in ground.names(FAILLOCK):
        path = f"{FAILLOCK}/{name}"
        content = ground.content(path) or b""
        if len(content) % _TALLY.size:
            ground.tally.failed(NOT_UNDERSTOOD, path, "not a whole number of records")
        for place in range(0, len(content) - _TALLY.size + 1, _TALLY.size):
            source, _, status, moment = _TALLY.unpack_from(content, place)
            if not status & _VALID:
                continue
            text = text_of(source.partition(b"\0")[0])
            row: dict[str, Cell] = {"what": ATTEMPTS, "kind": "faillock", "name": name, "start": float(moment)}
            row |= {"host": text, "address": address_in(text)} if status & _RHOST else {"tty": text}
            yield row | {"path": path}

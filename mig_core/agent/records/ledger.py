"""The ledger: what this endpoint was asked, by whom, and what it answered; for the machine's owner to read.

An append-only file of JSON lines. Each line carries the SHA-256 of the line before and its own, so a line that is
changed, removed or put in between breaks the chain. Lines cut off at the end leave no trace in the file itself; the
number of lines is in every heartbeat, where the platform's owner can compare it.

``mig-agent log`` reads it; nothing in the agent does.
"""

from __future__ import annotations

import hashlib
import json
import threading
from typing import TYPE_CHECKING, cast

from mig_core.domain.times import format_time
from mig_core.durable import AppendOnly
from mig_core.errors import InvalidDocument

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from mig_core.domain.document import JSON

FIRST = "0" * 64
"""What the first line names as the one before."""
MAX_LINE_BYTES = 1 << 20


class Ledger:
    """The writing end. Thread-safe."""

    def __init__(self, path: Path, *, now: datetime) -> None:
        """Opens the file, made if it is missing.

        Raises:
            OSError: it cannot be read or written.
        """
        self._lock = threading.Lock()
        self._file = AppendOnly(path)
        self._number, self._previous = 0, FIRST
        damaged = False
        try:
            last = json.loads(self._file.last_line() or b"null")
            if last is not None:
                self._number, self._previous = int(last["n"]), str(last["hash"])
        except (ValueError, KeyError, TypeError):
            damaged = True
        if damaged:
            self.add("damaged", {"note": "the line before could not be read; the chain is broken there"}, now=now)
        elif self._file.torn:
            self.add("torn", {"note": "a line was cut short by a crash and removed"}, now=now)

    @property
    def entries(self) -> int:
        """The number of the last line."""
        return self._number

    def add(self, event: str, fields: dict[str, JSON], *, now: datetime) -> None:
        """Adds a line durably.

        Raises:
            OSError: it was not added.
        """
        with self._lock:
            entry: dict[str, JSON] = {"n": self._number + 1, "time": format_time(now), "event": event, **fields}
            entry["previous"] = self._previous
            digest = _digest(entry)
            self._file.append(_line({**entry, "hash": digest}))
            self._number, self._previous = self._number + 1, digest

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._file.close()


def read_ledger(path: Path) -> Iterator[dict[str, JSON]]:
    """The entries, oldest first, each after its place in the chain was checked.

    Raises:
        InvalidDocument: names the first line that breaks the chain; the lines before it were in order.
        OSError: the file cannot be read.
    """
    previous, number = FIRST, 0
    with path.open("rb") as file:
        while raw := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            try:
                entry = cast("dict[str, JSON]", json.loads(raw))
                digest = entry.pop("hash")
                found = (entry["n"], entry["previous"], digest)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                raise InvalidDocument(str(path), "is not a ledger entry", path=f"line {number}") from None
            if found != (number, previous, _digest(entry)):
                raise InvalidDocument(
                    str(path),
                    _what_is_wrong(entry, number, previous),
                    path=f"line {number}",
                    next_step="somebody changed this file; compare it with a backup",
                )
            previous = str(digest)
            yield {**entry, "hash": digest}


def _what_is_wrong(entry: dict[str, JSON], number: int, previous: str) -> str:
    if entry["n"] != number:
        return f"carries the number {entry['n']!r:.20}: lines are missing or were put in before it"
    if entry["previous"] != previous:
        return "does not follow from the line before it"
    return "was changed: its hash does not fit its content"


def _line(entry: dict[str, JSON]) -> bytes:
    return json.dumps(entry, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def _digest(entry: dict[str, JSON]) -> str:
    return hashlib.sha256(_line(entry)).hexdigest()

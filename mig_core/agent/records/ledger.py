"""The ledger: what this endpoint was asked, by whom, and what it answered; for the machine's owner to read.

Append-only files of JSON lines, chained by their hashes (``ledger_file``), so a line that is changed, removed or put in
between breaks the chain. Lines cut off at the end leave no trace in the file itself; the number of lines is in every
heartbeat, where the platform's owner can compare it, and in the journal.

``mig-agent log`` reads it; at start the agent compares it with its journal (``witness``).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mig_core.agent.records.ledger_file import (
    CARRIED,
    FIRST,
    closed_segments,
    digest_of,
    line_of,
    segment_path,
    sign_carried,
)
from mig_core.domain.times import format_time, parse_time
from mig_core.durable import AppendOnly, remove_file, sync_directory

if TYPE_CHECKING:
    from pathlib import Path

    from mig_core.domain.document import JSON
    from mig_core.identity import AgentKey

log = logging.getLogger(__name__)

SEGMENTS = 16
"""How many segments, the open one included, share the room that the owner gives the ledger."""
MAX_BYTES = 64 << 20
_HASH_LENGTH = 80
NEVER = datetime(1, 1, 1, tzinfo=UTC)


class Ledger:
    """The writing end. Thread-safe.

    Args:
        path: the open segment.
        key: signs where a segment ends.
        now: the time.
        max_bytes: of all segments together; the oldest goes when they would pass it.

    Raises:
        OSError: it cannot be read or written.
    """

    def __init__(self, path: Path, *, key: AgentKey, now: datetime, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._key = key
        self._segment_bytes = max_bytes // SEGMENTS
        self._lock = threading.Lock()
        self._number, self._previous = 0, FIRST
        remove_file(self._next)
        self._file = AppendOnly(path)
        last = self._file.last_line()
        closed = closed_segments(path)
        between = not last and bool(closed)
        damaged = not self._go_on_from(_last_line(closed[-1][1]) if between else last)
        if between:
            # A crash fell between the end of a segment and the beginning of the next.
            self._add(CARRIED, self._carried(), now)
        if damaged:
            self._add("damaged", {"note": "the line before could not be read; the chain is broken there"}, now)
        elif self._file.torn:
            self._add("torn", {"note": "a line was cut short by a crash and removed"}, now)
        self.problem = ""
        """What the owner should know; empty: all is well."""

    @property
    def entries(self) -> int:
        """The number of the last line."""
        return self._number

    def add(self, event: str, fields: dict[str, JSON], *, now: datetime) -> int:
        """Adds a line durably; returns its number.

        Raises:
            OSError: it was not added.
        """
        with self._lock:
            length = len(line_of(self._entry(event, fields, now))) + _HASH_LENGTH
            if self._file.size and self._file.size + length > self._segment_bytes:
                self._begin_segment(now)
            self._add(event, fields, now)
            return self._number

    def expect(self, lines: int, *, now: datetime) -> None:
        """Tells how many lines there must be, by the journal's word; when some are missing, a line says so.

        Raises:
            OSError: it was not added.
        """
        with self._lock:
            missing = lines - self._number
            if missing > 0:
                self.problem = f"{missing} lines are missing at its end, found at {format_time(now)}"
                log.error("the ledger: %s", self.problem)
                self._number = lines
                self._add("missing", {"note": self.problem}, now)

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._file.close()

    @property
    def _next(self) -> Path:
        return self._path.with_name(self._path.name + ".next")

    def _add(self, event: str, fields: dict[str, JSON], now: datetime) -> None:
        entry = self._entry(event, fields, now)
        digest = digest_of(entry)
        self._file.append(line_of({**entry, "hash": digest}))
        self._number, self._previous = self._number + 1, digest

    def _entry(self, event: str, fields: dict[str, JSON], now: datetime) -> dict[str, JSON]:
        entry: dict[str, JSON] = {"n": self._number + 1, "time": format_time(now), "event": event, **fields}
        entry["previous"] = self._previous
        return sign_carried(entry, self._key) if event == CARRIED else entry

    def _begin_segment(self, now: datetime) -> None:
        """Closes the open segment and begins the next one; when the disk does not let it, the open one goes on."""
        entry = self._entry(CARRIED, self._carried(), now)
        digest = digest_of(entry)
        closed = closed_segments(self._path)
        number = closed[-1][0] + 1 if closed else 1
        try:
            beginning = AppendOnly(self._next)
            try:
                beginning.append(line_of({**entry, "hash": digest}))
                os.replace(self._path, segment_path(self._path, number))
                os.replace(self._next, self._path)
                sync_directory(self._path.parent)
            except OSError:
                beginning.close()
                raise
            self._file.close()
        except OSError as error:
            log.error("the ledger goes on in a segment that is full: %s", error)
            return
        self._file = beginning
        self._number, self._previous = self._number + 1, digest
        for _, oldest in closed[: max(0, len(closed) + 2 - SEGMENTS)]:
            log.info("%s is removed: the ledger has reached its bound", oldest)
            remove_file(oldest)

    def _carried(self) -> dict[str, JSON]:
        """What the next segment begins with: its number, and the latest end of a window spoken of before it."""
        closed = closed_segments(self._path)
        until = NEVER
        with (self._path if self._file.size else closed[-1][1]).open("rb") as lines:
            for line in lines:
                with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
                    until = max(until, parse_time(json.loads(line)["until"]))
        number = (closed[-1][0] if closed else 0) + (2 if self._file.size else 1)
        return {"segment": number, "until": format_time(until)}

    def _go_on_from(self, line: bytes) -> bool:
        """Takes number and hash of the last line there is; False when it cannot be read."""
        try:
            last = json.loads(line or b"null")
            if last is not None:
                self._number, self._previous = int(last["n"]), str(last["hash"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return False
        return True


def _last_line(path: Path) -> bytes:
    """Of a closed segment; segments are small."""
    return path.read_bytes().rstrip(b"\n").rpartition(b"\n")[2]

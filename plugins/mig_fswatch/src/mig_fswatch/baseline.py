"""The baseline on disk: what every watched entry was when it was last accounted for, and what it was at first.

SQLite in WAL mode with ``synchronous=FULL``: what is committed is there after a crash of the program or the machine,
and whoever asks reads beside the one who writes. A change is committed only when its alert was taken: whatever happens
in between is found again at the next start, told a second time perhaps, and never lost.

Paths are bytes: names on disk may be anything.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from typing import TYPE_CHECKING

from mig_core.errors import MigError
from mig_fswatch.entry import Entry

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from mig_core.domain.document import JSON

NAME = "baseline.db"
VERSION = 1
JOURNAL_BYTES = 4 << 20
"""What the journal is cut to when it was larger."""
_COLUMNS = ", ".join(Entry._fields)
_MARKS = ", ".join("?" * (len(Entry._fields) + 1))
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS entry (path BLOB PRIMARY KEY, {_COLUMNS}) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS first (path BLOB PRIMARY KEY, {_COLUMNS}) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS change (number INTEGER PRIMARY KEY AUTOINCREMENT, row TEXT);
CREATE TABLE IF NOT EXISTS note (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
"""
# fmt: off
_GET = f"SELECT {_COLUMNS} FROM entry WHERE path=?"  # noqa: S608 - the columns are ours, here and below
_PUT = f"INSERT OR REPLACE INTO entry VALUES ({_MARKS})"  # noqa: S608
_PUT_FIRST = f"INSERT OR IGNORE INTO first VALUES ({_MARKS})"  # noqa: S608
_BELOW = f"SELECT path, {_COLUMNS} FROM entry WHERE path >= ? AND path < ? ORDER BY path"  # noqa: S608
_BOTH = ", ".join(f"{table}.{one}" for table in ("first", "entry") for one in Entry._fields)
_DIFFERING = f"SELECT first.path, {_BOTH} FROM first LEFT JOIN entry USING (path) ORDER BY first.path"  # noqa: S608
# fmt: on


class BaselineUnusable(MigError):
    """The file is damaged, or of another version."""


class Baseline:
    """One open baseline. For one thread; another opens its own."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        """Opens it; makes an empty one where there is none.

        Raises:
            BaselineUnusable: what is there cannot be used.
        """
        self.path = folder / NAME
        try:
            if not read_only:
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            self._database = sqlite3.connect(
                f"file:{self.path}?mode={'ro' if read_only else 'rw'}".replace(" ", "%20"),
                uri=True,
                isolation_level=None,
                timeout=5.0,
                check_same_thread=False,
            )
            if not read_only:
                self._database.execute("PRAGMA journal_mode=WAL")
                self._database.execute("PRAGMA synchronous=FULL")
                self._database.execute(f"PRAGMA journal_size_limit={JOURNAL_BYTES}")
                (version,) = self._database.execute("PRAGMA user_version").fetchone()
                if version not in (0, VERSION):
                    raise BaselineUnusable(f"{self.path}: made by another version ({version})")
                self._database.executescript(_SCHEMA)
                self._database.execute(f"PRAGMA user_version={VERSION}")
                if self._database.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                    raise BaselineUnusable(f"{self.path}: damaged")
        except (sqlite3.DatabaseError, OSError) as error:
            raise BaselineUnusable(f"{self.path}: {error}") from error

    def close(self) -> None:
        """Closes it."""
        self._database.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and durable, at the end of the ``with``."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    # -- entries

    def get(self, path: str) -> Entry | None:
        """What an entry was; None if there was none."""
        row = self._database.execute(_GET, (os.fsencode(path),)).fetchone()
        return Entry._make(row) if row else None

    def put(self, path: str, entry: Entry | None) -> None:
        """An entry as it is now; None: it is gone."""
        raw = os.fsencode(path)
        if entry is None:
            self._database.execute("DELETE FROM entry WHERE path=?", (raw,))
        else:
            self._database.execute(_PUT, (raw, *entry))

    def keep_first(self, path: str, entry: Entry | None) -> None:
        """What it was before the first change since the baseline was made; later ones change nothing."""
        row = (os.fsencode(path), *(entry if entry is not None else (None,) * len(Entry._fields)))
        self._database.execute(_PUT_FIRST, row)

    def put_all(self, rows: Iterable[tuple[str, Entry]]) -> None:
        """Many entries."""
        self._database.executemany(_PUT, ((os.fsencode(path), *entry) for path, entry in rows))

    def below(self, path: str) -> Iterator[tuple[str, Entry]]:
        """Entries below a directory, in order of their paths."""
        prefix = os.fsencode(path).rstrip(b"/") + b"/"
        end = prefix[:-1] + b"0"  # the byte behind "/"
        rows = self._database.execute(_BELOW, (prefix, end))
        for raw, *values in rows:
            yield os.fsdecode(raw), Entry._make(values)

    def names_of(self, files: Collection[tuple[int, int]]) -> Iterator[tuple[str, tuple[int, int]]]:
        """The paths under which files are known, and which one each is: device and inode."""
        rows = self._database.execute("SELECT path, device, inode FROM entry WHERE kind='file' ORDER BY path")
        for raw, device, inode in rows:
            if (device, inode) in files:
                yield os.fsdecode(raw), (device, inode)

    def paths(self) -> Iterator[str]:
        """Every path that is known."""
        for (raw,) in self._database.execute("SELECT path FROM entry ORDER BY path"):
            yield os.fsdecode(raw)

    def count(self) -> int:
        """How many entries are known."""
        return int(self._database.execute("SELECT count(*) FROM entry").fetchone()[0])

    def differing(self) -> Iterator[tuple[str, Entry | None, Entry | None]]:
        """Paths that changed since the baseline was made: what they were at first, and when last accounted for."""
        many = len(Entry._fields)
        rows = self._database.execute(_DIFFERING)
        for raw, *values in rows:
            old, new = values[:many], values[many:]
            yield (
                os.fsdecode(raw),
                Entry._make(old) if old[0] is not None else None,
                Entry._make(new) if new[0] is not None else None,
            )

    def forget(self, paths: Iterable[str]) -> None:
        """Paths that are not watched any more."""
        for path in paths:
            self._database.execute("DELETE FROM first WHERE path=?", (os.fsencode(path),))
            self._database.execute("DELETE FROM entry WHERE path=?", (os.fsencode(path),))

    def forget_all(self) -> None:
        """An empty baseline; the changes stay."""
        self._database.execute("DELETE FROM entry")
        self._database.execute("DELETE FROM first")
        self._database.execute("DELETE FROM note")

    # -- changes

    def add_changes(self, rows: Sequence[dict[str, JSON]], keep: int) -> None:
        """Rows of changes that were told; only the last ``keep`` stay."""
        self._database.executemany("INSERT INTO change (row) VALUES (?)", ((json.dumps(row),) for row in rows))
        self._database.execute("DELETE FROM change WHERE number <= (SELECT max(number) FROM change) - ?", (keep,))

    def changes_gone(self) -> int:
        """How many changes were told, and are not kept any more."""
        row = self._database.execute("SELECT seq FROM sqlite_sequence WHERE name='change'").fetchone()
        kept = self._database.execute("SELECT count(*) FROM change").fetchone()[0]
        return max(0, int(row[0]) - int(kept)) if row else 0

    def changes(self) -> Iterator[dict[str, JSON]]:
        """The changes that are kept, the newest first."""
        for (row,) in self._database.execute("SELECT row FROM change ORDER BY number DESC"):
            yield json.loads(row)

    # -- notes

    def note(self, name: str) -> JSON:
        """Something remembered; None if it never was."""
        row = self._database.execute("SELECT value FROM note WHERE name=?", (name,)).fetchone()
        return json.loads(row[0]) if row else None

    def keep_note(self, name: str, value: JSON) -> None:
        """Remembers something."""
        self._database.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (name, json.dumps(value)))


def set_aside(folder: Path) -> None:
    """Puts a baseline that cannot be used out of the way, so that its owner may look at it."""
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            os.replace(folder / (NAME + suffix), folder / f"{NAME}.unusable{suffix}")

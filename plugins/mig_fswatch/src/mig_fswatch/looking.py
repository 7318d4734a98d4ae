"""Looks at paths where something happened, and tells what is not what it was."""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING

from mig_endpoint import coverage
from mig_endpoint.files.crossings import Crossings
from mig_endpoint.files.naming import PathText
from mig_fswatch.changes import Change, with_moves
from mig_fswatch.events import last_actor
from mig_fswatch.folders import Folders
from mig_fswatch.notice import What
from mig_fswatch.scan import LinksAside, Scan
from mig_fswatch.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mig_fswatch.baseline import Baseline
    from mig_fswatch.entry import Entry, Looker
    from mig_fswatch.marks import Marks
    from mig_fswatch.packages import Runs
    from mig_fswatch.pending import Pending, Waiting
    from mig_fswatch.scope import Exclusions
    from mig_fswatch.telling import Telling

ROUND = 5000
"""Paths looked at before what was found is told."""
LAST_ROUND = 100
FOREVER = 1e9


class Looking:
    """Looks when it is time."""

    def __init__(
        self,
        marks: Marks,
        looker: Looker,
        excluded: Exclusions,
        baseline: Baseline,
        telling: Telling,
        pending: Pending,
        runs: Runs,
        stopped: Callable[[], bool],
        most: int,
    ) -> None:
        """``most``: entries of a directory that has come."""
        self.scope = Scope()
        self.tally = LinksAside()
        """What could not be looked at since everything was compared; whoever has that done puts a new one here."""
        self._marks = marks
        self._looker = looker
        self._excluded = excluded
        self._baseline = baseline
        self._telling = telling
        self._pending = pending
        self._runs = runs
        self._stopped = stopped
        self._most = most
        self._changes: dict[str, Change] = {}
        self._quiet: list[tuple[str, Entry]] = []

    def look(self, now: float) -> None:
        """Looks at what is due; ``now`` in seconds of the pending paths' clock."""
        due = self._pending.due(now)
        for begin in range(0, len(due), ROUND):
            self._round(due[begin : begin + ROUND])

    def look_once_more(self, seconds: float) -> None:
        """Looks at what waits, due or not, for so long: before an end."""
        deadline = time.monotonic() + seconds
        due = self._pending.due(deadline, all_=True)
        for begin in range(0, len(due), LAST_ROUND):
            if time.monotonic() > deadline:
                return
            self._round(due[begin : begin + LAST_ROUND])

    def extend(self, before: Scope, after: Scope) -> None:
        """The paths lead elsewhere than before: looks at what is watched newly, and at what was watched."""
        crossings = Crossings(lambda: FOREVER)
        try:
            scan = self._scan(crossings)
            for path in after.files - before.files:
                scan.single(path)
            for path in after.flats - before.flats:
                scan.entries(path)
            for path in after.trees - before.trees:
                scan.tree(path)
            gone = [*before.files - after.files, *before.trees - after.trees, *before.flats - after.flats]
            with Folders(crossings.mounts) as folders:
                for path in gone:
                    self._one(path, scan, folders)
                    self._vanished(path, folders)
            self._tell()
        finally:
            crossings.close()

    def _round(self, paths: list[str]) -> None:
        began = time.monotonic()
        crossings = Crossings(lambda: FOREVER)
        try:
            scan = self._scan(crossings)
            with Folders(crossings.mounts) as folders:
                for path in paths:
                    self._one(path, scan, folders)
            self._tell()
        finally:
            crossings.close()
        done = time.monotonic()
        self._pending.looked(paths, done, (done - began) / len(paths))

    def _scan(self, crossings: Crossings) -> Scan:
        return Scan(
            self._marks, self._looker, self._excluded, crossings, self.tally, known=self._baseline.get,
            found=self._found, stopped=self._stopped, most=self._most,
        )  # fmt: skip

    def _one(self, path: str, scan: Scan, folders: Folders) -> None:
        if path in self._changes or folders.shuns(path):
            self._pending.take(path)
            return
        waiting = self._pending.take(path)
        what = waiting.what if waiting is not None else What(0)
        old = self._baseline.get(path)
        again = bool(what & (What.CONTENT | What.CREATED))
        new = self._look_at(path, old, folders, again=again)
        # 1. The entry itself.
        self._enter(path, old, new, waiting)
        # 2. What was below a directory that is gone, that is another one now, or that was away and has come back: what
        #    happened to it meanwhile happened under other paths.
        was_directory = old is not None and old.kind == "directory"
        is_directory = new is not None and new.kind == "directory"
        if was_directory and (not is_directory or what & What.CREATED or (old and new and old.inode != new.inode)):
            self._vanished(path, folders)
        # 3. What came with a directory.
        if is_directory and self.scope.in_tree(path):
            if not was_directory or what & What.CREATED:
                scan.below(path)
            else:
                self._marks.add(path, self.tally)

    def _look_at(self, path: str, old: Entry | None, folders: Folders, *, again: bool = False) -> Entry | None:
        above, _, name = path.rpartition("/")
        try:
            directory = folders.directory(above or "/")
        except OSError as failure:
            if failure.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return None
            coverage.failed(self.tally, PathText(path), failure)
            return old
        return self._looker.look(directory, name or "/", PathText(path), self.tally, old, again=again)

    def _vanished(self, directory: str, folders: Folders) -> None:
        for path, entry in self._baseline.below(directory):
            if path in self._changes:
                continue
            if folders.is_there(path) is False:
                self._enter(path, entry, None, self._pending.take(path))

    def _found(self, path: str, old: Entry | None, new: Entry | None) -> None:
        if path not in self._changes:
            self._enter(path, old, new, self._pending.take(path))

    def _enter(self, path: str, old: Entry | None, new: Entry | None, waiting: Waiting | None) -> None:
        now = time.time()
        change = Change(path, old, new, first=now, last=now)
        if waiting is not None:
            offset = now - time.monotonic()
            change.what, change.events, change.actors = waiting.what, waiting.events, waiting.actors
            change.first, change.last = waiting.first + offset, waiting.last + offset
        if (held := self._runs.holds(path)) is not None:
            self._runs.drop(path)
            if held.moved_from:  # it may be another change now: where it came from is looked at by itself
                self._pending.add(held.moved_from, What.REMOVED | What.MOVED, None, time.monotonic())
            change.what |= held.what
            change.events += held.events
            change.first = min(change.first, held.first)
            change.actors = {**held.actors, **change.actors}
        if old is None and new is None and waiting is not None and waiting.went_to:
            return
        if change.matters():
            self._changes[path] = change
        elif new is not None and new is not old:
            self._quiet.append((path, new))

    def _tell(self) -> None:
        self._telling.quietly(self._quiet)
        self._quiet.clear()
        changes = with_moves(self._changes.values())
        self._changes.clear()
        self._other_names(changes)
        if changes:
            self._telling.changes(changes)

    def _other_names(self, changes: Sequence[Change]) -> None:
        """What changed under one of its names changed under the others, which the kernel does not tell."""
        shared = {
            (one.new.device, one.new.inode): one
            for one in changes
            if one.old is not None and one.new is not None and one.new.kind == "file" and one.new.links > 1
        }
        if not shared:
            return
        told = {one.path for one in changes}
        for path, file in self._baseline.names_of(shared.keys()):
            if path not in told:
                self._pending.add(path, What.CONTENT, last_actor(shared[file]), time.monotonic())

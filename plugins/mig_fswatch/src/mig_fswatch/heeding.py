"""From notices to paths: which path an event means, whether it is watched, and what else follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_endpoint.files.naming import join
from mig_fswatch import managers
from mig_fswatch.notice import What
from mig_fswatch.scan import LinksAside
from mig_fswatch.scope import HOMES, Scope

if TYPE_CHECKING:
    from mig_fswatch.actors import Actor
    from mig_fswatch.marks import Marks
    from mig_fswatch.notice import Notice, Source
    from mig_fswatch.packages import Runs
    from mig_fswatch.pending import Pending, Waiting
    from mig_fswatch.scope import Exclusions

ACCOUNTS = "/etc/passwd"


class Heeding:
    """Heeds notices, in their order."""

    def __init__(self, marks: Marks, pending: Pending, runs: Runs, excluded: Exclusions, most: int) -> None:
        """``most``: paths that may wait to be looked at; with more, everything is compared."""
        self.scope = Scope()
        """What is watched now."""
        self.lost = 0
        """How often the kernel lost events; whoever heeds it sets it back."""
        self.ways_changed = False
        """Whether the paths are to be followed anew; whoever does sets it back."""
        self._marks = marks
        self._pending = pending
        self._runs = runs
        self._excluded = excluded
        self._most = most
        self.tally = LinksAside()
        """What could not be watched since everything was compared; whoever has that done puts a new one here."""

    def heed(self, source: Source, notice: Notice, now: float) -> None:
        """One notice; ``now`` in seconds of the pending paths' clock."""
        what = notice.what
        if what & What.LOST:
            self.lost += 1
            return
        if what & What.FORGOTTEN:
            self._marks.forget_key(source, notice.key)
            return
        path = self._path_of(source, notice)
        if notice.file_key is not None and not self.scope.covers(path):
            # written under a name elsewhere, or without one
            file = self._marks.find(source, notice.file_key)
            if file is not None and not file.directory:
                path = file.path
        if notice.to_key is not None:
            self._heed_rename(source, notice, path, now)
        elif path:
            self._heed_one(path, what, notice.actor, now)

    def _path_of(self, source: Source, notice: Notice) -> str:
        place = self._marks.find(source, notice.key) if notice.key is not None else None
        if place is None:
            return ""
        return join(place.path, notice.name) if notice.name else place.path

    def _heed_one(self, path: str, what: What, actor: Actor | None, now: float) -> None:
        if what & What.DIRECTORY and what & What.REMOVED:
            self._marks.forget(path, below=bool(what & What.MOVED))
        self._touch(path, what, actor, now)
        if what & What.DIRECTORY and what & What.CREATED and self.scope.in_tree(path) and not self._excluded(path):
            self._marks.add(path, self.tally)

    def _heed_rename(self, source: Source, notice: Notice, old: str, now: float) -> None:
        """Both ends of a rename, as far as they are known here."""
        place = self._marks.find(source, notice.to_key)
        new = join(place.path, notice.to_name) if place is not None else ""
        directory = notice.what & What.DIRECTORY
        if directory and old:
            if new:
                self._marks.moved(old, new)
            else:
                self._marks.forget(old, below=True)
        if old:
            waiting = self._touch(old, What.REMOVED | What.MOVED | directory, notice.actor, now)
            if waiting is not None and new and self.scope.covers(new):
                waiting.went_to = new
        if new:
            self._touch(new, What.CREATED | What.MOVED | directory, notice.actor, now)
            if directory and self.scope.in_tree(new) and not self._excluded(new):
                self._marks.add(new, self.tally)

    def _touch(self, path: str, what: What, actor: Actor | None, now: float) -> Waiting | None:
        folder, _, name = path.rpartition("/")
        folder = folder or "/"
        if manager := managers.DATABASES.get(folder):
            self._runs.database_changed(manager)
        if self._excluded(path):
            return None
        covered = self.scope.covers(path)
        if self.scope.homes and (path == ACCOUNTS or folder == HOMES):
            self.ways_changed = True
        elif what & (What.CREATED | What.REMOVED | What.MOVED) and self.scope.anchors_at(folder, name):
            # a file that is watched by its name may be any file; a directory or a link leads somewhere
            self.ways_changed |= (
                not covered or path not in self.scope.files or bool(what & What.DIRECTORY) or (path in self.scope.links)
            )
        if not covered:
            return None
        if len(self._pending) >= self._most:
            self._pending.clear()
            self.lost += 1
        return self._pending.add(path, what, actor, now)

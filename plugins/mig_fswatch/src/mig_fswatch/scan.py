"""Goes through everything that is watched: marks each directory before it is listed, looks at each entry, and compares.

What is made before its directory has its mark is in the list, what is made later makes an event: nothing falls between.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from mig_core.plugin.coverage import Reason, Tally
from mig_endpoint import coverage
from mig_endpoint.files.crossings import real_path
from mig_endpoint.files.filesystems import FileSystems
from mig_endpoint.files.naming import PathText, join
from mig_endpoint.files.walk import Walk
from mig_fswatch.scope import why_not

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.plugin.coverage import Reason as Reason_
    from mig_endpoint.files.batch import Batch
    from mig_endpoint.files.crossings import Crossings
    from mig_endpoint.files.mounts import Mount, Mounts
    from mig_fswatch.entry import Entry, Looker
    from mig_fswatch.marks import Marks
    from mig_fswatch.scope import Exclusions

    Known = Callable[[str], Entry | None]
    Found = Callable[[str, Entry | None, Entry | None], None]

EXCLUDED = Reason("excluded by the settings", as_asked=True)
TOO_MANY = Reason("more entries than max_files")
STOPPED = Reason("not looked at because the module was stopped")
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class LinksAside(Tally):
    """Links are watched as what they are: that one leads nowhere, or to a directory, is nothing left out."""

    def skip(self, reason: Reason, example: object = "", *, count: int = 1) -> None:
        """Books, but not links."""
        if reason not in (coverage.DANGLING, coverage.DIRECTORY_LINK):
            super().skip(reason, example, count=count)

    def failed(self, reason: Reason, subject: object, problem: str) -> None:
        """Books, but not links."""
        if reason is not coverage.DANGLING:
            super().failed(reason, subject, problem)


class _Watchable(FileSystems):
    """Which directories the walk does not go into."""

    def __init__(self, mounts: Mounts, excluded: Exclusions) -> None:
        super().__init__(mounts, local=True)
        self._excluded = excluded

    def why_not_mount(self, mount: Mount, root_device: int = -1) -> Reason_ | None:
        """As all file systems are judged here."""
        del root_device
        return why_not(mount)

    def why_not(self, fd: int, device: int, root_device: int = -1) -> Reason_ | None:
        """The same for an open directory, that may also be excluded."""
        if self._excluded.any and self._excluded(real_path(fd, "/")):
            return EXCLUDED
        return super().why_not(fd, device, root_device)


class Scan:
    """One comparison. Also a walk's visitor."""

    wants_others = True

    def __init__(
        self,
        marks: Marks | None,
        looker: Looker,
        excluded: Exclusions,
        crossings: Crossings,
        tally: Tally,
        *,
        known: Known,
        found: Found,
        stopped: Callable[[], bool],
        most: int,
        again: bool = False,
    ) -> None:
        """Takes what varies.

        Args:
            marks: gets the directories; None: nothing is to be watched.
            looker: looks.
            excluded: what is left out.
            crossings: the mounts.
            tally: where is booked what could not be looked at.
            known: what an entry was.
            found: gets each entry that is not what it was (path, before, now).
            stopped: whether to break off.
            most: entries to look at.
            again: read contents even where the status is what it was.
        """
        self._marks = marks
        self._looker = looker
        self._excluded = excluded
        self._crossings = crossings
        self._tally = tally
        self._known = known
        self._found = found
        self._stop = stopped
        self._most = most
        self._again = again
        self._points = {point for point, mount in crossings.mounts.by_point.items() if why_not(mount)}
        """Where something is mounted that is not looked at."""
        self.seen: set[str] = set()
        """Entries that are there."""
        self.broke_off = False

    def tree(self, path: str) -> None:
        """A directory that was found by its path, and everything below it."""
        self.single(path)
        self.below(path)

    def below(self, path: str) -> None:
        """Everything below a directory."""
        fd = self._marked(path)
        if fd is not None:
            watchable = _Watchable(self._crossings.mounts, self._excluded)
            Walk(self, self._tally, self._crossings, watchable).walk_from(path, fd)

    def entries(self, path: str) -> None:
        """The entries of a directory, but nothing in these."""
        fd = self._marked(path)
        if fd is None:
            return
        try:
            self._tally.examined("directories")
            for name in os.listdir(fd):
                inner = join(path, name)
                if self.stopped():
                    return
                if not self._excluded(inner) and inner not in self._points:
                    self._look(fd, name, inner)
        except OSError as failure:
            coverage.failed(self._tally, PathText(path), failure)
        finally:
            os.close(fd)

    def _marked(self, path: str) -> int | None:
        """A directory that has its mark, open; None: it is left out, or cannot be opened, which is booked."""
        if self._excluded(path) or self.broke_off or self._skip(path):
            return None
        if self._marks is not None:
            self._marks.add(path, self._tally)
        try:
            return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as failure:
            if failure.errno not in _GONE:
                coverage.failed(self._tally, PathText(path), failure)
            return None

    def single(self, path: str) -> None:
        """One entry."""
        if not self._excluded(path) and path not in self._points:
            self._look(None, path, path)

    def visit(self, batch: Batch) -> None:
        """Entries of a directory: its directories get their marks first."""
        if self._marks is not None:
            for name, kind in batch.others.items():
                path = join(batch.path, name)
                if kind == stat.S_IFDIR and not self._excluded(path) and path not in self._points:
                    self._marks.add(path, self._tally, batch.fd, name)
        inner = batch.path.rstrip("/") + "/"
        for name in (*batch.names, *batch.others):
            path = inner + name
            if self.broke_off:
                return
            if path not in self._points and not self._excluded.name(path):
                self._look(batch.fd, name, path)

    def why_not(self, depth: int) -> Reason_ | None:
        """All depths are gone into."""
        del depth
        return None

    def stopped(self) -> bool:
        """Whether to break off."""
        if not self.broke_off and self._stop():
            self._tally.skip(STOPPED)
            self.broke_off = True
        return self.broke_off

    def _skip(self, path: str) -> bool:
        why = why_not(self._crossings.mounts.covering(path))
        if why:
            self._tally.skip(why, PathText(path))
        return why is not None

    def _look(self, directory: int | None, name: str, path: str) -> None:
        if len(self.seen) >= self._most:
            self._tally.skip(TOO_MANY, PathText(path))
            self.broke_off = True
            return
        old = self._known(path)
        shown = PathText(path)
        new = self._looker.look(directory, name, shown, self._tally, old, again=self._again)
        if new is None:
            return
        if path not in self.seen:
            self.seen.add(path)
            self._tally.examined("entries")
        if self._marks is not None and new.kind == "file" and new.links > 1:
            self._marks.add_file(path, self._tally)
        if new is not old:
            self._found(path, old, new)

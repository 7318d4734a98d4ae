"""A path that somebody named, explored: a directory with all below it, a file, a special file, or a link to any.

A link is followed here, because somebody named it, and what is found is reported under its target.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING

from mig_endpoint import coverage
from mig_endpoint.files.batch import Batch
from mig_endpoint.files.filesystems import may_hang
from mig_endpoint.files.naming import PathText
from mig_endpoint.files.walk import Walk

if TYPE_CHECKING:
    from mig_core.plugin.coverage import Tally
    from mig_endpoint.files.batch import Visitor
    from mig_endpoint.files.crossings import Crossings
    from mig_endpoint.files.filesystems import FileSystems

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NONBLOCK


def explore(
    path: str,
    visitor: Visitor,
    tally: Tally,
    crossings: Crossings,
    file_systems: FileSystems | None = None,
    *,
    follow: bool = True,
) -> None:
    """Shows the visitor what is at ``path`` and below.

    Args:
        path: absolute, or relative to the process's directory; as :func:`os.fsdecode` gives it.
        visitor: looks at the entries.
        tally: where what is left out is booked.
        crossings: of the run.
        file_systems: which mounts to leave out; None: none.
        follow: whether to find out what links lead to; see :class:`mig_endpoint.files.walk.Walk`.
    """
    mount = crossings.mounts.covering(os.path.abspath(path))
    if mount is not None and file_systems is not None and may_hang(mount):
        why = file_systems.why_not_mount(mount)
        if why is not None:
            tally.skip(why, PathText(path))
            return
    _Root(path, visitor, tally, crossings, file_systems, follow=follow).explore()


class _Root:
    """One path."""

    def __init__(
        self,
        path: str,
        visitor: Visitor,
        tally: Tally,
        crossings: Crossings,
        file_systems: FileSystems | None,
        *,
        follow: bool,
    ) -> None:
        self._path = path
        self._follow = follow
        self._visitor = visitor
        self._tally = tally
        self._crossings = crossings
        self._file_systems = file_systems
        self._calls = crossings.for_path(path)

    def explore(self) -> None:
        """Finds out what is there, and goes on with that."""
        target, flags = self._path, _DIRECTORY | os.O_NOFOLLOW
        try:
            mode = self._calls.stat(self._path, follow_symlinks=False).st_mode
        except OSError as failure:
            gone = failure.errno in (errno.ENOENT, errno.ENOTDIR)
            coverage.failed(self._tally, PathText(self._path), failure, coverage.NOT_FOUND if gone else None)
            return
        if stat.S_ISLNK(mode):
            if self._visitor.wants_others:
                self._show(self._path, mode)
            try:
                mode = self._calls.stat(self._path).st_mode
                target = self._calls.call(_real, self._path)
                if target == self._path:  # /proc/PID/cwd of somebody elsewhere has no other name
                    flags = _DIRECTORY
            except OSError as failure:
                reason = coverage.reason_of(failure)
                if reason not in (coverage.DENIED, coverage.UNRESPONSIVE):
                    reason = coverage.DANGLING
                coverage.failed(self._tally, PathText(self._path), failure, reason)
                return
        if stat.S_ISDIR(mode):
            self._go_through(target, mode, flags)
        else:
            self._show(target, mode)

    def _go_through(self, path: str, mode: int, flags: int) -> None:
        if self._visitor.wants_others:
            self._show(path, mode)
        try:
            fd = self._calls.open(path, flags)
        except OSError as failure:
            coverage.failed(self._tally, PathText(path), failure)
            return
        walk = Walk(self._visitor, self._tally, self._crossings, self._file_systems, follow=self._follow)
        walk.walk_from(path, fd)

    def _show(self, path: str, mode: int) -> None:
        """Shows the visitor the one entry that a path names."""
        directory, name = os.path.split(path)
        if not name:
            directory, name = "", path  # the root of all
        try:
            fd = self._calls.open(directory or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as failure:
            coverage.failed(self._tally, PathText(path), failure)
            return
        crossings = self._crossings
        mount = crossings.mounts.by_point.get(path)
        place = crossings.place_of(mount) if mount else crossings.place_behind(directory or "/", fd)
        batch = Batch(directory, fd, 1, [], (), {}, named=True, calls=place.calls)
        if stat.S_ISREG(mode):
            batch.names.append(name)
            if self._calls.call(os.path.islink, path):  # /proc/PID/exe of a deleted program
                batch.links = {name}
        else:
            batch.others = {name: stat.S_IFMT(mode)}
            if not stat.S_ISDIR(mode) and not stat.S_ISLNK(mode):
                batch.specials = (name,)
        try:
            self._visitor.visit(batch)
        finally:
            with contextlib.suppress(OSError):
                self._calls.close(fd)


def _real(path: str) -> str:
    """Where a link leads; itself if that has no path here: ``/proc/PID/exe`` of a deleted program is readable by its
    own, and what ``/proc/PID/root`` of a container says, ``/``, is a path over there.
    """
    from mig_endpoint.files.doorways import leads_to_same  # few questions name a link

    target = os.path.realpath(path)
    try:
        return target if leads_to_same(target, path) else path
    except OSError:
        return path

"""Goes through the directories below one path, relative to open descriptors, never through a link.

Each directory is opened by its name in its parent's descriptor (``O_NOFOLLOW``), so a directory replaced by a link in
the meantime is not followed. The stack is explicit and holds few descriptors: of a deep branch the upper directories
are closed and found again through ``..``, checked by device and inode. Entry types come from the directory itself; only
links are asked for what they lead to. ``evaluation`` is the visitor.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from mig_endpoint import coverage
from mig_endpoint.files.naming import PathText, join

if TYPE_CHECKING:
    from collections.abc import Collection

    from mig_core.plugin.coverage import Reason, Tally
    from mig_endpoint.files.filesystems import FileSystems

BATCH = 4096
"""How many files of a directory are shown at once."""
MAX_OPEN = 100
"""How many directories of a branch stay open."""
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(slots=True)
class Batch:
    """Some files of one directory, in its order: regular ones, and links that lead to regular ones."""

    path: str
    """The directory, as :func:`os.fsdecode` gives it."""
    fd: int
    depth: int
    """1 for the files of the path itself."""
    names: list[str]
    links: Collection[str]
    """Which of the names are links."""
    regular: bool = True
    """False for a FIFO, socket or device that a path names itself: it is judged without being opened."""

    def path_of(self, name: str) -> PathText:
        """The path of one of the files."""
        return PathText(self.path, name)

    def status(self, name: str) -> os.stat_result:
        """The status of one of the files, or of what a link leads to.

        Raises:
            OSError: it went away.
        """
        return os.stat(name, dir_fd=self.fd, follow_symlinks=name in self.links)


class Visitor(Protocol):
    """Who looks at what the walk finds."""

    def visit(self, batch: Batch) -> None:
        """Looks at files."""

    def why_not(self, depth: int) -> Reason | None:
        """Why not to go into directories whose files have this depth; None: go."""

    def stopped(self) -> bool:
        """Whether the run is over; the visitor books why. Asked at least once for each directory."""


@dataclass(slots=True)
class _Frame:
    path: str
    depth: int
    fd: int
    directories: list[str]
    """Still to be entered, the next one last."""
    identity: tuple[int, int] = field(default=(0, 0))
    """Device and inode, noted when the descriptor is closed."""


class Walk:
    """One walk at a time. Not to be shared between threads."""

    def __init__(self, visitor: Visitor, tally: Tally, file_systems: FileSystems | None = None) -> None:
        """``file_systems`` says which mounts to leave out; None: none."""
        self._visitor = visitor
        self._tally = tally
        self._file_systems = file_systems
        self._check_search_permission = os.geteuid() != 0
        self._root_device = -1
        self._stopped = False

    def walk(self, root: str) -> None:
        """Goes through the directory ``root`` and everything below it."""
        try:
            fd = os.open(root, _FLAGS)
        except OSError as failure:
            coverage.failed(self._tally, PathText(root), failure)
            return
        stack: list[_Frame] = []
        if self._file_systems:
            self._root_device = os.fstat(fd).st_dev
            if why := self._file_systems.why_not(fd, self._root_device):
                self._tally.skip(why, PathText(root))
                os.close(fd)
                return
        try:
            self._enter(stack, root, fd, 1)
            while stack and not self._stopped:
                self._step(stack)
            for frame in stack:
                if frame.directories:
                    why = self._visitor.why_not(frame.depth + 1) or coverage.TIME
                    self._tally.skip(why, PathText(frame.path), count=len(frame.directories))
        finally:
            for frame in stack:
                _close(frame)

    def _step(self, stack: list[_Frame]) -> None:
        frame = stack[-1]
        if not frame.directories:
            self._leave(stack)
            return
        if why := self._visitor.why_not(frame.depth + 1):  # a limit was reached since they were listed
            self._tally.skip(why, PathText(frame.path), count=len(frame.directories))
            frame.directories.clear()
            return
        name = frame.directories.pop()
        try:
            fd = os.open(name, _FLAGS, dir_fd=frame.fd)
        except OSError as failure:
            coverage.failed(self._tally, PathText(frame.path, name), failure)
            return
        if self._file_systems and (why := self._file_systems.why_not(fd, self._root_device)):
            self._tally.skip(why, PathText(frame.path, name))
            os.close(fd)
            return
        self._enter(stack, join(frame.path, name), fd, frame.depth + 1)

    def _enter(self, stack: list[_Frame], path: str, fd: int, depth: int) -> None:
        """Shows the files of a directory and puts it on the stack if there are directories in it."""
        frame = _Frame(path, depth, fd, [])
        keep = False
        try:
            keep = self._may_search(frame) and self._list(frame)
        finally:
            if not keep:
                _close(frame)
        if not keep:
            return
        if len(stack) >= MAX_OPEN:
            _put_aside(stack[len(stack) - MAX_OPEN])
        stack.append(frame)

    def _may_search(self, frame: _Frame) -> bool:
        """A directory that can be listed but not searched shows names only; that is no answer about its files."""
        if not self._check_search_permission or os.access(".", os.X_OK, dir_fd=frame.fd, effective_ids=True):
            return True
        path = PathText(frame.path)
        self._tally.skip(coverage.DENIED, path)
        self._tally.error(f"{path}: permission denied to look at what is in it")
        return False

    def _list(self, frame: _Frame) -> bool:
        """Whether there are directories to enter."""
        self._tally.examined("directories")
        visitor = self._visitor
        try:
            with os.scandir(frame.fd) as entries:
                while some := list(itertools.islice(entries, BATCH)):
                    names, links = self._sorted_out(frame, some)
                    if names:
                        visitor.visit(Batch(frame.path, frame.fd, frame.depth, names, links))
                    if visitor.stopped():
                        self._stopped = True
                        return False
        except OSError as failure:
            coverage.failed(self._tally, PathText(frame.path), failure)
        if not frame.directories:
            return False
        if why := self._visitor.why_not(frame.depth + 1):
            self._tally.skip(why, PathText(frame.path), count=len(frame.directories))
            return False
        frame.directories.reverse()
        return True

    def _sorted_out(self, frame: _Frame, entries: list[os.DirEntry[str]]) -> tuple[list[str], Collection[str]]:
        """The files among the entries, and which of them are links; directories are put down in the frame."""
        names = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
        if len(names) == len(entries):
            return names, ()
        directories = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        frame.directories += directories
        if len(names) + len(directories) == len(entries):
            return names, ()
        names, links = [], set()
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                names.append(entry.name)
            elif entry.is_symlink():
                if self._leads_to_file(frame, entry.name):
                    names.append(entry.name)
                    links.add(entry.name)
            elif not entry.is_dir(follow_symlinks=False):
                self._tally.skip(coverage.SPECIAL, PathText(frame.path, entry.name))
        return names, links

    def _leads_to_file(self, frame: _Frame, name: str) -> bool:
        try:
            mode = os.stat(name, dir_fd=frame.fd).st_mode
        except OSError as failure:
            reason = coverage.reason_of(failure)
            if reason is not coverage.DENIED:
                reason = coverage.DANGLING
            problem = f"link cannot be followed: {coverage.problem_of(failure)}"
            self._tally.failed(reason, PathText(frame.path, name), problem)
            return False
        if stat.S_ISREG(mode):
            return True
        reason = coverage.DIRECTORY_LINK if stat.S_ISDIR(mode) else coverage.SPECIAL
        self._tally.skip(reason, PathText(frame.path, name))
        return False

    def _leave(self, stack: list[_Frame]) -> None:
        """Takes the top directory off the stack and opens the one above it again if it was put aside."""
        left = stack.pop()
        try:
            if stack and stack[-1].fd < 0:
                self._reopen(left.fd, stack)
        finally:
            _close(left)

    def _reopen(self, child: int, stack: list[_Frame]) -> None:
        """Opens the top directory again from one below it, or from the root if that was moved."""
        frame = stack[-1]
        with contextlib.suppress(OSError):
            frame.fd = os.open("..", _FLAGS, dir_fd=child)
            if _identity(frame.fd) == frame.identity:
                return
            _close(frame)
        try:
            frame.fd = self._descend(stack)
        except OSError as failure:
            coverage.failed(self._tally, PathText(frame.path), failure)
            self._tally.skip(coverage.CHANGED, PathText(frame.path), count=len(frame.directories) + len(stack) - 1)
            for lost in stack:
                lost.directories.clear()
            stack.clear()

    def _descend(self, stack: list[_Frame]) -> int:
        """Opens the way down to the top directory anew, one name after the other, checking that it is the same one."""
        root = stack[0]
        fd = os.open(root.path, _FLAGS)
        try:
            for frame in stack[1:]:
                name = frame.path[len(root.path) :].rsplit("/", 1)[-1]
                deeper = os.open(name, _FLAGS, dir_fd=fd)
                os.close(fd)
                fd = deeper
            if _identity(fd) != stack[-1].identity:
                raise FileNotFoundError(errno.ENOENT, "was replaced while being looked at")
        except OSError:
            os.close(fd)
            raise
        return fd


def _put_aside(frame: _Frame) -> None:
    """Closes the descriptor of a directory that will be needed again, and notes which directory it was."""
    if frame.fd >= 0:
        frame.identity = _identity(frame.fd)
        _close(frame)


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


def _close(frame: _Frame) -> None:
    if frame.fd >= 0:
        try:  # noqa: SIM105 - contextlib.suppress costs three times the call, for each directory
            os.close(frame.fd)
        except OSError:
            pass
        frame.fd = -1

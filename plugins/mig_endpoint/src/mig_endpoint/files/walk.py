"""Goes through the directories below one path, relative to open descriptors, never through a link.

Each directory is opened by its name in its parent's descriptor (``O_NOFOLLOW``), so a directory replaced by a link in
the meantime is not followed. The stack is explicit and holds few descriptors and paths: of a deep branch the upper
directories are closed and found again through ``..``, checked by device and inode. Entry types come from the directory
itself; only links are asked for what they lead to. Mounts that may not answer are known before they are touched.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
from types import MappingProxyType
from typing import TYPE_CHECKING

from mig_core.records import dataclass, field
from mig_endpoint import coverage
from mig_endpoint.files.batch import Batch
from mig_endpoint.files.naming import PathText, join

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mig_core.plugin.coverage import Reason, Tally
    from mig_endpoint.files.batch import Visitor
    from mig_endpoint.files.calls import Calls, Entry
    from mig_endpoint.files.crossings import Crossings, Place
    from mig_endpoint.files.filesystems import FileSystems
    from mig_endpoint.files.mounts import Mount

BATCH = 4096
"""How many entries of a directory are shown at once."""
DIRECTORIES_AT_ONCE = 32
"""How many are entered before they are booked."""
MAX_OPEN = 100
"""How many directories of a branch stay open."""
_NOTHING: Mapping[str, int] = MappingProxyType({})
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(slots=True)
class _Frame:
    path: str
    """Empty while the directory is put aside."""
    length: int
    """Of the path."""
    depth: int
    fd: int
    place: Place
    directories: list[str] = field(default_factory=list)
    """Still to be entered, the next one last."""
    identity: tuple[int, int] = (0, 0)
    """Device and inode, noted when the descriptor is closed."""


class Walk:
    """One walk at a time. Not to be shared between threads."""

    def __init__(
        self,
        visitor: Visitor,
        tally: Tally,
        crossings: Crossings,
        file_systems: FileSystems | None = None,
        *,
        follow: bool = True,
    ) -> None:
        """Nothing is gone through yet.

        Args:
            visitor: looks at the entries.
            tally: where what is left out is booked.
            crossings: of the run.
            file_systems: says which mounts to leave out; None: none.
            follow: False: no link is asked what it leads to, all come among the others. For systems mounted somewhere,
                whose links mean other files than those that the endpoint would find.
        """
        self._follow = follow
        self._visitor = visitor
        self._tally = tally
        self._crossings = crossings
        self._file_systems = file_systems
        self._check_search_permission = os.geteuid() != 0
        self._root_device = -1
        self._peculiar: dict[str, Mount] = {}
        """Mounts to be careful with, by the paths at which the walk will meet them."""
        self._around: set[str] = set()
        """The directories in which they lie."""
        self._wants_others = False
        self._entered = 0
        """Directories, since they were last booked."""
        self._stopped = False

    def walk(self, root: str) -> None:
        """Goes through the directory ``root`` and everything below it. ``root`` itself may be waited for."""
        try:
            fd = os.open(root, _FLAGS)
        except OSError as failure:
            coverage.failed(self._tally, PathText(root), failure)
            return
        self.walk_from(root, fd)

    def walk_from(self, root: str, fd: int) -> None:
        """The same for a directory that is open; closes the descriptor."""
        place = self._crossings.place_behind(root, fd)
        self._wants_others = self._visitor.wants_others
        stack: list[_Frame] = []
        try:
            if self._file_systems:
                self._root_device = place.calls.fstat(fd).st_dev
                if why := self._file_systems.why_not(fd, self._root_device):
                    self._tally.skip(why, PathText(root))
                    place.calls.close(fd)
                    return
        except OSError as failure:
            coverage.failed(self._tally, PathText(root), failure)
            return
        self._peculiar = self._crossings.below(root, fd)
        self._around = {os.path.dirname(path) for path in self._peculiar}
        try:
            self._enter(stack, root, fd, 1, place)
            while stack and not self._stopped:
                self._step(stack)
            for frame in stack:
                if frame.directories:
                    why = self._visitor.why_not(frame.depth + 1) or coverage.TIME
                    self._tally.skip(why, PathText(self._path_of(frame, stack)), count=len(frame.directories))
        finally:
            self._count()
            for frame in stack:
                _close(frame)

    def _step(self, stack: list[_Frame]) -> None:
        """Goes into the next directory of the topmost one, or leaves that."""
        frame = stack[-1]
        if not frame.directories:
            self._leave(stack)
            return
        if why := self._visitor.why_not(frame.depth + 1):  # a limit was reached since they were listed
            self._tally.skip(why, PathText(frame.path), count=len(frame.directories))
            frame.directories.clear()
            return
        name = frame.directories.pop()
        path = join(frame.path, name)
        place = frame.place
        if path in self._peculiar or place.automount:
            mount = self._peculiar.get(path)
            if why := self._why_not_across(mount):
                self._tally.skip(why, PathText(path))
                return
            place = self._crossings.place_of(mount)
        try:
            fd = place.calls.open(name, _FLAGS, dir_fd=frame.fd)
            if self._file_systems:
                device = place.calls.fstat(fd).st_dev
                if why := self._file_systems.why_not(fd, device, self._root_device):
                    self._tally.skip(why, PathText(path))
                    place.calls.close(fd)
                    return
        except OSError as failure:
            coverage.failed(self._tally, PathText(path), failure)
            return
        self._enter(stack, path, fd, frame.depth + 1, place)

    def _why_not_across(self, mount: Mount | None) -> Reason | None:
        """Why not to go into a peculiar mount, or (None) into a directory that would be mounted by going there."""
        if mount is None or (mount.kind == "autofs" and "indirect" not in mount.options.split(",")):
            return coverage.AUTOMOUNT
        return self._file_systems.why_not_mount(mount, self._root_device) if self._file_systems else None

    def _enter(self, stack: list[_Frame], path: str, fd: int, depth: int, place: Place) -> None:
        """Shows the entries of a directory and puts it on the stack if there are directories in it."""
        frame = _Frame(path, len(path), depth, fd, place)
        keep = False
        try:
            keep = (not self._check_search_permission or self._may_search(frame)) and self._list(frame)
        finally:
            if not keep:
                _close(frame)
        if not keep:
            return
        if len(stack) >= MAX_OPEN:
            _put_aside(stack[len(stack) - MAX_OPEN])
        stack.append(frame)

    def _count(self) -> None:
        """Books the directories that were entered."""
        self._tally.examined("directories", self._entered)
        self._entered = 0

    def _may_search(self, frame: _Frame) -> bool:
        """A directory that can be listed but not searched shows names only; that is no answer about its files."""
        try:
            if frame.place.calls.access(".", os.X_OK, dir_fd=frame.fd, effective_ids=True):
                return True
        except OSError as failure:
            coverage.failed(self._tally, PathText(frame.path), failure)
            return False
        path = PathText(frame.path)
        self._tally.skip(coverage.DENIED, path)
        self._tally.error(f"{path}: permission denied to look at what is in it")
        return False

    def _list(self, frame: _Frame) -> bool:
        """Whether there are directories to enter."""
        visitor = self._visitor
        self._entered += 1
        if self._entered >= DIRECTORIES_AT_ONCE:
            self._count()
        try:
            with frame.place.calls.scandir(frame.fd) as listing:
                while entries := list(itertools.islice(listing, BATCH)):
                    batch = self._sorted_out(frame, entries)
                    if batch is not None:
                        visitor.visit(batch)
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

    def _sorted_out(self, frame: _Frame, entries: Sequence[Entry]) -> Batch | None:
        """The entries as a batch, if there is something to show; directories are put down in the frame."""
        mounts: list[str] = []
        if frame.path in self._around:
            entries, mounts = self._without_mounts(frame, entries)
        names = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
        if len(names) == len(entries) and not mounts:
            return Batch(frame.path, frame.fd, frame.depth, names, (), _NOTHING, calls=frame.place.calls)
        directories = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        rest = len(entries) - len(names) - len(directories)
        directories += mounts
        frame.directories += directories
        if not (names or rest or self._wants_others):
            return None
        others = dict.fromkeys(directories, stat.S_IFDIR) if self._wants_others else _NOTHING
        batch = Batch(frame.path, frame.fd, frame.depth, names, (), others, calls=frame.place.calls)
        if rest:
            self._sort_out_the_rest(frame, entries, batch)
        return batch

    def _without_mounts(self, frame: _Frame, entries: Sequence[Entry]) -> tuple[Sequence[Entry], list[str]]:
        """The entries that can be asked for their kind, and the mount points of what may not answer."""
        rest, mounts = [], []
        for entry in entries:
            if join(frame.path, entry.name) in self._peculiar:
                mounts.append(entry.name)
            else:
                rest.append(entry)
        return rest, mounts

    def _sort_out_the_rest(self, frame: _Frame, entries: Sequence[Entry], batch: Batch) -> None:
        """Finds out what the entries are that are neither files nor directories."""
        names, guarded = [], {}
        others, specials = dict(batch.others), []
        found = [entry.name for entry in entries if entry.is_symlink()] if self._follow else []
        follow = self._crossings.follow(frame.fd, found, frame.place)
        files = {name: calls for name, to in zip(found, follow, strict=True) if (calls := self._file(frame, name, to))}
        for entry in entries:
            name = entry.name
            if name in files:
                names.append(name)
                if files[name] is not batch.calls:
                    guarded[name] = files[name]
            elif entry.is_file(follow_symlinks=False):
                names.append(name)
            elif entry.is_symlink():
                if self._wants_others:
                    others[name] = stat.S_IFLNK
            elif not entry.is_dir(follow_symlinks=False) and (kind := self._kind_of_special(frame, name)):
                others[name] = kind
                specials.append(name)
        batch.names, batch.links, batch.others = names, files.keys(), others
        batch.specials, batch.guarded = specials, guarded

    def _kind_of_special(self, frame: _Frame, name: str) -> int:
        """What it is, if the visitor wants it; else 0."""
        if not self._wants_others:
            self._tally.skip(coverage.SPECIAL, PathText(frame.path, name))
            return 0
        try:
            status = frame.place.calls.stat(name, dir_fd=frame.fd, follow_symlinks=False)
        except OSError as failure:
            coverage.failed(self._tally, PathText(frame.path, name), failure)
            return 0
        return stat.S_IFMT(status.st_mode)

    def _file(self, frame: _Frame, name: str, found: tuple[os.stat_result, Calls] | OSError) -> Calls | None:
        """Who reads the regular file that a link leads to; None, and the reason is booked, if it leads to none."""
        path = PathText(frame.path, name)
        if isinstance(found, OSError):
            reason = coverage.reason_of(found)
            if reason not in (coverage.DENIED, coverage.UNRESPONSIVE):
                reason = coverage.DANGLING
            self._tally.failed(reason, path, f"link cannot be followed: {coverage.problem_of(found)}")
            return None
        status, calls = found
        if stat.S_ISREG(status.st_mode):
            return calls
        if stat.S_ISDIR(status.st_mode):
            self._tally.skip(coverage.DIRECTORY_LINK, path)
        elif not self._wants_others:
            self._tally.skip(coverage.SPECIAL, path)
        return None

    def _leave(self, stack: list[_Frame]) -> None:
        """Takes the top directory off the stack and opens the one above it again if it was put aside."""
        left = stack.pop()
        try:
            if stack and stack[-1].fd < 0:
                stack[-1].path = left.path[: stack[-1].length]
                self._reopen(left, stack)
        finally:
            _close(left)

    def _reopen(self, child: _Frame, stack: list[_Frame]) -> None:
        """Opens the top directory again from one below it, or from the root if that was moved."""
        frame = stack[-1]
        try:
            frame.fd = child.place.calls.open("..", _FLAGS, dir_fd=child.fd)
            if _identity(frame) == frame.identity:
                return
            _close(frame)
        except OSError:
            frame.fd = -1
        try:
            frame.fd = self._descend(frame, stack)
        except OSError as failure:
            coverage.failed(self._tally, PathText(frame.path), failure)
            self._tally.skip(coverage.CHANGED, PathText(frame.path), count=len(frame.directories) + len(stack) - 1)
            for lost in stack:
                lost.directories.clear()
            stack.clear()

    def _descend(self, frame: _Frame, stack: list[_Frame]) -> int:
        """Opens the way down to the top directory anew, one name after the other, checking that it is the same one."""
        root = frame.path[: stack[0].length]
        fd = frame.place.calls.open(root, _FLAGS)
        try:
            for above, below in itertools.pairwise(stack):
                name = frame.path[above.length : below.length].strip("/")
                deeper = below.place.calls.open(name, _FLAGS, dir_fd=fd)
                below.place.calls.close(fd)
                fd = deeper
            status = frame.place.calls.fstat(fd)
            if (status.st_dev, status.st_ino) != frame.identity:
                raise FileNotFoundError(errno.ENOENT, "was replaced while being looked at")
        except OSError:
            frame.place.calls.close(fd)
            raise
        return fd

    @staticmethod
    def _path_of(frame: _Frame, stack: list[_Frame]) -> str:
        """The path of a frame, put aside or not."""
        return frame.path or stack[-1].path[: frame.length]


def _put_aside(frame: _Frame) -> None:
    """Closes the descriptor of a directory that will be needed again, and notes which directory it was."""
    if frame.fd >= 0:
        frame.identity = _identity(frame)
        _close(frame)
        frame.path = ""


def _identity(frame: _Frame) -> tuple[int, int]:
    status = frame.place.calls.fstat(frame.fd)
    return status.st_dev, status.st_ino


def _close(frame: _Frame) -> None:
    if frame.fd >= 0:
        try:  # noqa: SIM105 - contextlib.suppress costs three times the call, for each directory
            frame.place.calls.close(frame.fd)
        except OSError:
            pass
        frame.fd = -1

"""fanotify: names, and who did it. Needs CAP_SYS_ADMIN. Sources: fanotify(7), ``fs/notify/fanotify`` (Linux 6.18).

Two kinds of marks. Each watched directory has a mark of its own for everything that happens in it. Each file system
that can have one has a mark for names that come, go and change: so what happens in a directory that has just been made
is heard before anybody could mark it, and of a rename both ends are known. What is written elsewhere on the file
system is not heard, so a busy database costs nothing; names that come and go elsewhere are heard and put aside at
once, but for a moment after a directory was made: it might be in that one.

Mount marks can do neither: names are no business of mounts (EINVAL).
"""

from __future__ import annotations

import errno
import math
import os
import struct
from typing import TYPE_CHECKING

from mig_fswatch import kernel
from mig_fswatch.notice import HAPPENED, Notice, What

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from mig_fswatch.actors import Actor, Actors

READ_BYTES = 16 << 10
"""Read at once: each event may come with a descriptor of its process, and there are limits on those."""
NEW = 2.0
"""Seconds for which everything is heeded after a directory came."""
_COMES = kernel.CREATE | kernel.MOVED_TO | kernel.RENAME
_EVENT = struct.Struct("=IBBHQii")
_INFO = struct.Struct("=BBH")
_PROCESS, _LENGTH = struct.Struct("=i"), struct.Struct("=I")
_FLAGS = kernel.CLOEXEC | kernel.NONBLOCK | kernel.UNLIMITED_QUEUE | kernel.UNLIMITED_MARKS
_NAMES = kernel.REPORT_FID | kernel.REPORT_DIR_FID | kernel.REPORT_NAME
_ALTER = kernel.MODIFY | kernel.ATTRIB | kernel.CLOSE_WRITE
_HAPPENED = {
    **HAPPENED,
    kernel.RENAME: What.MOVED,
    kernel.ON_DIRECTORY: What.DIRECTORY,
}


class Fanotify:
    """One group."""

    kind = "fanotify"

    def __init__(self, actors: Actors, matters: Callable[[Hashable, str], bool], clock: Callable[[], float]) -> None:
        """Opens it.

        Args:
            actors: finds out who it was.
            matters: whether a name in a directory, by its key, is watched; the empty name is a file by its own.
            clock: counts seconds.

        Raises:
            OSError: no right to, or a kernel before 5.9.
        """
        self._actors = actors
        self._matters = matters
        self._clock = clock
        self.all_until = math.inf
        """Until when, by the clock, everything is heeded: more is being watched just now."""
        try:
            self._group = kernel.fanotify_init(_FLAGS | _NAMES | kernel.REPORT_PIDFD)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self._group = kernel.fanotify_init(_FLAGS | _NAMES)  # before Linux 5.15
        self._names = kernel.CREATE | kernel.DELETE | kernel.RENAME
        self._file_systems: dict[int, bool] = {}
        """By ``st_dev``: whether it has a mark."""
        self._what: dict[int, What] = {}

    def fileno(self) -> int:
        """The group's descriptor."""
        return self._group

    def close(self) -> None:
        """Ends all watches."""
        os.close(self._group)

    def whole_file_systems(self) -> int:
        """How many have a mark."""
        return sum(self._file_systems.values())

    def watch_directory(self, fd: int, *, names_only: bool) -> bytes:
        """Marks an open directory, and its file system; gives its handle.

        Raises:
            OSError: its file system has no handles or no id, or there is no memory for the mark.
        """
        key = kernel.handle_of(fd)
        if not any(key[:8]):
            raise OSError(errno.ENODEV, "the file system has no id")
        more = 0 if names_only else _ALTER | kernel.ON_CHILD
        try:
            self._mark(kernel.MARK_ADD, self._names | more, fd)
        except OSError as error:
            if error.errno != errno.EINVAL or not self._names & kernel.RENAME:
                raise
            self._names = kernel.CREATE | kernel.DELETE | kernel.MOVED_FROM | kernel.MOVED_TO  # before Linux 5.17
            self._mark(kernel.MARK_ADD, self._names | more, fd)
        device = os.fstat(fd).st_dev
        if not names_only and device not in self._file_systems:
            try:
                self._mark(kernel.MARK_ADD | kernel.MARK_FILESYSTEM, self._names, fd)
                self._file_systems[device] = True
            except OSError:  # overlayfs (no handles that lead back), a subvolume of btrfs, a namespace's mount
                self._file_systems[device] = False
        return key

    def watch_file(self, fd: int) -> bytes:
        """Marks an open file; gives its handle.

        Raises:
            OSError: as for directories.
        """
        key = kernel.handle_of(fd)
        kernel.fanotify_mark(self._group, kernel.MARK_ADD, _ALTER, fd)
        return key

    def _mark(self, flags: int, mask: int, fd: int) -> None:
        kernel.fanotify_mark(self._group, flags, mask | kernel.ON_DIRECTORY, fd)

    def read(self) -> list[Notice]:
        """The events that are there, with who did them as far as that can still be found out."""
        try:
            data = os.read(self._group, READ_BYTES)
        except BlockingIOError:
            return []
        notices: list[Notice] = []
        at = 0
        now = self._clock()
        found: dict[int, Actor | None] = {}
        while at < len(data):
            length, _version, _, head, mask, _fd, pid = _EVENT.unpack_from(data, at)
            notice = self._notice(data, at + head, at + length, mask, pid, found, heed_all=now < self.all_until)
            if notice is not None:
                notices.append(notice)
                here = self._matters(notice.key, notice.name) or self._matters(notice.to_key, notice.to_name)
                if here and mask & kernel.ON_DIRECTORY and mask & _COMES:
                    self.all_until = max(self.all_until, now + NEW)
            at += length
        return notices

    def _notice(
        self, data: bytes, at: int, end: int, mask: int, pid: int, found: dict[int, Actor | None], *, heed_all: bool
    ) -> Notice | None:
        """One event, of which the head was read: what stands behind it, up to ``end``. None: it is nobody's."""
        key = to_key = file_key = None
        name = to_name = ""
        process = -1
        while at < end:
            kind, _, size = _INFO.unpack_from(data, at)
            body = data[at + _INFO.size : at + size]
            at += size
            if kind == kernel.INFO_PIDFD:
                (process,) = _PROCESS.unpack_from(body)
            elif kind == kernel.INFO_FID:
                file_key, _ = _split(body)
            elif kind == kernel.INFO_NEW:
                to_key, to_name = _split(body)
            elif kind in (kernel.INFO_DFID_NAME, kernel.INFO_DFID, kernel.INFO_OLD):
                key, name = _split(body)
        if name == ".":  # the directory itself
            name = ""
        matters = self._matters
        try:
            if not (
                heed_all
                or matters(key, name)
                or matters(to_key, to_name)
                or matters(file_key, "")
                or mask & kernel.OVERFLOW
            ):
                return None
            if pid not in found:
                found[pid] = self._actors.find(pid, process)
        finally:
            if process >= 0:
                os.close(process)
        return Notice(key, name, self._meaning(mask), found[pid], to_key, to_name, file_key)

    def _meaning(self, mask: int) -> What:
        what = self._what.get(mask)
        if what is None:
            what = What(0)
            for bit, meaning in _HAPPENED.items():
                if mask & bit:
                    what |= meaning
            self._what[mask] = what
        return what


def _split(body: bytes) -> tuple[bytes, str]:
    """File system id with handle (as :func:`kernel.handle_of` gives them), and the name behind."""
    (length,) = _LENGTH.unpack_from(body, 8)
    size = 16 + length
    return body[:size], os.fsdecode(body[size:].partition(b"\0")[0])

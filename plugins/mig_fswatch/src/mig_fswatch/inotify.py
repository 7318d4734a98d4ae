"""inotify: names, but not who did it. Needs no right, and sees file systems without handles. Source: inotify(7)."""

from __future__ import annotations

import os
import struct

from mig_fswatch import kernel
from mig_fswatch.notice import HAPPENED, Notice, What

READ_BYTES = 64 << 10
_EVENT = struct.Struct("=iIII")
_NAMES = kernel.CREATE | kernel.DELETE | kernel.MOVED_FROM | kernel.MOVED_TO
_ALTER = kernel.MODIFY | kernel.ATTRIB | kernel.CLOSE_WRITE
_HAPPENED = {
    **HAPPENED,
    kernel.IN_IGNORED: What.FORGOTTEN,
    kernel.IN_UNMOUNT: What.FORGOTTEN,
    kernel.IN_IS_DIRECTORY: What.DIRECTORY,
}


class Inotify:
    """One instance."""

    kind = "inotify"

    def __init__(self) -> None:
        """Opens it.

        Raises:
            OSError: there are too many instances.
        """
        self._instance = kernel.inotify_init()
        self._what: dict[int, What] = {}

    def fileno(self) -> int:
        """The instance's descriptor."""
        return self._instance

    def close(self) -> None:
        """Ends all watches."""
        os.close(self._instance)

    def watch_directory(self, fd: int, *, names_only: bool) -> int:
        """Watches an open directory; gives the watch's number.

        Raises:
            OSError: there are too many watches.
        """
        mask = _NAMES if names_only else _NAMES | _ALTER
        return self._watch(fd, mask | kernel.IN_ONLY_DIRECTORY)

    def watch_file(self, fd: int) -> int:
        """Watches an open file; gives the watch's number.

        Raises:
            OSError: there are too many watches.
        """
        return self._watch(fd, _ALTER)

    def _watch(self, fd: int, mask: int) -> int:
        return kernel.inotify_watch(self._instance, f"/proc/self/fd/{fd}".encode(), mask | kernel.IN_MASK_ADD)

    def read(self) -> list[Notice]:
        """The events that are there."""
        try:
            data = os.read(self._instance, READ_BYTES)
        except BlockingIOError:
            return []
        notices: list[Notice] = []
        waiting: dict[int, int] = {}
        """Cookie of a rename -> where its first half stands."""
        at = 0
        while at < len(data):
            watch, mask, cookie, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size
            name = os.fsdecode(data[at : at + length].partition(b"\0")[0])
            at += length
            what = self._meaning(mask)
            if cookie and mask & kernel.MOVED_FROM:
                waiting[cookie] = len(notices)
            elif cookie and mask & kernel.MOVED_TO and cookie in waiting:
                place = waiting.pop(cookie)
                first = notices[place]
                notices[place] = first._replace(
                    what=(first.what | what) & ~(What.CREATED | What.REMOVED), to_key=watch, to_name=name
                )
                continue
            notices.append(Notice(watch, name, what, None))
        return notices

    def _meaning(self, mask: int) -> What:
        what = self._what.get(mask)
        if what is None:
            what = What(0)
            for bit, meaning in _HAPPENED.items():
                if mask & bit:
                    what |= meaning
            self._what[mask] = what
        return what

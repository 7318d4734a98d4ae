"""Opens directories by their paths, part by part: through no link, and onto no mount that may hang. So what is looked
at is what the path says, whatever somebody puts in its place meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

from mig_fswatch.scope import why_not

if TYPE_CHECKING:
    from mig_endpoint.files.mounts import Mounts

MOST = 200
"""Descriptors that stay open."""
_FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC if hasattr(os, "O_PATH") else 0
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class Folders(contextlib.AbstractContextManager["Folders"]):
    """Directories that are open for one round of looking."""

    def __init__(self, mounts: Mounts) -> None:
        self._shunned = {point for point, mount in mounts.by_point.items() if why_not(mount)}
        self._open: dict[str, int] = {}

    def __exit__(self, *_: object) -> None:
        for fd in self._open.values():
            os.close(fd)
        self._open.clear()

    def shuns(self, path: str) -> bool:
        """Whether an entry is, or lies on, a mount that is not looked at."""
        while path not in self._shunned:
            if path in ("/", ""):
                return False
            path = path.rpartition("/")[0] or "/"
        return True

    def directory(self, path: str) -> int:
        """A descriptor (``O_PATH``) of a directory; it stays this object's.

        Raises:
            OSError: it is not there, a link is on the way, or it is not looked at.
        """
        fd = self._open.get(path)
        if fd is not None:
            return fd
        if path in self._shunned:
            raise OSError(errno.EREMOTE, os.strerror(errno.EREMOTE))
        if path in ("/", ""):
            fd = os.open("/", _FLAGS)
        else:
            above, _, name = path.rpartition("/")
            above_fd = self.directory(above or "/")
            if len(self._open) >= MOST:
                self.__exit__()
                above_fd = self.directory(above or "/")
            fd = os.open(name, _FLAGS, dir_fd=above_fd)
        self._open[path] = fd
        return fd

    def is_there(self, path: str) -> bool | None:
        """Whether there is an entry of this path; None if that cannot be known."""
        above, _, name = path.rpartition("/")
        try:
            os.stat(name or "/", dir_fd=self.directory(above or "/"), follow_symlinks=False)
        except OSError as failure:
            return False if failure.errno in _GONE else None
        return True

"""Files that must survive a crash at any byte: what the agent's journal, spool, ledger and small state files share.

"Durable" means that the bytes and the directory entry have been synced before the call returns. Everything is made with
mode 0600.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW


def replace_file(path: Path, content: bytes) -> None:
    """Durably makes ``path`` hold ``content``; after a crash it holds the old or the new content, never a mixture.

    Raises:
        OSError: nothing was changed.
    """
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _FLAGS, 0o600)
    try:
        try:
            write_all(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(new, path)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
    sync_directory(path.parent)


def remove_file(path: Path) -> None:
    """Removes a file, if it is there. Not synced: whoever reads it again after a crash must cope."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def sync_directory(path: Path) -> None:
    """Makes additions to and removals from a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, content: bytes) -> None:
    """Writes everything, however often the kernel takes only a part."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


class AppendOnly:
    """A file of lines to which lines are only ever added. Not thread-safe: its owner holds a lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        existed = path.exists()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _FLAGS, 0o600)
        self.torn = self._drop_torn_line()
        """Whether the last line had been cut short by a crash; it has been removed."""
        if not existed:
            sync_directory(path.parent)

    def append(self, line: bytes) -> None:
        """Adds a line (given without its newline) durably.

        Raises:
            OSError: the line may be there in part; it has been removed again if that was possible.
        """
        size = os.fstat(self._descriptor).st_size
        try:
            write_all(self._descriptor, line + b"\n")
            os.fsync(self._descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, size)
            raise

    @property
    def size(self) -> int:
        """Its bytes."""
        return os.fstat(self._descriptor).st_size

    def last_line(self) -> bytes:
        """The last line, without its newline; empty when there is none."""
        size = os.fstat(self._descriptor).st_size
        tail = b""
        while size and b"\n" not in tail[:-1]:
            start = max(0, size - 65536)
            tail = os.pread(self._descriptor, size - start, start) + tail
            size = start
        return tail[:-1].rpartition(b"\n")[2]

    def close(self) -> None:
        """Closes the file."""
        os.close(self._descriptor)

    def _drop_torn_line(self) -> bool:
        end = os.fstat(self._descriptor).st_size
        keep = end
        while keep:
            start = max(0, keep - 65536)
            newline = os.pread(self._descriptor, keep - start, start).rfind(b"\n")
            if newline >= 0:
                keep = start + newline + 1
                break
            keep = start
        if keep == end:
            return False
        os.ftruncate(self._descriptor, keep)
        os.fsync(self._descriptor)
        return True

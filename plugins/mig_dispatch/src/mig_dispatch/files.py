"""Files the module keeps: made with 0600, never through a symbolic link, and durable when it says so."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_FLAGS = os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)


def open_private(path: Path, flags: int) -> int:
    """A descriptor of the file, made with mode 0600 if it is made. Symbolic links are refused.

    Raises:
        OSError: as :func:`os.open`.
    """
    return os.open(path, flags | _FLAGS, 0o600)


def sync_folder(path: Path) -> None:
    """Makes what was added to or removed from a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_at(descriptor: int, content: bytes, offset: int) -> None:
    """Writes everything at ``offset``, however often the kernel takes only a part."""
    view = memoryview(content)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def append_lines(descriptor: int, content: bytes) -> int:
    """Durably appends whole lines; gives the file's new size. A part of a line left by a crash is cut off first.

    Raises:
        OSError: nothing was added (or what was could not be taken back).
    """
    size = end_of_lines(descriptor)
    if size < os.fstat(descriptor).st_size:
        os.ftruncate(descriptor, size)
    try:
        write_at(descriptor, content, size)
        os.fsync(descriptor)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, size)
        raise
    return size + len(content)


def end_of_lines(descriptor: int) -> int:
    """The offset behind the last newline."""
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - 65536)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def shift(path: Path, keep: int) -> None:
    """Rotates: ``path`` becomes ``path.1``, ``path.1`` becomes ``path.2`` and so on; ``path.keep`` goes.

    With ``keep`` 0 the file itself goes.
    """
    if keep == 0:
        path.unlink(missing_ok=True)
    for number in range(keep, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        newer = path.with_name(f"{path.name}.{number - 1}") if number > 1 else path
        with contextlib.suppress(FileNotFoundError):
            os.replace(newer, older)
    sync_folder(path.parent)

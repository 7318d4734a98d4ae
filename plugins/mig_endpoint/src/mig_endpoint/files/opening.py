"""Opening a file that others may exchange meanwhile, and telling whether there is a content that ends."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from mig_endpoint.files.calls import DIRECT

if TYPE_CHECKING:
    from mig_endpoint.files.calls import Calls

ENDLESS_SIZE = 1 << 46
"""Bytes from which on a regular file is none: ``/proc/kcore`` says 128 TiB (fs/proc/kcore.c, Linux 6.18)."""
_FOLLOWING = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_ITSELF = _FOLLOWING | os.O_NOFOLLOW
_NOATIME = getattr(os, "O_NOATIME", 0)


class Status(NamedTuple):
    """What is said of a file, under the names that :class:`os.stat_result` has."""

    st_mode: int
    st_size: int
    """Bytes."""
    st_mtime_ns: int
    """Nanoseconds since 1970; a file system may have any 64 bits of seconds, so this may need more."""


def open_file(name: str, directory: int | None, *, follow: bool, calls: Calls = DIRECT) -> int:
    """Opens a file so that neither a link put in its place is followed nor a FIFO waited for (open(2)).

    The time of last access stays as it was where the kernel allows that (``O_NOATIME``: the owner and root).

    Args:
        name: relative to ``directory``, an open descriptor; or a whole path, and None.
        directory: see ``name``.
        follow: for entries that are links and were asked for.
        calls: who asks the operating system.

    Raises:
        OSError: it cannot be opened.
    """
    flags = _FOLLOWING if follow else _ITSELF
    try:
        return calls.open(name, flags | _NOATIME, dir_fd=directory)
    except PermissionError:
        return calls.open(name, flags, dir_fd=directory)


def is_file(status: os.stat_result | Status) -> bool:
    """Whether there is a content that ends: a regular file, and not of a size that none has."""
    return stat.S_ISREG(status.st_mode) and status.st_size < ENDLESS_SIZE

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
from mig_endpoint.files.naming import PathText
from mig_endpoint.files.walk import Batch, Walk

if TYPE_CHECKING:
    from mig_core.plugin.coverage import Tally
    from mig_endpoint.files.filesystems import FileSystems
    from mig_endpoint.files.walk import Visitor


def explore(path: str, visitor: Visitor, tally: Tally, file_systems: FileSystems | None = None) -> None:
    """Shows the visitor what is at ``path`` and below.

    Args:
        path: absolute, or relative to the process's directory; as :func:`os.fsdecode` gives it.
        visitor: looks at the files.
        tally: where what is left out is booked.
        file_systems: which mounts to leave out; None: none.
    """
    target = path
    try:
        mode = os.lstat(path).st_mode
    except OSError as failure:
        gone = failure.errno in (errno.ENOENT, errno.ENOTDIR)
        coverage.failed(tally, PathText(path), failure, coverage.NOT_FOUND if gone else None)
        return
    if stat.S_ISLNK(mode):
        try:
            mode = os.stat(path).st_mode
        except OSError as failure:
            denied = failure.errno in (errno.EACCES, errno.EPERM)
            coverage.failed(tally, PathText(path), failure, coverage.DENIED if denied else coverage.DANGLING)
            return
        target = os.path.realpath(path)
        if not os.path.exists(target):  # /proc/PID/exe of a deleted program: readable, but only by this name
            target = path
    if stat.S_ISDIR(mode):
        Walk(visitor, tally, file_systems).walk(target)
    else:
        _one_file(target, mode, visitor, tally)


def _one_file(path: str, mode: int, visitor: Visitor, tally: Tally) -> None:
    directory, name = os.path.split(path)
    directory = directory or "."
    try:
        fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as failure:
        coverage.failed(tally, PathText(path), failure)
        return
    try:
        links = {name} if os.path.islink(path) else set()
        shown = "" if directory == "." and not path.startswith(".") else directory
        visitor.visit(Batch(shown, fd, 1, [name], links, regular=stat.S_ISREG(mode)))
    finally:
        with contextlib.suppress(OSError):
            os.close(fd)

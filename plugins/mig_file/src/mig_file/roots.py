"""The paths of the searches, each explored once for all searches that name it.

A path may be a directory, a file, a special file, or a link to any of them; a link is followed here, because somebody
named it, and what is found is reported under its target. Used by ``module``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING

from mig_file import tally as reasons
from mig_file.filesystems import FileSystems
from mig_file.naming import PathText
from mig_file.walk import Batch, Walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_file.evaluation import Evaluation
    from mig_file.search import Search
    from mig_file.tally import Tally


def explore(searches: Sequence[Search], evaluation: Evaluation, tally: Tally) -> None:
    """Goes through all paths, in the order of their text."""
    wanted: dict[tuple[str, bool, bool], list[Search]] = {}
    for one in searches:
        for path in dict.fromkeys(one.paths):
            key = (path, one.options.onefilesystem, one.options.localonly)
            wanted.setdefault(key, []).append(one)
    for key in sorted(wanted):
        path, one_file_system, local_only = key
        if evaluation.stopped():
            tally.skip(evaluation.why_not(1), PathText(path))
            continue
        evaluation.focus(wanted[key])
        file_systems = None
        if one_file_system or local_only:
            file_systems = FileSystems(one=one_file_system, local=local_only)
        _explore(path, evaluation, tally, file_systems)
        evaluation.catch_up()


def _explore(path: str, evaluation: Evaluation, tally: Tally, file_systems: FileSystems | None) -> None:
    target = path
    try:
        mode = os.lstat(path).st_mode
    except OSError as failure:
        gone = failure.errno in (errno.ENOENT, errno.ENOTDIR)
        tally.failed(PathText(path), failure, reason=reasons.NOT_FOUND if gone else "")
        return
    if stat.S_ISLNK(mode):
        try:
            mode = os.stat(path).st_mode
        except OSError as failure:
            denied = failure.errno in (errno.EACCES, errno.EPERM)
            tally.failed(PathText(path), failure, reason=reasons.DENIED if denied else reasons.DANGLING)
            return
        target = os.path.realpath(path)
        if not os.path.exists(target):  # /proc/PID/exe of a deleted program: readable, but only by this name
            target = path
    if stat.S_ISDIR(mode):
        Walk(evaluation, tally, file_systems).walk(target)
    else:
        _one_file(target, mode, evaluation, tally)


def _one_file(path: str, mode: int, evaluation: Evaluation, tally: Tally) -> None:
    directory, name = os.path.split(path)
    directory = directory or "."
    try:
        fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as failure:
        tally.failed(PathText(path), failure)
        return
    try:
        links = {name} if os.path.islink(path) else set()
        shown = "" if directory == "." and not path.startswith(".") else directory
        evaluation.visit(Batch(shown, fd, 1, [name], links, regular=stat.S_ISREG(mode)))
    finally:
        with contextlib.suppress(OSError):
            os.close(fd)

"""Systems behind a link of ``/proc/PID``: a container's, or a service's own view of this one (proc_pid_root(5)).

What is mounted there stands in that process's list of mounts and not in ours, and the paths in that list begin at the
process's root. A network file system in it hangs whoever looks at it, just as one of ours does.
"""

from __future__ import annotations

import errno
import os
import re
from typing import NamedTuple

from mig_endpoint.files.mounts import Mounts, number_behind, read_mounts

_DOOR = re.compile(r"(.*/proc/[0-9]+(?:/task/[0-9]+)?)/(root|cwd|fd/[0-9]+)", re.DOTALL)
_MAX_LINKS = 40


class Doorway(NamedTuple):
    """The last link of ``/proc/PID`` on a path."""

    process: str
    """The folder of the process, or of one of its threads: ``/proc/42``."""
    top: str
    """The directory that the whole path leads to, as the process would name it; empty for its root."""


def doorway(path: str) -> Doorway | None:
    """Through which process's link an absolute path leads; None where it leads through none, or nowhere."""
    try:
        return _followed(path)
    except OSError:
        return None


def _followed(path: str) -> Doorway | None:
    place = ""
    found: Doorway | None = None
    links = 0
    ahead = [*reversed(path.split("/"))]
    while ahead:
        part = ahead.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if found is None or found.top:
                place = os.path.dirname(place).rstrip("/")
                found = found and Doorway(found.process, os.path.dirname(found.top).rstrip("/"))
            continue
        here = f"{place}/{part}"
        target = _target(here)
        if target is None:
            place, found = here, found and Doorway(found.process, f"{found.top}/{part}")
        elif door := _DOOR.fullmatch(here):
            place, found = here, Doorway(door[1], "" if door[2] == "root" else target.rstrip("/"))
        else:
            links += 1
            if links > _MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            if target.startswith("/"):  # the kernel begins at the reader's root, whatever the link lies behind
                place, found = "", None
            ahead += reversed(target.split("/"))
    return found


def _target(path: str) -> str | None:
    """The text of a link; None for what is none."""
    try:
        return os.readlink(path)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return None


def mounts_below(root: str) -> Mounts:
    """The mounts that lie at and below a directory, at the paths that lead to them through it.

    Args:
        root: without links but those of ``/proc/PID``, as :func:`root_of` gives it. One without any sees all of ours.
    """
    door = doorway(root)
    if door is None:
        return read_mounts()
    theirs = read_mounts(f"{door.process}/mountinfo")
    above, outer = door.top + "/", root.rstrip("/")
    found = []
    for one in theirs.all:
        if one.point == (door.top or "/"):
            found.append(one._replace(point=root))
        elif one.point.startswith(above):
            found.append(one._replace(point=f"{outer}/{one.point.removeprefix(above)}"))
    return Mounts(tuple(found), known=theirs.known)


def mounts_around(path: str) -> Mounts:
    """All mounts of the process through whose link a path leads, as that process sees them; of none: ours."""
    door = doorway(path)
    return read_mounts() if door is None else read_mounts(f"{door.process}/mountinfo")


def root_of(path: str) -> str:
    """A root that was asked for, links resolved.

    One that leads through a link of ``/proc/PID`` (``root``, ``cwd``, ``fd``) into another system, or into another view
    of this one, has no other path than that: what the link says is a path over there. A directory gets a ``/.`` behind
    it, to be no link itself.
    """
    real = os.path.realpath(path)
    try:
        is_same = leads_to_same(real, path)
    except OSError:
        return real
    own = os.path.abspath(path)
    return real if is_same else f"{own}/." if os.path.isdir(own) else own


def leads_to_same(path: str, other: str) -> bool:
    """Whether two paths lead to the same file on the same mount.

    A service that systemd gave a view of its own has the same root directory as everybody, on a mount of its own, and
    other things mounted below it.

    Raises:
        OSError: one of them leads nowhere.
    """
    return _identity(path) == _identity(other)


def _identity(path: str) -> tuple[int, int, int | None]:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        status = os.fstat(fd)
        return status.st_dev, status.st_ino, number_behind(fd)
    finally:
        os.close(fd)

"""The way to a mapped file that does not lead through the process's memory. Sources: proc_pid_map_files(5), which since
Linux 5.9 wants CAP_CHECKPOINT_RESTORE; proc_pid_root(5), proc_pid_fd(5).

Reading a file by itself brings nothing into the process. Without the capability the same file is looked for under its
name, among what the process has open, and as its executable; it counts only if device and inode are the same.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_endpoint.processes.mappings import Mapping
    from mig_endpoint.processes.process import Process

NOT_FOUND = -1
"""Instead of a descriptor: no way leads to the file, or it is no regular one."""
NOT_READABLE = -2
"""Instead of a descriptor: nobody can read the file, as with memfd_secret(2)."""


class Located(NamedTuple):
    """Where a mapped file is."""

    name: str
    """A path, seen from the process's folder in /proc."""
    stat: os.stat_result


def locate(process: Process, mapping: Mapping) -> Located | None:
    """Finds the file of a mapping without opening it; None if no way leads to it.

    On a file system that may not answer asking can wait for ever: :class:`mig_endpoint.files.calls.Guarded` is for
    that.
    """
    name = f"map_files/{mapping.start:x}-{mapping.end:x}"
    try:
        return Located(name, os.stat(name, dir_fd=process.folder))
    except OSError:  # we may not, or the mapping has just changed
        pass
    for name in _names(process, mapping):
        try:
            found = os.stat(name, dir_fd=process.folder)
        except OSError:
            continue
        if found.st_ino == mapping.inode and _is_on(process, mapping, found.st_dev):
            return Located(name, found)
    return None


def open_file(process: Process, mapping: Mapping) -> int:
    """A descriptor of the file of a mapping, for reading; :data:`NOT_FOUND` or :data:`NOT_READABLE` instead.

    As :func:`locate`, not for files on file systems that may not answer.
    """
    located = locate(process, mapping)
    if located is None or not stat.S_ISREG(located.stat.st_mode):
        return NOT_FOUND
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    for more in (os.O_NOATIME, 0):  # O_NOATIME is for the owner and the privileged
        try:
            file = os.open(located.name, flags | more, dir_fd=process.folder)
        except PermissionError:
            continue
        except OSError as error:
            return NOT_READABLE if error.errno == errno.ENXIO else NOT_FOUND
        if os.path.samestat(os.fstat(file), located.stat):
            return file
        os.close(file)
        break
    return NOT_FOUND


def _names(process: Process, mapping: Mapping) -> Iterator[str]:
    """Where it may be: only names that the kernel gives like the mapping's, so that nothing else is asked."""
    path = os.fsdecode(mapping.path.replace(b"\\012", b"\n"))
    try:
        if process.link("exe") == path:
            yield "exe"
        here = process.link("ns/mnt") == os.readlink("/proc/self/ns/mnt")
        yield path if here else f"root{path}"
        numbers = os.listdir(f"/proc/self/fd/{process.folder}/fd")
    except OSError:
        return
    for number in numbers:
        try:
            if process.link(f"fd/{number}") == path:
                yield f"fd/{number}"
        except OSError:  # closed meanwhile
            continue


def _is_on(process: Process, mapping: Mapping, device: int) -> bool:
    """Whether a file is on the mapping's file system. Btrfs gives files other device numbers than maps has."""
    mount = process.mounts.on(mapping.device)
    return device == mapping.device or (mount is not None and mount.kind == "btrfs")

"""What a process runs, and how it is called in answers. Source: proc_pid_exe(5); the link's text is d_path's
(``fs/d_path.c``).
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mig_endpoint.files.filesystems import may_hang

if TYPE_CHECKING:
    from mig_endpoint.files.mounts import Mounts

DELETED = " (deleted)"
"""What the kernel writes behind the name of a file that has none any more. A file's own name may end so, too."""
_MEMFD = "/memfd:"


class Executable(NamedTuple):
    """The file a process runs; texts are as :func:`os.fsdecode` gives them.

    The file itself, whatever has become of its name, can be read through ``exe`` in the process's folder.
    """

    link: str
    """As the kernel names it. In another mount namespace it is the path there."""
    path: str
    """The same without the kernel's " (deleted)"; it may belong to a container's file system."""
    deleted: bool
    """Whether the file has no name any more, or another file has it now."""
    memfd: bool
    """Whether it never had a name: memfd_create(2)."""


class Named(Protocol):
    """A process that may be asked for its name: :class:`mig_endpoint.processes.process.Process`."""

    @property
    def executable(self) -> Executable:
        """What it runs."""
        ...

    @property
    def command(self) -> str:
        """Its ``comm``."""
        ...

    @property
    def mounts(self) -> Mounts:
        """The reader's mounts."""
        ...


class Name(NamedTuple):
    """How a process is called in answers, as :func:`os.fsdecode` gives it."""

    shown: str
    """The path of its executable; ``[comm]`` where that path leads nowhere here."""
    path: str
    """The path as the kernel names it, without " (deleted)"; it may belong to a container's file system."""
    deleted: bool


def executable_of(folder: int, mounts: Mounts) -> Executable:
    """What a process runs.

    Args:
        folder: descriptor of the process's (or a thread's) folder in /proc.
        mounts: the reader's.

    Raises:
        OSError: it cannot be found out: PermissionError, or FileNotFoundError for kernel threads and those that ended.
    """
    link = os.readlink("exe", dir_fd=folder)
    deleted = link.endswith(DELETED) and not _is_there(folder, mounts, link)
    return Executable(
        link, link.removesuffix(DELETED) if deleted else link, deleted, deleted and link.startswith(_MEMFD)
    )


def name_of(process: Named) -> Name:
    """The name of a process.

    Raises:
        OSError: it cannot be found out.
    """
    executable = process.executable
    if not executable.deleted:
        if _may_hang(process.mounts, executable.link):
            return Name(executable.link, executable.link, deleted=False)
        resolved = os.path.realpath(executable.link)
        if os.path.exists(resolved):
            return Name(resolved, executable.link, deleted=False)
    return Name(f"[{process.command}]", executable.path, executable.deleted)


def _is_there(folder: int, mounts: Mounts, link: str) -> bool:
    """Whether a path that ends in " (deleted)" leads to the very file that the process runs."""
    if _may_hang(mounts, link):
        return False
    for path in (link, f"root{link}"):
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(path, dir_fd=folder), os.stat("exe", dir_fd=folder)):
                return True
    return False


def _may_hang(mounts: Mounts, path: str) -> bool:
    """Whether a path lies on a file system that may not answer; it is not asked then."""
    mount = mounts.covering(path)
    return mount is not None and may_hang(mount)

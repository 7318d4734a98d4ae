"""What a process runs, and how it is called in answers. Source: proc_pid_exe(5); the link's text is d_path's
(``fs/d_path.c``).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Protocol

DELETED = " (deleted)"
"""What the kernel writes behind the name of a file that has none any more. A file's own name may end so, too."""
_MEMFD = "/memfd:"


@dataclass(frozen=True, slots=True)
class Executable:
    """The file a process runs; texts are as :func:`os.fsdecode` gives them."""

    link: str
    """As the kernel names it. In another mount namespace it is the path there."""
    path: str
    """The same without the kernel's " (deleted)"; it may belong to a container's file system."""
    deleted: bool
    """Whether the file has no name any more, or another file has it now."""
    memfd: bool
    """Whether it never had a name: memfd_create(2)."""
    device: int
    """``st_dev`` and ``st_ino`` of the file itself, which may be read through ``exe``; 0 where that cannot be asked."""
    inode: int


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


@dataclass(frozen=True, slots=True)
class Name:
    """How a process is called in answers, as :func:`os.fsdecode` gives it."""

    shown: str
    """The path of its executable; ``[comm]`` where that path leads nowhere here."""
    path: str
    """The path as the kernel names it, without " (deleted)"; it may belong to a container's file system."""
    deleted: bool


def executable_of(folder: int) -> Executable:
    """What a process runs.

    Args:
        folder: descriptor of the process's (or a thread's) folder in /proc.

    Raises:
        OSError: it cannot be found out: PermissionError, or FileNotFoundError for kernel threads and those that ended.
    """
    link = os.readlink("exe", dir_fd=folder)
    try:
        own = os.stat("exe", dir_fd=folder)
    except OSError:
        return Executable(link, link.removesuffix(DELETED), link.endswith(DELETED), link.startswith(_MEMFD), 0, 0)
    deleted = link.endswith(DELETED) and not _is(link, own)
    memfd = link.startswith(_MEMFD) and own.st_nlink == 0
    return Executable(link, link.removesuffix(DELETED) if deleted else link, deleted, memfd, own.st_dev, own.st_ino)


def name_of(process: Named) -> Name:
    """The name of a process.

    Raises:
        OSError: it cannot be found out.
    """
    executable = process.executable
    if not executable.deleted:
        resolved = os.path.realpath(executable.link)
        if os.path.exists(resolved):
            return Name(resolved, executable.link, deleted=False)
    return Name(f"[{process.command}]", executable.path, executable.deleted)


def _is(path: str, own: os.stat_result) -> bool:
    """Whether a path leads to that very file."""
    try:
        return os.path.samestat(os.stat(path), own)
    except OSError:
        return False

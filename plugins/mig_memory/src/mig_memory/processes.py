"""Who is running: every process's name and mappings, read from /proc, and who must not be looked at. Source: proc(5).

A process is held by the descriptor of its folder in /proc: should its id be given to another process meanwhile, reads
fail instead of telling about the wrong one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mig_memory import mappings

if TYPE_CHECKING:
    from types import TracebackType

    from mig_memory.mappings import Mapping

_PF_KTHREAD = 0x00200000
_CAP_SYS_PTRACE = 1 << 19
_MAX_MAPS = 64 << 20
_DELETED = " (deleted)"


class Process:
    """A process, to be used in a ``with``.

    Raises:
        FileNotFoundError: on entering, when it has ended.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.folder = -1
        self._mappings: list[Mapping] | None = None

    def __enter__(self) -> Process:
        self.folder = os.open(f"/proc/{self.pid}", os.O_DIRECTORY | os.O_RDONLY | os.O_CLOEXEC)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self.folder)

    def open(self, name: str) -> int:
        """A descriptor of one of its files, read-only."""
        return os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.folder)

    def read(self, name: str, limit: int = 1 << 20) -> bytes:
        """One of its files, at most about ``limit`` bytes."""
        file = self.open(name)
        try:
            pieces, length = [], 0
            while length < limit and (piece := os.read(file, 1 << 16)):
                pieces.append(piece)
                length += len(piece)
            return b"".join(pieces)
        finally:
            os.close(file)

    def has_memory(self) -> bool:
        """False for kernel threads and for processes that have ended but were not waited for."""
        fields = self.read("stat").rpartition(b")")[2].split()
        # proc(5): state and flags are fields 3 and 9; the split begins with field 3.
        return fields[0] not in (b"Z", b"X") and not int(fields[6]) & _PF_KTHREAD

    def executable(self) -> str:
        """What it runs, as the kernel names it (``os.fsdecode``); ends with " (deleted)" if the file is gone.

        Raises:
            PermissionError: we may not know.
        """
        return os.readlink("exe", dir_fd=self.folder)

    def command(self) -> str:
        """The name it goes by, at most 15 bytes."""
        return os.fsdecode(self.read("comm").rstrip(b"\n"))

    def mappings(self) -> list[Mapping]:
        """What it has mapped, read once.

        Raises:
            PermissionError: we may not know.
        """
        if self._mappings is None:
            self._mappings = mappings.parse(self.read("maps", _MAX_MAPS))
        return self._mappings


@dataclass(frozen=True, slots=True)
class Name:
    """How a process is called in answers, as :func:`os.fsdecode` gives it."""

    shown: str
    """The path of its executable; ``[comm]`` where that path leads nowhere here."""
    path: str
    """The path as the kernel names it, without " (deleted)"; it may belong to a container's file system."""
    deleted: bool


def name_of(process: Process) -> Name:
    """The name of a process.

    Raises:
        OSError: it cannot be found out.
    """
    link = process.executable()
    resolved = os.path.realpath(link)
    if os.path.exists(resolved):
        return Name(resolved, link, deleted=False)
    deleted = link.endswith(_DELETED)
    return Name(f"[{process.command()}]", link.removesuffix(_DELETED) if deleted else link, deleted=deleted)


def all_ids() -> list[int]:
    """The ids of all processes, ascending."""
    return sorted(int(name) for name in os.listdir("/proc") if name.isdecimal())


def may_read_all() -> bool:
    """Whether this process may read the memory of any other, as far as its capabilities go."""
    with open("/proc/self/status", "rb") as file:
        for line in file:
            if line.startswith(b"CapEff:"):
                return bool(int(line.split()[1], 16) & _CAP_SYS_PTRACE)
    return os.geteuid() == 0


@dataclass(frozen=True, slots=True)
class Askers:
    """The processes that handle the question and therefore have it in their memory."""

    own: int
    """This process. It is never looked at."""
    others: frozenset[int] = field(default_factory=frozenset)
    """Processes whose memory is not searched: see :func:`find_askers`."""


def find_askers() -> Askers:
    """Who handles the question: this process, its ancestors, and processes forked from the same one.

    That is the agent with its zygote; or mig, sudo and the shell into which the question was typed. Process 1 counts
    only if it runs the same program, as where the agent is the first process of a container. A sibling counts if its
    command line is ours to the byte: it was forked by the same zygote, for another question.
    """
    own = os.getpid()
    others = set[int]()
    parent = os.getppid()
    program, arguments = _link("self"), _arguments("self")
    if arguments and parent > 1:
        others.update(pid for pid in all_ids() if _parent(pid) == parent and _arguments(str(pid)) == arguments)
    ancestor = parent
    while ancestor > 1 and ancestor not in others:
        others.add(ancestor)
        ancestor = _parent(ancestor)
    if ancestor == 1 and program and _link("1") == program:
        others.add(1)
    return Askers(own, frozenset(others - {own}))


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def _arguments(pid: str) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read(1 << 16)
    except OSError:
        return b""


def _link(pid: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""

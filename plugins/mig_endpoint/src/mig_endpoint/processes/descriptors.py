"""What a process has open. Sources: proc_pid_fd(5), proc_pid_fdinfo(5); kcmp(2)."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_endpoint.processes.process import Process

_INODE = re.compile(r"(socket|pipe):\[(\d+)\]")
_SYS_KCMP = {"x86_64": 312, "aarch64": 272, "riscv64": 272, "ppc64le": 354, "s390x": 343}
_KCMP_FILES = 2


@dataclass(frozen=True, slots=True)
class Descriptor:
    """An open descriptor."""

    number: int
    target: str
    """What it leads to, as the kernel names it (``os.fsdecode``): a path, ``socket:[n]``, ``pipe:[n]``,
    ``anon_inode:…``
    """
    thread: int
    """The thread that has it: the process itself, or a thread with descriptors of its own."""

    @property
    def socket(self) -> int:
        """The socket's inode; 0 if it is no socket."""
        return self._inode("socket")

    @property
    def pipe(self) -> int:
        """The pipe's inode; 0 if it is no pipe without a name."""
        return self._inode("pipe")

    def _inode(self, kind: str) -> int:
        found = _INODE.fullmatch(self.target)
        return int(found.group(2)) if found and found.group(1) == kind else 0


def descriptors_of(process: Process) -> Iterator[Descriptor]:
    """What a process has open, by number; then what threads have that do not share the process's table.

    Raises:
        PermissionError: we may not know.
    """
    first = process.thread
    yield from _of_thread(process, first)
    if process.stat.threads > 1:
        others = [one for one in process.threads() if one not in (first, process.pid)]
        for thread in _with_own_tables(first, others):
            yield from _of_thread(process, thread)


def descriptor_info(process: Process, number: int) -> dict[str, str]:
    """The lines of ``fdinfo`` by name (``pos``, ``flags``, ``mnt_id``, ``ino``, …); of a kind there several times,
    the last.
    """
    lines = (line.partition(b":") for line in process.read(f"fdinfo/{number}").split(b"\n"))
    return {
        name.decode("ascii", "replace"): value.strip().decode("utf-8", "replace")
        for name, colon, value in lines
        if colon
    }


def _of_thread(process: Process, thread: int) -> Iterator[Descriptor]:
    folder = "fd" if thread == process.thread else f"task/{thread}/fd"
    table = os.open(folder, os.O_DIRECTORY | os.O_RDONLY | os.O_CLOEXEC, dir_fd=process.folder)
    try:
        for number in sorted(map(int, os.listdir(table))):
            try:
                yield Descriptor(number, os.readlink(str(number), dir_fd=table), thread)
            except FileNotFoundError:
                continue  # closed meanwhile
    finally:
        os.close(table)


def _with_own_tables(first: int, others: list[int]) -> list[int]:
    """The threads that do not share the first one's table; all of them where the kernel does not say."""
    import ctypes

    number = _SYS_KCMP.get(platform.machine())
    if number is None or os.readlink("/proc/self") != str(os.getpid()):  # it wants the ids of our own PID namespace
        return others
    call = ctypes.CDLL(None, use_errno=True).syscall
    return [one for one in others if call(number, first, one, _KCMP_FILES, 0, 0) != 0]

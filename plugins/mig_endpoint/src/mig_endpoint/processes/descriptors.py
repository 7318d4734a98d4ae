"""What a process has open. Sources: proc_pid_fd(5), proc_pid_fdinfo(5); kcmp(2)."""

from __future__ import annotations

import contextlib
import os
import platform
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_endpoint.processes.process import Process

_SYS_KCMP = {"x86_64": 312, "aarch64": 272, "riscv64": 272, "ppc64le": 354, "s390x": 343}
_KCMP_FILES = 2
RING = "anon_inode:[io_uring]"


class Descriptor(NamedTuple):
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
        return self._inode("socket:[")

    @property
    def pipe(self) -> int:
        """The pipe's inode; 0 if it is no pipe without a name."""
        return self._inode("pipe:[")

    def _inode(self, kind: str) -> int:
        return inode_in(self.target, kind)


def inode_in(target: str, kind: str = "socket:[") -> int:
    """The number in brackets; 0 if it is not of the kind. A path begins with a slash, and so cannot look like this."""
    if not target.startswith(kind):
        return 0
    number = target[len(kind) : -1]
    return int(number) if number.isdecimal() else 0


def descriptors_of(process: Process) -> Iterator[Descriptor]:
    """What a process has open, by number; then what threads have that do not share the process's table.

    Raises:
        PermissionError: we may not know.
    """
    for thread, links in tables_of(process):
        for number, target in sorted((int(name), target) for name, target in links):
            yield Descriptor(number, target, thread)


def tables_of(process: Process) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """The same without order and objects, for those who look at very many: threads, and links as name and target.

    It does with a process that was entered ``lightly``: what the main thread has open is all there is to be seen of a
    process, unless that is nothing.

    Raises:
        PermissionError: we may not know.
    """
    links = _links(process, process.thread)
    if not links:
        process.find_thread()
        if process.thread != process.pid:
            links = _links(process, process.thread)
    first = process.thread
    yield first, links
    if process.has_threads():
        others = [one for one in process.threads() if one not in (first, process.pid)]
        for thread in _with_own_tables(first, others):
            yield thread, _links(process, thread)


def files_of_ring(process: Process, thread: int, number: int | str) -> Iterator[str]:
    """What an io_uring has registered, as the kernel names it: it stays open when its descriptor is closed.

    Empty if the descriptor is closed by now, and while the kernel is at work on the ring, which it does not say then.
    """
    folder = "fdinfo" if thread == process.thread else f"task/{thread}/fdinfo"
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        lines = process.lines(f"{folder}/{number}")
        for line in lines:
            if line.startswith(b"UserFiles:"):
                break
        for line in lines:
            slot, colon, target = line.removesuffix(b"\n").partition(b": ")
            if not colon or not slot.strip().isdigit():
                break
            yield os.fsdecode(target)


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


def _links(process: Process, thread: int) -> list[tuple[str, str]]:
    folder = "fd" if thread == process.thread else f"task/{thread}/fd"
    table = os.open(folder, os.O_DIRECTORY | os.O_RDONLY | os.O_CLOEXEC, dir_fd=process.folder)
    found = []
    try:
        for name in os.listdir(table):
            try:
                found.append((name, os.readlink(name, dir_fd=table)))
            except FileNotFoundError:  # closed meanwhile
                continue
    finally:
        os.close(table)
    return found


def _with_own_tables(first: int, others: list[int]) -> list[int]:
    """The threads that do not share the first one's table; all of them where the kernel does not say."""
    import ctypes

    number = _SYS_KCMP.get(platform.machine())
    if number is None or os.readlink("/proc/self") != str(os.getpid()):  # it wants the ids of our own PID namespace
        return others
    call = ctypes.CDLL(None, use_errno=True).syscall
    return [one for one in others if call(number, first, one, _KCMP_FILES, 0, 0) != 0]

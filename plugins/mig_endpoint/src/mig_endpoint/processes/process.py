"""One process, and what the kernel tells about it. Source: proc(5); for ended main threads ``fs/proc/base.c``.

It is held by the descriptor of its folder in /proc: should its id be given to another process meanwhile, reads fail
instead of telling about the wrong one. What is read once is kept as long as it is open, so that several consumers of
one walk share it.
"""

from __future__ import annotations

import os
import re
import time
from functools import lru_cache
from typing import TYPE_CHECKING

from mig_endpoint.processes import mappings
from mig_endpoint.processes.executable import Executable, executable_of
from mig_endpoint.processes.fact import fact
from mig_endpoint.processes.stat import Stat, Status, parse_stat
from mig_endpoint.user_names import user_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from mig_endpoint.files.mounts import Mounts
    from mig_endpoint.processes.mappings import Mapping

MAX_TEXT = 4 << 20
"""Bytes that are read of a file in a process's folder; some are as long as the process likes (PR_SET_MM, prctl(2))."""
_LINES_AT_ONCE = 1 << 16
_AT_ONCE = 1 << 13
_NO_THREADS = 2
"""Links of a directory without directories in it; ``task`` has one more for each thread (``fs/proc/base.c``)."""
_NAMESPACE = re.compile(r"[a-z]+:\[(\d+)\]")


class Process:
    """A process, to be used in a ``with``; between entering and leaving its facts can be asked for.

    A main thread that has ended takes its folder's memory, files and executable with it, while the other threads go on
    with them. Then everything but :attr:`stat` is asked of one of these.

    Args:
        pid: the process's id.
        proc: descriptor of /proc; :meth:`mig_endpoint.processes.proc.Proc.process` knows the right one.
        mounts: the mounts of this process, the reader.
        lightly: entering does not ask whether the main thread has ended: whoever finds nothing there calls
            :meth:`find_thread` and asks again. For those who look at all processes and need little of most.

    Every fact may raise OSError: PermissionError where we may not know, FileNotFoundError or ProcessLookupError when
    the process has ended. Entering raises FileNotFoundError if there is no such process.
    """

    def __init__(self, pid: int, proc: int, mounts: Mounts, *, lightly: bool = False) -> None:
        self.pid = pid
        self.mounts = mounts
        self.folder = -1
        """Descriptor of its folder; of a living thread's where the main thread has ended."""
        self.thread = pid
        """The id of the thread that is asked."""
        self.cut: set[str] = set()
        """Names of its files of which only the beginning was read. Who answers with what they say books that."""
        self._proc = proc
        self._main = -1
        self._lightly = lightly

    def __enter__(self) -> Process:
        self.folder = self._main = _open_folder(f"{self.pid}", self._proc)
        if not self._lightly:
            try:
                self.find_thread()
            except BaseException:
                self._close()
                raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._close()

    def _close(self) -> None:
        if self.folder != self._main:
            os.close(self.folder)
        os.close(self._main)
        self.folder = self._main = -1

    def find_thread(self) -> None:
        """Goes over to a living thread if the main one has ended; done by entering, unless ``lightly``."""
        if self.folder == self._main and self.stat.has_ended and self.stat.threads > 1:
            self._ask_a_living_thread()

    def has_threads(self) -> bool:
        """Whether there is more than one thread: a quarter of what :attr:`stat` costs."""
        return os.stat("task", dir_fd=self._main).st_nlink > _NO_THREADS + 1

    def _ask_a_living_thread(self) -> None:
        for thread in self.threads():
            if thread == self.pid:
                continue
            try:
                folder = _open_folder(f"{thread}", self._proc)  # threads are not listed in /proc, but they are there
            except (FileNotFoundError, ProcessLookupError):
                continue
            try:
                with open(os.open("stat", os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder), "rb") as file:
                    ended = parse_stat(file.read()).has_ended
            except (OSError, ValueError):
                ended = True
            if ended:
                os.close(folder)
                continue
            self.folder, self.thread = folder, thread
            return

    def open(self, name: str) -> int:
        """A descriptor of one of its files, read-only."""
        return os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.folder)

    def read(self, name: str, limit: int = MAX_TEXT) -> bytes:
        """One of its files, at most ``limit`` bytes: see :attr:`cut`."""
        return self._whole(name, _read(name, limit, self.folder), limit)

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of one of its files, all of them, with their ends: of those that grow with what it has."""
        with open(self.open(name), "rb", _LINES_AT_ONCE) as lines:
            yield from lines

    def read_at_once(self, name: str) -> bytes:
        """One of its files that the kernel gives whole at each read: one system call less.

        These are ``cgroup``, ``cmdline``, ``comm``, ``loginuid``, ``stat`` and ``status`` (``fs/seq_file.c``
        single_open, ``fs/proc/base.c``), not those that are made line by line, like ``maps``.
        """
        return self._whole(name, _read_at_once(name, self.folder), MAX_TEXT)

    def _whole(self, name: str, text: bytes, limit: int) -> bytes:
        if len(text) > limit:
            self.cut.add(name)
        return text[:limit]

    def link(self, name: str) -> str:
        """Where one of its links leads, as the kernel names it (``os.fsdecode``)."""
        return os.readlink(name, dir_fd=self.folder)

    @fact
    def stat(self) -> Stat:
        """What ``stat`` says about the process: of its main thread, also when that has ended."""
        try:
            return parse_stat(_read_at_once("stat", self._main))
        except ValueError:  # it ended between opening and reading
            raise ProcessLookupError(os.strerror(3)) from None

    @fact
    def status(self) -> Status:
        """The lines of ``status`` by name: ``Uid``, ``Gid``, ``CapEff``, ``NSpid``, ``Seccomp``, ``TracerPid`` …"""
        return Status(self.read_at_once("status"))

    def has_memory(self) -> bool:
        """False for kernel threads, and for processes that have ended altogether but were not waited for."""
        return not self.stat.is_kernel_thread and not (self.stat.has_ended and self.thread == self.pid)

    @property
    def key(self) -> tuple[int, int]:
        """Id and start: no other process of this machine's run has both."""
        return self.pid, self.stat.start

    def peek(self) -> tuple[int | str, ...]:
        """The :meth:`incarnation` of a process that is not open; much quicker than opening it.

        Raises:
            FileNotFoundError: there is no such process.
        """
        stat = parse_stat(_read_at_once(f"{self.pid}/stat", self._proc))
        if stat.has_ended and stat.threads > 1:
            with self:
                return self.incarnation()
        return _incarnation(stat, f"{self.pid}/exe", self._proc)

    def incarnation(self) -> tuple[int | str, ...]:
        """Another value for another process of this id, and for another program that this one has become by exec.

        The same program started again by exec is told by its addresses, which are another each time, unless the machine
        or its caller has switched that off. Without the right to read the process only its start is known.
        """
        return _incarnation(self.stat, "exe", self.folder)

    def started(self) -> float:
        """When it started, in seconds since 1970, to a hundredth of a second.

        Reckoned from the clock that goes on in suspends, in the reader's own time namespace, as ``stat`` is.
        """
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + self.stat.start / _ticks_per_second()

    @fact
    def executable(self) -> Executable:
        """What it runs."""
        return executable_of(self.folder, self.mounts)

    @fact
    def command(self) -> str:
        """The name it goes by, at most 15 bytes (``os.fsdecode``); it can be anything."""
        if self.thread == self.pid:
            return self.stat.name
        return os.fsdecode(self.read_at_once("comm").removesuffix(b"\n"))

    @fact
    def arguments(self) -> tuple[bytes, ...]:
        """Its command line as it shows it now: it may have written over it. Empty for kernel threads."""
        text = self.read_at_once("cmdline")
        return tuple(text.removesuffix(b"\0").split(b"\0")) if text else ()

    @fact
    def environment(self) -> tuple[bytes, ...]:
        """``NAME=value`` as they were at its start, or what it has written over them since."""
        return tuple(one for one in self.read("environ").split(b"\0") if one)

    @fact
    def users(self) -> tuple[int, ...]:
        """Real, effective, saved and file system user id."""
        return tuple(int(one) for one in self.status.get("Uid", "").split())

    @fact
    def user(self) -> str:
        """The name of its real user here, or the number where it has none or only a name service knows it.

        Empty where that cannot be found out.
        """
        return (user_name(self.users[0]) or str(self.users[0])) if self.users else ""

    @fact
    def cgroup(self) -> bytes:
        """The text of ``cgroup``: a line for each hierarchy, cgroups(7)."""
        return self.read_at_once("cgroup")

    @fact
    def container(self) -> str:
        """Runtime and id of the container it seems to live in; empty if none."""
        from mig_endpoint.processes.container import container_of

        return container_of(self.cgroup)

    def namespace(self, kind: str) -> int:
        """The number of its namespace of a kind: ``mnt``, ``net``, ``pid``, ``user``, ``time``, … ; namespaces(7)."""
        found = _NAMESPACE.fullmatch(self.link(f"ns/{kind}"))
        return int(found.group(1)) if found else 0

    def threads(self) -> list[int]:
        """The ids of its threads, ascending; also of a main thread that has ended."""
        folder = _open_folder("task", self._main)
        try:
            return sorted(map(int, os.listdir(folder)))
        finally:
            os.close(folder)

    @fact
    def mappings(self) -> list[Mapping]:
        """What it has mapped."""
        return mappings.parse(self.lines("maps"))


@lru_cache(maxsize=1)
def _ticks_per_second() -> int:
    return os.sysconf("SC_CLK_TCK")


def _incarnation(stat: Stat, exe: str, folder: int) -> tuple[int | str, ...]:
    try:
        link = "" if stat.is_kernel_thread else os.readlink(exe, dir_fd=folder)
    except OSError:
        link = ""
    return (stat.start, link, *stat.program)


def _open_folder(name: str, proc: int) -> int:
    return os.open(name, os.O_DIRECTORY | os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)


def _read(name: str, limit: int, folder: int) -> bytes:
    """More than ``limit`` bytes where there are more."""
    file = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        pieces, length = [], 0
        while length <= limit and (piece := os.read(file, 1 << 16)):
            pieces.append(piece)
            length += len(piece)
        return b"".join(pieces)
    finally:
        os.close(file)


def _read_at_once(name: str, folder: int) -> bytes:
    file = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        text = os.read(file, _AT_ONCE)
        while len(text) % _AT_ONCE == 0 and len(text) <= MAX_TEXT and (piece := os.read(file, _AT_ONCE)):
            text += piece
        return text
    finally:
        os.close(file)

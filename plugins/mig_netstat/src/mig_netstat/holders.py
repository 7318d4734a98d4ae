"""Who holds which socket, and which network namespaces there are: one walk over the processes.

A socket may be held by many processes (inherited, passed on), so a holder is a list. Only descriptors tell, and what is
registered with an io_uring; what the kernel's tables say about owners is the user id that made it.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from mig_endpoint.processes.descriptors import RING, files_of_ring, inode_in, tables_of
from mig_endpoint.processes.visit import visit
from mig_netstat.namespaces import number_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.plugin.coverage import Tally
    from mig_endpoint.processes.proc import Proc
    from mig_endpoint.processes.process import Process

_CHECK = 64
_PATHS = 16
"""Paths to a namespace that are kept."""
_SOCKET = "socket:["


class Holders:
    """What one walk found out; to be filled with :meth:`walk`."""

    def __init__(self) -> None:
        self.by_inode: dict[int, list[str]] = {}
        """Socket's inode -> ``pid name executable container``, each once."""
        self.descriptor_of: dict[int, tuple[str, int]] = {}
        """Socket's inode -> the folder of a thread below /proc, and its descriptor that leads to it."""
        self.namespaces: dict[int, list[str]] = {}
        """Number of a network namespace -> paths that lead to it: who is first may end before it is asked."""

    def walk(self, proc: Proc, tally: Tally, *, expired: Callable[[], bool]) -> None:
        """Asks every process for its namespace, and for its descriptors: both lead to namespaces.

        Args:
            proc: where. The paths that are found lead somewhere only while it is open.
            tally: books processes that may not be read.
            expired: asked now and then; true ends the walk.
        """
        self._proc = proc
        for place, pid in enumerate(proc.ids()):
            if place % _CHECK == 0 and expired():
                return
            visit(proc, pid, tally, self._look_at, lightly=True)

    def _look_at(self, process: Process) -> None:
        """Reads what is needed of most processes and no more: two links and the descriptors.

        Whoever has none (threads of the kernel, those that have ended, a main thread that has) is asked what it is.
        """
        try:
            tables = list(tables_of(process))
        except PermissionError:
            process.find_thread()
            if not process.has_memory():
                return
            raise
        if not any(links for _, links in tables) and not process.has_memory():
            return
        folder = self._proc.path_of(process.pid)
        self._leads_to(process.namespace("net"), f"{_of_thread(folder, process.pid, process.thread)}/ns/net")
        mine: set[int] = set()
        for thread, links in tables:
            at = _of_thread(folder, process.pid, thread)
            for name, target in links:
                if target.startswith(_SOCKET):
                    inode = inode_in(target, _SOCKET)
                    mine.add(inode)
                    self.descriptor_of.setdefault(inode, (at, int(name)))
                elif target == RING:
                    mine.update(inode_in(one, _SOCKET) for one in files_of_ring(process, thread, name))
                elif number := number_in(target):
                    self._leads_to(number, f"{at}/fd/{name}")
        self._holds(process, mine - {0})

    def _holds(self, process: Process, inodes: set[int]) -> None:
        text = _holder(process) if inodes else ""
        for inode in inodes:
            self.by_inode.setdefault(inode, []).append(text)

    def _leads_to(self, namespace: int, path: str) -> None:
        paths = self.namespaces.setdefault(namespace, [])
        if len(paths) < _PATHS:
            paths.append(path)


def _of_thread(folder: str, pid: int, thread: int) -> str:
    return folder if thread == pid else f"{folder}/task/{thread}"


def _holder(process: Process) -> str:
    try:
        path = process.executable.path
    except OSError:
        path = "?"
    return " ".join(filter(None, (str(process.pid), process.command, path, process.container)))


def protocol_of(folder: str, descriptor: int) -> str:
    """What a socket without a row is, as the kernel names it: ``TCPv6``, ``AF_VSOCK``, ``XDP``; empty if it is gone.

    Source: the extended attribute ``system.sockprotoname`` of a socket's descriptor (``net/socket.c``).
    """
    try:
        # Without opening it: by now the number may lead to a file, on a file system that does not answer.
        held = os.open(f"{folder}/fd/{descriptor}", os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        if not stat.S_ISSOCK(os.fstat(held).st_mode):
            return ""
        return os.getxattr(f"/proc/self/fd/{held}", "system.sockprotoname").rstrip(b"\0").decode("ascii")
    except (OSError, UnicodeDecodeError):
        return ""
    finally:
        os.close(held)

"""Who holds which socket, and which network namespaces there are: one walk over the processes.

A socket may be held by many processes (inherited, passed on), so a holder is a list. Only descriptors tell; what the
kernel's tables say about owners is the user id that made it.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from mig_endpoint.processes import reasons
from mig_endpoint.processes.descriptors import inode_in, tables_of
from mig_endpoint.processes.visit import visit
from mig_netstat.namespaces import number_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.plugin.coverage import Tally
    from mig_endpoint.processes.proc import Proc
    from mig_endpoint.processes.process import Process

_CHECK = 64
_SOCKET = "socket:["


class Holders:
    """What one walk found out; to be filled with :meth:`walk`."""

    def __init__(self) -> None:
        self.by_inode: dict[int, list[str]] = {}
        """Socket's inode -> ``pid name executable container``, each once."""
        self.descriptor_of: dict[int, tuple[int, int]] = {}
        """Socket's inode -> a process and descriptor that lead to it."""
        self.namespaces: dict[int, str] = {}
        """Number of a network namespace -> a path that leads to it."""
        self.denied = False
        """Whether somebody's descriptors could not be read, so that holders may be missing."""

    def walk(self, proc: Proc, tally: Tally, *, expired: Callable[[], bool]) -> None:
        """Asks every process for its namespace, and for its descriptors: both lead to namespaces.

        Args:
            proc: where.
            tally: books processes that may not be read.
            expired: asked now and then; true ends the walk.
        """
        self.denied = tally.skipped(reasons.HIDDEN) > 0
        before = _not_looked_at(proc, tally)
        for place, pid in enumerate(proc.ids()):
            if place % _CHECK == 0 and expired():
                self.denied = True
                return
            visit(proc, pid, tally, self._look_at, lightly=True)
        self.denied = self.denied or _not_looked_at(proc, tally) > before

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
        self.namespaces.setdefault(process.namespace("net"), f"/proc/{process.thread}/ns/net")
        text = ""
        mine: set[int] = set()
        for thread, links in tables:
            for name, target in links:
                if not target.startswith(_SOCKET):  # most descriptors are none
                    if number := number_in(target):
                        self.namespaces.setdefault(number, f"/proc/{thread}/fd/{name}")
                    continue
                if not (inode := inode_in(target, _SOCKET)) or inode in mine:
                    continue
                mine.add(inode)
                text = text or _holder(process)
                if inode in self.by_inode:
                    self.by_inode[inode].append(text)
                else:
                    self.by_inode[inode] = [text]
                    self.descriptor_of[inode] = thread, int(name)


def _not_looked_at(proc: Proc, tally: Tally) -> int:
    return sum(tally.skipped(reason) for reason in (proc.denied, reasons.COVERED, reasons.TROUBLE))


def _holder(process: Process) -> str:
    try:
        path = process.executable.path
    except OSError:
        path = "?"
    return " ".join(filter(None, (str(process.pid), process.command, path, process.container)))


def protocol_of(thread: int, descriptor: int) -> str:
    """What a socket without a row is, as the kernel names it: ``TCPv6``, ``AF_VSOCK``, ``XDP``; empty if it is gone.

    Source: the extended attribute ``system.sockprotoname`` of a socket's descriptor (``net/socket.c``).
    """
    try:
        # Without opening it: by now the number may lead to a file, on a file system that does not answer.
        held = os.open(f"/proc/{thread}/fd/{descriptor}", os.O_PATH | os.O_CLOEXEC)
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

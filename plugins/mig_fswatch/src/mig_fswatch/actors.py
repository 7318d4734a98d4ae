"""Who did it: what /proc says about the process that the kernel names. Sources: proc(5), pidfd_open(2).

A process may be gone when its event is read; then its id is known, and the rest is not. The kernel gives a descriptor
of the process with the event: where it says that the process is gone, nobody is asked, as its id may be another's.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mig_endpoint.processes.stat import Status, parse_stat
from mig_fswatch import managers

if TYPE_CHECKING:
    from collections.abc import Callable

UNSET = 4294967295
"""What ``loginuid`` says where nobody has logged in."""
MAX_ANCESTORS = 12
REMEMBERED = 2.0
"""Seconds for which is remembered whether an ancestor is a package manager."""
_MAX_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Actor:
    """A process, as far as it was there to be asked. None: not known."""

    pid: int
    executable: str | None = None
    """As :func:`os.fsdecode` gives it."""
    name: str | None = None
    uid: int | None = None
    """Its effective user."""
    login_uid: int | None = None
    """Who logged in; None also where nobody did."""
    parent: int | None = None
    manager: str = ""
    """The package manager that it is, or that one of its ancestors is."""


class Actors:
    """Finds processes. For the reader's thread."""

    def __init__(self, clock: Callable[[], float], proc: str = "/proc") -> None:
        """``clock`` counts seconds."""
        self._clock = clock
        self._proc = proc
        self._managers: dict[int, tuple[float, str]] = {}

    def find(self, pid: int, process: int) -> Actor | None:
        """The process of an event.

        Args:
            pid: as the kernel says; 0 where it is outside of this PID namespace.
            process: a descriptor of it, -1 where it is gone (or the kernel gives none).
        """
        if pid <= 0:
            return None
        if process < 0:
            return Actor(pid)
        found = self._look(pid)
        try:
            signal.pidfd_send_signal(process, 0)
        except ProcessLookupError:  # gone while we looked: what we saw may be another's
            return Actor(pid)
        except PermissionError:
            pass
        return found

    def _look(self, pid: int) -> Actor:
        folder = f"{self._proc}/{pid}"
        try:
            status = Status(_read(f"{folder}/status"))
        except OSError:
            return Actor(pid)
        executable = _link(f"{folder}/exe")
        uids, parent = status.get("Uid", "").split(), status.get("PPid", "")
        ppid = int(parent) if parent.isdigit() else None
        return Actor(
            pid,
            executable,
            status.get("Name") or None,
            int(uids[1]) if len(uids) > 1 else None,
            _login(f"{folder}/loginuid"),
            ppid,
            self._manager(pid, executable, ppid),
        )

    def _manager(self, pid: int, executable: str | None, parent: int | None) -> str:
        now = self._clock()
        if len(self._managers) > 4096:
            self._managers.clear()
        name = self._own_manager(pid, executable)
        passed: list[int] = []
        for _ in range(MAX_ANCESTORS):
            if name or not parent or parent <= 1:
                break
            known = self._managers.get(parent)
            if known and known[0] > now:
                name = known[1]
                break
            passed.append(parent)
            name = self._own_manager(parent, _link(f"{self._proc}/{parent}/exe"))
            try:
                parent = parse_stat(_read(f"{self._proc}/{parent}/stat")).parent
            except (OSError, ValueError):
                break
        for one in passed:
            self._managers[one] = (now + REMEMBERED, name)
        return name

    def _own_manager(self, pid: int, executable: str | None) -> str:
        if executable is None:
            return ""
        if managers.is_interpreter(executable):
            try:
                words = _read(f"{self._proc}/{pid}/cmdline").split(b"\0")
            except OSError:
                return ""
            return managers.of_script(os.fsdecode(words[1])) if len(words) > 1 else ""
        return managers.of_program(executable)


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, _MAX_BYTES)
    finally:
        os.close(fd)


def _link(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None


def _login(path: str) -> int | None:
    try:
        number = int(_read(path))
    except (OSError, ValueError):
        return None
    return None if number == UNSET else number

"""/proc as a whole: which processes there are, and a way to each of them that no mount can hide. Sources: proc(5);
open_tree(2), ``fs/namespace.c`` (Linux 5.2).

Whoever may mount can lay something over ``/proc/PID``, and everything that looks there is blind.
``/proc/self/mountinfo`` tells, and a private copy of the mount of /proc alone, without what is mounted on it, shows
what lies behind. The copy is seen by nobody else and goes away with its descriptor.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from mig_endpoint.processes import reasons
from mig_endpoint.processes.process import Process

if TYPE_CHECKING:
    from types import TracebackType

    from mig_core.plugin.coverage import Reason, Tally

_SYS_OPEN_TREE = 428
_OPEN_TREE_CLONE = 1
_CAP_SYS_PTRACE = 1 << 19
_COVERING = re.compile(rb"/proc/(\d+)(?:/|$)")
_HIDING = (b"hidepid=2", b"hidepid=4", b"hidepid=invisible", b"hidepid=ptraceable")


class Proc:
    """An open /proc, to be closed or used in a ``with``. May be used by several threads.

    Args:
        tally: books that processes may exist which are not listed (``hidepid``), and nothing else.

    Raises:
        OSError: there is no /proc.
    """

    def __init__(self, tally: Tally) -> None:
        self.privileged = may_read_all()
        """Whether this process may read any other, as far as its capabilities go."""
        self.denied: Reason = reasons.DENIED if self.privileged else reasons.DENIED_UNPRIVILEGED
        """What a refusal is booked as."""
        self._covered = frozenset[int]()
        self.folder = os.open("/proc", os.O_DIRECTORY | os.O_RDONLY | os.O_CLOEXEC)
        self._clean = -1
        mounts = _mounts()
        if not self.privileged and any(
            option in mount[-1] for mount in mounts if mount[4] == b"/proc" for option in _HIDING
        ):
            tally.skip(reasons.HIDDEN)
        self._see_behind(mounts)

    def __enter__(self) -> Proc:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes it; processes that are open stay open."""
        if self._clean >= 0:
            os.close(self._clean)
        os.close(self.folder)

    def ids(self) -> list[int]:
        """The ids of all processes, ascending, those behind mounts included.

        Also finds out anew what is mounted over processes.
        """
        self._see_behind(_mounts())
        return sorted(int(name) for name in os.listdir(self.folder) if name.isdecimal())

    def process(self, pid: int) -> Process:
        """A process, not yet open: entering its ``with`` raises what :class:`Process` says."""
        return Process(pid, self._clean if pid in self._covered and self._clean >= 0 else self.folder)

    def is_covered(self, pid: int) -> bool:
        """Whether something is mounted over a process."""
        return pid in self._covered

    def is_hidden(self, pid: int) -> bool:
        """Whether something is mounted over a process, and we may not look behind it."""
        return pid in self._covered and self._clean < 0

    def _see_behind(self, mounts: list[list[bytes]]) -> None:
        found = (_COVERING.match(mount[4]) for mount in mounts)
        self._covered = frozenset(int(one.group(1)) for one in found if one)
        if self._covered and self._clean < 0:
            self._clean = _copy_of_mount(b"/proc")


def may_read_all() -> bool:
    """Whether this process has CAP_SYS_PTRACE (or is root, where that cannot be found out)."""
    with open("/proc/self/status", "rb") as file:
        for line in file:
            if line.startswith(b"CapEff:"):
                return bool(int(line.split()[1], 16) & _CAP_SYS_PTRACE)
    return os.geteuid() == 0


def _mounts() -> list[list[bytes]]:
    """The lines of mountinfo (proc_pid_mountinfo(5)), split: field 4 is the mount point, the last has the options."""
    try:
        with open("/proc/self/mountinfo", "rb") as file:
            return [fields for line in file if len(fields := line.split()) > 5]
    except OSError:
        return []


def _copy_of_mount(path: bytes) -> int:
    """A descriptor of a private copy of one mount without the mounts on it; -1 where we may not make one."""
    import ctypes

    try:
        folder: int = ctypes.CDLL(None, use_errno=True).syscall(
            _SYS_OPEN_TREE, -100, path, _OPEN_TREE_CLONE | os.O_CLOEXEC
        )
    except (OSError, AttributeError):
        return -1
    return folder

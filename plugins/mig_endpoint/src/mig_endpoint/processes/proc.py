"""/proc as a whole: which processes there are, and a way to each of them that no mount can hide. Sources: proc(5);
open_tree(2), ``fs/namespace.c`` (Linux 5.2).

Whoever may mount can lay something over ``/proc/PID``, and everything that looks there is blind.
``/proc/self/mountinfo`` tells, and a private copy of the mount of /proc alone, without what is mounted on it, shows
what lies behind. The copy is seen by nobody else and goes away with its descriptor.
"""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING

from mig_endpoint.files.mounts import read_mounts
from mig_endpoint.processes import reasons
from mig_endpoint.processes.process import Process

if TYPE_CHECKING:
    from types import TracebackType

    from mig_core.plugin.coverage import Reason, Tally

_SYS_OPEN_TREE = 428
_OPEN_TREE_CLONE = 1
_CAP_SYS_PTRACE = 1 << 19
_COVERING = re.compile(r"/proc/(\d+)(?:/|$)")
_HIDING = ("hidepid=2", "hidepid=4", "hidepid=invisible", "hidepid=ptraceable")


class Proc:
    """An open /proc, to be closed or used in a ``with``. May be used by several threads.

    Args:
        tally: books that processes may exist which are not listed (``hidepid``), and nothing else.

    Raises:
        OSError: there is no /proc, or nothing in it.
    """

    def __init__(self, tally: Tally) -> None:
        if not os.path.exists("/proc/self/status"):
            raise FileNotFoundError(errno.ENOENT, "no proc file system is mounted there, mount one", "/proc")
        self.privileged = may_read_all()
        """Whether this process may read any other, as far as its capabilities go."""
        self.denied: Reason = reasons.DENIED if self.privileged else reasons.DENIED_UNPRIVILEGED
        """What a refusal is booked as."""
        self.folder = os.open("/proc", os.O_DIRECTORY | os.O_RDONLY | os.O_CLOEXEC)
        self._clean = -1
        self._look_at_mounts()
        options = ",".join(mount.options for mount in self.mounts.all if mount.point == "/proc")
        if not self.privileged and any(option in options for option in _HIDING):
            tally.skip(reasons.HIDDEN)

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
        self._look_at_mounts()
        return sorted(int(name) for name in os.listdir(self.folder) if name.isdecimal())

    def process(self, pid: int, *, lightly: bool = False) -> Process:
        """A process, not yet open: entering its ``with`` raises what :class:`Process` says, and means ``lightly``."""
        folder = self._clean if pid in self._covered and self._clean >= 0 else self.folder
        return Process(pid, folder, self.mounts, lightly=lightly)

    def path_of(self, pid: int) -> str:
        """A path of a process's folder for functions that take no descriptor; it leads there while this is open."""
        return f"/proc/self/fd/{self._clean}/{pid}" if pid in self._covered and self._clean >= 0 else f"/proc/{pid}"

    def is_covered(self, pid: int) -> bool:
        """Whether something is mounted over a process."""
        return pid in self._covered

    def is_hidden(self, pid: int) -> bool:
        """Whether something is mounted over a process, and we may not look behind it."""
        return pid in self._covered and self._clean < 0

    def _look_at_mounts(self) -> None:
        self.mounts = read_mounts()
        """What is mounted here, as of the last :meth:`ids`."""
        found = (_COVERING.match(mount.point) for mount in self.mounts.all)
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

"""No copies of memory: agent, API and scheduler hold keys, tokens and passwords, and a crash leaves no core dump.

A limit of zero (RLIMIT_CORE) keeps the kernel from writing a file; a program that takes dumps through a pipe
(core_pattern(5), systemd-coredump) is called all the same, unless the process says that it must not be dumped
(prctl(2) PR_SET_DUMPABLE). That also keeps other processes of the same account from reading its memory.
"""

from __future__ import annotations

import ctypes
import resource
import sys

_PR_SET_DUMPABLE = 4


def forbid_dumps() -> None:
    """For this process from here on; the limit also for those it starts. Call it before anything secret is read."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)

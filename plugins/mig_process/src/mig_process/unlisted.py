"""Processes that /proc does not list though they are there.

Every id is asked for its process group, which changes nothing. Threads answer too, so that what answers counts only if
it is a process of its own; and only if the same one was there before a listing without it, and is there after it: who
comes or goes meanwhile hides from nobody. What a rootkit hides from listings of /proc alone is found; what it hides
from system calls as well is not, from within the system.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_endpoint.processes.proc import Proc

_ASK_CLOCK = 4096


class RanOutOfTime(Exception):
    """The deadline passed before all ids were asked."""


def unlisted(proc: Proc, expired: Callable[[], bool]) -> Iterator[int]:
    """The ids of processes that answer and are not listed.

    Raises:
        RanOutOfTime: the deadline passed.
        OSError: the highest id cannot be found out.
    """
    with open("/proc/sys/kernel/pid_max", encoding="ascii") as file:
        highest = int(file.read())
    listed = set(proc.ids())
    for pid in range(1, highest + 1):
        if pid % _ASK_CLOCK == 0 and expired():
            raise RanOutOfTime
        if pid in listed or not _answers(pid):
            continue
        before = _identity(proc, pid)
        if before and pid not in proc.ids() and _identity(proc, pid) == before:
            yield pid


def is_thread(proc: Proc, pid: int) -> bool:
    """Whether the id is that of a mere thread: /proc does not list it, and has a folder for it all the same."""
    try:
        with proc.process(pid) as process:
            return process.status.get("Tgid", str(pid)) != str(pid)
    except OSError:
        return False


def _answers(pid: int) -> bool:
    try:
        os.getpgid(pid)
    except PermissionError:
        return True
    except ProcessLookupError:
        return False
    return True


def _identity(proc: Proc, pid: int) -> str:
    """What tells a process from the next one of its id; empty for a mere thread, and for who is not there."""
    try:
        with proc.process(pid) as process:
            return f"since {process.stat.start}" if process.status.get("Tgid") == str(pid) else ""
    except (FileNotFoundError, ProcessLookupError):  # without even a folder in /proc, or ended meanwhile
        return "without a folder" if _answers(pid) else ""
    except OSError:
        return "not to be looked at"

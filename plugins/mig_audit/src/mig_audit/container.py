"""A hint at the control group, and so the container, that a process belongs to: from ``/proc/PID/cgroup``.

Only a hint: the process may be gone when its event is made (then its parent is asked), or its number taken again.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.domain.document import JSON

SECONDS = 5.0
"""How long an answer about one process is believed."""
KEPT = 4096

_RUNTIMES = (
    ("docker", re.compile(r"docker[-/]([0-9a-f]{64})")),
    ("containerd", re.compile(r"cri-containerd[-:]([0-9a-f]{64})")),
    ("crio", re.compile(r"crio-([0-9a-f]{64})")),
    ("podman", re.compile(r"libpod-([0-9a-f]{64})")),
    ("kubernetes", re.compile(r"kubepods.*?([0-9a-f]{64})")),
    ("lxc", re.compile(r"(?:lxc\.payload\.|lxc/)([^/]+)")),
    ("nspawn", re.compile(r"machine\.slice/(?:systemd-nspawn@|machine-)([^/]+?)\.(?:service|scope)")),
)


class Groups:
    """Looks up control groups."""

    def __init__(self, clock: Callable[[], float], proc: str = "/proc") -> None:
        """Prepares.

        Args:
            clock: counts seconds.
            proc: where the process file system is mounted.
        """
        self._clock = clock
        self._proc = proc
        self._known: dict[int, dict[str, JSON]] = {}
        self._until = clock() + SECONDS

    def of(self, pid: int, ppid: int) -> dict[str, JSON]:
        """What an event says about its process: ``cgroup`` and, in a container, ``container``; empty when unknown.

        The dictionary is shared between events: do not change it.
        """
        now = self._clock()
        if now >= self._until or len(self._known) >= KEPT:
            self._known.clear()
            self._until = now + SECONDS
        known = self._known
        if pid in known:
            return known[pid]
        read = self._read(pid)
        if read is not None:
            known[pid] = hint(read)
            return known[pid]
        if ppid not in known:
            read = self._read(ppid)
            known[ppid] = hint(read) if read is not None else {}
        return known[ppid]

    def _read(self, pid: int) -> bytes | None:
        try:
            descriptor = os.open(f"{self._proc}/{pid}/cgroup", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            return os.read(descriptor, 16_384)
        except OSError:
            return None
        finally:
            os.close(descriptor)


def hint(text: bytes) -> dict[str, JSON]:
    """What a process's cgroup file says: cgroup(7), version 1 or 2. The longest path is the most telling one."""
    lines = text.decode("utf-8", "backslashreplace").splitlines()
    paths = [line.split(":", 2)[2] for line in lines if line.count(":") >= 2]
    if not paths:
        return {}
    chosen = max(paths, key=len)
    made: dict[str, JSON] = {"cgroup": chosen}
    for runtime, pattern in _RUNTIMES:
        found = pattern.search(chosen)
        if found is not None:
            made["container"] = {"runtime": runtime, "id": found[1]}
            break
    return made

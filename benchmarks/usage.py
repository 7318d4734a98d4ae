"""What processes use: processor time and memory, read from /proc, by part of the platform.

Resident memory (``rss``) counts shared pages once in every process; the proportional share (``pss``) divides them among
those who share them, so only sums of ``pss`` mean anything for several processes.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_TICK = os.sysconf("SC_CLK_TCK")
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Usage:
    """One part's processes together."""

    processes: int = 0
    cpu: float = 0.0
    """Seconds since they began, user and system."""
    rss: int = 0
    """Bytes; the sum, so shared pages count more than once."""
    pss: int = 0
    """Bytes; shared pages are divided among those who share them."""

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.processes + other.processes, self.cpu + other.cpu, self.rss + other.rss, self.pss + other.pss)


def usage_of(pids: Iterable[int], *, descendants: bool = True) -> Usage:
    """The use of these processes, usually with all their descendants. Processes that end meanwhile do not count."""
    total = Usage()
    for pid in sorted(_with_descendants(set(pids)) if descendants else set(pids)):
        with contextlib.suppress(OSError, ValueError):
            total += _one(pid)
    return total


def children_of(pid: int, word: str = "") -> list[int]:
    """Direct children whose command line contains ``word``, in the order of their ids."""
    found = []
    for child, parent in _parents().items():
        if parent == pid:
            with contextlib.suppress(OSError), open(f"/proc/{child}/cmdline", "rb") as file:
                if word.encode() in file.read():
                    found.append(child)
    return sorted(found)


def platform_pids(rabbitmq: int | None, postgres: int | None) -> dict[str, list[int]]:
    """The process ids of a platform that this process has started, by part."""
    parts = {
        "api": children_of(os.getpid(), "mig-api"),
        "scheduler": children_of(os.getpid(), "mig-scheduler"),
        "postgres": [] if postgres is None else [postgres],
        "rabbitmq": [] if rabbitmq is None else [rabbitmq],
    }
    return {name: pids for name, pids in parts.items() if pids}


def _one(pid: int) -> Usage:
    with open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    # proc(5): utime and stime are fields 14 and 15; the split begins with field 3.
    cpu = (int(fields[11]) + int(fields[12])) / _TICK
    sizes = {b"Rss": 0, b"Pss": 0}
    with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
        for line in file:
            name, _, rest = line.partition(b":")
            if name in sizes:
                sizes[name] = int(rest.split()[0]) * 1024
    return Usage(1, cpu, sizes[b"Rss"], sizes[b"Pss"])


def _parents() -> dict[int, int]:
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError), open(f"/proc/{name}/stat", "rb") as file:
                parents[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
    return parents


def _with_descendants(pids: set[int]) -> set[int]:
    parents = _parents()
    found = set(pids)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found

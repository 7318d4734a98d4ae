"""How much may be brought back from swap without harm. Sources: ``Documentation/admin-guide/cgroup-v2.rst``
(memory.max, memory.high), ``cgroup-v1/memory.rst``, proc_swaps(5), proc_meminfo(5).

A page that is read from swap is charged to the control group of the process. One that is at its limit has to give up
another page for it, and if its share of the swap is used up as well, something in it is killed. So only what leaves the
group, and the machine, ample room is brought back.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from mig_endpoint.files.mounts import read_mounts
from mig_endpoint.processes.pages import UNLIMITED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_endpoint.processes.process import Process

_AVAILABLE = re.compile(rb"^MemAvailable: +(\d+) kB", re.MULTILINE)
_Names = tuple[tuple[str, ...], str]
"""The files of a control group that have its limits, and the one that has what it uses."""
_V2: _Names = (("memory.max", "memory.high"), "memory.current")
_V1: _Names = (("memory.limit_in_bytes",), "memory.usage_in_bytes")


def room_for(process: Process) -> int:
    """How many bytes of a process may be brought back from swap.

    A quarter of what the machine has available, and half of what each of its control groups has left; 0 where a limit
    cannot be found out. :data:`UNLIMITED` where there is no swap: what counts as swapped then is a page on its way from
    one place to another.
    """
    try:
        if not _has_swap():
            return UNLIMITED
        available = _AVAILABLE.search(_read("/proc/meminfo"))
        room = int(available.group(1)) << 8 if available else 0
        for folder, (limits, usage) in _groups(process):
            room = min(room, _left(folder, limits, usage) // 2)
    except (OSError, ValueError):
        return 0
    return max(room, 0)


def _has_swap() -> bool:
    return len(_read("/proc/swaps").splitlines()) > 1


def _groups(process: Process) -> Iterator[tuple[str, _Names]]:
    """The folders of all its control groups that may limit memory, and the names of their files.

    Raises:
        FileNotFoundError: there is one that cannot be seen from here.
    """
    mounts = read_mounts().all
    for line in os.fsdecode(process.cgroup).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            names, found = _V2, [one for one in mounts if one.kind == "cgroup2"]
        elif "memory" in controllers.split(","):
            names, found = (
                _V1,
                [one for one in mounts if one.kind == "cgroup" and "memory" in one.options.split(",")],
            )
        else:
            continue
        if path == "/" and not found:
            continue  # the topmost has no limits
        within = [one for one in found if path == one.root or path.startswith(one.root.rstrip("/") + "/")]
        if not within or "/.." in path:
            raise FileNotFoundError(path)
        parts = path[len(within[0].root.rstrip("/")) :].split("/")
        for depth in range(len(parts), 0, -1):
            folder = within[0].point + "/".join(parts[:depth])
            if not os.path.isdir(folder):
                raise FileNotFoundError(folder)
            yield folder, names


def _left(folder: str, limits: tuple[str, ...], usage: str) -> int:
    """What a control group may still take."""
    left = UNLIMITED
    for name in limits:
        try:
            limit = _read(f"{folder}/{name}").strip()
        except FileNotFoundError:  # the topmost group, or one without this controller
            continue
        if limit != b"max":
            left = min(left, int(limit) - int(_read(f"{folder}/{usage}")))
    return left


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(1 << 20)

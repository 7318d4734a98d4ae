"""Which systemd unit a process belongs to, told from its control group (systemd.slice(5), cgroups(7))."""

from __future__ import annotations

import re
from functools import lru_cache

_UNIT = re.compile(r"[^/]+\.(?:service|scope|socket|mount|swap)")


@lru_cache(maxsize=4096)
def unit_of(cgroup: bytes) -> str:
    """The innermost unit: a user's ``app.service`` and not the ``user@1000.service`` around it; empty if none.

    Args:
        cgroup: the text of ``/proc/PID/cgroup``.
    """
    for line in cgroup.decode("utf-8", "replace").splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers in ("", "name=systemd") and (found := _UNIT.findall(path)):
            return str(found[-1])
    return ""


@lru_cache(maxsize=4096)
def group_of(cgroup: bytes) -> str:
    """The path of the control group: of the unified hierarchy, or of systemd's own where there is none."""
    lines = [line.split(":", 2) for line in cgroup.decode("utf-8", "replace").splitlines()]
    by_controllers = {line[1]: line[2] for line in lines if len(line) == 3}
    return by_controllers.get("") or by_controllers.get("name=systemd") or ""

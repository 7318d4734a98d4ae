"""Whether what is to be added loads, found out in a process of its own that has it beside the agent's environment.

A program: ``python -m mig_core.agent.extending.trying FOLDER NAME…`` prints one JSON object.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from mig_core.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_SECONDS = 60
_GROUPS = ("mig.modules", "mig.agent")


def try_out(folder: Path, names: Collection[str]) -> Sequence[str]:
    """The modules and hooks that distributions in ``folder`` give.

    Raises:
        PluginError: one of them cannot be loaded, another distribution has its name, or there is none at all.
    """
    command = [sys.executable, "-P", "-B", "-m", "mig_core.agent.extending.trying", str(folder), *names]
    ran = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False)
    try:
        seen = json.loads(ran.stdout)
    except ValueError:
        seen = {
            "given": [],
            "failures": {"plugins": ran.stderr.strip()[-500:] or f"ended with status {ran.returncode}"},
        }
    for name, why in seen["failures"].items():
        raise PluginError(name, f"cannot be loaded, nothing was changed: {why}")
    if not seen["given"]:
        step = "the name of a plugin begins with mig-plugin- as a rule"
        raise PluginError(", ".join(names), "has no module for agents, nothing was changed", next_step=step)
    given: list[str] = seen["given"]
    return given


def _seen(folder: str, names: Collection[str]) -> dict[str, object]:
    from mig_core.plugin.manager import PluginManager

    place = str(Path(folder).resolve().parent)
    # What lies in the place now is replaced by what is tried.
    sys.path[:] = [one for one in sys.path if str(Path(one).resolve().parent) != place]
    sys.path.append(folder)
    points = [point for one in metadata.distributions(path=[folder]) for point in one.entry_points]
    mine = {
        point.name
        for one in metadata.distributions(path=[folder])
        if one.name.lower().replace("_", "-").replace(".", "-") in names
        for point in one.entry_points
        if point.group in _GROUPS
    }
    modules = sorted({point.name for point in points if point.group == "mig.modules"})
    manager = PluginManager(allow=modules) if modules else PluginManager(deny=("",))
    hooks = any(point.group == "mig.agent" for point in points)
    if modules:
        manager.names()
    if hooks:
        manager.hooks("agent")
    failures = {name: why for name, why in manager.failures.items() if name in mine} if modules or hooks else {}
    return {"given": sorted(mine), "failures": failures}


if __name__ == "__main__":
    json.dump(_seen(sys.argv[1], {one.lower().replace("_", "-").replace(".", "-") for one in sys.argv[2:]}), sys.stdout)

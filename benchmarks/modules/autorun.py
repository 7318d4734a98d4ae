"""The ``autorun`` module on this system, against what systemctl and dpkg need for a part of the same.

``python -m benchmarks.modules.autorun``: medians of runs in turn. The module runs the way the agent runs it: a child
forked from the zygote, from the request to the parsed answer and the reaped process. Peers are ``systemctl --root=/
list-unit-files`` (states of units, from files alone, of which both must know the same number) and ``dpkg -S`` of the
programs that the module found (one call, whole process). Status 1: everything took longer than a second, or a child
used more than 60 MiB.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from benchmarks.modules.race import Competitor, Run, program, race, ratio
from benchmarks.tables import mebibytes, print_table, seconds
from mig_core.agent.operations.executor import Executor, Interruption
from mig_core.agent.operations.launcher import Launcher
from mig_core.config.agent import ModuleSettings
from mig_core.plugin.printing import entries, mapping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mig_core.domain.document import JSON

MEMORY_TARGET = 60 << 20
TIME_TARGET = 1.0
SECONDS = 300.0
LISTED = ("systemctl", "--root=/", "list-unit-files", "--no-legend", "--no-pager")


def rows(executor: Executor, parameters: dict[str, JSON]) -> tuple[list[dict[str, Any]], Run]:
    """One run of the module: its rows, and what it took."""
    began = time.perf_counter()
    outcome = executor.run("autorun", parameters, seconds=SECONDS, interruption=Interruption(), environment={}, tags={})
    wall = time.perf_counter() - began
    found = [dict(mapping(row)) for row in entries(mapping(outcome.result.elements).get("rows"))]
    return found, Run(wall, outcome.cpu_seconds, b"", outcome.max_rss_kib * 1024)


def asking(
    executor: Executor, parameters: dict[str, JSON], count: Callable[[list[dict[str, Any]]], int]
) -> Callable[[], Run]:
    """A competitor that asks the module."""

    def start() -> Run:
        found, run = rows(executor, parameters)
        return Run(run.wall, run.cpu, b"x" * count(found), run.rss)

    return start


def paths(found: Iterable[dict[str, Any]]) -> list[str]:
    """The programs that packages own, each once."""
    return sorted({str(row["runs"]) for row in found if row.get("package") and row.get("kind") == "systemd"})


def files_of_units(found: Iterable[dict[str, Any]]) -> set[str]:
    """The names of units that there is a file or link for: instances that are started have none of their own."""
    return {str(row["name"]) for row in found if not re.search(r"@[^.]", str(row["name"]))}


def main() -> int:
    """Runs all races; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.modules.autorun", description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    launcher = Launcher(allow=("autorun",))
    launcher.start()
    try:
        executor = Executor(launcher, ModuleSettings(threads=1, niceness=0, timeout=timedelta(hours=1)))
        known, _ = rows(executor, {"kind": ["^systemd$"]})
        files = paths(known)
        whole = Competitor("agent", asking(executor, {}, lambda _: 1), len)
        units = Competitor(
            "agent", asking(executor, {"kind": ["^systemd$"]}, lambda found: len(files_of_units(found))), len
        )
        listing = Competitor(" ".join(LISTED[:3]), program(LISTED), lambda output: len(output.splitlines()))
        owners = Competitor(f"dpkg -S, {len(files)} files", program(("dpkg", "-S", *files), accept=(0, 1)), lambda _: 1)
        race([whole, owners], options.runs)
        race([units, listing], options.runs)
    finally:
        launcher.close()
    met = whole.wall <= TIME_TARGET and max(whole.rss, units.rss) <= MEMORY_TARGET
    lines = [
        [
            *(name, one.name, seconds(one.wall), seconds(one.cpu), f"{ratio(one, peer):.2f}"),
            mebibytes(one.rss) if one.rss else "-",
            f"1 s {'met' if met else 'MISSED'}" if one is whole else "",
        ]
        for name, one, peer in (
            ("everything", whole, owners),
            ("everything", owners, owners),
            ("units, their programs and owners", units, listing),
            ("units, their programs and owners", listing, listing),
        )
    ]
    head = ["question", "who", "wall s", "CPU s", "wall ratio", "RSS MiB", "target"]
    print_table(f"autorun, medians of {options.runs} runs in turn, load {os.getloadavg()[0]:.1f}", head, lines)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())

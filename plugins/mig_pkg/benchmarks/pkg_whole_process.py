"""How long an answer of ``pkg`` takes, whole process against whole process, in one run: medians of at least five.

    python plugins/mig_pkg/benchmarks/pkg_whole_process.py [RUNS]

Peers: ``dpkg-query -W`` and ``dpkg -l`` (Debian), and the original's agent when ``MIG_ORIGINAL_AGENT`` names it.
``MIG_OTHER_AGENT`` names the ``mig-agent`` of another build of MIG: both are asked for packages of every type, too.
``mig-agent`` is the one on the PATH; most of its time is the start of Python, shown by the last row but one.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time

MESSAGE = {"class": "parameters", "parameters": {"pkgmatch": {"matches": ["^openssl"]}, "vermatch": "^[0-9]"}}
EVERY_TYPE = {"class": "parameters", "parameters": {"pkgmatch": {"matches": ["^x$"]}, "types": ["all"]}}
MIN_RUNS = 5


def main() -> int:
    """Prints a table; the status is 1 when there is nothing to measure."""
    runs = max(MIN_RUNS, int(sys.argv[1]) if len(sys.argv) > 1 else 15)
    agent = shutil.which("mig-agent")
    if agent is None or shutil.which("dpkg-query") is None:
        sys.stderr.write("needs mig-agent and dpkg-query on the PATH\n")
        return 1
    commands = {
        "dpkg-query -W": ["dpkg-query", "-W"],
        "dpkg -l": ["dpkg", "-l"],
        "mig-agent -m pkg": [agent, "-m", "pkg"],
        "python -c 'import re2, json'": [sys.executable, "-c", "import re2, json"],
    }
    if original := os.environ.get("MIG_ORIGINAL_AGENT"):
        commands["the original"] = [original, "-m", "pkg"]
    if other := os.environ.get("MIG_OTHER_AGENT"):
        commands["the other build, every type"] = [other, "-m", "pkg"]
    commands["mig-agent -m pkg, every type"] = [agent, "-m", "pkg"]
    taken: dict[str, list[float]] = {name: [] for name in commands}
    inside: list[float] = []
    for _ in range(runs):  # by turns, so that a busy moment is shared
        for name, command in commands.items():
            asked = EVERY_TYPE if name.endswith("every type") else MESSAGE
            message = json.dumps(asked).encode() + b"\n"
            started = time.perf_counter()
            done = subprocess.run(command, input=message, capture_output=True, check=True)
            taken[name].append(time.perf_counter() - started)
            if command[0] == agent and asked is MESSAGE:
                inside.append(_milliseconds(json.loads(done.stdout)["statistics"]["execruntime"]))
    base = statistics.median(taken["dpkg-query -W"])
    sys.stdout.write(f"{'command':32}{'median':>10}{'ratio to dpkg-query':>22}\n")
    for name, times in taken.items():
        median = statistics.median(times)
        sys.stdout.write(f"{name:32}{median * 1000:7.1f} ms{median / base:22.2f}\n")
    sys.stdout.write(f"{'the module itself, in its child':32}{statistics.median(inside):7.1f} ms\n")
    return 0


def _milliseconds(duration: str) -> float:
    for unit, factor in (("ms", 1.0), ("µs", 0.001), ("s", 1000.0)):
        if duration.endswith(unit):
            return float(duration.removesuffix(unit)) * factor
    return 0.0


if __name__ == "__main__":
    sys.exit(main())

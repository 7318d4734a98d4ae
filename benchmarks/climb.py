"""Where the next cliff is: the same question to more and more agents, ``python -m benchmarks.climb --relay https``.

Each step is a fresh platform with its simulated fleet. Printed are, for each, processor milliseconds a command by part,
the time to the last answer printed, exchanges that broke, and the memory of each part. Status 1 when an agent is
unaccounted for.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.fleet_builds import PLATFORM, is_complete, per_command, run_fleet
from benchmarks.other_build import this_build
from benchmarks.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Mapping

STEPS = "1000,2500,5000,10000,15000"


def main() -> int:
    """Climbs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.climb", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--steps", default=STEPS, help=f"agents at each step (default: {STEPS})")
    parser.add_argument("--relay", choices=("https", "amqp"), default="https")
    parser.add_argument("--runs", type=int, default=3, help="questions at each step (default: 3)")
    parser.add_argument("--patience", type=float, default=300.0, help="most seconds to enrol and to listen")
    options = parser.parse_args()
    reports = []
    for agents in map(int, options.steps.split(",")):
        words = [f"--agents={agents}", f"--relay={options.relay}", f"--runs={options.runs}"]
        report = run_fleet(this_build(), [*words, f"--patience={options.patience}"])
        reports.append(report)
        print(" ".join(_costs(report)), file=sys.stderr, flush=True)
    parts = [part for part in PLATFORM if part in reports[0]["idle"]]
    head = ["agents", *parts, "platform", "to the first", "printed", "enrol", "listen", "broken", "load"]
    first = per_command(reports[:1]).get("platform", 0.0)
    rows = [[*_costs(one), *_fates(one, first)] for one in reports]
    print_table(f"over {options.relay}: processor milliseconds a command, seconds", head, rows)
    head = ["agents", "API, kB an agent", *(f"{part}, MB" for part in parts), "together, MB"]
    print_table("memory with all agents connected, after the questions (PSS)", head, [_memory(one) for one in reports])
    return 0 if all(is_complete(one) for one in reports) else 1


def _costs(report: Mapping[str, Any]) -> list[str]:
    costs = per_command([report])
    parts = [part for part in PLATFORM if part in report["idle"]]
    return [str(report["agents"]), *(f"{costs.get(part, 0):.3f}" for part in (*parts, "platform"))]


def _fates(report: Mapping[str, Any], first: float) -> list[str]:
    platform = per_command([report]).get("platform", 0.0)
    printed = max((asked["printed"] for asked in report["asked"]), default=0.0)
    return [
        f"{platform / first:.2f}" if first else "",
        f"{printed:.2f}" + ("" if is_complete(report) else " UNACCOUNTED FOR"),
        f"{report['enrolled']:.1f}",
        f"{report['listening']:.1f}",
        str(report["simulator"].get("broken", "?")),
        f"{report['load']:.1f}",
    ]


def _memory(report: Mapping[str, Any]) -> list[str]:
    usage = report["asked"][-1]["usage"] if report["asked"] else report["idle"]
    parts = [part for part in PLATFORM if part in report["idle"]]
    sizes = [usage[part]["pss"] for part in parts]
    an_agent = statistics.mean([usage["api"]["pss"]]) / report["agents"] / 1000
    return [str(report["agents"]), f"{an_agent:.1f}", *(f"{one / 1e6:.0f}" for one in sizes), f"{sum(sizes) / 1e6:.0f}"]


if __name__ == "__main__":
    sys.exit(main())

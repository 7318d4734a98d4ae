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

from benchmarks.fleet import missing_descriptors
from benchmarks.fleet_builds import PLATFORM, is_complete, per_command, run_fleet
from benchmarks.other_build import this_build
from benchmarks.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STEPS = "1000,2500,5000,10000,15000"


def main() -> int:
    """Climbs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.climb", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--steps", default=STEPS, help=f"agents at each step (default: {STEPS})")
    parser.add_argument("--relay", choices=("https", "amqp"), default="https")
    parser.add_argument("--workers", type=int, default=1, help="processes of mig-api (default: 1)")
    parser.add_argument("--processes", type=int, default=2, help="simulator processes (default: 2)")
    parser.add_argument("--runs", type=int, default=3, help="questions at each step (default: 3)")
    parser.add_argument("--patience", type=float, default=300.0, help="most seconds to enrol and to listen")
    options = parser.parse_args()
    steps = [int(one) for one in options.steps.split(",")]
    if problem := missing_descriptors(max(steps), options.workers, options.processes, options.relay):
        print(f"climb: {problem}", file=sys.stderr)
        return 2
    reports = []
    for agents in steps:
        words = [f"--agents={agents}", f"--relay={options.relay}", f"--runs={options.runs}"]
        words += [f"--workers={options.workers}", f"--processes={options.processes}"]
        report = run_fleet(this_build(), [*words, f"--patience={options.patience}"])
        reports.append(report)
        print(" ".join(_costs(report)), file=sys.stderr, flush=True)
    parts = [part for part in PLATFORM if part in reports[0]["idle"]]
    head = ["agents", *parts, "platform", "to the first", "printed", "enrol", "listen", "broken", "load"]
    first = per_command(reports[:1]).get("platform", 0.0)
    rows = [[*_costs(one), *_fates(one, first)] for one in reports]
    workers = f", {options.workers} processes of mig-api" if options.workers > 1 else ""
    print_table(f"over {options.relay}{workers}: processor milliseconds a command, seconds", head, rows)
    head = ["agents", "keys made, s", "enrolled, s", *parts, "simulator"]
    print_table("enrolment: processor milliseconds an agent", head, [_enrolment(one, parts) for one in reports])
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


def _enrolment(report: Mapping[str, Any], parts: Sequence[str]) -> list[str]:
    costs = [report["enrolling"].get(part, 0.0) for part in (*parts, "simulator")]
    return [
        str(report["agents"]),
        f"{report['made']:.1f}",
        f"{report['enrolled']:.1f}",
        *(f"{one:.2f}" for one in costs),
    ]


def _memory(report: Mapping[str, Any]) -> list[str]:
    usage = report["asked"][-1]["usage"] if report["asked"] else report["idle"]
    parts = [part for part in PLATFORM if part in report["idle"]]
    sizes = [usage[part]["pss"] for part in parts]
    an_agent = statistics.mean([usage["api"]["pss"]]) / report["agents"] / 1000
    return [str(report["agents"]), f"{an_agent:.1f}", *(f"{one / 1e6:.0f}" for one in sizes), f"{sum(sizes) / 1e6:.0f}"]


if __name__ == "__main__":
    sys.exit(main())

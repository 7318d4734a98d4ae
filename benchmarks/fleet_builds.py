"""This build's platform against another's: ``python -m benchmarks.fleet_builds 3d007a9 --agents 1000 --relay https``.

Both builds run their own ``benchmarks.fleet`` (their own simulated agents, who speak what their platform speaks) in
turn, A B A B, each time on a fresh platform. Printed are processor milliseconds a command by part, medians of all
questions, and ours divided by theirs. Status 1 when an agent is unaccounted for in ours.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.other_build import Build, built, this_build
from benchmarks.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PLATFORM = ("api", "scheduler", "postgres", "rabbitmq")
_WORD = {"api": "API", "scheduler": "scheduler", "postgres": "PostgreSQL", "rabbitmq": "RabbitMQ"}


def main() -> int:
    """Runs both builds in turn."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fleet_builds", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("commit", nargs="?", default="3d007a9", help="the other build, as git names it")
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--relay", choices=("https", "amqp"), default="https")
    parser.add_argument("--rounds", type=int, default=2, help="how often both run (default: 2)")
    parser.add_argument("--runs", type=int, default=3, help="questions each time (default: 3)")
    parser.add_argument("--patience", type=float, default=300.0, help="most seconds to enrol and to listen")
    parser.add_argument("--keep", type=Path, help="a folder in which the other build stays for the next time")
    options = parser.parse_args()
    reports: dict[str, list[dict[str, Any]]] = {"ours": [], "theirs": []}
    with built(options.commit, extras="[server,cli,embedded]", keep=options.keep) as theirs:
        for number in range(options.rounds):
            for who, build in (("theirs", theirs), ("ours", this_build())):
                words = [f"--agents={options.agents}", f"--relay={options.relay}", f"--runs={options.runs}"]
                report = run_fleet(build, [*words, f"--patience={options.patience}"])
                reports[who].append(report)
                print(f"round {number + 1}, {who}: {_line(report)}", file=sys.stderr, flush=True)
    _print(reports, options)
    return 0 if all(is_complete(one) for one in reports["ours"]) else 1


def run_fleet(build: Build, words: Sequence[str]) -> dict[str, Any]:
    """The report of one run of a build's ``benchmarks.fleet``."""
    path = f"{build.programs}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(build.tree)}
    done = subprocess.run(
        [str(build.programs / "python"), "-m", "benchmarks.fleet", *words, "--json"],
        cwd=build.tree,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise SystemExit(f"{build.name}: {done.stderr.strip()[-2000:]}") from None
    if not report["asked"]:
        print(done.stderr[-3000:], file=sys.stderr)
    return report


def is_complete(report: Mapping[str, Any]) -> bool:
    """Whether every agent is accounted for in every question, and nothing broke."""
    asked = report["asked"]
    fields = ("targeted", "commands", "success", "printed_answers")
    return bool(asked) and all(one[field] == report["agents"] for one in asked for field in fields)


def per_command(reports: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Milliseconds of processor a command by part, and of the platform together: medians of all questions."""
    values: dict[str, list[float]] = defaultdict(list)
    for report in reports:
        for asked in report["asked"]:
            for part, seconds in asked["cpu"].items():
                values[part].append(1000 * seconds / report["agents"])
            values["platform"].append(1000 * sum(asked["cpu"].get(part, 0.0) for part in PLATFORM) / report["agents"])
    return {part: statistics.median(some) for part, some in values.items()}


def _print(reports: Mapping[str, Sequence[Mapping[str, Any]]], options: argparse.Namespace) -> None:
    ours, theirs = per_command(reports["ours"]), per_command(reports["theirs"])
    rows = [
        [
            _WORD.get(part, part),
            f"{theirs.get(part, 0):.3f}",
            f"{ours.get(part, 0):.3f}",
            f"{ours.get(part, 0) / theirs[part]:.2f}" if theirs.get(part) else "",
        ]
        for part in (*PLATFORM, "platform", "simulator", "client")
        if part in ours or part in theirs
    ]
    title = f"{options.agents} agents over {options.relay}: processor milliseconds a command"
    print_table(title, ["part", options.commit, "this", "ratio"], rows)
    rows = []
    for name, pick in _TIMES:
        values = [[pick(one) for one in reports[who] if one["asked"]] for who in ("theirs", "ours")]
        theirs_, ours_ = (statistics.median(some or [float("nan")]) for some in values)
        rows.append([name, f"{theirs_:.2f}", f"{ours_:.2f}", f"{ours_ / theirs_:.2f}" if theirs_ else ""])
    print_table("seconds (medians), and memory", ["", options.commit, "this", "ratio"], rows)
    loads = ", ".join(f"{one['load']:.1f}" for some in reports.values() for one in some)
    print(f"\n{options.rounds} rounds of {options.runs} questions; load averages before the questions: {loads}")
    broken = {who: sum(one["simulator"].get("broken", 0) for one in some) for who, some in reports.items()}
    print(f"broken exchanges: {broken['theirs']} and {broken['ours']}")
    for who, some in reports.items():
        if not all(is_complete(one) for one in some):
            print(f"UNACCOUNTED FOR ({who})")


_TIMES: tuple[tuple[str, Callable[[Mapping[str, Any]], float]], ...] = (
    ("agents enrolled", lambda one: one["enrolled"]),
    ("all listening after that", lambda one: one["listening"]),
    ("last answer printed", lambda one: statistics.median(asked["printed"] for asked in one["asked"])),
    ("API, kB an agent", lambda one: one["idle"]["api"]["pss"] / one["agents"] / 1000),
    ("API, MB", lambda one: one["idle"]["api"]["pss"] / 1e6),
)


def _line(report: Mapping[str, Any]) -> str:
    parts = ", ".join(f"{part} {value:.3f}" for part, value in sorted(per_command([report]).items()))
    last = [f"{asked['printed']:.2f}" for asked in report["asked"]]
    return f"ms a command: {parts}; printed after {', '.join(last)} s; load {report['load']:.1f}"


if __name__ == "__main__":
    sys.exit(main())

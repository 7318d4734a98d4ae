"""How long a fleet takes to answer: a real platform, many simulated agents, one small question.

``python -m benchmarks.fleet --agents 1000 --relay https``. Ends with status 1 when an agent is unaccounted for.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.fleet_question import TARGET, Asked, ask_fleet, part_usage
from benchmarks.simulator.workers import Workers, WorkersFailed
from benchmarks.tables import mebibytes, print_table, seconds
from mig_core.cli.demo.platform import Platform
from mig_core.cli.demo.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.usage import Usage

STATUS_OK, STATUS_UNACCOUNTED, STATUS_IMPOSSIBLE = 0, 1, 2
_OTHER_DESCRIPTORS = 100
"""Sockets, files and pipes of a process that are nobody's connection."""
_GOAL = 10.0
"""Seconds to the last answer of 1,000 agents, on two cores."""
_TIMES = (
    ("accepted by the API", "accepted"),
    ("fanned out: all commands in the books", "fanned_out"),
    ("handed over: relay has confirmed all", "handed_over"),
    ("last answer in the books", "recorded"),
    ("last answer printed", "printed"),
    ("client knows it was the last", "ended"),
    ("one command, sent to recorded: median", "median"),
    ("one command, sent to recorded: 95 %", "percentile95"),
)


@dataclasses.dataclass(slots=True)
class Report:
    """One relay's measurement."""

    agents: int
    relay: str
    processes: int
    sources: list[str]
    platform_up: float = 0.0
    workers: int = 1
    """Processes of mig-api."""
    made: float = 0.0
    """Seconds until all simulated agents had made their keys: the simulator's own, before anything is asked."""
    enrolled: float = 0.0
    """Seconds to enrol all agents."""
    enrolling: dict[str, float] = dataclasses.field(default_factory=dict)
    """Milliseconds of processor for each agent that enrols, by part."""
    listening: float = 0.0
    """Seconds from then until all of them can be reached."""
    load: float = 0.0
    """What else the machine was doing: the load average of the last minute, before the first question."""
    idle: dict[str, Usage] = dataclasses.field(default_factory=dict)
    asked: list[Asked] = dataclasses.field(default_factory=list)
    simulator: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every agent is accounted for in every run."""
        return bool(self.asked) and all(one.accounted_for(self.agents) for one in self.asked)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns the exit status."""
    options = _options(arguments)
    if problem := missing_descriptors(options.agents, options.workers, options.processes, options.relay):
        print(f"fleet: {problem}", file=sys.stderr)
        return STATUS_IMPOSSIBLE
    # mig-api and the simulator raise their own; RabbitMQ takes what it is started with.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    report = Report(options.agents, options.relay, options.processes, [], options.workers)
    os.environ["MIG_API_WORKERS"] = str(options.workers)
    with contextlib.ExitStack() as stack:
        site = Site(stack.enter_context(_folder(options.state)), options.relay)
        os.environ["XDG_STATE_HOME"] = str(site.folder("investigator", "state"))
        began = time.monotonic()
        platform = stack.enter_context(Platform(site))
        report.platform_up = time.monotonic() - began
        report.sources = list(platform.sources)
        _progress(f"the platform is up ({report.platform_up:.1f} s): {', '.join(report.sources)}")
        workers = stack.enter_context(_workers(platform, options))
        try:
            _measure(report, platform, workers, options)
        except WorkersFailed as error:
            print(f"fleet: {error}", file=sys.stderr)
            print((site.root / "log" / "simulator.log").read_text(errors="replace")[-2000:], file=sys.stderr)
    if options.json:
        print(json.dumps(dataclasses.asdict(report), indent=2))
    else:
        _print(report)
    return STATUS_OK if report.complete else STATUS_UNACCOUNTED


def missing_descriptors(agents: int, workers: int, processes: int, relay: str) -> str:
    """Why this machine's limit of descriptors is too low for so many connections at once; empty: it is not."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return ""
    if relay == "https":
        # What mig-api keeps from agents (docs/operations.md), and who of its workers accepts is chance.
        kept = min(most // 8, 1024) + min(most // 16, 256) + _OTHER_DESCRIPTORS
        served = (agents if workers == 1 else min(agents, int(1.5 * agents / workers))) + kept
    else:
        served = agents * 10 // 9 + _OTHER_DESCRIPTORS  # RabbitMQ keeps a tenth for its files
    needed = max(served, agents // processes + _OTHER_DESCRIPTORS)
    if needed <= most:
        return ""
    return (
        f"{agents} agents need {needed} descriptors in one process, the hard limit here is {most} (ulimit -Hn):"
        " raise it, or let --workers or --processes share them"
    )


def _measure(report: Report, platform: Platform, workers: Workers, options: argparse.Namespace) -> None:
    began = time.monotonic()
    workers.wait_for("made", seconds=options.patience)
    report.made = time.monotonic() - began
    before, began = part_usage(platform, workers), time.monotonic()
    workers.enrol()
    enrolled = workers.wait_for("enrolled", seconds=options.patience)
    report.enrolled = time.monotonic() - began
    after = part_usage(platform, workers)
    report.enrolling = {name: 1000 * (after[name].cpu - one.cpu) / options.agents for name, one in before.items()}
    costs = ", ".join(f"{name} {value:.2f}" for name, value in report.enrolling.items())
    _progress(f"{enrolled['enrolled']} agents are enrolled ({report.enrolled:.1f} s; ms of processor each: {costs})")
    began = time.monotonic()
    listening = workers.wait_for("listening", seconds=options.patience)
    platform.processes.wait_for(
        "the simulated agents",
        lambda: int(platform.client.evaluate(TARGET)["count"]) == options.agents,
        seconds=options.patience,
    )
    report.listening = time.monotonic() - began
    _progress(f"{listening['listening']} agents listen ({report.listening:.1f} s)")
    time.sleep(options.settle)
    report.load = os.getloadavg()[0]
    report.idle = part_usage(platform, workers)
    for number in range(options.runs):
        asked = ask_fleet(platform, workers)
        report.asked.append(asked)
        _progress(f"run {number + 1}: last answer printed after {asked.printed:.2f} s, {asked.rate:.0f} commands/s")
        platform.processes.check()
    report.simulator = workers.end()


def _workers(platform: Platform, options: argparse.Namespace) -> Workers:
    site = platform.site
    return Workers(
        agents=options.agents,
        processes=options.processes,
        api=site.api_url,
        relay=f"amqp://127.0.0.1:{platform.rabbitmq.port}/mig" if platform.rabbitmq else "https",
        secret=(site.root / "enrolment-secret").read_text(encoding="ascii"),
        heartbeat_interval=options.heartbeat,
        finds_every=options.finds_every,
        log=site.root / "log" / "simulator.log",
    )


def _print(report: Report) -> None:
    head = [f"run {number + 1}" for number in range(len(report.asked))]
    rows = []
    for title, name in _TIMES:
        values = [getattr(one, name) for one in report.asked]
        rows.append([title, *map(seconds, values), seconds(statistics.median(values)) if values else ""])
    rates = [one.rate for one in report.asked]
    rows.append(["commands a second", *(f"{one:.0f}" for one in rates), f"{statistics.median(rates or [0]):.0f}"])
    title = f"{report.agents} agents over {report.relay}, {report.processes} simulator processes (seconds)"
    print_table(title, ["from sending the question to", *head, "median"], rows)
    last = report.asked[-1] if report.asked else None
    parts = []
    for name, idle in report.idle.items():
        cpu = [one.cpu[name] for one in report.asked]
        usage = last.usage[name] if last else idle
        parts.append(
            [
                name,
                str(usage.processes),
                seconds(statistics.median(cpu)) if cpu else "",
                f"{100 * statistics.median(cpu) / statistics.median(one.ended for one in report.asked):.0f} %"
                if cpu
                else "",
                mebibytes(idle.rss),
                mebibytes(idle.pss),
                mebibytes(usage.rss),
                mebibytes(usage.pss),
            ]
        )
    head = ["part", "processes", "CPU s/question", "of a core", "idle RSS", "idle PSS", "after RSS", "after PSS"]
    print_table("what each part used (MiB)", head, parts)
    print(f"\n{'; '.join(report.sources)}")
    costs = ", ".join(f"{name} {value:.2f}" for name, value in report.enrolling.items())
    print(f"keys made in {report.made:.1f} s, enrolled in {report.enrolled:.1f} s more (ms of processor each: {costs})")
    print(f"all listening {report.listening:.1f} s later; processes of mig-api: {report.workers}")
    print(f"{os.cpu_count()} processors, load average before the first question {report.load:.2f}")
    print(f"simulator: {json.dumps(report.simulator)}")
    if not report.complete:
        sums = [f"{one.success} of {one.targeted} ({one.printed_answers} printed)" for one in report.asked]
        print(f"UNACCOUNTED FOR: {report.agents} agents, answered: {', '.join(sums) or 'none'}")
    elif report.agents == 1000:
        worst = max(one.printed for one in report.asked)
        print(f"goal: under {_GOAL:.0f} s; worst run {worst:.2f} s: {'reached' if worst < _GOAL else 'MISSED'}")


@contextlib.contextmanager
def _folder(state: Path | None) -> Iterator[Path]:
    if state is not None:
        yield state.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="mig-fleet-") as folder:
        yield Path(folder)


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--relay", choices=("https", "amqp"), default="https")
    parser.add_argument("--processes", type=int, default=2, help="simulator processes (default: 2)")
    parser.add_argument("--workers", type=int, default=1, help="processes of mig-api (default: 1)")
    parser.add_argument("--runs", type=int, default=3, help="how often the question is asked (default: 3)")
    parser.add_argument(
        "--state", type=Path, help="a new folder, kept afterwards with its logs (default: a temporary one)"
    )
    parser.add_argument("--heartbeat", type=float, default=300.0, help="seconds between heartbeats (default: 300)")
    parser.add_argument(
        "--finds-every", type=int, default=10, help="each so-manieth agent finds something (default: 10)"
    )
    parser.add_argument("--settle", type=float, default=3.0, help="seconds of rest before the first question")
    parser.add_argument("--patience", type=float, default=300.0, help="most seconds to enrol and to listen")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())

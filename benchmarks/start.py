"""How long a person waits, this commit against another: ``python -m benchmarks.start COMMIT``.

Each build runs a platform and four agents of its own; both are asked in turn, A B A B. Printed are medians, and the
median of what each pair of runs took, ours divided by theirs: seconds on the clock, and of the processor (user and
system, the program and the gpg that it starts).

``after a rest`` is the first question after agents had none for longer than they keep their modules ready: it has few
runs, since each begins with that rest. Status 1: the question's ratio misses its goal, or somebody did not answer.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.other_build import ROOT, Build, built
from benchmarks.stopwatch import Timings, time_once
from benchmarks.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

AGENTS = 4
GOAL = 0.55
"""Ours divided by the first release's, to the last answer printed."""
QUESTION = ("file", "-path", "etc", "-name", "^motd$")
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "python -c pass": ("python", "-c", "pass"),
    "mig --help": ("mig", "--help"),
    "mig file --help": ("mig", "file", "--help"),
    "mig file …, to the last answer": ("mig", *QUESTION),
}
WHOLE = "mig file …, to the last answer"
RESTED = "the same after a rest"


@dataclass(slots=True)
class Side:
    """One of the two builds, and what its programs took."""

    build: Build
    environment: Mapping[str, str]
    timings: dict[str, Timings] = field(default_factory=dict)

    def time(self, name: str, words: Sequence[str]) -> None:
        """Runs one command once."""
        argv = [str(self.build.programs / words[0]), *words[1:]]
        time_once(argv, self.timings.setdefault(name, Timings()), environment=self.environment)


def main() -> int:
    """Runs the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("commit", help="the other build, as git names it")
    parser.add_argument("--relay", choices=("https", "amqp"), default="https")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--rests", type=int, default=3, help="questions after a rest (default: 3)")
    parser.add_argument("--rest", type=float, default=45.0, metavar="SECONDS")
    options = parser.parse_args()
    with ExitStack() as stack:
        sides = []
        for commit in ("HEAD", options.commit):
            one = stack.enter_context(built(commit, extras="[server,cli,embedded]"))
            sides.append(Side(one, stack.enter_context(_platform(one, options.relay))))
        for name, words in COMMANDS.items():
            for side in sides:
                side.time("warm", words)
            for _ in range(options.runs):
                for side in sides:
                    side.time(name, words)
        for _ in range(options.rests):
            time.sleep(options.rest)
            for side in sides:
                side.time(RESTED, COMMANDS[WHOLE])
    return _report(*sides, relay=options.relay)


def _report(ours: Side, theirs: Side, *, relay: str) -> int:
    rows = []
    reached = True
    for name in ours.timings.keys() - {"warm"}:
        asks = name in (WHOLE, RESTED)
        pairs = [(_walls(one.timings[name], asks=asks), one.timings[name].cpu) for one in (ours, theirs)]
        (wall, cpu), (their_wall, their_cpu) = pairs
        ratio = _ratio(wall, their_wall)
        rows.append(
            [
                name,
                *(f"{1000 * statistics.median(one):.0f}" for one in (wall, their_wall)),
                f"{ratio:.2f}",
                *(f"{1000 * statistics.median(one):.0f}" for one in (cpu, their_cpu)),
                f"{_ratio(cpu, their_cpu):.2f}",
            ]
        )
        if asks and {*ours.timings[name].lines, *theirs.timings[name].lines} != {AGENTS}:
            print(f"{name}: not everybody answered")
            reached = False
        if name == WHOLE and ratio > GOAL:
            print(f"{name}: {ratio:.2f}, the goal is {GOAL}")
            reached = False
    order = [*COMMANDS, RESTED]
    rows.sort(key=lambda row: order.index(row[0]))
    head = ["milliseconds", "ours", "theirs", "ratio", "CPU, ours", "theirs", "ratio"]
    print_table(f"ours / {theirs.build.name}, {AGENTS} agents over {relay}", head, rows)
    print(f"{os.cpu_count()} processors, load average now {os.getloadavg()[0]:.2f}")
    return 0 if reached else 1


def _walls(timings: Timings, *, asks: bool) -> list[float]:
    return timings.last_line if asks else timings.end


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return statistics.median(mine / max(other, 1e-4) for mine, other in zip(ours, theirs, strict=True))


@contextmanager
def _platform(one: Build, relay: str) -> Iterator[Mapping[str, str]]:
    """A platform of that build with its agents online; the environment that its ``mig`` needs."""
    argv = [str(one.programs / "python"), "-P", str(ROOT / "benchmarks" / "standing.py")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment["PATH"] = f"{one.programs}:{environment.get('PATH', os.defpath)}"
    with (
        tempfile.TemporaryDirectory(prefix="mig-start-") as folder,
        (Path(folder) / "platform.log").open("wb") as log,
        subprocess.Popen(
            [*argv, folder, relay],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise SystemExit((Path(folder) / "platform.log").read_text(errors="replace")[-2000:])
            yield {**environment, **json.loads(line)}
        finally:
            process.stdin.close()
            process.wait(60)


if __name__ == "__main__":
    sys.exit(main())

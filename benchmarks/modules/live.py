"""The modules that look at what lives: ``process`` and ``netstat`` against ps and ss, and what each costs alone.

``python -m benchmarks.modules.live``: 2,000 processes, and 10,000 sockets in 500 processes, are made; one race for each
row, medians of runs in turn. The modules run the way the agent runs them: a child forked from the zygote, from the
request to the parsed answer and the reaped process. The number of answers about the crowd must be the same. Then each
module that is installed is asked its plainest question without a crowd. Status 1: a target was missed, by wall time, or
a child used more than 60 MiB.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from benchmarks.modules import crowd
from benchmarks.modules.race import Competitor, Run, WrongAnswer, program, race, ratio
from benchmarks.tables import mebibytes, print_table, seconds
from mig_core.agent.operations.executor import Executor, Interruption
from mig_core.agent.operations.launcher import Launcher
from mig_core.config.agent import ModuleSettings
from mig_core.plugin.printing import entries, mapping

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from mig_core.domain.document import JSON

MEMORY_TARGET = 60 << 20
SECONDS = 300.0
PS = ("ps", "-eo", "pid,ppid,user,lstart,cmd")
SS = ("ss", "-tuanp")
SS_COLUMNS: list[JSON] = [
    *("protocol", "state", "receive_queue", "send_queue", "local_address", "local_port"),
    *("remote_address", "remote_port", "processes"),
]
PS_COLUMNS: list[JSON] = ["pid", "parent", "user", "started", "cmdline"]

ALONE: dict[str, tuple[dict[str, JSON], float | None]] = {
    "process": ({}, None),
    "netstat": ({"ask": ["all"]}, None),
    "account": ({}, None),
    "autorun": ({}, 1.0),
    "sshkey": ({"path": ["/etc"]}, None),
    "ping": ({"destination": "127.0.0.1", "protocol": "tcp", "destinationport": 1, "count": 1}, None),
    "timedrift": ({}, None),
}
"""What each is asked without a crowd, and the most seconds that it may take."""


@dataclass(frozen=True, slots=True)
class Question:
    """A row: what is asked, with what crowd, of which peer, and how fast the answer must be."""

    name: str
    module: str
    parameters: dict[str, JSON]
    crowd: Callable[[], AbstractContextManager[None]]
    peer: Sequence[str]
    is_ours: Callable[[Any], bool]
    """Whether a row is about the crowd."""
    peers_is_ours: Callable[[bytes], bool]
    """Whether a line of the peer is."""
    target: float | None
    """Most that the module may take, as a multiple of the peer."""


def questions(processes: int, talkers: int) -> list[Question]:
    """All rows."""
    sleeping: dict[str, Any] = {
        "module": "process",
        "crowd": lambda: crowd.sleepers(processes),
        "peer": PS,
        "is_ours": lambda row: row.get("cmdline") == f"sleep {crowd.SLEEP}",
        "peers_is_ours": lambda line: line.endswith(f" sleep {crowd.SLEEP}".encode()),
    }
    talking: dict[str, Any] = {
        "module": "netstat",
        "crowd": lambda: crowd.talkers(talkers),
        "peer": SS,
        "is_ours": lambda row: row.get("local_address") == crowd.LOOPBACK and bool(row.get("processes")),
        "peers_is_ours": lambda line: b"users:" in line and line.split()[4].startswith(f"{crowd.LOOPBACK}:".encode()),
    }
    return [
        Question(
            name=f"process, the columns of ps, {processes}", parameters={"column": PS_COLUMNS}, target=2, **sleeping
        ),
        Question(name=f"process, all columns, {processes}", parameters={}, target=2, **sleeping),
        Question(
            name=f"netstat, the columns of ss, {talkers * crowd.SOCKETS} in {talkers}",
            parameters={"column": SS_COLUMNS},
            target=1.5,
            **talking,
        ),
        Question(
            name=f"netstat, all columns, {talkers * crowd.SOCKETS} in {talkers}", parameters={}, target=None, **talking
        ),
    ]


def agent(
    launcher: Launcher, module: str, parameters: dict[str, JSON], is_counted: Callable[[Any], bool]
) -> Callable[[], Run]:
    """Asks in a child of the zygote; its output has a byte for each row that counts."""
    executor = Executor(launcher, ModuleSettings(threads=1, niceness=0, timeout=timedelta(hours=1)))

    def start() -> Run:
        began = time.perf_counter()
        outcome = executor.run(
            module, parameters, seconds=SECONDS, interruption=Interruption(), environment={}, tags={}
        )
        wall = time.perf_counter() - began
        if not outcome.result.success:
            raise WrongAnswer(f"{module}: {outcome.result.errors[:3]}")
        rows = entries(mapping(outcome.result.elements).get("rows"))
        return Run(wall, outcome.cpu_seconds, b"x" * sum(map(is_counted, rows)), outcome.max_rss_kib * 1024)

    return start


def walk() -> Run:
    """What two modules do twice when both are asked: every process listed and opened. What they read differs."""
    from mig_core.plugin.coverage import Tally
    from mig_endpoint.processes.proc import Proc
    from mig_endpoint.processes.visit import visit

    began, cpu = time.perf_counter(), time.process_time()
    tally = Tally()
    with Proc(tally) as proc:
        for pid in proc.ids():
            visit(proc, pid, tally, lightly=True)
    return Run(time.perf_counter() - began, time.process_time() - cpu, b"")


def compete(question: Question, launcher: Launcher, runs: int) -> tuple[list[list[str]], bool]:
    """One race: the rows of the table, and whether the target was met."""
    ours = Competitor("agent", agent(launcher, question.module, question.parameters, question.is_ours), len)
    peer = Competitor(
        " ".join(question.peer),
        program(question.peer),
        lambda output: sum(map(question.peers_is_ours, output.splitlines())),
    )
    again = Competitor("a second walk of /proc", walk, lambda _: len(ours.runs))
    with question.crowd():
        race([ours, peer], runs)
        race([again], runs)
    reached = ratio(ours, peer)
    met = (question.target is None or reached <= question.target) and ours.rss <= MEMORY_TARGET
    aim = f"{question.target:g}x " if question.target is not None else ""
    return [
        [
            *(question.name, one.name, seconds(one.wall), seconds(one.cpu)),
            *(f"{ratio(one, peer):.2f}", f"{ratio(one, peer, cpu=True):.2f}"),
            mebibytes(one.rss) if one.rss else "-",
            f"{aim}{'met' if met else 'MISSED'}" if one is ours else "",
        ]
        for one in (ours, peer, again)
    ], met


def alone(launcher: Launcher, runs: int) -> tuple[list[list[str]], bool]:
    """What each module costs by itself: the rows of the table, and whether all targets were met."""
    rows, all_met = [], True
    for module, (parameters, most) in ALONE.items():
        if find_spec(f"mig_{module}") is None:
            continue
        one = Competitor("agent", agent(launcher, module, parameters, lambda _: False), len)
        race([one], runs)
        met = one.rss <= MEMORY_TARGET and (most is None or one.wall <= most)
        all_met &= met
        aim = f"{most:g}s " if most is not None else ""
        cells = (seconds(one.wall), seconds(one.cpu), mebibytes(one.rss))
        rows.append([module, *cells, f"{aim}{'met' if met else 'MISSED'}"])
    return rows, all_met


def main() -> int:
    """Runs all races; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.modules.live", description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--processes", type=int, default=2000)
    parser.add_argument("--talkers", type=int, default=500)
    parser.add_argument("--only", default="", help="only rows whose name contains this")
    options = parser.parse_args()
    launcher = Launcher(allow=tuple(ALONE))
    launcher.start()
    all_met = True
    rows: list[list[str]] = []
    try:
        for question in questions(options.processes, options.talkers):
            if options.only in question.name:
                lines, met = compete(question, launcher, options.runs)
                all_met &= met
                rows += lines
        by_itself, met = alone(launcher, options.runs) if options.only in "alone" else ([], True)
        all_met &= met
    finally:
        launcher.close()
    head = ["question", "who", "wall s", "CPU s", "wall ratio", "CPU ratio", "RSS MiB", "target"]
    print_table(f"live, medians of {options.runs} runs in turn, load {os.getloadavg()[0]:.1f}", head, rows)
    print_table("each by itself, without a crowd", ["module", "wall s", "CPU s", "RSS MiB", "target"], by_itself)
    return 0 if all_met else 1


if __name__ == "__main__":
    sys.exit(main())

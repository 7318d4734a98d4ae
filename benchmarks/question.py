"""How long one person waits: a small question to four real agents, the program's own start included.

``python -m benchmarks.question --relay both``. Ends with status 1 when a goal is missed or an answer is missing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.agent_memory import AgentMemory, memory_of_agent
from benchmarks.stopwatch import ProgramFailed, time_program
from benchmarks.tables import mebibytes, print_table
from mig_core.cli.demo.platform import Platform
from mig_core.cli.demo.processes import program
from mig_core.cli.demo.site import ENDPOINTS, Site

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STATUS_OK, STATUS_MISSED = 0, 1
QUESTION = ("file", "-path", "etc", "-name", "^motd$")
QUESTION_GOAL = 0.5
HELP_GOAL = 0.2
MEMORY_GOAL = 35e6
"""Bytes."""
_SETTLE = 3.0
_STAGES = ("interpreter", "imports", "session", "sign", "post", "first answer", "last answer", "end")
_BOOKS = """
    SELECT extract(epoch FROM max(queued_at)), extract(epoch FROM max(sent_at)), extract(epoch FROM max(finished_at))
      FROM commands WHERE action_id = '{action}'
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.question", description=__doc__)
    parser.add_argument("--relay", choices=("https", "amqp", "both"), default="both")
    parser.add_argument("--runs", type=int, default=15, help="counted runs of everything (default: 15)")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    options = parser.parse_args(arguments)
    relays = ("https", "amqp") if options.relay == "both" else (options.relay,)
    try:
        reports = [_measure(relay, options.runs) for relay in relays]
    except ProgramFailed as error:
        print(f"question: {error}", file=sys.stderr)
        return STATUS_MISSED
    if options.json:
        print(json.dumps(reports, indent=2))
    else:
        for report in reports:
            _print(report)
        print(f"\n{os.cpu_count()} processors, load average now {os.getloadavg()[0]:.2f}")
    return STATUS_OK if all(goal["reached"] for report in reports for goal in report["goals"]) else STATUS_MISSED


def _measure(relay: str, runs: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="mig-question-") as folder, contextlib.ExitStack() as stack:
        site = Site(Path(folder), relay)
        state = site.folder("investigator", "state")
        os.environ["XDG_STATE_HOME"] = str(state)
        platform = stack.enter_context(Platform(site))
        print(f"{relay}: the platform is up: {', '.join(platform.sources)}", file=sys.stderr)
        environment = {**os.environ, "MIG_CONFIG": str(site.client_settings)}
        mig = program("mig")
        question = [mig, *QUESTION]

        # One agent alone: its libraries are shared with no other agent, as on a real endpoint.
        platform.start_agents(ENDPOINTS[:1])
        time_program(question, runs=1, environment=environment)
        time.sleep(_SETTLE)
        memory = memory_of_agent(platform.processes.pid(ENDPOINTS[0]))
        platform.start_agents(ENDPOINTS[1:])
        time.sleep(_SETTLE)

        python = [sys.executable, "-c", "pass"]
        gpg = ["gpg", "--homedir", str(site.gnupg_home), "--batch", "--detach-sign", "-u", platform.signer.fingerprint]
        times = {
            "python -c pass": time_program(python, runs=runs, environment=environment),
            "gpg --detach-sign": time_program(
                [*gpg, "-o", "/dev/null", "--yes"], runs=runs, environment=environment, text=b"x" * 500
            ),
            "mig --help": time_program([mig, "--help"], runs=runs, environment=environment),
            "mig file, session kept": time_program(question, runs=runs, environment=environment),
            "mig file, new login": time_program(
                question,
                runs=runs,
                environment=environment,
                before=lambda: shutil.rmtree(state / "mig", ignore_errors=True),
            ),
        }
        stages = _stages(platform, runs, environment)
        platform.processes.check()
    return _report(relay, times, stages, memory)


def _stages(platform: Platform, runs: int, environment: Mapping[str, str]) -> list[dict[str, float]]:
    """Moments of single questions, by stage; those inside the platform from the books."""
    found = []
    for number in range(runs + 1):
        argv = [sys.executable, "-m", "benchmarks.stages", repr(time.monotonic())]
        done = subprocess.run(argv, env=dict(environment), capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise ProgramFailed(f"stages: {done.stderr[-800:]}")
        document = json.loads(done.stdout)
        if document["counts"] != {"success": len(ENDPOINTS)}:
            raise ProgramFailed(f"not everybody answered: {document['counts']}")
        moments = dict(document["moments"])
        books = platform.postgres.run_sql(_BOOKS.format(action=document["action"])).split("|")
        for stage, text in zip(("books: fanned out", "books: handed over", "books: answered"), books, strict=True):
            moments[stage] = float(text) - document["epoch"]
        if number:
            found.append(moments)
    return found


def _report(
    relay: str, times: Mapping[str, Any], stages: Sequence[Mapping[str, float]], memory: AgentMemory
) -> dict[str, Any]:
    whole = times["mig file, session kept"]
    answered = min(whole.lines) == len(ENDPOINTS) and min(times["mig file, new login"].lines) == len(ENDPOINTS)
    goals = [
        ("mig file …, to the last answer printed", whole.median_last_line, QUESTION_GOAL, "s"),
        ("the same with a new login", times["mig file, new login"].median_last_line, QUESTION_GOAL, "s"),
        ("mig --help", times["mig --help"].median_end, HELP_GOAL, "s"),
        ("idle agent, resident, both processes", memory.together, MEMORY_GOAL, "bytes"),
    ]
    middle = {stage: statistics.median(one[stage] for one in stages) for stage in stages[0]}
    return {
        "relay": relay,
        "processes": {
            name: {
                "last_line": one.median_last_line,
                "end": one.median_end,
                "fastest": min(one.end),
                "slowest": max(one.end),
                "cpu": one.median_cpu,
            }
            for name, one in times.items()
        },
        "stages": dict(sorted(middle.items(), key=lambda item: item[1])),
        "memory": memory.to_json(),
        "goals": [
            {"what": what, "value": value, "goal": goal, "unit": unit, "reached": value < goal and answered}
            for what, value, goal, unit in goals
        ],
    }


def _print(report: Mapping[str, Any]) -> None:
    processes = report["processes"]
    python, gpg = processes["python -c pass"], processes["gpg --detach-sign"]
    rows = [
        [
            name,
            *(f"{1000 * one[key]:.0f}" for key in ("last_line", "end", "fastest", "slowest", "cpu")),
            f"{one['end'] / python['end']:.1f}",
            f"{one['end'] / gpg['end']:.1f}",
        ]
        for name, one in processes.items()
    ]
    head = ["whole process (ms)", "to last line", "to end", "fastest", "slowest", "CPU", "/ python", "/ gpg"]
    print_table(f"{len(ENDPOINTS)} agents over {report['relay']}", head, rows)
    before = 0.0
    rows = []
    for stage, moment in report["stages"].items():
        rows.append([stage, f"{1000 * moment:.0f}", f"{1000 * (moment - before):.0f}"])
        before = moment
    print_table("where the time goes (ms since the start, medians)", ["stage reached", "at", "took"], rows)
    rows = [[name, *(mebibytes(value) for value in one.values())] for name, one in report["memory"].items()]
    print_table("idle agent after a question (MiB)", ["process", "RSS", "PSS", "private"], rows)
    for goal in report["goals"]:
        shown = f"{goal['value']:.3f} s" if goal["unit"] == "s" else f"{goal['value'] / 1e6:.1f} MB"
        limit = f"{goal['goal']:g} s" if goal["unit"] == "s" else f"{goal['goal'] / 1e6:.0f} MB"
        print(f"goal: {goal['what']}: {shown}, under {limit}: {'reached' if goal['reached'] else 'MISSED'}")


if __name__ == "__main__":
    sys.exit(main())

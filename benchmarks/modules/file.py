"""The ``file`` module against find, ripgrep, sha256sum and openssl (Debian's), and the original's agent.

``python -m benchmarks.modules.file``: one race for each row, medians of at least five runs in turn, whole process
against whole process. The module runs twice: as ``mig-agent -m file`` (a new interpreter each time) and the way the
agent runs it (a child forked from the zygote, from the request to its reaped process). ``MIG_ORIGINAL_AGENT`` names the
original's ``mig-agent``; without it, it takes no part. Status 1: a target was missed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.modules.race import Competitor, Run, program, race, ratio
from benchmarks.modules.trees import large_tree, log_tree, small_tree
from benchmarks.tables import mebibytes, print_table, seconds
from mig_core.agent.operations.executor import Executor, Interruption
from mig_core.agent.operations.launcher import Launcher
from mig_core.config.agent import ModuleSettings
from mig_core.domain.document import dump

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mig_core.domain.document import JSON

MEMORY_TARGET = 60 << 20
SECONDS = 300.0
AGENT = "agent"
COMMAND = "mig-agent -m"
ORIGINAL = "original -m"
PREFIX = "AKIA[0-9A-Z]{16}"
IGNORE_CASE = r"(?i)(password|passwd|secret)\s*[:=]\s*[a-z0-9]{8}"
CLASSES = r"[a-z0-9._-]+@[a-z0-9-]+\.example\.net"
COMMON = "kernel[a-z]+panic"
NO_TEXT = "[0-9]{7}"
NO_HASH = hashlib.sha256(b"in no tree").hexdigest()


@dataclass(frozen=True, slots=True)
class Question:
    """A row: what is asked, of whom, and how fast the answer must be."""

    name: str
    search: dict[str, JSON]
    peers: dict[str, Sequence[str]]
    """The first is the one that the target is about."""
    target: float | None = None
    """Most that ``agent`` may take, as a multiple of the first peer."""
    threads: int = 1
    counts: bool = True
    """Whether the peers' lines can be counted as answers."""


class Agent:
    """The way the agent runs a module: one zygote, a forked child for each run."""

    def __init__(self) -> None:
        self._launcher = Launcher(allow=("file",))
        self._launcher.start()
        self._executors = {
            threads: Executor(self._launcher, ModuleSettings(threads=threads, niceness=0, timeout=timedelta(hours=1)))
            for threads in (1, 2)
        }

    def competitor(self, search: dict[str, JSON], threads: int) -> Callable[[], Run]:
        """Runs the search in a child of the zygote."""

        def start() -> Run:
            began = time.perf_counter()
            outcome = self._executors[threads].run(
                "file",
                {"searches": {"s1": search}},
                seconds=SECONDS,
                interruption=Interruption(),
                environment={},
                tags={},
            )
            wall = time.perf_counter() - began
            output = json.dumps({"statistics": outcome.result.statistics}).encode()
            return Run(wall, outcome.cpu_seconds, output, outcome.max_rss_kib * 1024)

        return start

    def close(self) -> None:
        """Ends the zygote."""
        self._launcher.close()


def questions(small: Path, large: Path, logs: Path) -> Iterator[Question]:
    """All rows."""
    facts = ["-printf", r"%p %s %M %T+\n"]
    for tree, label in ((small, "100k small, 10k hits"), (Path("/usr"), "/usr")):
        find = ["find", str(tree), "(", "-type", "f", "-o", "-xtype", "f", ")", "-name", "*.conf"]
        yield Question(
            f"walk + name, {label}",
            {"paths": [str(tree)], "names": [r"\.conf$"]},
            {"find -printf": [*find, *facts], "find": find},
            target=2,
        )
    yield Question(
        "walk + name, no hit, 100k small",
        {"paths": [str(small)], "names": ["^nothing-is-called-this$"]},
        {"find": ["find", str(small), "-name", "nothing-is-called-this"]},
        target=2,
    )
    for label, tree, target in (("large files", large, 1.5), ("100k small", small, 2.5)):
        for kind, regex in (("literal prefix", PREFIX), ("ignoring case", IGNORE_CASE), ("classes", CLASSES)):
            for threads in (1, 2):
                name = f"content, {kind}, {label}" + (", 2 threads" if threads == 2 else "")
                yield _content(name, regex, tree, threads=threads, target=target)
    for kind, regex, tree, label in (
        ("frequent text", COMMON, large, "large files"),
        ("no text", NO_TEXT, large, "large files"),
        ("literal prefix", PREFIX, logs, "log lines"),
        ("ignoring case", IGNORE_CASE, logs, "log lines"),
        ("classes", CLASSES, logs, "log lines"),
    ):
        yield _content(f"content, {kind}, {label}", regex, tree, threads=1, target=1.5)
    for label, tree in (("large files", large), ("100k small", small)):
        for threads in (1, 2):
            each = ["find", str(tree), "-type", "f", "-print0"]
            pick = "1" if tree == large else "500"
            summing = f'"$@" | xargs -0 -n {pick} -P {threads} sha256sum' if threads == 2 else ""
            peer = ["sh", "-c", summing, "sh", *each] if summing else [*each[:-1], "-exec", "sha256sum", "{}", "+"]
            peers: dict[str, Sequence[str]] = {f"sha256sum x{threads}": peer}
            if threads == 1:
                peers["openssl"] = [*each[:-1], "-exec", "openssl", "dgst", "-sha256", "{}", "+"]
            yield Question(
                f"sha256, {label}" + (", 2 threads" if threads == 2 else ""),
                {"paths": [str(tree)], "sha2": [NO_HASH]},
                peers,
                target=1.1,
                threads=threads,
                counts=False,
            )
    yield Question(
        "100k rows, no limit",
        {"paths": [str(small)], "names": ["."]},
        {"find": ["find", str(small), "-type", "f", "-ls"]},
        counts=False,
    )


def _content(name: str, regex: str, tree: Path, *, threads: int, target: float) -> Question:
    rg = ["rg", f"-j{threads}", "-uuu", "-a", "-l", "--no-config", "--no-messages", regex, str(tree)]
    search: dict[str, JSON] = {"paths": [str(tree)], "contents": [regex]}
    return Question(name, search, {f"rg -j{threads}": rg}, target=target, threads=threads)


def compete(question: Question, agent: Agent, runs: int, original: str) -> tuple[list[list[str]], bool]:
    """One race: the rows of the table, and whether the target was met."""
    search: dict[str, JSON] = {
        "options": {"maxdepth": 0, "maxerrors": 0, "matchlimit": 0, "matchall": True},
        **question.search,
    }
    message = dump({"class": "parameters", "parameters": {"searches": {"s1": search}}}) + b"\n"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    ours = [Competitor(AGENT, agent.competitor(search, question.threads), _total_hits)]
    if question.threads == 1:
        command = [str(Path(sys.executable).with_name("mig-agent")), "-m", "file"]
        ours.append(Competitor(COMMAND, program(command, text=message, environment=environment), _total_hits))
        if original:
            ours.append(Competitor(ORIGINAL, program([original, "-m", "file"], text=message), _total_hits))
    peers = [
        # find and rg end with 1 or 2 where they may not look, or find nothing
        Competitor(name, program(argv, accept=(0, 1, 2)), lambda output: output.count(b"\n"))
        for name, argv in question.peers.items()
    ]
    if not question.counts:
        for one in (*ours, *peers):
            one.hits = lambda _: 0
    race([*ours, *peers], runs)
    rows = []
    for one in (*ours, *peers):
        against = [f"{ratio(one, peers[0]):.2f}", f"{ratio(one, peers[0], cpu=True):.2f}"]
        rows.append(
            [
                question.name,
                one.name,
                seconds(one.wall),
                seconds(one.cpu),
                *against,
                mebibytes(one.rss) if one.rss else "-",
                "",
            ]
        )
    reached = ratio(ours[0], peers[0])
    met = question.target is None or reached <= question.target
    if question.target is not None:
        rows[0][-1] = f"{question.target:g}x {'met' if met else 'MISSED'}"
    if ours[0].rss > MEMORY_TARGET:
        rows[0][-1] += " memory MISSED"
        met = False
    return rows, met


def _total_hits(output: bytes) -> int:
    return int(json.loads(output)["statistics"]["totalhits"])


def main() -> int:
    """Runs all races; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.modules.file", description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--trees", type=Path, help="where to keep the generated trees (default: a temporary folder)")
    parser.add_argument("--only", default="", help="only rows whose name contains this")
    options = parser.parse_args()
    folder = options.trees or Path(tempfile.mkdtemp(prefix="mig-trees-"))
    all_met = True
    rows: list[list[str]] = []
    agent = Agent()
    try:
        for question in questions(small_tree(folder), large_tree(folder), log_tree(folder)):
            if options.only not in question.name:
                continue
            lines, met = compete(question, agent, options.runs, os.environ.get("MIG_ORIGINAL_AGENT", ""))
            all_met &= met
            rows += lines
            print("\n".join("  ".join(line) for line in lines), file=sys.stderr, flush=True)
    finally:
        agent.close()
        if options.trees is None:
            shutil.rmtree(folder)
    head = ["question", "who", "wall s", "CPU s", "wall ratio", "CPU ratio", "RSS MiB", "target"]
    print_table(f"file, medians of {options.runs} runs in turn, load {os.getloadavg()[0]:.1f}", head, rows)
    return 0 if all_met else 1


if __name__ == "__main__":
    sys.exit(main())

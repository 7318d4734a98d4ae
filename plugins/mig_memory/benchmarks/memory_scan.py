"""How fast memory is searched: whole process against whole process, same question, same answer.

``python plugins/mig_memory/benchmarks/memory_scan.py``, as root. Peers: the original (its agent's path in
``MIG_ORIGINAL_AGENT``, built with its memory module; left out when unset), ``yara`` on each process, and ``gcore`` with
``grep``; those that are not installed are left out. The floor is a program that only reads. Ends with status 1 when a
peer's answer differs or the module's process grows beyond its limit.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MIB = 1 << 20
RSS_LIMIT = 60 * MIB
MODULE = "mig-agent -m memory"
LINE = "the quick brown fox jumps over 13 lazy dogs, user@example.org and 10.0.0.1\\n"
TARGET = f"""
import mmap, os, sys, time
kind, size = sys.argv[1], int(sys.argv[2])
private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
if kind == "sparse":
    m = mmap.mmap(-1, 4 << 30, private | 0x4000)
    m.madvise(mmap.MADV_NOHUGEPAGE)
    for place in range(0, 4 << 30, (4 << 30) // 3000): m[place] = 1
else:
    m = mmap.mmap(-1, size, private)
    text = ("{LINE}".encode() * 20000)[:1 << 20]
    for number, place in enumerate(range(0, size, 1 << 20)):
        random = kind == "random" or kind == "mixed" and number % 2
        m[place:place + (1 << 20)] = os.urandom(1 << 20) if random else bytes(1 << 20) if kind == "zeros" else text
print("ready", flush=True)
time.sleep(3600)
"""
READ_ONLY = """
import mmap, os, sys
buffer = memoryview(mmap.mmap(-1, 1 << 20))
for pid in sys.argv[1:]:
    memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    for line in open(f"/proc/{pid}/maps"):
        span, permissions, *rest = line.split()
        if permissions[0] != "r" or rest[-1] in ("[vvar]", "[vvar_vclock]", "[vsyscall]"): continue
        place, end = (int(one, 16) for one in span.split("-"))
        while place < end:
            try: count = os.preadv(memory, [buffer[:end - place]], place)
            except OSError: count = 4096
            place += count or 4096
"""
THREADS = """
import json, sys, time
from mig_core.plugin.module import Context
from mig_memory import MemoryModule
module = MemoryModule()
raw = json.loads(sys.stdin.readline())["parameters"]
context = Context(deadline=time.monotonic() + 300, threads=int(sys.argv[1]))
print(json.dumps(module.run(module.parse_parameters(raw), context).to_json()))
"""


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for; none of it is there."""

    title: str
    checks: dict[str, list[str]]
    yara: str
    grep: str = ""


QUESTIONS = (
    Question(
        "byte string",
        {"bytes": ["6d69672d62656e63682d6e65766572"]},
        "{ 6d69672d62656e63682d6e65766572 }",
        "mig-bench-never",
    ),
    Question("byte string, zeros first", {"bytes": ["00000000000001ffee0102"]}, "{ 00000000000001ffee0102 }"),
    Question(
        "regex, literal head", {"contents": ["AKIA[A-Z0-9]{16}xyz"]}, "/AKIA[A-Z0-9]{16}xyz/", "AKIA[A-Z0-9]{16}xyz"
    ),
    Question(
        "regex, alternation",
        {"contents": ["(?i)(password|passphrase|secret)=[a-z0-9]{8}"]},
        "/(password|passphrase|secret)=[a-z0-9]{8}/ nocase",
        "(?i)(password|passphrase|secret)=[a-z0-9]{8}",
    ),
    Question(
        "regex, classes",
        {"contents": ["[0-9]{1,3}(\\.[0-9]{1,3}){3}zz"]},
        "/[0-9]{1,3}(\\.[0-9]{1,3}){3}zz/",
        "[0-9]{1,3}(\\.[0-9]{1,3}){3}zz",
    ),
)


@dataclass(slots=True)
class Timings:
    """Several runs of one command; the first does not count."""

    wall: list[float] = field(default_factory=list)
    """Seconds from start to end."""
    cpu: list[float] = field(default_factory=list)
    """Seconds of processor time, all its processes together: steadier than wall time on a busy machine."""
    rss: int = 0
    """Largest resident size of a process, in bytes."""
    printed: str = ""

    def run(self, argv: Sequence[str], text: str) -> None:
        """Runs the command once more."""
        began = time.monotonic()
        with subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(text.encode())
            process.stdin.close()
            self.printed = process.stdout.read().decode(errors="replace")
            _, _, usage = os.wait4(process.pid, 0)
            process.returncode = 0
        self.wall.append(time.monotonic() - began)
        self.cpu.append(usage.ru_utime + usage.ru_stime)
        self.rss = max(self.rss, usage.ru_maxrss * 1024)

    def says_found(self) -> bool:
        """Whether the command claims to have found something."""
        if self.printed.startswith("{"):
            return bool(json.loads(self.printed)["foundanything"])
        return bool(self.printed.strip())


def say(line: str) -> None:
    """Prints a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def start_targets(folder: Path, kinds: Sequence[str], size: int) -> list[subprocess.Popen[str]]:
    """Processes with known memory; each has an executable of its own to be named by."""
    started = []
    for kind in kinds:
        executable = folder / f"target-{kind}"
        shutil.copy(os.path.realpath(sys.executable), executable)
        one = subprocess.Popen(
            [str(executable), "-S", "-c", TARGET, kind, str(size)],
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONHOME": sys.base_prefix, "LD_LIBRARY_PATH": f"{sys.base_prefix}/lib"},
        )
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
        started.append(one)
    return started


def commands(question: Question, folder: Path, pids: Sequence[str], agent: str) -> dict[str, list[str]]:
    """Every program that can answer here, by name."""
    found = {
        "mig-agent -m memory": [agent, "-m", "memory"],
        "the same, 2 threads": [sys.executable, "-c", THREADS, "2"],
    }
    if original := os.environ.get("MIG_ORIGINAL_AGENT"):
        found["original"] = [original, "-m", "memory"]
    if yara := shutil.which("yara"):
        rules = folder / "rules.yar"
        rules.write_text(f"rule absent {{ strings: $a = {question.yara} condition: $a }}\n", encoding="ascii")
        found["yara"] = ["sh", "-c", f'for pid in "$@"; do {yara} {rules} "$pid"; done', "sh", *pids]
    if shutil.which("gcore") and question.grep:
        grep = f"LC_ALL=C grep -lPa '{question.grep}'"
        script = f'cd {folder}; for pid in "$@"; do gcore -o core "$pid" >&2; {grep} core.$pid; rm core.$pid; done'
        found["gcore + grep"] = ["sh", "-c", script, "sh", *pids]
    return found | {"only reading (floor)": [sys.executable, "-c", READ_ONLY, *pids]}


def main() -> int:
    """Prints the table; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agent", default=str(Path(sys.executable).with_name("mig-agent")))
    parser.add_argument("--mib", type=int, default=256, help="size of each target")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", default="", help="a part of the question's title")
    chosen = parser.parse_args()
    wrong = False
    for kinds in (("text", "random", "mixed", "zeros"), ("sparse",)):
        with tempfile.TemporaryDirectory(prefix="mig-memory-") as name:
            folder = Path(name)
            targets = start_targets(folder, kinds, chosen.mib * MIB)
            try:
                wrong |= compare(folder, [str(one.pid) for one in targets], kinds, chosen)
            finally:
                for one in targets:
                    one.kill()
                    one.wait()
    return int(wrong)


def compare(folder: Path, pids: list[str], kinds: Sequence[str], chosen: argparse.Namespace) -> bool:
    """One table for each question. Whether something was wrong."""
    wrong = False
    for question in QUESTIONS:
        if chosen.only not in question.title or (kinds == ("sparse",) and "head" not in question.title):
            continue
        search = {"names": [f"^{folder}/target-"], **question.checks, "options": {"matchall": True}}
        text = json.dumps({"class": "parameters", "parameters": {"searches": {"s1": search}}}) + "\n"
        argvs = commands(question, folder, pids, chosen.agent)
        if kinds == ("sparse",):
            argvs.pop("gcore + grep", None)  # it would write 4 GiB
        rows = {name: Timings() for name in argvs}
        for _ in range(chosen.runs + 1):  # in turns, so that what else the machine does hits all of them
            for name, argv in argvs.items():
                rows[name].run(argv, text)
        wrong |= print_rows(f"{question.title} in {', '.join(kinds)}", rows)
    return wrong


def print_rows(title: str, rows: dict[str, Timings]) -> bool:
    """One table: medians, and ratios to the module. Whether something was wrong."""
    ours = rows[MODULE]
    our_wall, our_cpu = statistics.median(ours.wall[1:]), statistics.median(ours.cpu[1:])
    say(f"\n{title}")
    say(f"  {'':24} {'wall s':>8} {'ratio':>7} {'cpu s':>8} {'ratio':>7} {'MiB':>7}")
    for name, one in rows.items():
        wall, cpu = statistics.median(one.wall[1:]), statistics.median(one.cpu[1:])
        ratios = f"{wall:8.3f} {wall / our_wall:7.2f} {cpu:8.3f} {cpu / our_cpu:7.2f}"
        say(f"  {name:24} {ratios} {one.rss / MIB:7.1f}")
    wrong = [f"{name} found what is not there" for name, one in rows.items() if one.says_found()]
    wrong += [f"the module grew to {ours.rss / MIB:.0f} MiB"] if ours.rss > RSS_LIMIT else []
    for problem in wrong:
        say(f"WRONG: {problem}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())

"""What 200 rules cost for each execve, beside what the module ``audit`` spends on decoding it, in turns::

    python plugins/mig_sigma/benchmarks/speed.py [FOLDER]

Decoding is what ``mig_audit`` does with the recorded records of an execve: the event, and its JSON. Detection is all
that ``sigma`` does with the alert: finding the rules that may match, reading what they ask about, asking them. With
FOLDER, Sigma rules from there are used (an operator fetches SigmaHQ's), else as many like our own. Ends with status 1
when detection is dearer.
"""

# ruff: noqa: T201  # a benchmark prints

from __future__ import annotations

import json
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mig_audit import tables
from mig_audit.accounts import Accounts
from mig_audit.assembly import Assembly
from mig_audit.event import Events
from mig_sigma.judging import Judge
from mig_sigma.lineage import Lineage
from mig_sigma.loading import builtin_rules, find
from mig_sigma.matcher import RuleSet
from mig_sigma.rule import Group, Rule, Test

if TYPE_CHECKING:
    from collections.abc import Sequence

RULES, EVENTS, ROUNDS = 200, 5000, 7
RECORDED = Path(__file__).parents[2] / "mig_audit" / "tests" / "data" / "execve.log"


def records() -> list[tuple[int, str]]:
    """Many copies of one recorded execve, each with its own serial, process and argument."""
    lines = RECORDED.read_text(encoding="utf-8").split("\n")[:-1]
    parsed = [line.partition(" msg=")[::2] for line in lines]
    wanted = "syscall=59 success=yes"
    stamp = next(text.partition(")")[0] for kind, text in parsed if wanted in text and kind == "type=SYSCALL")
    event = [(tables.type_numbers()[kind[5:]], text) for kind, text in parsed if text.startswith(stamp + ")")]
    serial = stamp.rpartition(":")[2]
    made = []
    for number in range(EVENTS):
        for kind, text in event:
            fresh = text.replace(f":{serial})", f":{number + 1})").replace(" pid=", f" pid={number % 30_000 + 1}", 1)
            made.append((kind, fresh.replace('a0="true"', f'a0="true{number}"')))
    return made


def rules(folder: str | None) -> list[Rule]:
    """The rules: a folder's, or ours with other words in them until there are enough."""
    if folder is not None:
        return [rule for rule, _origin in find([folder], builtin=False).rules.values()][:RULES]
    ours = builtin_rules()
    return [
        replace(ours[number % len(ours)], id=str(number), condition=_other(ours[number % len(ours)].condition, number))
        for number in range(RULES)
    ]


def _other(node: Any, number: int) -> Any:
    if isinstance(node, Group):
        return Group(node.word, tuple(_other(one, number) for one in node.nodes))
    if node.test in ("equals", "startswith", "endswith", "contains"):
        return Test(node.field, node.test, tuple(f"{one}{number}" for one in node.values), node.cased)
    return node


def decoding(stream: Sequence[tuple[int, str]]) -> tuple[float, list[bytes]]:
    """Seconds of CPU for all events with their JSON, and the JSON."""
    factory = Events(Accounts(time.monotonic), None)
    alerts: list[bytes] = []
    assembly = Assembly(
        lambda stamp, parts, whole: alerts.append(
            json.dumps(factory.make(stamp, parts, complete=whole), ensure_ascii=False, separators=(",", ":")).encode()
        ),
        lambda _stamp, _now: None,
    )
    started = time.process_time()
    for start in range(0, len(stream), 128):
        assembly.add(stream[start : start + 128], 0.0)
    return time.process_time() - started, alerts


def detecting(in_force: RuleSet, alerts: Sequence[bytes]) -> tuple[float, int]:
    """Seconds of CPU for all alerts, and how many matches there were."""
    judge = Judge(Lineage(), "endpoint")
    found = 0
    started = time.process_time()
    for raw in alerts:
        found += len(judge.judge(in_force, "audit", raw))
    return time.process_time() - started, found


def main() -> int:
    """Prints both, and their ratio."""
    in_force = RuleSet(rules(sys.argv[1] if len(sys.argv) > 1 else None))
    stream = records()
    first, second, found = [], [], 0
    for _ in range(ROUNDS):
        took, alerts = decoding(stream)
        first.append(took)
        took, found = detecting(in_force, alerts)
        second.append(took)
    a, b = statistics.median(first), statistics.median(second)
    print(f"decoding, with JSON      {a / EVENTS * 1e6:6.1f} us an execve")
    print(f"detecting, {in_force.count:3} rules    {b / EVENTS * 1e6:6.1f} us an execve, {found} matches")
    print(f"ratio {b / a:.2f}; at 1,000 execve a second {b / EVENTS * 1000:.1%} of one core")
    return 0 if b <= a else 1


if __name__ == "__main__":
    sys.exit(main())

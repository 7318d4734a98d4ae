"""Events made per second on one core, from recorded records, without a kernel::

    python plugins/mig_audit/benchmarks/decode.py

Process numbers, arguments and times differ from event to event, as in life; PATH and CWD records repeat, as in life.
"""

# ruff: noqa: T201  # a benchmark prints

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from mig_audit import tables
from mig_audit.accounts import Accounts
from mig_audit.assembly import Assembly
from mig_audit.event import Events

if TYPE_CHECKING:
    from collections.abc import Callable

EVENTS = 20_000
DATA = Path(__file__).parent.parent / "tests" / "data"


def stream(name: str, wanted: str) -> list[tuple[int, str]]:
    """Many copies of one recorded event, each with its own serial, process and argument."""
    lines = (DATA / f"{name}.log").read_text(encoding="utf-8").split("\n")[:-1]
    parsed = [line.partition(" msg=")[::2] for line in lines]
    stamp = next(text.partition(")")[0] for kind, text in parsed if wanted in text and kind == "type=SYSCALL")
    event = [(tables.type_numbers()[kind[5:]], text) for kind, text in parsed if text.startswith(stamp + ")")]
    serial = stamp.rpartition(":")[2]
    made = []
    for number in range(EVENTS):
        for kind, text in event:
            fresh = text.replace(f":{serial})", f":{number + 1})").replace(" pid=", f" pid={number % 30_000 + 1}", 1)
            if kind == 1309:
                fresh = fresh.replace('a0="true"', f'a0="true{number}"')
            made.append((kind, fresh))
    return made


def taker(with_json: bool) -> Callable[[str, list[tuple[int, str]], bool], None]:
    """What is done with the records of an event."""
    factory = Events(Accounts(time.monotonic), None)

    def take(stamp: str, records: list[tuple[int, str]], whole: bool) -> None:
        made = factory.make(stamp, records, complete=whole)
        if with_json:
            json.dumps(made)

    return take


def main() -> None:
    """Prints a line for each kind of event."""
    for label, name, wanted in (
        ("execve, 9 odd words, 7 and EOE", "execve", "syscall=59 success=yes"),
        ("openat with a path, 4 and EOE", "odd_calls", "exit=-13"),
        ("connect, 3 and EOE", "connections", "exit=-115"),
        ("getpid, 2 and EOE", "odd_calls", "arch=40000003"),
    ):
        records = stream(name, wanted)
        for step, with_json in (("event", False), ("event and JSON", True)):
            assembly = Assembly(taker(with_json), lambda _stamp, _now: None)
            started = time.process_time()
            for start in range(0, len(records), 128):
                assembly.add(records[start : start + 128], 0.0)
            took = time.process_time() - started
            print(
                f"{label:32} {step:16} {EVENTS / took:9,.0f} events/s {len(records) / took:11,.0f} records/s "
                f"{took / EVENTS * 1e6:6.1f} us/event"
            )


if __name__ == "__main__":
    main()

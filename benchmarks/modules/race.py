"""Runs competitors in turn, so that whatever else the machine does hits all of them, and compares medians.

A competitor is a whole process: started, ended and waited for within each run. Used by ``file``.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

READ = 1 << 20


class WrongAnswer(Exception):
    """A competitor failed, or found something else than the others; its time would mean nothing."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one competitor."""

    wall: float
    """Seconds from its start to its end."""
    cpu: float
    """Seconds of processor time, of it and of what it started."""
    output: bytes
    rss: int = 0
    """Largest resident set in bytes; 0 where it cannot be told: a program inherits the mark of who started it."""


@dataclass(slots=True)
class Competitor:
    """Somebody who can answer the question of a race."""

    name: str
    start: Callable[[], Run]
    hits: Callable[[bytes], int]
    """How many answers its output has."""
    runs: list[Run] = field(default_factory=list)

    @property
    def wall(self) -> float:
        """Median seconds."""
        return statistics.median(run.wall for run in self.runs)

    @property
    def cpu(self) -> float:
        """Median processor seconds."""
        return statistics.median(run.cpu for run in self.runs)

    @property
    def rss(self) -> int:
        """Largest of all runs, in bytes."""
        return max(run.rss for run in self.runs)


def race(competitors: Sequence[Competitor], runs: int) -> None:
    """Lets each run once without counting it, then ``runs`` times in turn.

    Raises:
        WrongAnswer: they do not agree about the number of answers.
    """
    for number in range(runs + 1):
        counts = {}
        for one in competitors:
            run = one.start()
            counts[one.name] = one.hits(run.output)
            if number:
                one.runs.append(run)
        if len(set(counts.values())) > 1:
            raise WrongAnswer(f"the numbers of answers differ: {counts}")


def ratio(one: Competitor, other: Competitor, *, cpu: bool = False) -> float:
    """The median of what the n-th run of ``one`` took, divided by the n-th of ``other``."""
    pairs = zip(one.runs, other.runs, strict=True)
    if cpu:
        return statistics.median(mine.cpu / max(theirs.cpu, 1e-4) for mine, theirs in pairs)
    return statistics.median(mine.wall / theirs.wall for mine, theirs in pairs)


def program(
    argv: Sequence[str],
    *,
    text: bytes = b"",
    accept: Sequence[int] = (0,),
    environment: Mapping[str, str] | None = None,
) -> Callable[[], Run]:
    """A competitor that is a program.

    Args:
        argv: its command line.
        text: given on its standard input.
        accept: exit statuses that are no failure.
        environment: its environment; None: this one's.
    """

    def start() -> Run:
        began = time.perf_counter()
        with subprocess.Popen(
            argv,
            stdin=subprocess.PIPE if text else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=environment,
        ) as process:
            assert process.stdout is not None
            if process.stdin is not None:
                process.stdin.write(text)
                process.stdin.close()
            output = bytearray()
            while piece := process.stdout.read(READ):
                output += piece
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in accept:
            raise WrongAnswer(f"{' '.join(argv[:4])} ended with status {process.returncode}")
        return Run(wall, usage.ru_utime + usage.ru_stime, bytes(output))

    return start

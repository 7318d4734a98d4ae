"""Times whole processes, from their start to their last line and to their end."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class ProgramFailed(Exception):
    """A program that was timed ended with an error; says what it wrote."""


@dataclass(slots=True)
class Timings:
    """Several runs of one command."""

    last_line: list[float] = field(default_factory=list)
    """Seconds from the start to the last line on standard output; 0 when there was none."""
    end: list[float] = field(default_factory=list)
    """Seconds from the start until the process had ended."""
    cpu: list[float] = field(default_factory=list)
    """Seconds of processor, user and system, of the process and the children it has waited for."""
    lines: list[int] = field(default_factory=list)

    @property
    def median_end(self) -> float:
        """Seconds."""
        return statistics.median(self.end)

    @property
    def median_cpu(self) -> float:
        """Seconds. Other programs on the machine change it little, unlike the time that passes."""
        return statistics.median(self.cpu)

    @property
    def median_last_line(self) -> float:
        """Seconds."""
        return statistics.median(self.last_line)


def time_program(
    argv: Sequence[str],
    *,
    runs: int,
    environment: Mapping[str, str],
    text: bytes = b"",
    before: Callable[[], object] = lambda: None,
) -> Timings:
    """Runs a command ``runs`` times, after one run that does not count.

    Args:
        text: given on standard input.
        before: called before every run.

    Raises:
        ProgramFailed: it ended with another status than 0.
    """
    timings = Timings()
    for number in range(runs + 1):
        before()
        time_once(argv, timings if number else Timings(), environment=environment, text=text)
    return timings


def time_once(argv: Sequence[str], timings: Timings, *, environment: Mapping[str, str], text: bytes = b"") -> None:
    """Runs a command once and adds what it took.

    Raises:
        ProgramFailed: it ended with another status than 0.
    """
    began = time.monotonic()
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(environment),
        bufsize=0,  # a line is seen when it is written
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(text)
        process.stdin.close()
        last_line = 0.0
        lines = 0
        while process.stdout.readline():
            last_line = time.monotonic() - began
            lines += 1
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        end = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ProgramFailed(
            f"{' '.join(argv[:3])} ended with status {process.returncode}: {errors.decode(errors='replace')[-800:]}"
        )
    timings.last_line.append(last_line)
    timings.end.append(end)
    timings.cpu.append(usage.ru_utime + usage.ru_stime)
    timings.lines.append(lines)

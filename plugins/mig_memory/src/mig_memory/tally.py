"""The books of a run: what was looked at, what was not and why.

Filled by ``evaluation``; ``module`` makes coverage and statistics from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mig_core.domain.result import Coverage, Skipped

MAX_EXAMPLES = 5
MAX_FAILURES = 500

DENIED_UNPRIVILEGED = "process of somebody else: reading it needs root or CAP_SYS_PTRACE"
DENIED = "process that may not be read, not even with CAP_SYS_PTRACE"
UNREADABLE = "range of memory that could not be read"
TIME = "process not looked at to the end: time ran out"
TROUBLE = "process that could not be looked at"
FULL = "match not returned: the answer is full"
HIDDEN = "proc is mounted with hidepid, so processes of others are not even listed"
NO_CHECK = "search without any check"
ENDED = "process that ended while being looked at"
ASKER = "memory of a process that handles this question"
DEVICE = "mapping of a device"
ON_DISK = "KiB that are as in the file they were mapped from"

_AS_ASKED = frozenset({ENDED, ASKER, DEVICE, ON_DISK})
"""Skipping for these reasons leaves the answer complete: there was nothing to look at, or nobody asked for it."""


@dataclass(slots=True)
class _Skip:
    count: int = 0
    examples: list[str] = field(default_factory=list)


class Tally:
    """Counters and failures of one run, or of one process of it."""

    def __init__(self) -> None:
        self.processes = 0
        """Processes that were looked at."""
        self.bytes = 0
        """Bytes of memory read."""
        self.not_opened = 0
        """Processes that were refused to us."""
        self._failures: list[str] = []
        self._lost_failures = 0
        self._skips: dict[str, _Skip] = {}

    def skip(self, reason: str, example: str = "", *, count: int = 1) -> None:
        """Books something that was not looked at."""
        one = self._skips.setdefault(reason, _Skip())
        one.count += count
        if example and len(one.examples) < MAX_EXAMPLES:
            one.examples.append(example[:1000])

    def failure(self, text: str) -> None:
        """Keeps a line for the original's ``failures``."""
        if len(self._failures) < MAX_FAILURES:
            self._failures.append(text)
        else:
            self._lost_failures += 1

    def add(self, other: Tally) -> None:
        """Adds the books of one process."""
        self.processes += other.processes
        self.bytes += other.bytes
        self.not_opened += other.not_opened
        for text in other._failures:
            self.failure(text)
        self._lost_failures += other._lost_failures
        for reason, one in other._skips.items():
            mine = self._skips.setdefault(reason, _Skip())
            mine.count += one.count
            mine.examples += one.examples[: MAX_EXAMPLES - len(mine.examples)]

    def failures(self) -> list[str]:
        """The failures, and how many more there were."""
        if not self._lost_failures:
            return list(self._failures)
        return [*self._failures, f"{self._lost_failures} failures more"]

    def coverage(self) -> Coverage:
        """What was looked at."""
        skipped = (Skipped(reason, one.count, tuple(one.examples)) for reason, one in sorted(self._skips.items()))
        complete = all(reason in _AS_ASKED for reason in self._skips)
        return Coverage(complete, {"processes": self.processes, "bytes": self.bytes}, tuple(skipped))

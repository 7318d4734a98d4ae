"""The books of a run: what was looked at, what was not and why, and the errors to return.

Filled by the sources and by ``selection``; ``module`` makes the coverage from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mig_core.domain.result import Coverage, Skipped

MAX_EXAMPLES = 5
MAX_ERRORS = 100
MAX_TEXT = 1000

NO_MANAGER = "no package manager found"
NOT_ASKED_FOR = "package manager not on the PATH"
NO_DIRECTORY = "no directory of packages found"
NO_PACKAGES = "no installed package found in any database"
UNREADABLE = "package database unreadable"
FAILED = "package manager failed"
DAMAGED = "record not understood"
REPEATED = "package recorded twice"
TOO_LARGE = "database too large"
TOO_MANY = "too many packages"
DEPTH = "directory too deep"
NO_ORDER = "version could not be compared"
FULL = "answer full"
TIME = "time ran out"


@dataclass(slots=True)
class _Skip:
    count: int = 0
    examples: list[str] = field(default_factory=list)


class Tally:
    """Counters and errors of one run."""

    def __init__(self) -> None:
        self._examined: dict[str, int] = {}
        self._errors: list[str] = []
        self._skips: dict[str, _Skip] = {}

    def examined(self, kind: str, count: int = 1) -> None:
        """Books packages of a type that were looked at."""
        self._examined[kind] = self._examined.get(kind, 0) + count

    @property
    def packages(self) -> int:
        """How many packages were looked at."""
        return sum(self._examined.values())

    def skip(self, reason: str, example: str = "", *, count: int = 1) -> None:
        """Books something that was asked for and not looked at."""
        one = self._skips.setdefault(reason, _Skip())
        one.count += count
        if example and len(one.examples) < MAX_EXAMPLES:
            one.examples.append(_sound(example))

    def error(self, problem: str) -> None:
        """Keeps an error for the investigator."""
        if len(self._errors) < MAX_ERRORS:
            self._errors.append(_sound(problem))

    def failed(self, reason: str, subject: str, problem: str) -> None:
        """Books a source, or a part of one, that could not be read: skip and error."""
        self.skip(reason, subject)
        self.error(f"{subject}: {problem}")

    def errors(self) -> tuple[str, ...]:
        """The errors, the first :data:`MAX_ERRORS` of them."""
        return tuple(self._errors)

    def coverage(self) -> Coverage:
        """What was looked at. It is complete only if nothing was skipped."""
        skipped = (Skipped(reason, one.count, tuple(one.examples)) for reason, one in sorted(self._skips.items()))
        return Coverage(not self._skips, {"packages": self.packages, **self._examined}, tuple(skipped))


def _sound(text: str) -> str:
    """The text cut to size, and without what cannot be written as UTF-8."""
    return text[:MAX_TEXT].encode("utf-8", "replace").decode()

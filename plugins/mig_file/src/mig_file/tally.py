"""The books of a run: what was looked at, what was not and why, and the errors to return.

Filled by ``walk``, ``reader`` and ``evaluation``; ``module`` makes the coverage from it.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mig_core.domain.result import MAX_ERRORS, Coverage, Skipped

if TYPE_CHECKING:
    from mig_file.naming import PathText

MAX_EXAMPLES = 5
MAX_EXAMPLE_LENGTH = 1000

NOT_FOUND = "no such file or directory"
DENIED = "permission denied"
DANGLING = "link that leads nowhere"
DIRECTORY_LINK = "link to a directory"
SPECIAL = "not a regular file"
NOT_READ = "content of a special file"
READ_ERROR = "read error"
WOULD_BLOCK = "reading it would wait"
DAMAGED = "damaged compressed data"
TOO_LARGE = "compressed data expands too far"
NO_DECOMPRESSOR = "compression not supported here"
LONG_LINE = "line too long to be judged as a whole"
CHANGED = "changed while being looked at"
DEPTH = "below maxdepth"
TOO_DEEP = "too deep to get at"
LIMIT = "match limit reached"
FULL = "answer full"
TIME = "time ran out"
OTHER_FILE_SYSTEM = "other file system"
NETWORK = "network file system"
ENDLESS = "endless pseudo-file"
NO_FILTER = "search without any filter"

_AS_ASKED = frozenset({NOT_FOUND, DANGLING, DIRECTORY_LINK, SPECIAL, DEPTH, OTHER_FILE_SYSTEM, NETWORK})
"""Skipping for these reasons leaves the answer complete: there was nothing to look at, or nobody asked for it."""


@dataclass(slots=True)
class _Skip:
    count: int = 0
    examples: list[str] = field(default_factory=list)


class Tally:
    """Counters and errors of one run."""

    def __init__(self, max_errors: int) -> None:
        """``max_errors``: how many to keep; 0 for as many as a result may carry."""
        self.files = 0
        """Evaluations, as the original counts them (``filescount``): a file below two paths counts twice."""
        self.unexamined = 0
        """Files in ``files`` that were counted and not looked at, because a limit was reached."""
        self.directories = 0
        self.bytes = 0
        """Bytes of content read from disk."""
        self.open_failed = 0
        self._max_errors = min(max_errors, MAX_ERRORS - 1) if max_errors else MAX_ERRORS - 1
        self._asked_errors = max_errors
        self._errors: list[str] = []
        self._lost_errors = 0
        self._skips: dict[str, _Skip] = {}

    def skip(self, reason: str, path: PathText | None = None, *, count: int = 1) -> None:
        """Books something that was not looked at."""
        one = self._skips.setdefault(reason, _Skip())
        one.count += count
        if path is not None and len(one.examples) < MAX_EXAMPLES:
            one.examples.append(str(path)[:MAX_EXAMPLE_LENGTH])

    def error(self, path: PathText, problem: str) -> None:
        """Keeps an error about a path for the investigator."""
        if len(self._errors) < self._max_errors:
            self._errors.append(f"{str(path)[:MAX_EXAMPLE_LENGTH]}: {problem}")
        else:
            self._lost_errors += 1

    def error_text(self, text: str) -> None:
        """Keeps any other error."""
        self._errors.append(text)

    def failed(self, path: PathText, failure: OSError, *, opening: bool = True, reason: str = "") -> None:
        """Books an operating system error: the skip, the error text and, when ``opening``, the original's counter.

        ``reason`` is booked instead of the one that the error gives.
        """
        self.skip(reason or reason_of(failure), path)
        self.error(path, os.strerror(failure.errno).lower() if failure.errno else str(failure))
        self.open_failed += opening

    def incomplete(self) -> bool:
        """Whether something that was asked for was not looked at."""
        return any(reason not in _AS_ASKED for reason in self._skips)

    def errors(self) -> tuple[str, ...]:
        """The errors, and how many more there were."""
        if not self._lost_errors:
            return tuple(self._errors)
        limit = f"max errors = {self._asked_errors or self._max_errors}"
        return (*self._errors, f"{self._lost_errors} errors were not returned ({limit})")

    def coverage(self) -> Coverage:
        """What was looked at."""
        skipped = (Skipped(reason, one.count, tuple(one.examples)) for reason, one in sorted(self._skips.items()))
        examined = {"files": self.files - self.unexamined, "directories": self.directories, "bytes": self.bytes}
        return Coverage(not self.incomplete(), examined, tuple(skipped))


_REASONS = {
    errno.ENOENT: NOT_FOUND,
    errno.ENOTDIR: CHANGED,
    errno.EACCES: DENIED,
    errno.EPERM: DENIED,
    errno.ELOOP: CHANGED,
    errno.EAGAIN: WOULD_BLOCK,
    errno.ENXIO: WOULD_BLOCK,
    errno.EMFILE: TOO_DEEP,
    errno.ENFILE: TOO_DEEP,
    errno.ENAMETOOLONG: TOO_DEEP,
}


def reason_of(failure: OSError) -> str:
    """The reason to book for an operating system error."""
    return _REASONS.get(failure.errno or 0, READ_ERROR)

"""What a run looked at, and what it did not: the one tally that modules and their helpers keep.

The rule of the house: **whoever skips, books**. A helper that can leave something out takes the tally, and the answer's
"complete" is computed from it, never set. A reason knows itself whether leaving something out for it makes the answer
incomplete::

    LOOP = Reason("link that leads to itself", as_asked=True)

    tally.examined("files")
    tally.skip(DENIED, "/root/.ssh")
    tally.skip(LOOP, "/var/lib/a/a")
    return ModuleResult(found, True, elements, errors=tally.errors(), coverage=tally.coverage())

:mod:`mig_endpoint.coverage` has the reasons that looking at an endpoint gives.
"""

from __future__ import annotations

from mig_core.domain.result import MAX_ERRORS, Coverage, Skipped
from mig_core.records import dataclass, field

MAX_EXAMPLES = 5
"""Examples kept for each reason."""
MAX_TEXT = 1000
"""Characters kept of an example or an error."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something was not looked at.

    ``text`` reads well behind a number and before examples in brackets: ``3 permission denied (/a, /b, /c)``.
    """

    text: str
    as_asked: bool = False
    """The answer stays complete: there was nothing to look at, or the question itself left it out."""


@dataclass(slots=True)
class _Skip:
    count: int = 0
    examples: list[str] = field(default_factory=list)


class Tally:
    """Counts, skips and errors of one run, or of one part of it that is added with :meth:`add`. For one thread.

    Args:
        max_errors: errors to keep; 0 for as many as a result may carry.
    """

    def __init__(self, max_errors: int = 0) -> None:
        self._max_errors = min(max_errors, MAX_ERRORS - 1) if max_errors else MAX_ERRORS - 1
        self.failures = 0
        """How often :meth:`failed` was called."""
        self._errors: list[str] = []
        self._lost_errors = 0
        self._examined: dict[str, int] = {}
        self._skips: dict[Reason, _Skip] = {}

    def examined(self, kind: str, count: int = 1) -> None:
        """Counts things of a kind (a plural: ``"files"``, ``"bytes"``) that were looked at."""
        self._examined[kind] = self._examined.get(kind, 0) + count

    def count(self, kind: str) -> int:
        """How many things of a kind were looked at."""
        return self._examined.get(kind, 0)

    def skip(self, reason: Reason, example: object = "", *, count: int = 1) -> None:
        """Books something that was not looked at.

        Args:
            reason: why.
            example: names it, a string or what becomes one by ``str()`` only when it is kept: the first
                :data:`MAX_EXAMPLES` for each reason are.
            count: how many things.
        """
        skip = self._skips.get(reason)
        if skip is None:
            skip = self._skips[reason] = _Skip()
        skip.count += count
        if len(skip.examples) < MAX_EXAMPLES and (text := str(example)):
            skip.examples.append(sound(text))

    def error(self, text: str) -> None:
        """Keeps an error for the investigator, or counts it when there are too many."""
        if len(self._errors) < self._max_errors:
            self._errors.append(sound(text))
        else:
            self._lost_errors += 1

    def failed(self, reason: Reason, subject: object, problem: str) -> None:
        """Books something that was tried and could not be looked at: the skip, and an error that says why.

        ``subject`` is a string, or becomes one by ``str()`` if there is room for it.
        """
        self.failures += 1
        self.skip(reason, subject)
        if len(self._errors) < self._max_errors:
            self._errors.append(f"{sound(str(subject))}: {sound(problem)}")
        else:
            self._lost_errors += 1

    def add(self, other: Tally) -> None:
        """Adds what another tally holds, as if it had been booked here."""
        for kind, count in other._examined.items():
            self.examined(kind, count)
        for text in other._errors:
            self.error(text)
        self._lost_errors += other._lost_errors
        self.failures += other.failures
        for reason, skip in other._skips.items():
            mine = self._skips.setdefault(reason, _Skip())
            mine.count += skip.count
            mine.examples += skip.examples[: MAX_EXAMPLES - len(mine.examples)]

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for was looked at."""
        return all(reason.as_asked for reason in self._skips)

    def skipped(self, reason: Reason) -> int:
        """How many things were not looked at for this reason."""
        skip = self._skips.get(reason)
        return skip.count if skip is not None else 0

    def errors(self) -> tuple[str, ...]:
        """The errors, and how many more there were."""
        if not self._lost_errors:
            return tuple(self._errors)
        return (
            *self._errors,
            f"{self._lost_errors} errors were not returned (max errors = {self._max_errors})",
        )

    def coverage(self) -> Coverage:
        """The coverage of the answer."""
        skipped = (
            Skipped(reason.text, skip.count, tuple(skip.examples))
            for reason, skip in sorted(self._skips.items(), key=lambda item: item[0].text)
        )
        return Coverage(self.complete, dict(self._examined), tuple(skipped))


def sound(text: str) -> str:
    """The text cut to size, and without what cannot be written as UTF-8."""
    return text[:MAX_TEXT].encode("utf-8", "replace").decode()

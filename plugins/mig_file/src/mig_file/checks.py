"""Filters made ready to be asked, and :class:`Slot`: filters that a file must pass together.

With ``matchall`` a search has one slot with all its filters; without, one slot for each. ``evaluation`` runs files
through slots; the hits a slot collects become rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mig_endpoint.files import digests
from mig_file import expressions
from mig_file.content import Question
from mig_file.hits import Hits
from mig_file.patterns import Pattern
from mig_file.search import FILTERS, WORDS

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from mig_file.reader import Reading
    from mig_file.search import Search


@dataclass(frozen=True, slots=True)
class Check:
    """One value of one filter. ``negated``: it is passed by failing (``!``, ``mismatch``, or neither if both)."""

    key: str
    value: str
    negated: bool


@dataclass(frozen=True, slots=True)
class NameCheck(Check):
    """On the base name."""

    pattern: Pattern


@dataclass(frozen=True, slots=True)
class SizeCheck(Check):
    """On the size on disk."""

    range: expressions.SizeRange

    def passes(self, status: os.stat_result, now: int) -> bool:
        """Whether the file passes."""
        return self.range.holds(status.st_size) != self.negated


@dataclass(frozen=True, slots=True)
class ModeCheck(Check):
    """On the mode's text."""

    pattern: Pattern

    def passes(self, status: os.stat_result, now: int) -> bool:
        """Whether the file passes."""
        return self.pattern.matches(expressions.mode_text(status.st_mode).encode()) != self.negated


@dataclass(frozen=True, slots=True)
class AgeCheck(Check):
    """On the time of the last change."""

    age: expressions.Age

    def passes(self, status: os.stat_result, now: int) -> bool:
        """Whether the file passes."""
        return self.age.holds(status.st_mtime_ns, now) != self.negated


@dataclass(frozen=True, slots=True)
class ContentCheck(Check):
    """On the lines."""

    question: Question

    def passes(self, reading: Reading) -> bool | None:
        """Whether the file passes; None if that could not be found out."""
        if self.question in reading.doubtful:
            return None
        return (self.question in reading.found) != self.negated


@dataclass(frozen=True, slots=True)
class HashCheck(Check):
    """On a digest of the content."""

    algorithm: str

    def passes(self, reading: Reading) -> bool | None:
        """Whether the file passes; None if that could not be found out."""
        if reading.digests is None:
            return None
        return (reading.digests[self.algorithm] == self.value) != self.negated


@dataclass(slots=True, eq=False)
class Slot:
    """Checks that a file must pass together, and the files that did."""

    search: Search
    key: str = ""
    """The one filter's key, without ``matchall``."""
    value: str = ""
    names: list[NameCheck] = field(default_factory=list)
    metadata: list[SizeCheck | ModeCheck | AgeCheck] = field(default_factory=list)
    reading: list[ContentCheck | HashCheck] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    algorithms: list[str] = field(default_factory=list)
    hits: Hits = field(default_factory=Hits)
    seen: set[str] | None = None
    """Paths that are hits already, where the search's paths may overlap."""
    row_bytes: int = 0
    """About how much of the answer one of its rows takes."""
    number: int = 0
    """Among all slots of the run."""

    def add(self, check: Check) -> None:
        """Takes a check in."""
        if isinstance(check, NameCheck):
            self.names.append(check)
        elif isinstance(check, SizeCheck | ModeCheck | AgeCheck):
            self.metadata.append(check)
        elif isinstance(check, ContentCheck):
            self.reading.append(check)
            self.questions.append(check.question)
        elif isinstance(check, HashCheck):
            self.reading.append(check)
            self.algorithms.append(check.algorithm)

    @property
    def is_empty(self) -> bool:
        """Whether it has no checks; then nothing passes."""
        return not (self.names or self.metadata or self.reading)

    def passes_metadata(self, status: os.stat_result, now: int) -> bool:
        """Whether size, mode and age pass."""
        return all(check.passes(status, now) for check in self.metadata)

    def judge(self, reading: Reading) -> bool | None:
        """Whether the content passes all checks; None if that could not be found out."""
        verdict: bool | None = True
        for check in self.reading:
            passed = check.passes(reading)
            if passed is False:
                return False
            if passed is None:
                verdict = None
        return verdict


def slots_of(search: Search) -> list[Slot]:
    """The slots of a search, in the order of their rows."""
    checks = list(_checks(search))
    if search.options.matchall or not checks:
        one = Slot(search)
        for check in checks:
            one.add(check)
        slots = [one]
    else:
        slots = []
        for check in checks:
            one = Slot(search, check.key, check.value)
            one.add(check)
            slots.append(one)
    if len(search.paths) > 1:
        for one in slots:
            one.seen = set()
    return slots


def _checks(search: Search) -> Iterable[Check]:
    for key in FILTERS:
        mismatched = WORDS[key] in search.options.mismatch
        for value in search.filters[key]:
            yield _check(search, key, value, mismatched)


def _check(search: Search, key: str, value: str, mismatched: bool) -> Check:
    if key == "sizes":
        return SizeCheck(key, value, mismatched, expressions.parse_size(value))
    if key == "mtimes":
        return AgeCheck(key, value, mismatched, expressions.parse_age(value))
    if key not in ("names", "modes", "contents"):
        return HashCheck(key, value, mismatched, digests.algorithm_of(key, value))
    inverted = len(value) > 1 and value.startswith("!")
    regex = value[1:] if inverted else value
    negated = inverted != mismatched
    if key == "contents":
        # "no line matches" and "not any line matches" are the same, so only the plain form needs every line
        return ContentCheck(key, value, negated, Question(regex, search.options.macroal and not inverted))
    return (NameCheck if key == "names" else ModeCheck)(key, value, negated, Pattern(regex))

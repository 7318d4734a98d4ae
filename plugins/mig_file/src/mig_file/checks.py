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
    """On the size on disk. Any of the ranges will do."""

    ranges: tuple[expressions.SizeRange, ...]

    def passes(self, status: os.stat_result, now: int) -> bool:
        """Whether the file passes."""
        return any(one.holds(status.st_size) for one in self.ranges) != self.negated


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
    """On a digest of the content. Any of the values will do: no file has two."""

    algorithm: str
    values: frozenset[str]

    def passes(self, reading: Reading) -> bool | None:
        """Whether the file passes; None if that could not be found out."""
        if reading.digests is None:
            return None
        return (reading.digests[self.algorithm] in self.values) != self.negated


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
    if search.options.matchall or not search.has_filters:
        one = Slot(search)
        for check in _checks(search):
            one.add(check)
        slots = [one]
    else:
        slots = []
        for key in FILTERS:
            for value in search.filters[key]:
                one = Slot(search, key, value)
                one.add(_check(search, key, (value,)))
                slots.append(one)
    if len(search.paths) > 1:
        for one in slots:
            one.seen = set()
    return slots


def _checks(search: Search) -> Iterable[Check]:
    """The checks of a search whose filters must all be passed.

    Values of which a file can have only one are alternatives: two hashes of one algorithm, two exact sizes, names or
    modes. All others must each be passed. The original passed no file then (:func:`contradictions`).
    """
    for key in FILTERS:
        for values in _alternatives(search, key):
            if search.as_original:
                yield from (_check(search, key, (value,)) for value in values)
            else:
                yield _check(search, key, values)


def contradictions(search: Search) -> list[str]:
    """What keeps any file from passing a search that is to mean what it meant to the original."""
    if not search.as_original or not search.options.matchall:
        return []
    return [
        f"no file can have {' and '.join(dict.fromkeys(values))}"
        for key in FILTERS
        for values in _alternatives(search, key)
        if len(set(values)) > 1 and WORDS[key] not in search.options.mismatch
    ]


def _alternatives(search: Search, key: str) -> list[tuple[str, ...]]:
    """The values of a filter: together those of which a file has only one."""
    groups: dict[str, list[str]] = {}
    for place, value in enumerate(search.filters[key]):
        groups.setdefault(_alternative(key, value) or f"{place}", []).append(value)
    return [tuple(values) for values in groups.values()]


def _alternative(key: str, value: str) -> str:
    """What a file has only one of, where ``value`` is one for it; empty where a file may pass several such values."""
    if key == "sizes":
        return "" if value[0] in "<>" else "exact size"
    if key in ("names", "modes"):
        return "whole text" if expressions.is_whole_text(value) else ""
    if key in ("contents", "mtimes"):
        return ""
    return digests.algorithm_of(key, value)


def _check(search: Search, key: str, values: tuple[str, ...]) -> Check:
    """The check of one value, or of several of which any will do."""
    value, mismatched = values[0], WORDS[key] in search.options.mismatch
    if key == "sizes":
        return SizeCheck(key, value, mismatched, tuple(map(expressions.parse_size, values)))
    if key == "mtimes":
        return AgeCheck(key, value, mismatched, expressions.parse_age(value))
    if key not in ("names", "modes", "contents"):
        return HashCheck(key, value, mismatched, digests.algorithm_of(key, value), frozenset(values))
    inverted = len(value) > 1 and value.startswith("!")
    regex = value[1:] if inverted else value
    negated = inverted != mismatched
    if key == "contents":
        # "no line matches" and "not any line matches" are the same, so only the plain form needs every line
        return ContentCheck(key, value, negated, Question(regex, search.options.macroal and not inverted))
    if len(values) > 1:
        regex = "|".join(f"(?:{one})" for one in values)
    return (NameCheck if key == "names" else ModeCheck)(key, value, negated, Pattern(regex))

"""Filters made ready to be asked: a check for each value, or for several of which any will do.

``slots`` puts them together, ``inspection`` and ``entries`` ask them.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mig_endpoint.files import digests
from mig_file import expressions
from mig_file.content import Question
from mig_file.names import NameBatch
from mig_file.patterns import Pattern
from mig_file.search import FILTERS, ORIGINAL_FILTERS, WORDS

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from mig_file.reader import Reading
    from mig_file.search import Search


KINDS = {
    "f": stat.S_IFREG,
    "d": stat.S_IFDIR,
    "l": stat.S_IFLNK,
    "s": stat.S_IFSOCK,
    "p": stat.S_IFIFO,
    "b": stat.S_IFBLK,
    "c": stat.S_IFCHR,
}
"""The letters of ``type``, as find(1) has them."""


_ANY_NAMES = (b"q", b"_.~", b"Zz9-0")


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
    is_exact: bool
    """Whether it asks for one name, or for any of several."""

    def passes_anything(self) -> bool:
        """Whether it is no question about names at all: ``.`` in a search for something else."""
        return all(self.pattern.matches(name) != self.negated for name in _ANY_NAMES)


@dataclass(frozen=True, slots=True)
class SizeCheck(Check):
    """On the size on disk. Any of the ranges will do."""

    ranges: tuple[expressions.SizeRange, ...]

    def passes(self, status: os.stat_result, now: int) -> bool:
        """Whether the file passes."""
        return any(one.holds(status.st_size) for one in self.ranges) != self.negated


@dataclass(frozen=True, slots=True)
class TypeCheck(Check):
    """On the kind of the entry: any of ``kinds`` will do (``stat.S_IFREG`` …)."""

    kinds: frozenset[int]


@dataclass(frozen=True, slots=True)
class ModeCheck(Check):
    """On the mode's text."""

    pattern: Pattern
    _named: dict[int, frozenset[int]] = field(default_factory=dict)

    def may_name_a_kind(self) -> bool:
        """Whether the expression has anything that could stand for a kind's letter."""
        return not self.negated and re.search(r"[dLDpSc.\[\\(]", self.pattern.text) is not None

    def named(self, kind: int) -> frozenset[int]:
        """The permissions with which entries of a kind pass because of their kind: ``^d`` names directories.

        Not those whose mode would pass as a regular file's too: an expression about permissions only is about files.
        """
        if kind not in self._named:
            texts, plain = expressions.mode_texts(kind), expressions.mode_texts(stat.S_IFREG)
            passing, without = NameBatch(texts).matching(self.pattern), NameBatch(plain).matching(self.pattern)
            self._named[kind] = frozenset(
                mode
                for mode, (text, other) in enumerate(zip(texts, plain, strict=True))
                if text in passing and other not in without
            )
        return self._named[kind]

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


def of_search(search: Search) -> Iterable[Check]:
    """The checks of a search whose filters must all be passed.

    Values of which a file can have only one are alternatives: two hashes of one algorithm, two exact sizes, names or
    modes. All others must each be passed. The original passed no file then (:func:`contradictions`).
    """
    for key in FILTERS:
        for values in _alternatives(search, key):
            if search.as_original and key in ORIGINAL_FILTERS:
                yield from (of_values(search, key, (value,)) for value in values)
            else:
                yield of_values(search, key, values)


def contradictions(search: Search) -> list[str]:
    """What keeps any file from passing a search that is to mean what it meant to the original."""
    if not search.as_original or not search.options.matchall:
        return []
    return [
        f"no file can have {' and '.join(dict.fromkeys(values))}"
        for key in ORIGINAL_FILTERS
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
    if key == "types":
        return "kind"
    if key in ("contents", "mtimes"):
        return ""
    return digests.algorithm_of(key, value)


def of_values(search: Search, key: str, values: tuple[str, ...]) -> Check:
    """The check of one value, or of several of which any will do."""
    value, mismatched = values[0], WORDS[key] in search.options.mismatch
    if key == "types":
        kinds = frozenset(KINDS[one] for one in values)
        return TypeCheck(key, value, mismatched, frozenset(KINDS.values()) - kinds if mismatched else kinds)
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
    if key == "names":
        return NameCheck(key, value, negated, Pattern(regex), not negated and expressions.is_whole_text(value))
    return ModeCheck(key, value, negated, Pattern(regex))


MetadataCheck = SizeCheck | ModeCheck | AgeCheck
"""What an entry's status answers."""

"""Filters made ready to be asked: a check for each value, or for several of which any will do.

``slots`` puts them together. Checks on status and attributes are in ``metadata``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.records import dataclass
from mig_endpoint.files import digests, owners
from mig_endpoint.finding import expressions
from mig_endpoint.finding.check import Check
from mig_endpoint.finding.content import Question
from mig_endpoint.finding.known import known_of
from mig_endpoint.finding.metadata import (
    KINDS,
    AgeCheck,
    BirthCheck,
    CapabilityCheck,
    ModeCheck,
    OwnerCheck,
    SizeCheck,
    SizesCheck,
    TypeCheck,
    XattrCheck,
)
from mig_endpoint.finding.patterns import Pattern
from mig_endpoint.finding.search import FILTERS, ORIGINAL_FILTERS, WORDS, said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mig_endpoint.finding.known import Known
    from mig_endpoint.finding.reader import Reading
    from mig_endpoint.finding.search import Search

_ANY_NAMES = (b"q", b"_.~", b"Zz9-0")
_HASHES = ("md5", "sha1", "sha2", "sha3")
_ONE_ONLY = {"types": "kind", "owners": "owner", "groups": "group"}
"""Filters on something of which an entry has one."""
_INVERTIBLE = ("names", "modes", "contents", "xattrs", "capabilities", "owners", "groups")


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


@dataclass(frozen=True, slots=True)
class KnownCheck(Check):
    """On lists of known files."""

    known: Known

    def passes(self, reading: Reading) -> bool | None:
        """Whether the file passes; None if that could not be found out."""
        if reading.digests is None:
            return None
        return bool(self.found(reading))

    def found(self, reading: Reading) -> str:
        """The hash that is in the lists, in upper case; empty if none is."""
        return next((one[1] for one in (reading.digests or {}).items() if one in self.known.digests), "")


def of_search(search: Search) -> Iterable[Check]:
    """The checks of a search whose filters must all be passed.

    Values of which an entry can have only one are alternatives: two hashes of one algorithm, two exact sizes, names or
    modes, owners, kinds. All others must each be passed. The original passed no file then (:func:`contradictions`).
    """
    for key in FILTERS:
        for values in _alternatives(search, key):
            if key == "hashes":
                yield from of_lists(search)
            elif search.as_original and key in ORIGINAL_FILTERS:
                yield from (of_values(search, key, (value,)) for value in values)
            else:
                yield of_values(search, key, values)


def of_lists(search: Search) -> Iterable[Check]:
    """The checks of lists of known files: their sizes first, where they have them."""
    values = search.filters["hashes"]
    known, text = known_of(values), said("hashes", values)[0]
    if known.sizes is not None and not (search.options.decompress or search.options.decompressall):
        yield SizesCheck("hashes", text, False, known.sizes)
    yield KnownCheck("hashes", text, False, known)


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


def unknown_names(search: Search) -> list[tuple[str, str]]:
    """The owners and groups of a search that the endpoint's files do not have, each with its database."""
    return [
        (database, value)
        for key, database, ids in (("owners", "passwd", owners.user_ids), ("groups", "group", owners.group_ids))
        for value in search.filters[key]
        if not ids(without_inversion(value)[0])
    ]


def without_inversion(value: str) -> tuple[str, bool]:
    """A value without a leading ``!``, and whether it had one; a lone ``!`` is literal."""
    inverted = len(value) > 1 and value.startswith("!")
    return (value[1:], True) if inverted else (value, False)


def _alternatives(search: Search, key: str) -> list[tuple[str, ...]]:
    """The values of a filter: together those of which an entry has only one."""
    groups: dict[str, list[str]] = {}
    for place, value in enumerate(search.filters[key]):
        groups.setdefault(_alternative(key, value) or f"{place}", []).append(value)
    return [tuple(values) for values in groups.values()]


def _alternative(key: str, value: str) -> str:
    """What an entry has one of, where ``value`` is one for it; empty where it may pass several such values."""
    if key in _HASHES:
        return digests.algorithm_of(key, value)
    if key == "hashes":
        return "known"
    if key == "sizes":
        return "" if value[0] in "<>" else "exact size"
    if key in ("names", "modes"):
        return "whole text" if expressions.is_whole_text(value) else ""
    return "" if value.startswith("!") else _ONE_ONLY.get(key, "")


def of_values(search: Search, key: str, values: tuple[str, ...]) -> Check:
    """The check of one value, or of several of which any will do."""
    value, negated = values[0], WORDS[key] in search.options.mismatch
    if key in _INVERTIBLE and len(values) == 1:
        plain, inverted = without_inversion(value)
        values, negated = (plain,), inverted != negated
        if key == "contents":
            # "no line matches" and "not any line matches" are the same, so only the plain form needs every line
            return ContentCheck(key, value, negated, Question(plain, search.options.macroal and not inverted))
    if key in _HASHES:
        return HashCheck(key, value, negated, digests.algorithm_of(key, value), frozenset(values))
    return _MAKERS[key](key, value, negated, values)


def _pattern(values: tuple[str, ...]) -> Pattern:
    return Pattern(values[0] if len(values) == 1 else "|".join(f"(?:{one})" for one in values))


def _name(key: str, value: str, negated: bool, values: tuple[str, ...]) -> Check:
    return NameCheck(key, value, negated, _pattern(values), not negated and expressions.is_whole_text(value))


def _type(key: str, value: str, negated: bool, values: tuple[str, ...]) -> Check:
    kinds = frozenset(KINDS[one] for one in values)
    return TypeCheck(key, value, negated, frozenset(KINDS.values()) - kinds if negated else kinds)


def _ids(ids: Callable[[str], set[int]], values: tuple[str, ...]) -> frozenset[int]:
    return frozenset().union(*map(ids, values))


_MAKERS: dict[str, Callable[[str, str, bool, tuple[str, ...]], Check]] = {
    "names": _name,
    "types": _type,
    "sizes": lambda key, value, no, values: SizeCheck(key, value, no, tuple(map(expressions.parse_size, values))),
    "modes": lambda key, value, no, values: ModeCheck(key, value, no, _pattern(values)),
    "mtimes": lambda key, value, no, _: AgeCheck(key, value, no, expressions.parse_age(value), "st_mtime_ns"),
    "ctimes": lambda key, value, no, _: AgeCheck(key, value, no, expressions.parse_age(value), "st_ctime_ns"),
    "btimes": lambda key, value, no, _: BirthCheck(key, value, no, expressions.parse_age(value)),
    "owners": lambda key, value, no, values: OwnerCheck(key, value, no, _ids(owners.user_ids, values), "st_uid"),
    "groups": lambda key, value, no, values: OwnerCheck(key, value, no, _ids(owners.group_ids, values), "st_gid"),
    "xattrs": lambda key, value, no, values: XattrCheck(key, value, no, _pattern(values)),
    "capabilities": lambda key, value, no, values: CapabilityCheck(key, value, no, _pattern(values)),
}
"""What makes the check of a filter, of its key, (first) value, whether it is negated, and all values."""

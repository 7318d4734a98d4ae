"""Looks for any of a few texts in a buffer, at several gigabytes a second.

With ``words`` the only file that imports ``ahocorasick_rs``, whose library compares sixteen and more bytes at once
where there are few texts. What it is asked for is arranged so that it can: no more than ``MOST_AT_ONCE`` texts at a
time, of a text in any case only four characters, in each of their spellings.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from mig_endpoint.regex.literals import MAX_LENGTH, required_choices, worth

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mig_endpoint.regex.literals import Choice, Literal

    Buffer = bytes | bytearray | memoryview
    Positions = Callable[[Buffer], list[int]]

MOST_AT_ONCE = 60
"""With more texts (with more than 64 of its own) the library falls back to an automaton no faster than RE2's."""
MOST_PASSES = 4
WINDOW = 4
"""How many characters of a text in any case are looked for."""
MOST_CHARACTERS = 8
"""How many required characters are worth looking for one by one."""
FIRST_PROBE = 4 << 10
PROBES_GROW = 16
_COMMON_FIRST = " etaoinsrhldcumfpgwybvkxjqz"
_BEYOND_ASCII = {"k": "kK\u212a", "s": "sS\u017f"}
"""Letters that have more than two forms in any case: the Kelvin sign, the long s."""
_DECOYS = (b"\xfe\x01\xff\x02", b"\xff\x03\xfe\x04", b"\x05\xfe\x06\xff", b"\x07\xff\x08\xfe")
"""Texts that are hardly ever there. They keep the library from jumping from one common first byte to the next."""


class Finder:
    """Finds the texts of a choice. May be shared between threads."""

    def __init__(self, passes: Sequence[Sequence[bytes]]) -> None:
        """``passes``: what :func:`spellings` gives."""
        self._passes, quick = zip(*map(_search, passes), strict=True)
        self.positions: Positions = self._passes[0] if len(self._passes) == 1 else self._all_positions
        """Where texts begin, in rising order. Of texts that overlap at least one is named."""
        self.touches: Callable[[memoryview], object] = quick[0] if len(quick) == 1 else self.positions
        """Something true where there are any, and hardly ever elsewhere: the library's own function, if it can be."""

    def _all_positions(self, buffer: Buffer) -> list[int]:
        return sorted(itertools.chain.from_iterable(one(buffer) for one in self._passes))

    def few(self, buffer: memoryview, most: int) -> list[int] | None:
        """The same, or None where there are more than ``most``; that is soon known where they are frequent."""
        found: list[int] = []
        start, step = 0, FIRST_PROBE
        while start < len(buffer):
            # a text across the border between two probes is seen by the second, which begins a little earlier
            first = max(0, start - MAX_LENGTH)
            after = found[-1] if found else -1
            found += [first + place for place in self.positions(buffer[first : start + step]) if first + place > after]
            if len(found) > most:
                return None
            start += step
            step *= PROBES_GROW
        return found

    def is_in(self, buffer: memoryview) -> bool:
        """Whether there is any."""
        return self.few(buffer, 0) is None


def finders_for(pattern: str, *, most: int = 2, wide: bool = False) -> list[Finder]:
    """At most so many finders; every match contains a text of each of them. The most telling comes first.

    Args:
        pattern: accepted by RE2.
        most: how many.
        wide: the texts are in UTF-16LE.
    """
    choices = sorted(required_choices(pattern), key=worth, reverse=True)
    return [one for choice in choices if (one := finder_for(choice, wide=wide)) is not None][:most]


def finder_for(choice: Choice, *, wide: bool = False) -> Finder | None:
    """A finder that finds at least every text of the choice; None when they are too many to be found quickly.

    It may find more: of a text in any case, and of a long one in UTF-16LE, it looks for a part.
    """
    passes = spellings(choice)
    if wide:  # two bytes each, and still no longer than MAX_LENGTH
        passes = [[text.decode()[: MAX_LENGTH // 2].encode("utf-16-le") for text in one] for one in passes]
    return Finder(passes) if passes else None


def required_characters(pattern: str) -> list[tuple[bytes, ...]]:
    """Characters of which every match contains each, at most ``MOST_CHARACTERS``; a letter in any case is two bytes.

    Args:
        pattern: accepted by RE2.
    """
    found: dict[tuple[bytes, ...], None] = {}
    for choice in sorted(required_choices(pattern), key=worth):  # characters that stand alone are rare in most texts
        common = set.intersection(*map(_characters, choice))
        found.update(dict.fromkeys(sorted(common, key=lambda forms: (-_rarity(forms[0].decode()), forms))))
    return list(found)[:MOST_CHARACTERS]


def _characters(literal: Literal) -> set[tuple[bytes, ...]]:
    """Each character of a text in all its forms; not those that have other forms than ASCII's two."""
    forms = {_cases(one) if literal.fold else one for one in literal.text}
    return {tuple(one.encode() for one in form) for form in forms if form.isascii()}


def spellings(choice: Choice) -> list[list[bytes]]:
    """What to look for, in as many passes as it takes; none when it takes too many."""
    passes: list[list[bytes]] = [[]]
    parts = {_part(literal): literal.fold for literal in sorted(choice)}
    for part, fold in parts.items():
        forms = _forms(part) if fold else [part.encode()]
        if len(forms) > MOST_AT_ONCE:
            return []
        if len(passes[-1]) + len(forms) > MOST_AT_ONCE:
            passes.append([])
        passes[-1] += forms
    return passes if len(passes) <= MOST_PASSES and passes[0] else []


def _part(literal: Literal) -> str:
    """Of a text in any case the part with the fewest spellings, and of several the one with the rarest letters."""
    text = literal.text
    if not literal.fold or len(text) <= WINDOW:
        return text
    parts = [text[start : start + WINDOW] for start in range(len(text) - WINDOW + 1)]
    return min(parts, key=lambda part: (math.prod(len(_cases(one)) for one in part), -sum(map(_rarity, part))))


def _rarity(character: str) -> int:
    place = _COMMON_FIRST.find(character)
    return place if place >= 0 else len(_COMMON_FIRST) // 2


def _forms(text: str) -> list[bytes]:
    return ["".join(one).encode() for one in itertools.product(*map(_cases, text))]


def _cases(character: str) -> str:
    upper = character.upper()
    return _BEYOND_ASCII.get(character, character if upper == character else character + upper)


def _search(texts: Sequence[bytes]) -> tuple[Positions, Callable[[Buffer], object]]:
    """What gives places of texts, and what it asks."""
    import ahocorasick_rs

    count = len(texts)
    decoys = _DECOYS if count > 1 and max(map(len, texts)) > 1 else ()
    kind = ahocorasick_rs.MatchKind.LeftmostFirst
    find = ahocorasick_rs.BytesAhoCorasick([*texts, *decoys], matchkind=kind).find_matches_as_indexes

    def positions(buffer: Buffer) -> list[int]:
        found = find(buffer)
        return [start for number, start, _ in found if number < count] if found else []

    return positions, find

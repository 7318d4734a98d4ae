"""What a regular expression of a target is parsed into, how large it is, and how PostgreSQL writes it.

PostgreSQL never sees the pattern as it was typed: it gets the tree, with every character that is not an ASCII letter or
digit spelled as ``\\uXXXX``, so that nothing in it can have a second meaning there.
"""

from __future__ import annotations

from dataclasses import dataclass

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class CharacterSet:
    """One character within ``ranges`` of code points (sorted, apart), or outside them when ``negated``."""

    ranges: Ranges
    negated: bool = False


@dataclass(frozen=True, slots=True)
class TextStart:
    """Before the first character."""


@dataclass(frozen=True, slots=True)
class TextEnd:
    """After the last character."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after the other; empty matches the empty text."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Any of them."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """``low`` to ``high`` times; None is without end."""

    item: Expression
    low: int
    high: int | None


Expression = CharacterSet | TextStart | TextEnd | Sequence | Choice | Repeat

ANY = CharacterSet((), negated=True)


def size_of(tree: Expression) -> int:
    """Characters and classes after repetitions are written out."""
    match tree:
        case Sequence(items) | Choice(items):
            return 1 + sum(size_of(item) for item in items)
        case Repeat(item, low, high):
            return 1 + size_of(item) * max(1, low + 1 if high is None else high)
        case _:
            return 1


def anchors_of(tree: Expression) -> int:
    """How many anchors one match can pass at most, an endless repetition counted once more than it must be."""
    match tree:
        case TextStart() | TextEnd():
            return 1
        case Sequence(items):
            return sum(anchors_of(item) for item in items)
        case Choice(items):
            return max(anchors_of(item) for item in items)
        case Repeat(item, low, high):
            return anchors_of(item) * (low + 1 if high is None else high)
        case _:
            return 0


def plain_text(tree: Expression) -> tuple[str, bool, bool] | None:
    """The one text an expression stands for, and whether it is tied to the start and to the end; None if it is more."""
    items = list(tree.items) if isinstance(tree, Sequence) else [tree]
    at_start = bool(items) and isinstance(items[0], TextStart)
    at_end = len(items) > at_start and isinstance(items[-1], TextEnd)
    letters = []
    for item in items[at_start : len(items) - at_end]:
        if not isinstance(item, CharacterSet) or item.negated or len(item.ranges) != 1:
            return None
        low, high = item.ranges[0]
        if low != high:
            return None
        letters.append(chr(low))
    return "".join(letters), at_start, at_end


def to_postgres(tree: Expression) -> str:
    """The same expression as a PostgreSQL ARE (PostgreSQL manual, 9.7.3), for ``~`` with ``COLLATE "C"``."""
    match tree:
        case CharacterSet(ranges, negated):
            return _set_to_postgres(ranges, negated)
        case TextStart():
            return "^"
        case TextEnd():
            return "$"
        case Sequence(items):
            return "".join(
                f"(?:{to_postgres(item)})" if isinstance(item, Choice) else to_postgres(item) for item in items
            )
        case Choice(items):
            return "|".join(to_postgres(item) for item in items)
        case Repeat(item, low, high):
            inner = to_postgres(item) if isinstance(item, CharacterSet) else f"(?:{to_postgres(item)})"
            count = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((low, high))
            return inner + (count or (f"{{{low},}}" if high is None else f"{{{low},{high}}}"))


def _set_to_postgres(ranges: Ranges, negated: bool) -> str:
    if not ranges:
        return "."
    if not negated and len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return _character(ranges[0][0])
    body = "".join(_character(low) if low == high else f"{_character(low)}-{_character(high)}" for low, high in ranges)
    return f"[{'^' if negated else ''}{body}]"


def _character(code: int) -> str:
    character = chr(code)
    if character.isascii() and character.isalnum():
        return character
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"

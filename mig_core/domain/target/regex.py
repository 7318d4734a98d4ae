"""Regular expressions of targets: a subset that means the same to PostgreSQL and to Python, and cannot run away.

The pattern is parsed here, into :mod:`.regex_tree`. PostgreSQL gets it rewritten from the tree; Python runs the tree as
a finite automaton (:mod:`.automaton`), so that no pattern is slow, whatever the text.

The subset: literals, ``.`` (any character, newline too), ``[a-z] [^a-z]``, ``\\d \\w \\s \\D \\W \\S`` and
``[[:alpha:]]``… (all ASCII), ``^ $ \\A \\z`` (start and end of the text, never of a line), ``( )``, ``(?: )``, ``|``,
``* + ? {m} {m,} {m,n}`` (a lazy ``?`` after them changes nothing here), escapes ``\\t \\n \\r \\f \\v \\xHH \\uHHHH``
and of punctuation, a leading ``(?i)``. Without case means without the case of ASCII letters.
"""

from __future__ import annotations

import re

from mig_core.domain.target.regex_tree import (
    ANY,
    CharacterSet,
    Choice,
    Expression,
    Ranges,
    Repeat,
    Sequence,
    TextEnd,
    TextStart,
    anchors_of,
    size_of,
)
from mig_core.errors import TargetError

MAX_PATTERN = 1024
"""Characters of a pattern."""
MAX_REPEAT = 255
"""PostgreSQL's own limit of ``{m,n}``."""
MAX_SIZE = 500
"""Characters and classes after repetitions are written out."""
MAX_ANCHORS = 8
"""Anchors one match can pass. PostgreSQL needs minutes for ``(^|a|$){0,60}``, and is quick with these."""
MAX_GROUPS = 20
"""Groups within groups."""

_LAST = 0x10FFFF
_DIGIT: Ranges = ((48, 57),)
_UPPER: Ranges = ((65, 90),)
_LOWER: Ranges = ((97, 122),)
_SPACE: Ranges = ((9, 13), (32, 32))
_CLASSES: dict[str, Ranges] = {
    "digit": _DIGIT,
    "upper": _UPPER,
    "lower": _LOWER,
    "alpha": _UPPER + _LOWER,
    "alnum": _DIGIT + _UPPER + _LOWER,
    "xdigit": (*_DIGIT, (65, 70), (97, 102)),
    "space": _SPACE,
    "blank": ((9, 9), (32, 32)),
    "punct": ((33, 47), (58, 64), (91, 96), (123, 126)),
}
_SHORT: dict[str, Ranges] = {"d": _DIGIT, "w": (*_DIGIT, *_UPPER, (95, 95), *_LOWER), "s": _SPACE}
_CONTROL = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13}
_HEX = re.compile(r"x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})")
_COUNT = re.compile(r"\{(\d{1,4})(?:(,)(\d{1,4})?)?\}", re.ASCII)
_POSIX = re.compile(r"\[:([a-z]+):\]")


def parse_regex(pattern: str, *, ignore_case: bool = False) -> Expression:
    """The tree of ``pattern``.

    Raises:
        TargetError: outside the subset or its limits; its ``text`` is the pattern and its ``position`` counts in it.
    """
    if len(pattern) > MAX_PATTERN:
        raise TargetError(
            pattern,
            MAX_PATTERN,
            f"the pattern is longer than {MAX_PATTERN} characters",
            next_step="ask with a shorter one",
        )
    parser = _Parser(pattern, ignore_case)
    if pattern.startswith("(?i)"):
        parser.position, parser.ignore_case = 4, True
    tree = parser.choice(0)
    if parser.position < len(pattern):
        raise parser.error("this ) closes nothing", "write \\) for the character itself")
    if size_of(tree) > MAX_SIZE:
        raise TargetError(
            pattern,
            0,
            f"the pattern has more than {MAX_SIZE} characters once its repetitions are written out",
            next_step="use * or + instead of large {m,n}",
        )
    if anchors_of(tree) > MAX_ANCHORS:
        raise TargetError(
            pattern,
            0,
            f"in the regular expression: one match can pass more than {MAX_ANCHORS} of ^ and $",
            next_step="take the anchors out of the repetition",
        )
    return tree


def _merge(ranges: list[tuple[int, int]]) -> Ranges:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def _outside(ranges: Ranges) -> Ranges:
    """All code points but NUL, which no text holds, and ``ranges``."""
    gaps, start = [], 1
    for low, high in ranges:
        if low > start:
            gaps.append((start, low - 1))
        start = high + 1
    return (*gaps, (start, _LAST))


def _both_cases(ranges: Ranges) -> Ranges:
    more = list(ranges)
    for low, high in ranges:
        for (first, last), shift in ((_UPPER[0], 32), (_LOWER[0], -32)):
            if low <= last and high >= first:
                more.append((max(low, first) + shift, min(high, last) + shift))
    return _merge(more)


class _Parser:
    def __init__(self, pattern: str, ignore_case: bool) -> None:
        self.pattern = pattern
        self.ignore_case = ignore_case
        self.position = 0

    def error(self, problem: str, next_step: str, *, at: int | None = None) -> TargetError:
        position = self.position if at is None else at
        return TargetError(self.pattern, position, f"in the regular expression: {problem}", next_step=next_step)

    def peek(self) -> str:
        return self.pattern[self.position : self.position + 1]

    def choice(self, depth: int) -> Expression:
        items = [self.sequence(depth)]
        while self.peek() == "|":
            self.position += 1
            items.append(self.sequence(depth))
        return items[0] if len(items) == 1 else Choice(tuple(items))

    def sequence(self, depth: int) -> Expression:
        items: list[Expression] = []
        while self.peek() not in ("", "|", ")"):
            start = self.position
            atom = self.atom(depth)
            items.append(self.repeated(atom, start))
        return items[0] if len(items) == 1 else Sequence(tuple(items))

    def repeated(self, atom: Expression, start: int) -> Expression:
        quantifier = self.peek()
        if quantifier not in ("*", "+", "?", "{"):
            return atom
        if isinstance(atom, TextStart | TextEnd):
            raise self.error("an anchor cannot be repeated", "take the repetition out", at=start)
        low, high = self.count(quantifier)
        if self.peek() == "?":  # lazy: which of several matches is found makes no difference here
            self.position += 1
        if self.peek() in ("*", "+", "?", "{"):
            raise self.error("a repetition cannot be repeated", "put the inner one in a group: (?:a*)*")
        return Repeat(atom, low, high)

    def count(self, quantifier: str) -> tuple[int, int | None]:
        if quantifier != "{":
            self.position += 1
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[quantifier]
        found = _COUNT.match(self.pattern, self.position)
        if found is None:
            raise self.error("{ starts a repetition like {2}, {2,} or {2,5}", "write \\{ for the character itself")
        low = int(found[1])
        high = int(found[3]) if found[3] else (None if found[2] else low)
        if low > MAX_REPEAT or (high is not None and not low <= high <= MAX_REPEAT):
            raise self.error(
                f"a repetition goes from a smaller to a larger number, at most {MAX_REPEAT}", "write it as {2,5}"
            )
        self.position = found.end()
        return low, high

    def atom(self, depth: int) -> Expression:
        start, character = self.position, self.peek()
        if character in "*+?{":
            raise self.error(f"{character} repeats nothing", f"write \\{character} for the character itself")
        if character == "(":
            return self.group(depth)
        if character == "[":
            return self.bracket()
        self.position += 1
        if character == ".":
            return ANY
        if character == "^":
            return TextStart()
        if character == "$":
            return TextEnd()
        if character != "\\":
            return self.characters(((ord(character), ord(character)),))
        if self.peek() in ("A", "z", "Z"):
            self.position += 1
            return TextStart() if self.pattern[start + 1] == "A" else TextEnd()
        return self.characters(self.escape())

    def group(self, depth: int) -> Expression:
        start = self.position
        if depth >= MAX_GROUPS:
            raise self.error(f"groups are nested deeper than {MAX_GROUPS}", "take some of the groups out")
        self.position += 1
        if self.pattern.startswith("?", self.position):
            if not self.pattern.startswith("?:", self.position):
                problem = "only (?:…) and a leading (?i) are supported of the (?…) forms"
                raise self.error(problem, "write \\( for the character itself", at=start)
            self.position += 2
        inner = self.choice(depth + 1)
        if self.peek() != ")":
            raise self.error("this group is not closed", "write \\( for the character itself", at=start)
        self.position += 1
        return Sequence((inner,)) if isinstance(inner, TextStart | TextEnd) else inner  # a group may be repeated

    def bracket(self) -> CharacterSet:
        start = self.position
        self.position += 1
        negated = self.peek() == "^"
        if negated:
            self.position += 1
        ranges: list[tuple[int, int]] = []
        first = self.position
        while self.peek() != "]" or self.position == first:
            if not self.peek():
                raise self.error("this [ is not closed", "write \\[ for the character itself", at=start)
            item = self.bracket_item()
            if self.peek() == "-" and self.pattern[self.position + 1 : self.position + 2] not in ("", "]"):
                at = self.position
                self.position += 1
                last = self.bracket_item()
                if len(item) != 1 or len(last) != 1 or item[0][0] != item[0][1] or last[0][0] != last[0][1]:
                    raise self.error("a range goes from one character to another", "write the - as \\-", at=at)
                if item[0][0] > last[0][0]:
                    raise self.error("this range is the wrong way round", "write the smaller character first", at=at)
                item = ((item[0][0], last[0][0]),)
            ranges += item
        self.position += 1
        return self.characters(_merge(ranges), negated)

    def bracket_item(self) -> Ranges:
        character = self.peek()
        if character == "[" and self.pattern[self.position + 1 : self.position + 2] in (":", ".", "="):
            found = _POSIX.match(self.pattern, self.position)
            if found is None or found[1] not in _CLASSES:
                raise self.error("no such class", "known: " + " ".join(f"[:{name}:]" for name in _CLASSES))
            self.position = found.end()
            return _CLASSES[found[1]]
        self.position += 1
        return self.escape() if character == "\\" else ((ord(character), ord(character)),)

    def escape(self) -> Ranges:
        """What follows a backslash that was just read."""
        character = self.peek()
        at = self.position - 1
        if not character:
            raise self.error("a backslash at the end escapes nothing", "write \\\\ for the character itself", at=at)
        found = _HEX.match(self.pattern, self.position)
        if found:
            code = int(found[1] or found[2], 16)
            if code == 0 or 0xD800 <= code <= 0xDFFF:
                raise self.error("no text holds this character", "take it out", at=at)
            self.position = found.end()
            return ((code, code),)
        self.position += 1
        if character in _CONTROL:
            return ((_CONTROL[character], _CONTROL[character]),)
        if character in _SHORT:
            return _SHORT[character]
        if character.lower() in _SHORT:
            return _outside(_SHORT[character.lower()])
        if character.isascii() and (character.isalnum() or character == "_"):
            raise self.error(
                f"\\{character} is not supported",
                "supported: \\d \\w \\s \\D \\W \\S \\A \\z \\t \\n \\r \\f \\v \\xHH \\uHHHH and escaped punctuation",
                at=at,
            )
        return ((ord(character), ord(character)),)

    def characters(self, ranges: Ranges, negated: bool = False) -> CharacterSet:
        return CharacterSet(_both_cases(ranges) if self.ignore_case else ranges, negated)

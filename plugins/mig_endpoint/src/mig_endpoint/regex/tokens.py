r"""A pattern in RE2's syntax as tokens: just enough to see what stands where, not what it means.

For patterns that RE2 has accepted; about others nothing is promised but an end. Pure functions of text.
Source: RE2's description of its syntax (``doc/syntax.txt`` of its distribution).
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING

from mig_core.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

_ESCAPE = re.compile(r"\\(?:[pP]\{[^}]*\}|[pP].|x\{[^}]*\}|x..|[0-7]{1,3}|.)", re.DOTALL)
_GROUP = re.compile(r"\(\?(?:P?<[^>]*>|[a-zA-Z]*(?:-[a-zA-Z]*)?[:)])")


class Kind(Enum):
    """What a token is."""

    CHARACTER = auto()
    """Any single character: a literal, or an operator such as ``*`` or ``(``."""
    ESCAPE = auto()
    CLASS = auto()
    """``[…]``, as a whole."""
    DOT = auto()
    GROUP = auto()
    """The opening of a group with flags or a name, ``(?i:``, ``(?P<n>``; or flags alone, ``(?s)``."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a pattern."""

    kind: Kind
    text: str


def tokens(pattern: str) -> Iterator[Token]:
    r"""The pattern in pieces. ``\Q…\E`` comes as characters, escaped where RE2 allows that."""
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if pattern.startswith("\\Q", position):
            end = pattern.find("\\E", position + 2)
            end = len(pattern) if end < 0 else end
            for literal in pattern[position + 2 : end]:
                yield _literal(literal)
            position = end + 2
            continue
        if character == "\\" and (found := _ESCAPE.match(pattern, position)):
            token = Token(Kind.ESCAPE, found.group())
        elif character == "[":
            token = Token(Kind.CLASS, pattern[position : _end_of_class(pattern, position)])
        elif character == ".":
            token = Token(Kind.DOT, character)
        elif character == "(" and (found := _GROUP.match(pattern, position)):
            token = Token(Kind.GROUP, found.group())
        else:
            token = Token(Kind.CHARACTER, character)
        yield token
        position += len(token.text)


def flags_of(group: Token) -> tuple[str, str]:
    """The flags that a group's opening switches on and off: ``("i", "s")`` of ``(?i-s:``. A named one has none."""
    if group.text.startswith(("(?P<", "(?<")):
        return "", ""
    added, _, removed = group.text[2:-1].partition("-")
    return added, removed


def _literal(character: str) -> Token:
    if character == "\0":
        return Token(Kind.ESCAPE, r"\x00")
    if character.isascii() and not character.isalnum() and character != "_":
        return Token(Kind.ESCAPE, "\\" + character)
    return Token(Kind.CHARACTER, character)


def _end_of_class(pattern: str, start: int) -> int:
    position = start + 1
    if pattern.startswith("^", position):
        position += 1
    if pattern.startswith("]", position):
        position += 1
    while position < len(pattern):
        if pattern.startswith("[:", position) and (end := pattern.find(":]", position)) > 0:
            position = end + 2
        elif pattern[position] == "\\" and (found := _ESCAPE.match(pattern, position)):
            position = found.end()
        elif pattern[position] == "]":
            return position + 1
        else:
            position += 1
    return len(pattern)

r"""RE2 patterns as tokens, just enough to move them from lines to whole buffers.

The original matches each line on its own. One search over a whole buffer gives the same verdict if ``^ $ \A \z`` stand
for line ends, so :func:`for_lines` rewrites a pattern to that. :func:`wildcards` finds the parts that an undecodable
byte can satisfy, because Go reads such a byte as one U+FFFD and RE2 does not. Only for patterns RE2 has accepted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ESCAPE = re.compile(r"\\(?:[pP]\{[^}]*\}|[pP].|x\{[^}]*\}|x..|[0-7]{1,3}|.)", re.DOTALL)
_GROUP = re.compile(r"\(\?(?:P?<[^>]*>|[a-zA-Z]*(?:-[a-zA-Z]*)?[:)])")


class Kind(Enum):
    """What a token is."""

    CHARACTER = auto()
    """Any single character: a literal, or an operator such as ``*`` or ``(``."""
    ESCAPE = auto()
    CLASS = auto()
    DOT = auto()
    GROUP = auto()
    """The opening of a group with flags or a name: ``(?i:``, ``(?s)``, ``(?P<n>``."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a pattern."""

    kind: Kind
    text: str


def tokens(pattern: str) -> Iterator[Token]:
    r"""The pattern in pieces. ``\Q…\E`` comes as escaped characters."""
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


def refused_by_go(pattern: str) -> str:
    r"""What RE2 takes and the original's language does not (``\C``, ``(?<name>``); empty if nothing."""
    for token in tokens(pattern):
        if token.kind is Kind.ESCAPE and token.text == "\\C":
            return r"\C is not supported: it would match half a character"
        if token.kind is Kind.GROUP and token.text.startswith("(?<"):
            return "(?<name>…) is not supported: write (?P<name>…)"
    return ""


def for_lines(pattern: str) -> str:
    r"""The pattern for RE2 with ``never_nl`` on a buffer of whole lines, its last newline removed.

    It is found there exactly if the given pattern is found in one of the lines.
    """
    return "(?m)" + "".join(_in_lines(token) for token in tokens(pattern))


def filter_for_lines(pattern: str, is_wildcard: Callable[[Token], bool]) -> str:
    r"""Like :func:`for_lines`, found in every buffer of which a line matches when undecodable bytes count as U+FFFD.

    It may be found elsewhere too. ``is_wildcard`` says which tokens can match U+FFFD; each may then be any one byte.
    """
    return "(?m)" + "".join(
        rf"(?:{token.text}|\C)" if is_wildcard(token) else _in_lines(token) for token in tokens(pattern)
    )


def may_match_any_length(pattern: str) -> bool:
    """Whether a match may be longer than any window: the pattern has ``*``, ``+`` or ``{n,}`` outside classes."""
    characters = "".join(token.text if token.kind is Kind.CHARACTER else "x" for token in tokens(pattern))
    return re.search(r"[*+]|\{[0-9]+,\}", characters) is not None


def _in_lines(token: Token) -> str:
    if token.kind is Kind.ESCAPE:
        return {"\\A": "^", "\\z": "$"}.get(token.text, token.text)
    if token.kind is Kind.GROUP and not token.text.startswith(("(?P<", "(?<")):
        added, dash, removed = token.text[2:-1].partition("-")
        removed = removed.replace("m", "")
        flags = added.replace("m", "") + (dash + removed if removed else "")
        # without flags left this is "(?)" or "(?:", and RE2 takes both
        return f"(?{flags}{token.text[-1]}"
    return token.text


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

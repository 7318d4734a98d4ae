r"""Texts of which every match of a pattern contains one: ``.example.net`` of ``[a-z.]+@[a-z]+\.example\.net``.

Of ``(?i)(password|secret)\s*[:=]`` it is one of ``password`` and ``secret``, in any case; and one of ``:`` and ``=``.
A buffer without them need not be searched, and looking for texts is ten times faster than running an automaton. The
reading of the pattern knows little (only ASCII, only short classes) and gives up whatever it is not sure of: fewer
texts are then known to be required. ``tests/unit/test_regex_literals.py`` holds it against RE2's own verdict.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, NamedTuple

from mig_core.records import dataclass
from mig_endpoint.regex.tokens import Kind, flags_of, tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_endpoint.regex.tokens import Token

MAX_TEXTS = 64
"""How many alternatives a choice may have."""
MAX_LENGTH = 32
"""Texts are not made longer than this, in characters."""
MAX_DEPTH = 50
"""Groups nested deeper are not looked into."""
MAX_CLASS = 4
"""Largest class that is taken for a choice between its characters."""
_REPEAT = re.compile(r"\{([0-9]+)(?:,[0-9]*)?\}")
_ZERO_WIDTH = frozenset({"\\A", "\\z", "\\b", "\\B"})


class Literal(NamedTuple):
    """A text of printable ASCII characters; with ``fold`` in any case, as RE2's ``(?i)`` has it."""

    text: str
    fold: bool = False
    """Then ``text`` is in lower case."""


Choice = frozenset[Literal]
"""Alternatives: of these texts a match contains at least one."""
_NOTHING: Choice = frozenset({Literal("")})


def required_choices(pattern: str) -> tuple[Choice, ...]:
    """What every match contains: of each choice one text. None are certain where there are none.

    Args:
        pattern: accepted by RE2.
    """
    try:
        whole = _Reading(list(tokens(pattern))).whole()
    except _GivenUp:
        return ()
    found = whole.needs if whole.exact is None else _useful(whole.exact)
    return tuple(dict.fromkeys(found))


class _GivenUp(Exception):
    """The pattern is not understood. Does not leave this file."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """What is known of a part of a pattern."""

    exact: Choice | None
    """All that it can match, when that is known and little."""
    needs: tuple[Choice, ...] = ()
    """What each of its matches contains, beside ``exact``."""

    def repeated(self, least: int, *, once_at_most: bool) -> _Piece:
        """It at least ``least`` times."""
        if least == 0:
            maybe = self.exact is not None and once_at_most
            return _Piece(self.exact | _NOTHING if maybe and self.exact is not None else None)
        return _Piece(None, self.needs if self.exact is None else _useful(self.exact))


_UNKNOWN = _Piece(None)


class _Sequence:
    """Pieces that follow one another: ``run`` is what the last of them can match together."""

    def __init__(self) -> None:
        self._run = _NOTHING
        self._needs: list[Choice] = []
        self._is_exact = True

    def add(self, piece: _Piece) -> None:
        joined = _joined(self._run, piece.exact) if piece.exact is not None else None
        if joined is not None:
            self._run = joined
            return
        self._flush()
        self._needs += piece.needs
        self._run = piece.exact if piece.exact is not None else _NOTHING

    def piece(self) -> _Piece:
        if self._is_exact:
            return _Piece(self._run)
        self._flush()
        return _Piece(None, tuple(self._needs))

    def _flush(self) -> None:
        self._needs += _useful(self._run)
        self._run = _NOTHING
        self._is_exact = False


class _Reading:
    """Goes through the tokens once."""

    def __init__(self, parts: Sequence[Token]) -> None:
        self._parts = parts
        self._place = 0

    def whole(self) -> _Piece:
        piece = self._alternatives(fold=False, depth=0)
        if self._place < len(self._parts):
            raise _GivenUp
        return piece

    def _alternatives(self, *, fold: bool, depth: int) -> _Piece:
        """Up to the end of the group. Flags on their own hold from there on, for the alternatives that follow too."""
        if depth > MAX_DEPTH:
            raise _GivenUp
        branches: list[_Piece] = []
        sequence = _Sequence()
        while self._place < len(self._parts):
            token = self._parts[self._place]
            if token.kind is Kind.CHARACTER and token.text == ")":
                break
            self._place += 1
            if token.kind is Kind.CHARACTER and token.text == "|":
                branches.append(sequence.piece())
                sequence = _Sequence()
            elif token.kind is Kind.GROUP and token.text.endswith(")"):
                fold = _folds(token, fold)
                if self._place < len(self._parts) and self._parts[self._place].text in ("?", "*", "+", "{"):
                    raise _GivenUp  # RE2 repeats what stands before the flags
            else:
                sequence.add(self._quantified(self._atom(token, fold=fold, depth=depth)))
        branches.append(sequence.piece())
        return _either(branches)

    def _atom(self, token: Token, *, fold: bool, depth: int) -> _Piece:
        if token.kind is Kind.GROUP or (token.kind is Kind.CHARACTER and token.text == "("):
            inner = _folds(token, fold) if token.kind is Kind.GROUP else fold
            piece = self._alternatives(fold=inner, depth=depth + 1)
            if self._place >= len(self._parts):
                raise _GivenUp
            self._place += 1
            return piece
        if token.text in _ZERO_WIDTH or (token.kind is Kind.CHARACTER and token.text in "^$"):
            return _Piece(_NOTHING)
        characters = _characters_of(token.text) if token.kind is Kind.CLASS else _character_of(token)
        if not characters:
            return _UNKNOWN
        return _Piece(
            frozenset(Literal(one.lower(), True) if fold and _has_case(one) else Literal(one) for one in characters)
        )

    def _quantified(self, piece: _Piece) -> _Piece:
        while self._place < len(self._parts):
            token = self._parts[self._place]
            character = token.text if token.kind is Kind.CHARACTER else ""
            if character in ("?", "*", "+"):
                self._place += 1
                piece = piece.repeated(int(character == "+"), once_at_most=character == "?")
            elif character == "{":
                ahead = "".join(one.text for one in self._parts[self._place : self._place + 12])
                count = _REPEAT.match(ahead)
                if count is None:
                    break
                self._place += len(count.group())
                if count.group() != "{1}":
                    piece = piece.repeated(int(count.group(1)), once_at_most=False)
            else:
                break
            if self._place < len(self._parts) and self._parts[self._place].text == "?":
                self._place += 1  # as few as possible: the same texts
        return piece


def _folds(group: Token, now: bool) -> bool:
    added, removed = flags_of(group)
    return ("i" in added or now) and "i" not in removed


def _either(branches: Sequence[_Piece]) -> _Piece:
    if len(branches) == 1:
        return branches[0]
    exacts = [one.exact for one in branches if one.exact is not None]
    if len(exacts) == len(branches):
        exact = frozenset(itertools.chain.from_iterable(exacts))
        if len(exact) <= MAX_TEXTS:
            return _Piece(exact)
    every: set[Literal] = set()
    for one in branches:
        needs = one.needs if one.exact is None else _useful(one.exact)
        if not needs:
            return _UNKNOWN
        best: Choice = max(needs, key=worth)
        every |= best
    return _Piece(None, (frozenset(every),)) if len(every) <= MAX_TEXTS else _UNKNOWN


def worth(choice: Choice) -> tuple[int, int]:
    """How much a choice rules out: long texts first, then few of them."""
    return min(4, *(len(one.text) for one in choice)) if choice else 0, -len(choice)


def _joined(left: Choice, right: Choice) -> Choice | None:
    """Each of ``left`` followed by each of ``right``; None when that is too much to say."""
    if len(left) * len(right) > MAX_TEXTS:
        return None
    joined = set()
    for before, after in itertools.product(left, right):
        if len(before.text) + len(after.text) > MAX_LENGTH:
            return None
        if before.fold == after.fold or not _has_case(after.text):
            joined.add(Literal(before.text + after.text, before.fold if before.text else after.fold))
        elif not _has_case(before.text):
            joined.add(Literal(before.text + after.text, after.fold))
        else:
            return None
    return frozenset(joined)


def _has_case(text: str) -> bool:
    return text.lower() != text.upper()


def _useful(exact: Choice) -> tuple[Choice, ...]:
    """The choice, if it says something, without texts that contain another of them."""
    if not all(one.text for one in exact):
        return ()
    return (frozenset(one for one in exact if not any(_contains(one, other) for other in exact if other != one)),)


def _contains(one: Literal, other: Literal) -> bool:
    if other.fold:
        return other.text in one.text.lower()
    return not one.fold and other.text in one.text


def _character_of(token: Token) -> str:
    """The one printable ASCII character that the token stands for; empty if it is none."""
    text = token.text
    if token.kind is Kind.ESCAPE:
        text = text[1] if len(text) == 2 and not text[1].isalnum() else ""
    elif token.kind is not Kind.CHARACTER or text in r"\^$.|?*+()[]{}":
        return ""
    return text if text.isascii() and text.isprintable() else ""


def _characters_of(text: str) -> str:
    """The characters of a short plain class such as ``[:=]``; none if it is anything else."""
    inside = text[1:-1]
    if len(inside) > MAX_CLASS or not inside.isascii() or not inside.isprintable():
        return ""
    return "" if any(one in r"\[]^-" for one in inside) else inside

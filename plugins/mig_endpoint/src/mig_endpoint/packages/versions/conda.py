"""conda's version order. Source: conda's documentation (versions), compared with rattler's own.

Parts between full stops, dashes and underscores are cut into numbers and words; a part that begins with a word has
a 0 before it. Words are before numbers, ``dev`` is before all words and ``post`` after all numbers. What is not
there is 0.
"""

from __future__ import annotations

import re
from itertools import zip_longest

_VERSION = re.compile(r"(?:[0-9]+!)?[0-9a-z][0-9a-z._-]*(?:\+[0-9a-z._-]+)?", re.ASCII)
_PIECES = re.compile(r"[0-9]+|[a-z]+|_", re.ASCII)
_SEPARATORS = re.compile(r"[._]")

Piece = tuple[int, int, str]
_DEV, _WORD, _NUMBER, _POST = range(4)
_ZERO: Piece = (_NUMBER, 0, "")
_NOTHING = (_ZERO,)


def compare(left: str, right: str) -> int:
    """The order of two versions; ``1.1`` and ``1.1.0`` are equal, ``1.1.dev1`` is before both.

    Raises:
        ValueError: one of them is no version of conda's.
    """
    first, second = _parsed(left), _parsed(right)
    if first[0] != second[0]:
        return 1 if first[0] > second[0] else -1
    return _order(first[1], second[1]) or _order(first[2], second[2])


Parts = list[tuple[Piece, ...]]


def _order(left: Parts, right: Parts) -> int:
    for first, second in zip_longest(left, right, fillvalue=_NOTHING):
        for one, other in zip_longest(first, second, fillvalue=_ZERO):
            if one != other:
                return 1 if one > other else -1
    return 0


def _parsed(text: str) -> tuple[int, Parts, Parts]:
    """Epoch, version, and what is behind a plus."""
    lower = text.casefold()
    if _VERSION.fullmatch(lower) is None:
        raise ValueError(f"{text!r:.80} is not a version of conda's")
    epoch, mark, rest = lower.rpartition("!")
    version, _, local = rest.partition("+")
    return int(epoch) if mark else 0, _parts(version), _parts(local) if local else []


def _parts(text: str) -> Parts:
    """The parts; an underscore at the end belongs to the last one (``1.0.1_`` is before ``1.0.1a``)."""
    if "-" in text and "_" in text:
        raise ValueError(f"{text!r:.80} is no version: dashes and underscores")
    text = text.replace("-", "_")
    texts = _SEPARATORS.split(text.removesuffix("_"))
    if not all(texts):
        raise ValueError(f"{text!r:.80} is no version: an empty part")
    texts[-1] += "_" if text.endswith("_") else ""
    return [_pieces(one) for one in texts]


def _pieces(text: str) -> tuple[Piece, ...]:
    found = tuple(map(_piece, _PIECES.findall(text)))
    return found if text[0].isdigit() else (_ZERO, *found)


def _piece(text: str) -> Piece:
    if text.isdigit():
        return (_NUMBER, int(text), "")
    if text == "post":
        return (_POST, 0, "")
    return (_DEV, 0, "") if text == "dev" else (_WORD, 0, text)

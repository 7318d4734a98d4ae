"""RubyGems' version order (Gem::Version): numbers and words, where a word makes a version older."""

from __future__ import annotations

import re
from itertools import dropwhile, zip_longest

_VERSION = re.compile(r"[0-9]+(?:\.[0-9A-Za-z]+)*(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?", re.ASCII)
_SEGMENTS = re.compile(r"[0-9]+|[A-Za-z]+")

Segment = tuple[int, int, str]
_WORD, _NUMBER = 0, 1
_ZERO: Segment = (_NUMBER, 0, "")


def compare(left: str, right: str) -> int:
    """The order of two versions; ``1.0`` and ``1`` are equal, ``1.0.a`` is before both.

    Raises:
        ValueError: one of them is no gem version.
    """
    for first, second in zip_longest(segments(left), segments(right), fillvalue=_ZERO):
        if first != second:
            return 1 if first > second else -1
    return 0


def segments(text: str) -> list[Segment]:
    """Its segments without the zeros that end its numbers, before the first word and at the end.

    Raises:
        ValueError: it is no gem version.
    """
    if _VERSION.fullmatch(text) is None:
        raise ValueError(f"{text!r:.80} is not a gem version")
    every: list[Segment] = [
        (_NUMBER, int(one), "") if one.isdigit() else (_WORD, 0, one)
        for one in _SEGMENTS.findall(text.replace("-", ".pre."))
    ]
    words = next((place for place, one in enumerate(every) if one[0] == _WORD), len(every))
    return _without_last_zeros(every[:words]) + _without_last_zeros(every[words:])


def _without_last_zeros(every: list[Segment]) -> list[Segment]:
    return list(dropwhile(_ZERO.__eq__, reversed(every)))[::-1]

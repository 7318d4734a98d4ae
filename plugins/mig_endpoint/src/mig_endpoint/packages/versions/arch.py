"""pacman's version order (vercmp(8)): like rpm's of old, with its own ideas about separators and trailing letters.

Odd texts (a separator at the end beside doubled separators) can go round in a circle in pacman, and do so here.
"""

from __future__ import annotations

import re

_EVR = re.compile(r"(?:([0-9]{0,10}):)?([^\s:-]+)(?:-([^\s-]+))?", re.ASCII)
_SEGMENT = re.compile(r"([^0-9A-Za-z]*)([0-9]+|[A-Za-z]+|)")


def compare(left: str, right: str) -> int:
    """As ``vercmp`` does: the release counts only when both have one, a missing epoch is 0.

    Raises:
        ValueError: one of them is no ``[epoch:]version[-release]``.
    """
    (epoch, version, release), (epoch2, version2, release2) = _read(left), _read(right)
    if epoch != epoch2:
        return 1 if epoch > epoch2 else -1
    order = compare_part(version, version2)
    if order == 0 and release is not None and release2 is not None:
        return compare_part(release, release2)
    return order


def compare_part(left: str, right: str) -> int:
    """The order of two versions without epoch and release, or of two releases."""
    if left == right:
        return 0
    place, place2 = 0, 0
    while place < len(left) and place2 < len(right):
        first, second = _next(left, place), _next(right, place2)
        one, two = first[2], second[2]
        if not one or not two:  # one of them ends in separators
            place, place2 = first.start(2), second.start(2)
            break
        if len(first[1]) != len(second[1]):
            return 1 if len(first[1]) > len(second[1]) else -1
        if one.isdigit() != two.isdigit():
            return 1 if one.isdigit() else -1
        if (order := _order(one, two)) != 0:
            return order
        place, place2 = first.end(), second.end()
    return _rest(left[place : place + 1], right[place2 : place2 + 1])


def _order(one: str, two: str) -> int:
    if one.isdigit():
        number, number2 = int(one), int(two)
        return (number > number2) - (number < number2)
    return (one > two) - (one < two)


def _rest(one: str, two: str) -> int:
    """What decides when one of them is at its end: letters that follow make a version older, all else newer."""
    if not one and not two:
        return 0
    if one:
        return -1 if one.isalpha() else 1
    return 1 if two.isalpha() else -1


def _next(text: str, place: int) -> re.Match[str]:
    found = _SEGMENT.match(text, place)
    if found is None:
        raise AssertionError("the expression matches the empty text")
    return found


def _read(text: str) -> tuple[int, str, str | None]:
    found = _EVR.fullmatch(text)
    if found is None or not text.isascii():
        raise ValueError(f"{text!r:.80} is not a pacman version")
    epoch, version, release = found.groups()
    return int(epoch or 0), version, release

"""Whether a version is one that an advisory names: exactly, or by a condition like ``>=1.0,<1.4``.

The rules are those of the package's type. What is no version by them, and what is of no type that has rules, is
compared number by number: numbers as numbers, words as words, and a word (``rc1``) comes before the end.
"""

from __future__ import annotations

import re
from functools import cmp_to_key
from typing import TYPE_CHECKING

from mig_endpoint.packages.versions import COMPARE

if TYPE_CHECKING:
    from collections.abc import Iterable

_PART = re.compile(r"\d+|[a-z]+", re.IGNORECASE)
_CONDITION = re.compile(r"(>=|<=|<|>|=)?(.+)")
MAX_VERSION = 500


def is_affected(version: str, condition: str, kind: str = "") -> bool:
    """Whether a version is meant by a condition.

    Args:
        version: of the package that is there.
        condition: one version, or limits that must all hold.
        kind: the type of the package, as ``pkg`` names it.
    """
    if not condition.startswith((">", "<")):
        return _exact(version) == _exact(condition) or (kind in COMPARE and order(version, condition, kind) == 0)
    for part in condition.split(","):
        found = _CONDITION.fullmatch(part.strip())
        if found is None:
            return False
        sign, way = found[1] or "=", order(version, found[2], kind)
        if not {"<": way < 0, "<=": way <= 0, ">": way > 0, ">=": way >= 0, "=": way == 0}[sign]:
            return False
    return True


def order(left: str, right: str, kind: str = "") -> int:
    """Which of two versions is newer: negative, zero or positive."""
    compare = COMPARE.get(kind)
    if compare is not None and max(len(left), len(right)) <= MAX_VERSION:
        try:
            return compare(left, right)
        except ValueError:
            pass  # no version by these rules
    first, second = key_of(left), key_of(right)
    return (first > second) - (first < second)


def in_order(versions: Iterable[str], kind: str = "") -> list[str]:
    """The oldest first."""

    def compare(left: str, right: str) -> int:
        return order(left, right, kind)

    return sorted(versions, key=cmp_to_key(compare))


def _exact(version: str) -> str:
    return version.casefold().removeprefix("v")


def key_of(version: str) -> list[tuple[int, int, str]]:
    """What orders versions of no known rules."""
    parts: list[tuple[int, int, str]] = []
    for part in _PART.findall(_exact(version).partition("+")[0])[:20]:
        if part.isdecimal():
            parts.append((2, int(part[:18]), ""))
        else:
            parts = [*_without_zeros(parts), (0, 0, part.casefold())]
    return [*_without_zeros(parts), (1, 0, "")]


def _without_zeros(parts: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """``2.0`` is ``2``, and ``2.0rc1`` is ``2rc1``."""
    while parts and parts[-1] == (2, 0, ""):
        parts = parts[:-1]
    return parts

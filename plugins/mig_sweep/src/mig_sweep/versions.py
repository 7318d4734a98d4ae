"""Whether a version is one that an advisory names: exactly, or by a condition like ``>=1.0,<1.4``.

Numbers are compared as numbers, words as words, and a word (``rc1``) comes before the end; that is right for most
versions of most ecosystems, and an advisory that lists its versions needs none of it.
"""

from __future__ import annotations

import re

_PART = re.compile(r"\d+|[a-z]+", re.IGNORECASE)
_CONDITION = re.compile(r"(>=|<=|<|>|=)?(.+)")


def is_affected(version: str, condition: str) -> bool:
    """Whether a version is meant by a condition."""
    if not condition.startswith((">", "<")):
        return _exact(version) == _exact(condition)
    key = key_of(version)
    for part in condition.split(","):
        found = _CONDITION.fullmatch(part.strip())
        if found is None:
            return False
        sign, limit = found[1] or "=", key_of(found[2])
        holds = {"<": key < limit, "<=": key <= limit, ">": key > limit, ">=": key >= limit, "=": key == limit}[sign]
        if not holds:
            return False
    return True


def _exact(version: str) -> str:
    return version.casefold().removeprefix("v")


def key_of(version: str) -> list[tuple[int, int, str]]:
    """What orders versions."""
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

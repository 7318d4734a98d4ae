"""npm's version order (Semantic Versioning 2.0.0, section 11)."""

from __future__ import annotations

import re

_VERSION = re.compile(
    r"v?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?", re.ASCII
)

Identifier = tuple[int, int, str]
Key = tuple[int, int, int, bool, tuple[Identifier, ...]]


def compare(left: str, right: str) -> int:
    """The order of two versions; build metadata is ignored, and ``1.2`` is ``1.2.0``.

    Raises:
        ValueError: one of them is no semantic version.
    """
    first, second = key(left), key(right)
    return (first > second) - (first < second)


def key(text: str) -> Key:
    """What sorts as the version does.

    Raises:
        ValueError: it is no semantic version.
    """
    found = _VERSION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r:.80} is not a semantic version")
    major, minor, patch, before = found.groups()
    identifiers = tuple(_identifier(one) for one in before.split(".")) if before else ()
    return int(major), int(minor or 0), int(patch or 0), not identifiers, identifiers


def _identifier(text: str) -> Identifier:
    return (0, int(text), "") if text.isdigit() else (1, 0, text)

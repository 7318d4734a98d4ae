"""Debian's version order: epoch, upstream version, revision (Debian Policy 5.6.12, deb-version(7))."""

from __future__ import annotations

import re

_VERSION = re.compile(r"(?:([0-9]{1,10}):)?([0-9A-Za-z.+~:-]+)")
_PARTS = re.compile(r"([^0-9]*)([0-9]*)")
_END = ((0,), 0)

Part = tuple[tuple[int, ...], int]


def compare(left: str, right: str) -> int:
    """As ``dpkg --compare-versions`` does; a missing epoch is 0, a missing revision is that of ``1.0-0``.

    Raises:
        ValueError: one of them is no Debian version.
    """
    first, second = key(left), key(right)
    return (first > second) - (first < second)


def key(text: str) -> tuple[int, tuple[Part, ...], tuple[Part, ...]]:
    """What sorts as the version does.

    Raises:
        ValueError: it is no Debian version.
    """
    found = _VERSION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r:.80} is not a Debian version")
    epoch, rest = found.groups()
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, ""
    if not upstream or (":" in upstream and epoch is None) or ":" in revision or (dash and not revision):
        raise ValueError(f"{text!r:.80} is not a Debian version")
    return int(epoch or 0), _parts(upstream), _parts(revision)


def _parts(text: str) -> tuple[Part, ...]:
    """Runs of other characters and of digits by turns, closed by what an absent run counts as."""
    parts = [((*map(_weight, other), 0), int(digits or 0)) for other, digits in _PARTS.findall(text) if other or digits]
    return (*parts, _END)


def _weight(character: str) -> int:
    """``~`` comes before the end of the text (0), then letters, then everything else."""
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256

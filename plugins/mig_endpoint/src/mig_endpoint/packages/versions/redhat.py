"""rpm's version order: epoch, version, release, with ``~`` and ``^`` (rpm-version(7))."""

from __future__ import annotations

import re

_EVR = re.compile(r"(?:([0-9]{0,10}):)?([^\s:-]+)(?:-([^\s:-]+))?", re.ASCII)
_TOKENS = re.compile(r"~|\^|[0-9]+|[A-Za-z]+")
_TILDE, _END, _CARET, _LETTERS, _NUMBER = range(5)

Segment = tuple[int, int, str]


def compare(left: str, right: str) -> int:
    """As rpm compares dependencies: the release counts only when both have one, a missing epoch is 0.

    Raises:
        ValueError: one of them is no ``[epoch:]version[-release]``.
    """
    (epoch, version, release), (epoch2, version2, release2) = _read(left), _read(right)
    first, second = (epoch, segments(version)), (epoch2, segments(version2))
    if first == second and release is not None and release2 is not None:
        return _order(segments(release), segments(release2))
    return (first > second) - (first < second)


def segments(text: str) -> tuple[Segment, ...]:
    """What sorts as ``rpmvercmp`` sorts ``text``: one version, or one release."""
    return (*(_segment(token) for token in _TOKENS.findall(text)), (_END, 0, ""))


def _segment(token: str) -> Segment:
    if token == "~":  # noqa: S105 - a token of a version, no secret
        return _TILDE, 0, ""
    if token == "^":  # noqa: S105 - the same
        return _CARET, 0, ""
    return (_NUMBER, int(token), "") if token[0].isdigit() else (_LETTERS, 0, token)


def _order(first: tuple[Segment, ...], second: tuple[Segment, ...]) -> int:
    return (first > second) - (first < second)


def _read(text: str) -> tuple[int, str, str | None]:
    found = _EVR.fullmatch(text)
    if found is None or not text.isascii():
        raise ValueError(f"{text!r:.80} is not an rpm version")
    epoch, version, release = found.groups()
    return int(epoch or 0), version, release

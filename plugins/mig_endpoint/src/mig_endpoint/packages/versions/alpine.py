"""apk's version order (apk-package(5), as apk 3 applies it; the form comes from Gentoo's).

A version is ``1.2.3b_rc1~abc123-r4``: numbers, a letter, suffixes, a commit and a revision.
"""

from __future__ import annotations

import re

_VERSION = re.compile(
    r"([0-9]+(?:\.[0-9]+)*)([a-z]?)((?:_(?:alpha|beta|pre|rc|cvs|svn|git|hg|p)[0-9]*)*)(?:~([0-9a-f]+))?(?:-r([0-9]+))?"
)
_SUFFIX = re.compile(r"_([a-z]+)([0-9]*)")
_BEFORE = ("alpha", "beta", "pre", "rc")
_AFTER = ("cvs", "svn", "git", "hg", "p")
_EARLIER, _END, _REVISION, _COMMIT, _COUNT, _LATER, _LETTER, _NUMBER = range(8)
"""What may stand at one place, the least first: 1.0_rc is before 1.0, and 1.0 before everything else."""

Token = tuple[int, int, str]


def compare(left: str, right: str) -> int:
    """As ``apk version -t`` does.

    Raises:
        ValueError: one of them is no apk version.
    """
    first, second = key(left), key(right)
    return (first > second) - (first < second)


def key(text: str) -> tuple[Token, ...]:
    """What sorts as the version does.

    Raises:
        ValueError: it is no apk version.
    """
    found = _VERSION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r:.80} is not an apk version")
    numbers, letter, suffixes, commit, revision = found.groups()
    first, *others = numbers.split(".")
    tokens: list[Token] = [(_NUMBER, int(first), "")]
    tokens += [_number(one) for one in others]
    if letter:
        tokens.append((_LETTER, 0, letter))
    for word, count in _SUFFIX.findall(suffixes):
        place = (_EARLIER, _BEFORE.index(word)) if word in _BEFORE else (_LATER, _AFTER.index(word))
        tokens.append((*place, ""))
        if count:
            tokens.append((_COUNT, int(count), ""))
    if commit:
        tokens.append((_COMMIT, 0, commit))
    if revision:
        tokens.append((_REVISION, int(revision), ""))
    return (*tokens, (_END, 0, ""))


def _number(digits: str) -> Token:
    """A number after a dot; with a zero in front it is read like a fraction: 1.05 is before 1.1 and 1.10."""
    return (_NUMBER, 0, digits) if digits.startswith("0") else (_NUMBER, int(digits), "")

"""Python's version order (PEP 440, now the packaging specification "version specifiers")."""

from __future__ import annotations

import re

_VERSION = re.compile(
    r"""\s*v?(?:([0-9]{1,10})!)?([0-9]+(?:\.[0-9]+)*)
    (?:[-_.]?(alpha|a|beta|b|preview|pre|c|rc)[-_.]?([0-9]+)?)?
    (?:-([0-9]+)|[-_.]?(post|rev|r)[-_.]?([0-9]+)?)?
    (?:[-_.]?(dev)[-_.]?([0-9]+)?)?
    (?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?\s*""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_STAGES = {"alpha": 1, "a": 1, "beta": 2, "b": 2, "preview": 3, "pre": 3, "c": 3, "rc": 3}
_DEV_ONLY, _FINAL = 0, 4
"""1.0.dev1 comes before 1.0a1, and 1.0 after 1.0rc9."""

Local = tuple[tuple[int, int, str], ...]
Key = tuple[int, tuple[int, ...], tuple[int, int], tuple[int, int], tuple[int, int], Local]


def compare(left: str, right: str) -> int:
    """The order of two versions. ``right`` is what was asked for: without a local part, that of ``left`` is ignored.

    Raises:
        ValueError: one of them is no Python version.
    """
    first, second = key(left), key(right)
    if "+" not in right:
        first = (*first[:5], ())
    return (first > second) - (first < second)


def key(text: str) -> Key:
    """What sorts as the version does.

    Raises:
        ValueError: it is no Python version.
    """
    found = _VERSION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r:.80} is not a Python version")
    epoch, release, stage, stage_number, post_dash, post, post_number, dev, dev_number, local = found.groups()
    numbers = [int(one) for one in release.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    has_post = post is not None or post_dash is not None
    if stage is not None:
        before = (_STAGES[stage.lower()], int(stage_number or 0))
    else:
        before = (_DEV_ONLY if dev is not None and not has_post else _FINAL, 0)
    return (
        int(epoch or 0),
        tuple(numbers),
        before,
        (1, int(post_dash or post_number or 0)) if has_post else (0, 0),
        (0, int(dev_number or 0)) if dev is not None else (1, 0),
        tuple(_local(one) for one in re.split(r"[-_.]", local)) if local else (),
    )


def _local(part: str) -> tuple[int, int, str]:
    return (1, int(part), "") if part.isdigit() else (0, 0, part.lower())

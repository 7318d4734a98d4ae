"""Versions in the order releases have (PEP 440): ``0.10`` is newer than ``0.9``, ``0.2.0rc1`` older than ``0.2``.

For ``mig agents --version``. ``packaging`` compares the same, a test holds us to it; investigators need not have it.
"""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, Any

from mig_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

_VERSION = re.compile(
    r"v?(?:(?P<epoch>\d{1,9})!)?(?P<release>\d{1,9}(?:\.\d{1,9}){0,9})"
    r"(?:[-_.]?(?P<pre>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?P<pre_number>\d{1,9})?)?"
    r"(?P<post>-(?P<implicit>\d{1,9})|[-_.]?(?:post|rev|r)[-_.]?(?P<post_number>\d{1,9})?)?"
    r"(?P<dev>[-_.]?dev[-_.]?(?P<dev_number>\d{1,9})?)?"
    r"(?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?",
    re.IGNORECASE,
)
_MAX_TEXT = 100
_STAGES = {"a": 0, "alpha": 0, "b": 1, "beta": 1, "c": 2, "rc": 2, "pre": 2, "preview": 2}
_BEFORE, _AFTER = -1, 3
_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}

Key = tuple[object, ...]


def version_key(text: str) -> Key | None:
    """What versions are ordered by; None where the text is no version."""
    found = _VERSION.fullmatch(text.strip()) if len(text) <= _MAX_TEXT else None
    if found is None:
        return None
    release = tuple(int(part) for part in found["release"].split("."))
    while len(release) > 1 and not release[-1]:
        release = release[:-1]
    if found["pre"]:
        stage = (_STAGES[found["pre"].lower()], int(found["pre_number"] or 0))
    else:
        # A development release of nothing else comes before the first pre-release.
        stage = (_BEFORE if found["dev"] and not found["post"] else _AFTER, 0)
    post = int(found["implicit"] or found["post_number"] or 0) if found["post"] else -1
    development = (0, int(found["dev_number"] or 0)) if found["dev"] else (1, 0)
    local = tuple(
        (1, int(part), "") if part.isdigit() else (0, 0, part)
        for part in re.split(r"[-_.]", (found["local"] or "").lower())
        if part
    )
    return (int(found["epoch"] or 0), release, stage, post, development, local)


def version_condition(text: str) -> Callable[[Key], bool]:
    """What ``<0.2`` or ``>=0.1.3,!=0.2.0rc1`` asks of a version's key; without a sign, equality.

    Raises:
        ConfigurationError: it is no condition.
    """
    tests = []
    for part in text.split(","):
        words = part.strip()
        sign = next((one for one in _TESTS if words.startswith(one)), "")
        wanted = version_key(words.removeprefix(sign))
        if wanted is None:
            problem = f"{part.strip()[:_MAX_TEXT]!r} is no condition on versions"
            raise ConfigurationError("--version", "", problem, next_step="like '<0.2' or '>=0.1,<0.3'")
        tests.append((_TESTS[sign or "="], wanted))
    return lambda key: all(test(key, wanted) for test, wanted in tests)

"""A condition on rows (``mig results --where``) that leaves in all rows that may be a sign of an indicator.

For those who look at rows without :mod:`mig_sweep.matching`, which alone judges: a condition knows no rules of
versions, so ranges leave in every version, and of a single version the numbers are looked for within what the row says,
as others may write them: to most ecosystems ``1.0`` is ``1``, and ``2024.01`` is ``2024.1``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_core.domain.target.parser import MAX_TEXT
from mig_sweep.indicator import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mig_sweep.indicator import Indicator

_ROOM = MAX_TEXT // 2
"""Characters that such a condition may take: others are added to it, and it stands in addresses."""
_SEPARATORS = re.compile(r"[-_.]+")
_EPOCH = re.compile(r"v?[0-9]+[:!]")
_NUMBERS = re.compile(r"[0-9]+(?:[.][0-9]+)*")


def condition_of(indicators: Iterable[Indicator]) -> str:
    """The condition; empty where there is none for all of them: only packages have one."""
    versions: dict[str, set[str]] = {}
    for one in indicators:
        if one.kind is not Kind.PACKAGE:
            return ""
        said = [term.value for term in one.terms[1:] if term.kind is Kind.VERSION]
        exact = len(said) == 1 and not said[0].startswith(("<", ">", "="))
        versions.setdefault(one.value, set()).add(said[0] if exact else "")
    text = " OR ".join(_of_package(name, sorted(versions[name])) for name in sorted(versions))
    return text if len(text) <= _ROOM else ""


def _of_package(name: str, versions: list[str]) -> str:
    expression = "[-_.]+".join(map(re.escape, _SEPARATORS.split(name)))
    named = f"name ~* {_quoted(f'^([^:]+:)?{expression}(:[a-z0-9-]+)?$')}"
    numbers = {_numbers(one) for one in versions}
    if "" in numbers:
        return f"({named})"
    fits = _quoted(f"^$|(^|[^0-9])({'|'.join(sorted(numbers))})([^0-9]|$)")
    return f"({named} AND (version IS NULL OR version ~ {fits}))"


def _numbers(version: str) -> str:
    """An expression of the numbers that every spelling of an equal version has; empty where there are none.

    Between them is one character: rpm ignores which one.
    """
    found = _NUMBERS.search(_EPOCH.sub("", version, count=1))
    numbers = [one.lstrip("0") for one in found[0].split(".")] if found else []
    while len(numbers) > 1 and not numbers[-1]:
        numbers.pop()
    return ".".join(f"0*{one}" if one else "0+" for one in numbers)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

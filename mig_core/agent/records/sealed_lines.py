"""Lines of JSON of which each carries its number and a sum, so that a damaged or missing one is noticed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_core.domain.document import JSON

_SUM_LENGTH = 16


@dataclass(slots=True)
class Lines:
    """What a file of such lines holds."""

    whole: list[dict[str, Any]] = field(default_factory=list)
    """Without number and sum."""
    faults: list[str] = field(default_factory=list)
    """What is wrong, one text a place."""
    torn: bool = False
    """Whether the last line was cut short, as by a crash."""


def seal(number: int, fields: Mapping[str, JSON]) -> bytes:
    """A line, without its newline."""
    body = {"n": number, **fields}
    return _dump({**body, "sum": _sum(body)})


def read_sealed(raw: bytes) -> Lines:
    """Every whole line of a file; what is damaged or missing is said."""
    found = Lines()
    lines = raw.split(b"\n")
    found.torn = bool(lines.pop())
    expected = 1
    for place, line in enumerate(lines, 1):
        try:
            body = json.loads(line)
            given, number = body.pop("sum"), int(body["n"])
            if given != _sum(body):
                raise ValueError("its sum does not fit")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            found.faults.append(f"line {place} is damaged: {error}"[:200])
            expected += 1
            continue
        if number != expected:
            found.faults.append(f"line {place} carries the number {number} instead of {expected}")
        expected = number + 1
        del body["n"]
        found.whole.append(body)
    return found


def _sum(body: Mapping[str, JSON]) -> str:
    return hashlib.sha256(_dump(body)).hexdigest()[:_SUM_LENGTH]


def _dump(body: Mapping[str, JSON]) -> bytes:
    return json.dumps(body, ensure_ascii=True, separators=(",", ":")).encode("ascii")

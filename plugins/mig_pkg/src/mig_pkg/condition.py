"""What a version must be like: a regular expression, or comparisons by the rules of the package's type.

``^1\\.1`` and ``!^1\\.1`` are expressions; ``<1.1.1n-0+deb11u5`` and ``>=3.0,<3.0.7`` compare. A leading ``!`` inverts
either. Used by ``request`` and ``selection``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_core.records import dataclass
from mig_endpoint.packages.versions import COMPARE, is_version
from mig_pkg import patterns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mig_pkg.package import Package

MAX_OPERAND = 500
_COMPARISON = re.compile(r"\s*(<=|>=|==|<|>|=)\s*([^\s<>=]+)\s*")
_HOLDS: dict[str, Callable[[int], bool]] = {
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
    "=": lambda order: order == 0,
    "==": lambda order: order == 0,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One of ``< <= > >= =`` and a version."""

    operator: str
    operand: str


class Condition:
    """A version filter, ready to be asked."""

    def __init__(self, text: str) -> None:
        """Reads ``text``; an empty one accepts every version.

        Raises:
            ValueError: it is neither a regular expression nor a list of comparisons.
        """
        self.negated = len(text) > 1 and text.startswith("!")
        rest = text[1:] if self.negated else text
        self.comparisons = _comparisons(rest) if rest[:1] in ("<", ">", "=") else ()
        self._matches = patterns.compile_pattern(rest) if rest and not self.comparisons else None

    def accepts(self, package: Package) -> bool:
        """Whether the version passes.

        Raises:
            ValueError: it, or what it is to be compared with, is no version by the rules of its type.
        """
        if self.comparisons:
            compare = COMPARE[package.rules]
            held = [_HOLDS[one.operator](compare(package.version, one.operand)) for one in self.comparisons]
            return all(held) is not self.negated
        return self._matches is None or self._matches(package.version) is not self.negated

    def check_operands(self, kinds: Iterable[str]) -> None:
        """Checks that every comparison makes sense for at least one of the types of packages asked for.

        Raises:
            ValueError: one does not.
        """
        asked = list(kinds)
        for one in self.comparisons:
            if not any(is_version(kind, one.operand) for kind in asked):
                raise ValueError(f"{one.operand!r:.80} is not a version of {' or '.join(asked)} packages")


def _comparisons(text: str) -> tuple[Comparison, ...]:
    found = []
    for part in text.split(","):
        read = _COMPARISON.fullmatch(part)
        if read is None or len(read[2]) > MAX_OPERAND:
            raise ValueError(
                f"{part!r:.80} is not a comparison like '<1.2.3'"
                " (a regular expression that begins with <, > or = is written like '[<]')"
            )
        found.append(Comparison(read[1], read[2]))
    return tuple(found)

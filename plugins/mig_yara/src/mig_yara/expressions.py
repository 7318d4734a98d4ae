"""The signs of a regular expression with a meaning of their own: what ties it to a place, what YARA reads otherwise.

Read as YARA-X does. Only for text that the compiler has accepted; whatever else comes in gives some answer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ANCHORS = frozenset({"^", "$", r"\A", r"\z"})
"""Signs that hold at one place of all the data, wherever the rest of the expression matches."""
_PART = re.compile(
    r"""(?P<escape>\\b\{[a-z-]*\}|\\.)
    |(?P<open>\[\^?(?:-+|\])?)
    |(?P<blanks>\{(?:[ ]+\d*[ ]*,?[ ]*\d*[ ]*|\d*[ ]*,?[ ]*\d*[ ]+)\})
    |(?P<set>&&|~~|--)
    |.""",
    re.VERBOSE | re.DOTALL,
)
"""A ``]`` or ``-`` that a set begins with is one of its characters."""


def signs(expression: str) -> Iterator[str]:
    """Of ``/^a[[:alpha:]]\\z/i``: ``^``, ``[[``, ``\\z``. An operator of sets is its two characters, and
    ``{ }`` a count with blanks at its ends.
    """
    text = expression[1 : expression.rfind("/")]
    depth = 0
    for part in _PART.finditer(text):
        found = part.group()
        match part.lastgroup:
            case "escape":
                yield found[:3] if found.startswith(r"\b{") else found[:2]
            case "open":
                if depth:
                    yield "[["
                if "--" in found:
                    yield "--"
                depth += 1
            case "set" if depth:
                yield found
            case "blanks" if not depth:
                yield "{ }"
            case _ if found == "]" and depth:
                depth -= 1
            case _ if found in "^$" and not depth:
                yield found

"""The signs of a regular expression with a meaning of their own: what ties it to a place, what YARA reads otherwise.

Read as YARA-X does. Only for text that the compiler has accepted; whatever else comes in gives some answer.
"""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

from mig_endpoint.regex.tokens import Kind, Token, tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

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


_COUNT = re.compile(r"\{ *(\d*) *(,?) *(\d*) *\}")
_SETS = frozenset({r"\d", r"\D", r"\s", r"\S", r"\w", r"\W"})
_ANY = r"[\s\S]"
_DOTS_TAKE_ALL = re.compile(r"\(\?[a-z]*s")


def gaps(expression: str) -> Iterator[int | None]:
    """How many bytes of any value may lie at each place that has some: None for as many as there are.

    ``/abc.*def[\\s\\S]{2,9}ghi/s`` has two. What lies between such places YARA-X finds by itself, and joins it.
    """
    text, _, flags = expression[1:].rpartition("/")
    dots = "s" in flags or _DOTS_TAKE_ALL.search(text) is not None
    parts = _without_groups_of_any(tokens(text), dots)
    for place, token in enumerate(parts):
        if (token.kind is Kind.DOT and dots) or (token.kind is Kind.CLASS and _takes_all(token.text)):
            yield _most(parts[place + 1 :])


def _without_groups_of_any(parts: Iterable[Token], dots: bool) -> list[Token]:
    """With a set of every byte for each group that says no more: ``(?s:.)``, ``(?:\\s|\\S)``. YARA-X sees through
    those that keep nothing.
    """
    done: list[Token] = []
    opened: list[int] = []
    for token in parts:
        if token.text == "(" or (token.kind is Kind.GROUP and not token.text.endswith(")")):
            opened.append(len(done))
        elif token.text == ")" and opened:
            start = opened.pop()
            if done[start].text.endswith(":") and _is_any(done[start + 1 :], dots):
                done[start:] = [Token(Kind.CLASS, _ANY)]
                continue
        done.append(token)
    return done


def _is_any(inside: Sequence[Token], dots: bool) -> bool:
    """Whether these are sets, any of which may fit, and one does for each byte."""
    if len(inside) % 2 == 0 or any(one.text != "|" for one in inside[1::2]):
        return False
    if any(one.kind not in (Kind.DOT, Kind.CLASS) and one.text not in _SETS for one in inside[::2]):
        return False
    return _takes_all(f"(?{'s' if dots else ''}:{''.join(one.text for one in inside)})")


def _most(after: Sequence[Token]) -> int | None:
    """How often what stands before these may be repeated; None for without end."""
    if not after or after[0].text not in ("*", "+", "{"):
        return 1
    if after[0].text != "{":
        return None
    found = _COUNT.match("".join(one.text for one in after[:24]))
    if found is None:
        return 1
    least, comma, most = found.groups()
    return int(most) if most else None if comma else int(least or 1)


def _takes_all(characters: str) -> bool:
    """Whether a set has every byte."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # sets in sets, which are others to YARA-X
            one = re.compile(characters.encode("latin-1", "replace"))
    except re.error:
        return True  # nobody knows
    return all(one.match(bytes((byte,))) for byte in range(256))


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

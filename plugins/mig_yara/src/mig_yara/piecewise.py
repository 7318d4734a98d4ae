"""Which rules may be asked of what is seen in pieces only, and how: the memory of a process, a file too large to hold.

A condition joins what its patterns found anywhere. So patterns are looked for in every piece by *probes*, one for each
rule, with its patterns and the condition "any of them"; then what they found, and nothing else, is shown to the rules
themselves (``pieces``). That is right for every condition about which patterns are there, and how often. Offsets, the
size and functions that read the data mean something else there: rules with them are not asked, and it is said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mig_yara.expressions import ANCHORS, gaps, signs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_yara.source import PatternText, RuleText, SourceText, Token

MOST_COUNTED = 1000
"""Matches of a pattern that are kept; a condition that counts further is not asked."""
LONGEST = 64 << 10
"""Bytes that a match may have. What has no upper length is looked for within that."""
_LONGEST_REGEX = 4 << 10
"""YARA-X finds no longer match of a regular expression, but for bytes of any value between two parts of it."""
_AT_PLACES = frozenset({"filesize", "entrypoint", "at"})
_READS = re.compile(r"(?:u?int(?:8|16|32|64)|float(?:32|64))(?:be)?")
_HEX_PART = re.compile(r"\[\s*(\d*)\s*(-?)\s*(\d*)\s*\]|([()|])|(~?[0-9a-fA-F?]{2})")


@dataclass(frozen=True, slots=True)
class Piecewise:
    """What can be asked in pieces."""

    refused: dict[tuple[int, str], str]
    """Rules that cannot, by source and name: why."""
    without_end: tuple[str, ...]
    """Rules with a pattern that may be longer than is looked for."""
    overlap: int
    """How far pieces have to overlap."""


def judge(sources: Sequence[SourceText]) -> Piecewise:
    """Sorts the rules."""
    refused: dict[tuple[int, str], str] = {}
    longest, without_end = _LONGEST_REGEX, []
    for number, source in enumerate(sources):
        for rule in source.rules:
            if why := _why_not(rule, source.imports):
                refused[number, rule.name] = why
            lengths = [length_of(one) for one in rule.patterns]
            if any(one > LONGEST for one in lengths):
                without_end.append(rule.name)
            longest = max(longest, *lengths, 0)
        _refuse_dependents(number, source, refused)
    return Piecewise(refused, tuple(without_end), min(longest, LONGEST))


def probe_of(rule: RuleText, name: str) -> str:
    """A rule that finds each pattern of another; empty if that has none."""
    if not rule.patterns:
        return ""
    patterns = "\n".join(f"{one.name} = {one.value.text} {_public(one)}" for one in rule.patterns)
    return f"rule {name} {{ strings:\n{patterns}\ncondition: any of them }}\n"


def length_of(pattern: PatternText) -> int:
    """The most bytes that a match of a pattern can have; more than :data:`LONGEST` if there is no such number."""
    if pattern.value.kind == "hex":
        return _hex_length(pattern.value.text)
    if pattern.value.kind == "regex":
        return _regex_length(pattern.value.text) * (2 if "wide" in pattern.words else 1)
    length = len(pattern.value.text.encode("utf-8", "replace"))
    if pattern.words & {"base64", "base64wide"}:
        length = 4 * (length + 4) // 3
    return length * (2 if pattern.words & {"wide", "base64wide"} else 1)


def _why_not(rule: RuleText, imports: set[str]) -> str:
    """Why a condition would mean something else; empty if it does not."""
    for pattern in rule.patterns:
        if pattern.value.kind == "regex" and (anchors := sorted(ANCHORS.intersection(signs(pattern.value.text)))):
            return f"its pattern {pattern.name} is tied to the beginning or the end ({' '.join(anchors)})"
    tokens = rule.condition
    for place, token in enumerate(tokens):
        following = tokens[place + 1].text if place + 1 < len(tokens) else ""
        if token.kind == "word" and token.text in _AT_PLACES:
            return f"its condition has {token.text!r}"
        if token.kind == "pattern" and token.text.startswith("@"):
            return f"its condition asks for an offset ({token.text})"
        if token.kind == "word" and following == "(" and _READS.fullmatch(token.text):
            return f"its condition reads the data ({token.text})"
        if token.kind == "word" and token.text in imports and tokens[place - 1].text != ".":
            return f"its condition uses the module {token.text!r}"
        if token.text == "in" and not _is_loop(tokens, place):
            return "its condition asks for a range of offsets"
        if token.kind == "number" and token.number >= MOST_COUNTED and any(one.text[:1] == "#" for one in tokens):
            return f"its condition counts further than {MOST_COUNTED}"
    return ""


def _is_loop(tokens: Sequence[Token], place: int) -> bool:
    """Whether this ``in`` belongs to ``for any i in``, and not to ``$a in``."""
    back = place - 1
    while back > 0 and tokens[back].kind == "word" and tokens[back - 1].text == ",":
        back -= 2
    return back > 0 and tokens[back].kind == "word" and tokens[back].text != "them" and tokens[back - 1].text != "of"


def _refuse_dependents(number: int, source: SourceText, refused: dict[tuple[int, str], str]) -> None:
    """Refuses rules that stand on refused ones; all of a source if one of its global rules is."""
    for rule in source.rules:
        if rule.is_global and (number, rule.name) in refused:
            for other in source.rules:
                refused.setdefault((number, other.name), f"the global rule {rule.name} cannot be asked")
    for rule in source.rules:  # a rule names only rules above it
        for token in rule.condition:
            if token.kind == "word" and (number, token.text) in refused:
                refused.setdefault((number, rule.name), f"it stands on the rule {token.text}")


def _regex_length(text: str) -> int:
    """Of ``/abc.{2,900}def/s``: what lies on both sides of any bytes is as long as an expression at most."""
    length = _LONGEST_REGEX
    for gap in gaps(text):
        if gap is None:
            return LONGEST + 1
        length += gap + (_LONGEST_REGEX if gap > 1 else 0)
    return length


def _hex_length(text: str) -> int:
    """Of ``{ 6d [2-4] ( 5a | 5b 00 ) }``."""
    stack: list[list[int]] = [[0]]
    plain = re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL)
    for low, dash, high, sign, byte in _HEX_PART.findall(plain):
        if byte:
            stack[-1][-1] += 1
        elif sign == "(":
            stack.append([0])
        elif sign == "|":
            stack[-1].append(0)
        elif sign == ")" and len(stack) > 1:
            longest = max(stack.pop())
            stack[-1][-1] += longest
        elif not sign:
            stack[-1][-1] += int(high or low or 0) if not dash or high else LONGEST + 1
    return max(stack[0])


def _public(pattern: PatternText) -> str:
    return " ".join(one for one in pattern.modifiers if one != "private")

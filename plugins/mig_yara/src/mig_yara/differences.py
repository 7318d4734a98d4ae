"""What YARA 4 would judge otherwise than YARA-X does, without a word from either.

Each was seen; docs/modules/yara.md has the list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_yara.expressions import signs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mig_yara.source import RuleText, SourceText, Token

MOST_MATCHES = 100_000
"""Matches of a pattern that are counted, here; the engine's own limit is 1,000,000, above which it says nothing."""
_UNSIGNED = "compares without a sign in YARA, where -1 is the greatest number"
_OTHERWISE = {
    "string.to_int": "reads 0x10 and 011 as C does in YARA (16, 9), and decimal digits only in YARA-X (no value, 11)",
    "math.max": _UNSIGNED,
    "math.min": _UNSIGNED,
    "math.mode": "of an empty file is 0 in YARA, and has no value in YARA-X",
    "elf.symtab_entries": "of a stripped program is 0 in YARA-X, and has no value in YARA",
}
_OPERATOR = "is characters of the set in YARA, and joins two sets in YARA-X"
_SIGNS = {
    r"\A": "is the letter A in YARA, and the beginning of the data in YARA-X",
    r"\z": "is the letter z in YARA, and the end of the data in YARA-X",
    r"\v": "is the letter v in YARA, and a vertical tabulator in YARA-X",
    r"\u": "is the letter u in YARA, and the character of that number in YARA-X",
    r"\U": "is the letter U in YARA, and the character of that number in YARA-X",
    r"\b{": "is the edge of a word and more text in YARA, and one edge of a word in YARA-X",
    "[[": "(as in [[:alpha:]]): a [ in a set is one of its characters in YARA, and begins another set in YARA-X",
    "{ }": "with blanks is text in YARA, and a count in YARA-X",
    "&&": _OPERATOR,
    "~~": _OPERATOR,
    "--": _OPERATOR,
}
"""What both compile in regular expressions."""


def remarks(sources: Sequence[SourceText]) -> Iterator[str]:
    """A line for each difference that a rule may show."""
    for source in sources:
        for rule in source.rules:
            for text in _of_rule(rule):
                yield f"rule {rule.name}: {text}"


def _of_rule(rule: RuleText) -> Iterator[str]:
    for pattern in rule.patterns:
        if {"fullword", "xor"} <= pattern.words:
            yield (
                f"{pattern.name} is fullword and xor: YARA looks at its neighbours as they lie there, YARA-X with the "
                "key undone; either finds what the other does not"
            )
    yield from _of_expressions(rule)
    calls = set(_calls(rule.condition))
    if calls & {"hash.md5", "hash.sha1", "hash.sha256", "hash.crc32", "hash.checksum32", "math.entropy"}:
        yield (
            "hash and math functions of an empty file have a value in YARA-X and none in YARA; of a range that goes "
            "beyond the end, none in YARA-X and that of the bytes that are there in YARA"
        )
    if "elf.import_md5" in calls:
        yield "elf.import_md5 of a file without imports is the MD5 of nothing in YARA-X, and has no value in YARA"
    for name in sorted(calls & set(_OTHERWISE)):
        yield f"{name} {_OTHERWISE[name]}"
    for place, token in enumerate(rule.condition):
        if token.kind == "number" and token.number > MOST_MATCHES and _counts(rule.condition, place):
            yield f"no pattern is counted further than {MOST_MATCHES} matches, so {token.text} is never reached"


def _of_expressions(rule: RuleText) -> Iterator[str]:
    expressions = [(one.name, one.value) for one in rule.patterns]
    expressions += [("its condition", one) for one in rule.condition]
    for name, value in expressions:
        if value.kind == "regex":
            for sign in sorted(set(signs(value.text)) & set(_SIGNS)):
                yield f"{sign} of the regular expression of {name} {_SIGNS[sign]}"


def _calls(condition: Sequence[Token]) -> Iterator[str]:
    for place, token in enumerate(condition[2:], 2):
        if condition[place - 1].text == "." and token.kind == "word":
            yield f"{condition[place - 2].text}.{token.text}"


def _counts(condition: Sequence[Token], place: int) -> bool:
    """Whether a number is compared with how often a pattern matches."""
    around = (*condition[max(0, place - 3) : place], *condition[place + 1 : place + 4])
    return any(one.text.startswith("#") for one in around)

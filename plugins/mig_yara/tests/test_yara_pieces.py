"""Rules over pieces judge as over the whole, for every condition that may be asked so."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from mig_core.plugin.coverage import Tally
from mig_yara import piecewise, reasons, rules, source
from mig_yara.engine import Engine, Limits
from mig_yara.pieces import Pieces

if TYPE_CHECKING:
    from mig_yara.engine import Matched

PIECE = 16 << 10
"""The least that the overlap of these rules allows."""


def in_pieces(text: str, data: bytes, *, step: int = 5000) -> tuple[list[Matched], Tally]:
    tally = Tally()
    checked = rules.check([text])
    engine = Engine(checked, Limits(), tally, lambda: 60.0)
    pieces = Pieces(checked, engine, Limits(), tally, piece=PIECE)
    pieces.begin("data")
    for at in range(0, len(data), step):
        pieces.feed(0x1000 + at, data[at : at + step])
    return pieces.finish(), tally


def whole(text: str, data: bytes) -> list[Matched]:
    return Engine(rules.check([text]), Limits(), Tally(), lambda: 60.0).scan(data, "data")


RULES = r"""
rule all_of { strings: $a = "alpha" $b = "bravo" fullword condition: all of them }
rule one_without { strings: $a = "alpha" $b = "not there" condition: $a and not $b }
rule counted { strings: $a = "charlie" condition: #a == 3 }
rule two_of { strings: $a = "alpha" $b = "bravo" $c = "delta" condition: 2 of ($a, $b, $c) }
rule regex { strings: $a = /echo[0-9]+x/ wide ascii condition: $a }
rule hexed { strings: $a = { 66 6f [2-300] 6f 7a } condition: $a }
rule hidden { strings: $a = "alpha" private condition: $a }
rule unnamed { strings: $ = "bravo" $ = "golf" condition: all of them }
rule stands_on { condition: all_of and counted }
rule nothing { strings: $a = "nothing of the kind" condition: none of them }
rule looped { strings: $a = "alpha" $b = "bravo" condition: for all i in (1, 2) : (#a >= i) and $b }
private rule secret { strings: $a = "alpha" condition: $a }
rule over_private { condition: secret }
"""
WORDS = (
    *(b"alpha", b"alpha", b" bravo ", b"charlie", b"charlie", b"charlie", b"xbravox", b"echo123x", b"golf"),
    *(b"e\0c\0h\0o\0007\0x\0", b"fo" + b"." * 200 + b"oz", b"delt"),
)


@pytest.mark.parametrize("seed", range(6))
def test_pieces_and_the_whole_give_the_same_rules_patterns_and_places(seed: int) -> None:
    chance = random.Random(seed)
    parts = list(WORDS)
    chance.shuffle(parts)
    data = b"".join(part + bytes(chance.randrange(1, 9) for _ in range(chance.randrange(3000, 9000))) for part in parts)

    found, tally = in_pieces(RULES, data)

    expected = whole(RULES, data)
    assert {one.rule for one in found} == {one.rule for one in expected}
    assert len(expected) >= 10
    for one, other in zip(found, expected, strict=True):
        moved = [
            (pattern.pattern, pattern.total, [(at + 0x1000, length, text) for at, length, text in pattern.places])
            for pattern in other.found
        ]
        assert [tuple(pattern) for pattern in one.found] == moved, one.rule
    assert tally.complete


@pytest.mark.parametrize("at", range(PIECE - 4200, PIECE - 4000, 7))
def test_a_match_across_the_border_of_two_pieces_is_found_once(at: int) -> None:
    data = b"." * at + b"needle" + b"." * PIECE

    found, _ = in_pieces('rule r { strings: $a = "needle" fullword condition: #a == 1 }', data)

    assert [one.found[0].places for one in found] == [[(0x1000 + at, 6, b"")]]


@pytest.mark.parametrize(
    "condition",
    [
        "filesize < 10",
        "$a at 0",
        "$a in (0..10)",
        "any of them in (0..10)",
        "any of ($a*) at 0",
        "@a[1] == 3",
        "uint16(0) == 0x5a4d",
        "float32(0) > 1.0",
        "pe.is_pe",
        "with p = pe : (p.is_pe)",
        "#a > 5000",
        "for any i in (1..#a) : (@a[i] < 10)",
    ],
)
def test_conditions_that_mean_something_else_in_pieces_are_not_asked(condition: str) -> None:
    text = f'import "pe" rule r {{ strings: $a = "x" condition: {condition} or $a }}\nrule s {{ condition: r }}'

    refused = piecewise.judge([source.read(text)]).refused

    assert set(refused) == {(0, "r"), (0, "s")}


@pytest.mark.parametrize("expression", ["/^alpha/", r"/\Aalpha/", "/omega$/", r"/omega\z/", "/x(y|omega$)/ wide"])
def test_expressions_tied_to_the_beginning_or_the_end_are_not_asked_in_pieces(expression: str) -> None:
    text = f"rule r {{ strings: $a = {expression} condition: not $a }}"

    (reason,) = piecewise.judge([source.read(text)]).refused.values()

    assert "tied to the beginning or the end" in reason


def test_a_sign_of_an_end_that_is_a_character_is_asked_in_pieces() -> None:
    text = r"rule r { strings: $a = /\$[^$]*\^b/ condition: $a }"

    assert not piecewise.judge([source.read(text)]).refused


def test_a_refused_global_rule_takes_its_namespace_with_it() -> None:
    text = 'global rule small { condition: filesize < 10 } rule r { strings: $a = "x" condition: $a }'

    refused = piecewise.judge([source.read(text), source.read("rule other { condition: true }")]).refused

    assert set(refused) == {(0, "small"), (0, "r")}


@pytest.mark.parametrize(
    ("pattern", "length"),
    [
        ('"abcd"', 6),
        ('"abcd" wide', 12),
        ("{ 01 02 [3-7] ( 04 | 05 06 07 ) ?? }", 13),
        ("{ 01 // two\n 02 /* [9-99] */ [4] 03 }", 7),
        ("/ab+c/", 4096),
        ("/ab+c/ wide", 8192),
        ("/ab.{0,9000}c/", 4096),
        ("/ab.{0,9000}c/s", 4096 + 9000 + 4096),
        (r"/ab[\s\S]{300}c/ wide", 2 * (4096 + 300 + 4096)),
        (r"/ab[^x]*c/", 4096),
        (r"/ab[\x00-\xff]*c/", piecewise.LONGEST + 1),
        (r"/ab.*c/s", piecewise.LONGEST + 1),
        (r"/ab[\w\W]+?c/", piecewise.LONGEST + 1),
        (r"/ab(?:.)*c/s", piecewise.LONGEST + 1),
        (r"/ab(?s:.){0,9000}c/", 4096 + 9000 + 4096),
        (r"/ab(?:(?:\s|\S))+c/", piecewise.LONGEST + 1),
        (r"/ab(?:.|\n)*c/", 4096),
    ],
)
def test_the_overlap_is_as_long_as_the_longest_match(pattern: str, length: int) -> None:
    read = source.read(f"rule r {{ strings: $a = {pattern} condition: $a }}")

    assert piecewise.length_of(read.rules[0].patterns[0]) == length


@pytest.mark.parametrize("pattern", ["{ 01 02 03 [2-] 04 }", "/abc.*def/s", r"/abc[\s\S]{9,}def/"])
def test_a_pattern_without_an_upper_length_is_booked(pattern: str) -> None:
    text = f"rule endless {{ strings: $a = {pattern} condition: $a }}"
    checked = rules.check([text])

    assert checked.piecewise.without_end == ("endless",)
    assert checked.piecewise.overlap == piecewise.LONGEST


@pytest.mark.parametrize(
    "expression", ["/needle.{0,30000}thread/s", r"/needle[\s\S]{0,30000}thread/", r"/needle(?:\s|\S){0,30000}thread/"]
)
def test_parts_of_an_expression_that_lie_far_apart_are_found_across_pieces(expression: str) -> None:
    data = b"." * 40_000 + b"needle" + b"\n" * 25_000 + b"thread" + b"." * 90_000

    found, tally = in_pieces(f"rule r {{ strings: $a = {expression} condition: $a }}", data)

    assert [one.found[0].places for one in found] == [[(0x1000 + 40_000, 25_012, b"")]]
    assert tally.complete


def test_more_matches_than_are_kept_are_said() -> None:
    found, tally = in_pieces('rule r { strings: $a = "ab" condition: $a }', b"ab" * 20_000)

    assert [one.rule for one in found] == ["r"]
    assert tally.skipped(reasons.MANY) > 0
    assert not tally.complete


def test_more_matches_in_one_piece_than_are_kept_are_said() -> None:
    _, tally = in_pieces('rule r { strings: $a = "ab" condition: #a % 2 == 1 }', b"ab" * 1100)

    assert tally.skipped(reasons.MANY) == 1


@pytest.mark.parametrize(
    ("text", "data"),
    [
        # the gap behind what was kept looks like the rest of $b
        (
            'strings: $a = "foo" $b = { 66 6f 6f [9-12] 00 00 } condition: $a and not $b',
            b"....foo" + bytes(8) + b"." * 20,
        ),
        # the end of the data is no neighbour, a gap that is XORed is a letter
        ('strings: $a = "foo" xor(65) fullword condition: #a == 1', b"AAAA" + bytes(65 ^ one for one in b"foo")),
    ],
)
def test_a_rule_that_is_shown_more_or_less_than_is_there_is_said(text: str, data: bytes) -> None:
    rule = f"rule r {{ {text} }}"

    found, tally = in_pieces(rule, data)

    assert [one.rule for one in whole(rule, data)] == ["r"]
    assert not found
    assert tally.skipped(reasons.DOUBTFUL) == 1


def test_two_halves_with_something_between_are_no_match() -> None:
    checked = rules.check(['rule r { strings: $a = "needle" condition: $a }'])
    tally = Tally()
    pieces = Pieces(checked, Engine(checked, Limits(), tally, lambda: 60.0), Limits(), tally)
    pieces.begin("data")

    pieces.feed(0, b"...nee")
    pieces.gap()
    pieces.feed(100, b"dle...")

    assert pieces.finish() == []

"""What every match of a pattern must contain, against RE2's own verdict; and how that is found."""

from __future__ import annotations

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from mig_endpoint.regex.finder import (
    MOST_AT_ONCE,
    Finder,
    finder_for,
    finders_for,
    required_characters,
    spellings,
)
from mig_endpoint.regex.literals import Literal, required_choices, worth
from mig_endpoint.regex.tokens import tokens


def _texts(pattern: str) -> list[set[str]]:
    return [{one.text + "/i" * one.fold for one in choice} for choice in required_choices(pattern)]


@pytest.mark.parametrize(
    ("pattern", "choices"),
    [
        (r"[a-z0-9._-]+@[a-z0-9-]+\.example\.net", [{"@"}, {".example.net"}]),
        (r"AKIA[0-9A-Z]{16}", [{"AKIA"}]),
        (r"ab+cde", [{"a"}, {"b"}, {"cde"}]),
        (r"abcd?efg", [{"abcdefg", "abcefg"}]),
        (r"abcd*?xyz.", [{"abc"}, {"xyz"}]),
        (r"abcd{0,2}e", [{"abc"}, {"e"}]),
        (r"(?i)x\.conf", [{"x.conf/i"}]),
        (r"(?i)(password|passwd)\s*[:=]", [{"password/i", "passwd/i"}, {":", "="}]),
        (r"pass(?i:word)1", [{"pass"}, {"word1/i"}]),
        (r"a(?i)b|C", [{"a", "c/i"}]),
        (r"\Qa.b\E[0-9]", [{"a.b"}]),
        (r"x(?:abc|def)yyyy$", [{"xabcyyyy", "xdefyyyy"}]),
        (r"(abc|abd)", [{"abc", "abd"}]),
        (r"abc|xabcd", [{"abc"}]),
        (r"(ab+|cd.)x", [{"a", "cd"}, {"x"}]),
        (r"abc|\d", []),
        (r"(abc)?", []),
        (r"[^a][a-c]\d\pL.", []),
        (r"abc{x", [{"abc"}, {"x"}]),
        (r"^\bab$", [{"ab"}]),
        (r"é|ab", []),
        ("(" * 200 + "a" + ")" * 200, []),
        ("", []),
    ],
)
def test_a_patterns_certain_texts_are_known(pattern: str, choices: list[set[str]]) -> None:
    found = _texts(pattern)

    assert found == choices


PIECES = [
    *"abcks.", "abc", "KSk", "Ab", r"\.", r"\d", r"\x61", "[ab]", "[^a]", "[a-c]", "[k]", ".", "^", "$", r"\b", "(",
    ")", "(?:", "(?i:", "(?-i:", "(?i)", "(?s)", "(?P<n>", "|", "|", "?", "*", "+", "{2}", "{1}", "{0,1}", "{", "}",
    "{1,}", "*?", "+?", "??", r"\Qa*|\E", "-", " ", "é",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join), st.data())
@settings(max_examples=600, deadline=None)
def test_no_match_lacks_a_required_text(pattern: str, data: st.DataObject) -> None:
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error:
        return
    subject = data.draw(st.text(alphabet="abcdksKSAB.*|-é{}2 \u017f\u212a", max_size=12))

    match = compiled.search(subject)

    if match is not None:
        for choice in required_choices(pattern):
            finder = finder_for(choice)
            assert finder is None or finder.positions(match.group().encode()), choice
        for forms in required_characters(pattern):
            assert any(one in match.group().encode() for one in forms), forms


@pytest.mark.parametrize(
    ("pattern", "characters"),
    [
        ("AKIA[0-9]", [b"A", b"I", b"K"]),
        ("(foo|bar)qux", [b"q", b"x", b"u"]),
        (r"[a-z]+@\.net", [b".", b"@", b"n", b"t", b"e"]),
        ("(?i)kiss-me", [b"m/M", b"-", b"i/I", b"e/E"]),
        ("(?i)(k|s)+", []),
        ("(foo|bar)", []),
        ("[0-9]{5}|x", []),
        ("abcdefghijkl", [b"j", b"k", b"b", b"g", b"f", b"c", b"d", b"l"]),
    ],
)
def test_characters_that_every_match_contains_are_named_rare_ones_first(pattern: str, characters: list[bytes]) -> None:
    assert [b"/".join(one) for one in required_characters(pattern)] == characters


def test_a_text_in_any_case_is_found_in_every_spelling_that_re2_knows() -> None:
    finder = finder_for(frozenset({Literal("key=", fold=True), Literal("Sesame")}))

    assert finder is not None
    assert finder.positions("\u212aEY= kEy= key+ sesame Sesame".encode()) == [0, 7, 24]


def test_texts_in_several_passes_are_found_in_rising_order() -> None:
    texts = [b"abcd", b"wxyz", b"bcda"]

    found = Finder([texts[:1], texts[1:]]).positions(b"wxyz abcda abcd")

    assert found == [0, 5, 6, 11]


@given(st.integers(0, 9000), st.sampled_from([[b"needle"], [b"needle", b"pin"], [b"x"]]))
def test_a_text_is_found_wherever_it_lies(offset: int, texts: list[bytes]) -> None:
    buffer = memoryview(bytearray(b"-" * offset + texts[-1] + b"-" * 100))

    assert Finder([texts]).is_in(buffer)
    assert Finder([texts]).few(buffer, 1) == [offset]
    assert not Finder([texts]).is_in(buffer[: offset + len(texts[-1]) - 1])


@given(st.lists(st.integers(0, 100_000), max_size=20, unique=True).map(sorted), st.integers(0, 20))
def test_few_texts_are_all_named_and_more_are_not(places: list[int], most: int) -> None:
    buffer = bytearray(b"-" * 100_010)
    for place in places:
        buffer[place : place + 4] = b"\x01\x02ab"
    expected = [place for place in range(len(buffer)) if buffer[place : place + 4] == b"\x01\x02ab"]

    found = Finder([[b"\x01\x02ab"]]).few(memoryview(buffer), most)

    assert found == (expected if len(expected) <= most else None)


def test_too_many_texts_are_not_looked_for() -> None:
    few = frozenset(Literal(f"word{number}") for number in range(60))
    folded = frozenset(Literal(chr(97 + number) * 4, fold=True) for number in range(26))

    assert [len(one) for one in spellings(few)] == [60]
    assert finder_for(folded) is None
    assert finder_for(frozenset()) is None
    assert all(len(one) <= MOST_AT_ONCE for one in spellings(frozenset(sorted(folded)[:8])))


def test_the_most_telling_texts_are_looked_for_first() -> None:
    buffer = b"password: x"

    first, second = finders_for(r"(?i)[a-z](password|passphrase)\s*[:=]\s*[@#]")

    assert first.positions(buffer) == [4]
    assert second.positions(buffer) == [8]


def test_long_texts_and_few_of_them_are_worth_most() -> None:
    long = frozenset({Literal("password"), Literal("secret")})
    short = frozenset({Literal(":"), Literal("=")})
    many = frozenset(Literal(f"{number:04}") for number in range(20))

    assert sorted([short, many, long], key=worth) == [short, many, long]


@settings(max_examples=500, deadline=None)
@given(pattern=st.text(max_size=20) | st.text(alphabet=r"\[](){}?*:^-QEPxa1", max_size=12))
def test_the_tokens_of_a_pattern_are_the_pattern(pattern: str) -> None:
    pieces = "".join(token.text for token in tokens(pattern))

    if "\\Q" not in pattern:
        assert pieces == pattern

"""Expressions and byte strings: what they find, and what is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mig_memory import patterns


def finds(expression: str, data: bytes) -> bool:
    return patterns.for_contents(expression, memory=1 << 20).find(data, 0, len(data))


@pytest.mark.parametrize(
    ("expression", "data", "found"),
    [
        ("a.b", b"a\xffb", True),  # any byte
        ("a.b", "aéb".encode(), True),  # any character
        ("a.b", "a\U0001f600b".encode(), True),
        ("a.b", b"a\nb", False),
        ("(?s)a.b", b"a\nb", True),
        ("a..b", "aéb".encode(), True),  # its two bytes
        ("^a.{2}b$", "aéèb".encode(), True),
        ("^a.{2}b$", b"a\xff\xfeb", True),
        ("^a.{2}b$", "aéèêb".encode(), False),
        ("a.?b", "aéb".encode(), True),
        ("a[^x]b", "aéb".encode(), True),
        ("a[^x]b", b"a\x80b", True),
        ("a[^x]b", b"axb", False),
        (r"a\Wb", "aéb".encode(), True),
        (r"a\wb", "aéb".encode(), False),
        (r"a\Db", b"a\xf0b", True),
        (r"\xde\xad\xbe\xef", b"\xde\xad\xbe\xef", True),  # bytes
        (r"\xde", "Þ".encode(), True),  # and the character
        (r"\x{de}", b"\xde", True),
        (r"[\x80-\xff]{4}", b"abc\x80\x90\xa0\xff", True),
        (r"\x00\x01", b"\x00\x01", True),
        (r"\x41", b"A", True),
        ("é", "café".encode(), True),
        ("é", b"caf\xe9", False),
        ("caf[éè]", "café".encode(), True),
        ("(?i)É", "é".encode(), True),
        (r"\x{3b1}\x{3b2}", "αβ".encode(), True),
        (r"\p{Greek}{2}", "αβ".encode(), True),
        (r"\pL", b"1a", True),
        (r"\Qa.b\E", b"a.b", True),
        (r"\Qa.b\E", b"axb", False),
        (r"\Qé\E.", "é".encode() + b"\xff", True),
        ("(?i)secret", b"SeCrEt", True),
        ("(?P<name>x)y", b"xy", True),
        ("[]a]b", b"]b", True),
        ("[[:^alpha:]]b", "éb".encode(), True),
        (r"a{2}", b"xaax", True),
        ("a{,2}", b"a{,2}", True),
        ("b\x00a", b"b\x00a", True),
    ],
)
def test_an_expression_finds_text_and_bytes(expression: str, data: bytes, found: bool) -> None:
    assert finds(expression, data) is found


@pytest.mark.parametrize("expression", ["", "(", "a**", "(?=x)", r"\1", r"\C", "(?<n>x)", "a{1001}", "[z-a]", "(?x)a"])
def test_what_the_original_refuses_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"is empty|is not a regular expression"):
        patterns.check_pattern(expression)


def test_searching_takes_linear_time_whatever_the_expression() -> None:
    assert not finds("(a+)+$x", b"a" * 100_000)


def test_a_range_is_searched_with_an_eye_on_what_surrounds_it() -> None:
    """RE2's Match, which is private in the binding, must see the whole buffer and stay within the range."""
    data = bytearray(b"xab")
    begins, ends, word = (patterns.for_contents(one, memory=1 << 20).find for one in ("^a", "a$", r"\ba"))

    assert not begins(data, 1, 3)
    assert not ends(data, 0, 2)
    assert not word(data, 1, 3)
    assert begins(memoryview(data)[1:], 0, 2)
    assert ends(memoryview(data)[:2], 0, 2)


@pytest.mark.parametrize("expression", ["abc", "a?b?c?", "a{3}", "(ab|cde){2,7}x", ".{1,9}", "[^a]{20}", "é{3}"])
def test_a_bounded_expression_reaches_back_as_far_as_its_longest_match(expression: str) -> None:
    longest = {"abc": 3, "a?b?c?": 3, "a{3}": 3, "(ab|cde){2,7}x": 22, ".{1,9}": 36, "[^a]{20}": 80, "é{3}": 6}

    overlap = patterns.for_contents(expression, memory=1 << 20).overlap

    assert longest[expression] <= overlap < 4096


@pytest.mark.parametrize("expression", ["a*", "a+", "a{2,}", "(?s)x.*y"])
def test_an_unbounded_expression_reaches_back_as_far_as_documented(expression: str) -> None:
    assert patterns.for_contents(expression, memory=1 << 20).overlap == patterns.LONGEST_UNBOUNDED


def test_a_large_expression_is_still_compiled_when_its_alternatives_are_too_many() -> None:
    expression = "x" + ".{900}" + "y"

    assert finds(expression, b"x" + b"\xff" * 900 + b"y")


def test_many_patterns_stay_within_the_modules_memory() -> None:
    assert patterns.memory_for_each(1) == 8 << 20
    assert patterns.memory_for_each(16) == 1 << 20


alphabet = st.text("ab.é\\^$[]()|?{}12wWdDxQE-iPs:", max_size=12)


@settings(max_examples=1500, deadline=None)
@given(expression=alphabet, data=st.text("abé1 \n", max_size=12).map(str.encode) | st.binary(max_size=8))
def test_what_the_plain_expression_finds_in_text_is_found(expression: str, data: bytes) -> None:
    """The rewritten expression finds all that RE2 finds in UTF-8, and gives no more trouble than it."""
    try:
        patterns.check_pattern(expression)
    except ValueError:
        return
    plain, _ = patterns._compile(expression.encode(), 1 << 20)

    found = finds(expression, data)

    # \b and \B differ beside a character that is not ASCII: RE2 sees a character there, and no word either way
    if plain(data, 0, len(data)) and "B" not in expression:
        assert found


@settings(max_examples=300, deadline=None)
@given(needle=st.binary(min_size=1, max_size=40), before=st.binary(max_size=40), after=st.binary(max_size=40))
def test_a_byte_string_is_found_exactly_where_it_is(needle: bytes, before: bytes, after: bytes) -> None:
    find = patterns.for_bytes(needle, memory=1 << 20).find
    whole = before + needle + after

    assert find(whole, 0, len(whole))
    assert find(before + after, 0, len(before + after)) == (re.search(re.escape(needle), before + after) is not None)


@settings(max_examples=300, deadline=None)
@given(rest=st.binary(max_size=3), zeros=st.integers(0, 4), data=st.text("\x00\x01\x02", max_size=400))
def test_a_byte_string_that_begins_with_zeros_is_found_among_zeros(rest: bytes, zeros: int, data: str) -> None:
    needle, whole = bytes(zeros) + (rest or b"\1"), data.encode()

    assert patterns.for_bytes(needle, memory=1 << 20).find(memoryview(whole), 0, len(whole)) == (needle in whole)


@settings(max_examples=100, deadline=None)
@given(end=st.integers(0, 300), start=st.integers(0, 300))
def test_a_byte_string_that_begins_with_zeros_is_found_only_within_the_range(start: int, end: int) -> None:
    whole = b"\0\1" * 150
    start = min(start, end)

    assert patterns.for_bytes(b"\0\1\0\1", memory=1 << 20).find(whole, start, end) == (b"\0\1\0\1" in whole[start:end])


def test_the_longest_byte_string_is_searched() -> None:
    needle = bytes(range(256)) * 256

    assert patterns.for_bytes(needle, memory=256 << 10).find(b"x" + needle, 0, len(needle) + 1)


def test_a_text_that_overlaps_itself_hides_no_match_behind_it() -> None:
    text = "ab" * 16
    data = b"." * 3000 + b"ab" * 31 + b"7" + b"." * 3000

    assert finds(f"{text}[0-9]", data)
    assert not finds(f"{text}[0-9]", data.replace(b"7", b"x"))


@given(
    st.sampled_from(
        [
            "(?i)(password|secret)=",
            r"[a-z]+@[a-z]+\.net",
            r"\x01needle",
            "(?i)needle[0-9]",
            "a{2}[:=]b",
            "(abab|baba)[0-9]",
        ]
    ),
    st.lists(
        st.sampled_from([b"PassWord", b"secret", b"=", b"\x01", b"needle", b"1", b"ab@cd.net", b"aa:b", b"\xff", b"ab"])
    ),
    st.integers(0, 3000),
)
@settings(max_examples=300, deadline=None)
def test_looking_for_required_texts_first_changes_no_answer(expression: str, pieces: list[bytes], gap: int) -> None:
    data = b"".join(pieces) + bytes(gap) + b"".join(reversed(pieces))

    assert finds(expression, data) == (re.search(expression.encode(), data) is not None)


def finds_wide(expression: str, data: bytes) -> bool:
    patterns.check_pattern(expression)
    patterns.check_wide(expression)
    return patterns.for_contents(expression, memory=1 << 20, wide=True).find(data, 0, len(data))


@pytest.mark.parametrize(
    ("expression", "text", "found"),
    [
        ("secret", "my secret", True),
        ("secret", "my sekret", False),
        ("(?i)SECRET=[a-z]+", "Secret=abc", True),
        ("(?i)password", "PASSWORD", True),
        ("(password|passphrase)[:=] ?x", "passphrase: x", True),
        ("a.b", "aéb", True),
        ("a.b", "a\U0001f600b", True),
        ("a.b", "aЖb", True),
        ("a.b", "a\nb", False),
        ("(?s)a.b", "a\nb", True),
        ("a[^x]b", "axb", False),
        ("a[^x]b", "aЖb", True),
        (r"\d{3}-\d{4}", "555-1234", True),
        (r"\d{3}-\d{4}", "555-123", False),
        (r"a\Wb", "aЖb", True),
        (r"a\w+b", "aЖb", False),
        ("é", "café", True),
        ("(?i)É", "café", True),
        ("Жук", "Жук", True),
        ("(?i)Жук", "жУК", True),
        (r"\x{1f600}", "\U0001f600", True),
        (r"\Qa.b\E", "a.b", True),
        (r"\Qa.b\E", "axb", False),
        ("a{2,3}b", "aaab", True),
        ("a{,2}", "a{,2}", True),
        (r"x\{1}", "x{1}", True),
        (r"x\{1\}", "x{1}", True),
        ("(?P<n>k)(?i:EY)", "key", True),
        ("^start", "start here", True),
        ("end$", "the end", True),
        ("end$", "the end.", False),
        ("(a|bc)+d", "abcad", True),
        ("[.*]x", "*x", True),
    ],
)
def test_wide_finds_text_in_utf16_and_what_was_found_before(expression: str, text: str, found: bool) -> None:
    assert finds_wide(expression, text.encode("utf-16-le")) is found
    assert finds_wide(expression, text.encode()) is finds(expression, text.encode())
    assert not finds("secret", "secret".encode("utf-16-le"))


@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_wide_text_is_found_at_any_address(at: int) -> None:
    assert finds_wide("secret[0-9]", b"x" * at + "secret7".encode("utf-16-le") + b"y" * 9)


@pytest.mark.parametrize("expression", [r"\bword", r"\B", "(?m)^x", "(?im:x)", r"\pL", "[αβ]", r"[\x{3b1}]"])
def test_what_cannot_be_said_in_utf16_is_refused(expression: str) -> None:
    patterns.check_pattern(expression)

    with pytest.raises(ValueError, match="UTF-16"):
        patterns.check_wide(expression)


@settings(deadline=None)
@given(
    before=st.text(alphabet="ab.é{1}\n 9", max_size=70),
    text=st.text(alphabet="aAbB.éЖ{1}\n 9-", max_size=12),
    after=st.text(alphabet="ab9 ", max_size=5),
    expression=st.sampled_from(
        ["a.", "(?i)AB+", "[^a]9", r"\d-|\.\{", "é.?", "a{1}b", r"\W\S", "Ж|b{2,}", "(?s)a.{1,5}9", "b "]
    ),
)
def test_what_is_found_in_utf8_is_found_in_utf16(before: str, text: str, after: str, expression: str) -> None:
    whole = before + text + after

    if finds(expression, whole.encode()):
        assert finds_wide(expression, whole.encode("utf-16-le"))


@given(expression=st.text(alphabet="ab.[]{}()|*+?^$\\dDwxQE19é,-", max_size=12))
def test_every_expression_can_be_made_wide_or_is_refused(expression: str) -> None:
    try:
        patterns.check_pattern(expression)
    except ValueError:
        return
    try:
        patterns.check_wide(expression)
    except ValueError as error:
        assert "UTF-16" in str(error)

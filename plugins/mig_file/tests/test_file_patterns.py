"""Patterns on names and lines, held against a slow reference: decode as Go does, split into lines, ask RE2 for each."""

from __future__ import annotations

import pytest
import re2
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mig_endpoint.finding import syntax
from mig_endpoint.finding.content import Block
from mig_endpoint.finding.names import NameBatch
from mig_endpoint.finding.patterns import Pattern, any_of, check_pattern, with_replacement_characters

ATOMS = st.sampled_from(
    [
        *"ab.^$é�",
        r"\.", r"\w", r"\W", r"\s", r"\S", r"\d", r"\D", r"\b", r"\B", r"\A", r"\z", r"\n", r"\r", r"\x{fffd}", r"\xff",
        r"\pL", r"\PL", r"\p{^L}", r"\141", "[ab]", "[^a]", r"[^\n]", r"[\W]", "[[:alpha:]]", "[[:^alpha:]]", "[]a]",
        "[^]a]", r"[a\]]", r"\Qa.\E", "(?i:A)", "(?-m:^a)", "(?-m:b$)", "(?s:.)", "(?m:^)", "(?P<n>a)", "(?:)", "(?U)",
        "(?i)", "(?i-s)", "(?-s)",
    ]
)  # fmt: skip
REPEATS = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,}", "*?"])


def _patterns() -> st.SearchStrategy[str]:
    one = st.tuples(ATOMS, REPEATS).map("".join)
    row = st.lists(one, min_size=1, max_size=4).map("".join)
    return st.lists(row, min_size=1, max_size=2).map("|".join).filter(_is_accepted)


def _is_accepted(pattern: str) -> bool:
    try:
        check_pattern(pattern)
    except ValueError:
        return False
    return True


BYTES = st.lists(
    st.sampled_from([b"a", b"b", b"A", b"\n", b"\n", b"\r", b"\r\n", b" ", b"\xc3\xa9", b"\xff", b"\xc3", b"\xe2\x82",
                     b"\xef\xbf\xbd", b"\xf0\x9f\x98\x80", b"\xf4\x90\x80\x80", b"\xed\xa0\x80", b"\0"]),
    max_size=9,
).map(b"".join)  # fmt: skip


def _go_text(raw: bytes) -> bytes:
    """One U+FFFD for each byte that is not part of a valid sequence, the slow way."""
    text, position = "", 0
    while position < len(raw):
        for length in (1, 2, 3, 4):
            try:
                text += raw[position : position + length].decode()
            except UnicodeDecodeError:
                continue
            position += length
            break
        else:
            text += "\ufffd"
            position += 1
    return text.encode()


def _go_lines(raw: bytes) -> list[bytes]:
    """Lines as Go's scanner gives them."""
    lines = raw.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix(b"\r") for line in lines]


def _go_match(pattern: str, subject: bytes) -> bool:
    return re2.compile(pattern.encode()).search(_go_text(subject)) is not None


@given(raw=st.binary(max_size=12) | BYTES)
def test_undecodable_bytes_become_one_replacement_character_each(raw: bytes) -> None:
    assert with_replacement_characters(raw) == _go_text(raw)


@settings(max_examples=600, deadline=None)
@given(pattern=_patterns(), raw=BYTES)
@example(pattern=r"a.b", raw=b"a\xffb")
@example(pattern=r"a\x{fffd}*b", raw=b"xx\na\xff\xfeb")
@example(pattern=r"^.$", raw=b"\xed\xa0\xbd\n\xff\r\n")
def test_a_search_over_the_whole_buffer_is_a_search_in_each_line(pattern: str, raw: bytes) -> None:
    lines = _go_lines(raw)
    expected = any(_go_match(pattern, line) for line in lines)

    block = Block(raw, 0, len(raw.removesuffix(b"\n")))
    found = bool(lines) and Pattern(pattern).is_in(block)

    assert found == expected
    if lines:
        assert [_go_text(line) for line in block.lines()] == [_go_text(line) for line in lines]


@settings(max_examples=300, deadline=None)
@given(pattern=_patterns(), subject=BYTES)
@example(pattern="^.$", subject=b"\xf4\x90\x80\x80")
def test_a_single_string_is_matched_as_it_is(pattern: str, subject: bytes) -> None:
    assert Pattern(pattern).matches(subject) == _go_match(pattern, subject)


@settings(max_examples=300, deadline=None)
@given(
    pattern=_patterns(),
    names=st.lists(BYTES.map(lambda raw: raw.replace(b"\0", b"")).filter(bool), max_size=6, unique=True),
)
def test_all_names_of_a_directory_at_once_are_the_names_one_by_one(pattern: str, names: list[bytes]) -> None:
    decoded = [name.decode("utf-8", "surrogateescape") for name in names]

    matching = NameBatch(decoded).matching(Pattern(pattern))

    assert matching == {text for text, name in zip(decoded, names, strict=True) if _go_match(pattern, name)}


@settings(max_examples=300, deadline=None)
@given(patterns=st.lists(_patterns(), min_size=1, max_size=4), raw=BYTES.filter(lambda raw: _go_text(raw) == raw))
def test_one_search_for_many_patterns_finds_something_if_one_of_them_does(patterns: list[str], raw: bytes) -> None:
    block = Block(raw, 0, len(raw))
    together = any_of(patterns)

    assert together is not None
    plain = block.plain()
    assert (together(plain.data, plain.start, plain.end)[0] >= 0) == any(Pattern(one).is_in(block) for one in patterns)


@pytest.mark.parametrize(
    "pattern", [r"a\Cb", "(?<n>a)", "a++", "a{2}{3}", "(?=a)", r"(a)\1", "(?#x)", "a{1001}", "(", "", r"\Z"]
)
def test_what_the_original_refused_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        check_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "unbounded"),
    [("abc", False), ("a*", True), ("a+", True), ("a{2,}", True), ("a{2,3}", False), (r"a\*", False), ("[*+]", False)],
)
def test_unbounded_repetition_is_noticed(pattern: str, unbounded: bool) -> None:
    assert syntax.may_match_any_length(pattern) == unbounded


def test_an_evil_pattern_takes_linear_time() -> None:
    assert not Pattern("^(a+)+$").matches(b"a" * 100_000 + b"!")


def test_the_private_call_of_google_re2_is_still_there_and_sees_what_surrounds_a_range() -> None:
    compiled = re2.compile(b"(?m)^b$")

    match = compiled._regexp.Match

    assert match(re2._Anchor.UNANCHORED, b"a\nb\nc", 2, 3) == [(2, 3)]
    assert match(re2._Anchor.UNANCHORED, b"abc", 1, 2) == [(-1, -1)]
    assert match(re2._Anchor.UNANCHORED, memoryview(bytearray(b"b")), 0, 1) == [(0, 1)]


NEAR = [
    r"[a-z ]needle\d", r"(x|é)needle", r".needle", r"[a-z]?needle7$", r"^ ?xneedle", r"(?i)[x ]NEEDLE\d",
    r"(?i)(needle|thread)\s*[:=]", r"needle$", r"[:=]$",
    r"needle\S$",
]  # fmt: skip


@given(
    st.lists(
        st.sampled_from(
            [
                "x",
                "needle",
                "nedle",
                "Thread:",
                "=",
                "\n",
                "\r\n",
                "\r",
                " ",
                "é",
                "needle7",
                "\udcff",
                "\udcf4\udc90\udc80\udc80",
            ]
        ),
        max_size=60,
    ).map("".join),
    st.sampled_from(NEAR),
    st.sampled_from([1, 100, 3000]),
)
@settings(max_examples=400, deadline=None)
def test_lines_near_a_required_text_are_judged_as_all_lines_are(text: str, regex: str, times: int) -> None:
    raw = text.encode("utf-8", "surrogateescape") * times
    pattern = Pattern(regex)

    found = pattern.is_in(Block(bytearray(raw + b"\n"), 0, len(raw)))

    assert pattern.finders
    assert found == any(_go_match(regex, line.removesuffix(b"\r")) for line in dict.fromkeys(raw.split(b"\n")))

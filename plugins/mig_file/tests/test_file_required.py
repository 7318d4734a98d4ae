"""The text that every match must contain, against RE2's own verdict."""

from __future__ import annotations

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from mig_file.content import Block
from mig_file.patterns import Pattern
from mig_file.required import required_text


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"[a-z0-9._-]+@[a-z0-9-]+\.example\.net", ".example.net"),
        (r"AKIA[0-9A-Z]{16}", "AKIA"),
        (r"ab+cde", "cde"),
        (r"abcd?efg", "abc"),
        (r"abcd*?xyz.", "abc"),
        (r"abcd{0,2}e", "abc"),
        (r"(?i)x\.conf", "x.conf"),
        (r"(?i)secret[0-9]", "ecret"),
        (r"\Qa.b\E[0-9]", "a.b"),
        (r"x(?:abc|def)yyyy$", "yyyy"),
        (r"(abc|abd)", None),
        (r"abc|abd", None),
        (r"abc{x", None),
        (r"a(?i)bcdef", None),
        (r"ab\d", None),
        ("", None),
    ],
)
def test_the_longest_certain_text_is_found(pattern: str, text: str | None) -> None:
    found = required_text(pattern)

    assert (found.text if found else None) == text


PIECES = [
    *"abcks.", "abc", "KSk", r"\.", r"\d", r"\x61", "[ab]", "[^a]", ".", "^", "$", r"\b", "(", ")", "(?:", "(?i:",
    "(?i)", "(?s)", "|", "?", "*", "+", "{2}", "{0,1}", "{", "}", "{1,}", "*?", "+?", "??", r"\Qa*\E", "-", " ", "é",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), st.data())
@settings(max_examples=400, deadline=None)
def test_no_match_lacks_the_required_text(pattern: str, data: st.DataObject) -> None:
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error:
        return
    found = required_text(pattern)
    subject = data.draw(st.text(alphabet="abcdksKSAB.*-é{}2 \u017f\u212a", max_size=12))

    match = compiled.search(subject)

    if match is not None and found is not None:
        assert re2.compile(found.source()).search(match.group()) is not None


@given(
    st.lists(st.sampled_from(["x", "needle", "nedle", "eedle", "\n", " ", "é", "needle7"]), max_size=60).map("".join),
    st.sampled_from(
        [r"[a-z ]needle\d", r"(x|é)needle", r".needle", r"[a-z]?needle7$", r"^ ?xneedle", r"(?i)[x ]NEEDLE\d"]
    ),
)
@settings(max_examples=300, deadline=None)
def test_a_block_is_judged_as_its_lines_are(text: str, regex: str) -> None:
    raw = text.encode()
    pattern = Pattern(regex)

    found = pattern.is_in(Block(raw, 0, len(raw)))

    assert required_text(regex) is not None
    assert found == any(pattern.matches(line) for line in raw.split(b"\n"))

"""Branches of a pattern: together they find what it finds, and nothing else."""

from __future__ import annotations

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from mig_endpoint.regex.branches import Branch, branches, folds

PIECES = [
    *("foo", "bar", "skin", "kiss", "abc", "x", "|", "|", "(", "(?:", "(?i:", "(?P<n>", ")", ")", "(?i)", "(?s)"),
    *("?", "*", "+", "{2}", "^", "$", r"\b", r"\s", r"\d", r"\.", "[ab]", "[k-s]", "[:=]", " ", "-"),
]
TEXTS = [
    "foo",
    "Foo",
    "bar",
    "skin",
    "KISS",
    "\u017fkin",
    "\u212ai\u017fs",
    "abc",
    "x",
    " ",
    "-",
    ":",
    "\u00e9",
    "1",
    ".",
]


def _options(encoding: re2.Options.Encoding = re2.Options.Encoding.UTF8) -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.encoding = encoding
    return options


@settings(max_examples=1500, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join), st.lists(st.sampled_from(TEXTS), max_size=7))
def test_branches_find_what_the_pattern_finds(pattern: str, texts: list[str]) -> None:
    subject = "".join(texts)
    try:
        compiled = re2.compile(pattern, _options())
    except re2.error:
        return
    found = branches(pattern)
    if folds(pattern) and any(one in subject for one in "\u017f\u212a"):
        return
    by_bytes = [re2.compile(one.pattern.encode(), _options(re2.Options.Encoding.LATIN1)) for one in found]

    together = any(one.search(subject.encode()) for one in by_bytes)

    if found:
        assert together == (compiled.search(subject) is not None)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (
            r"(?i)(password|passwd|secret)\s*[:=]",
            [("pas", r"(?i)(?:password|passwd)\s*[:=]"), ("sec", r"(?i)(?:secret)\s*[:=]")],
        ),
        ("fooo|barr", [("foo", "(?:fooo)"), ("bar", "(?:barr)")]),
        ("(?i:fooo|fooz)x", [("foo", "(?i:fooo|fooz)x")]),
        ("(?P<name>abc+|def)$", [("abc", "(?:abc+)$"), ("def", "(?:def)$")]),
    ],
)
def test_alternatives_at_the_beginning_become_branches(pattern: str, expected: list[tuple[str, str]]) -> None:
    assert branches(pattern) == [Branch(*one) for one in expected]


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            "(fooo|barr)+",
            "(fooo|barr)?x",
            "foo?",
            "fo",
            "a.cde",
            "^foo",
            "(foo|ba)",
            "((foo|bar)x|ghi)",
            "fooo(?i)|barr",
        ),
        *(
            "foo[^a]",
            r"foo[\d]",
            "foo[[:alpha:]]",
            r"foo\pL",
            "foo\u00e9",
            r"foo\x{e9}",
            "(aaa|bbb|ccc|ddd)",
            "",
            "(foo|)",
        ),
    ],
)
def test_what_is_not_understood_or_of_no_use_has_no_branches(pattern: str) -> None:
    assert not branches(pattern)


@pytest.mark.parametrize(
    ("pattern", "expected"), [("(?i)a", True), ("a(?i:b)", True), ("(?-i)a", False), ("i", False), ("(?P<i>a)", False)]
)
def test_letters_in_any_case_are_noticed(pattern: str, expected: bool) -> None:
    assert folds(pattern) == expected

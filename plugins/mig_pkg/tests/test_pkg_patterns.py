"""Where google-re2 cannot be installed: plain texts mean the same, and nothing else is guessed at."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_pkg.patterns import _plain, compile_pattern

TEXTS = st.text(st.sampled_from("ab.+-_~ :/"), max_size=6)
PLAIN = st.lists(st.sampled_from(["a", "b", "-", "_", "~", " ", ":", "/", "\\.", "\\+", "\\-"]), max_size=6).map(
    "".join
)


@given(st.sampled_from(["", "^"]), PLAIN, st.sampled_from(["", "$"]), TEXTS)
def test_a_plain_text_means_what_it_means_to_re2(begins: str, plain: str, ends: str, subject: str) -> None:
    text = begins + plain + ends

    assert _plain(text)(subject) == compile_pattern(text)(subject)


@given(st.text(st.sampled_from("ab.*+?()[]{}|^$\\d "), max_size=5), TEXTS)
def test_what_is_not_plain_is_refused_and_never_means_something_else(text: str, subject: str) -> None:
    try:
        search = _plain(text)
    except ValueError as error:
        assert "google-re2" in str(error)
    else:
        assert search(subject) == compile_pattern(text)(subject)


def test_without_the_library_a_plain_name_is_found_and_a_pattern_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "re2", None)

    assert compile_pattern("^libc6$")("libc6") and not compile_pattern("^libc6$")("libc6-dev")
    with pytest.raises(ValueError, match="google-re2, which is not installed here"):
        compile_pattern("lib(c|m)")

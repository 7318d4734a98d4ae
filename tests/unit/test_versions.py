"""``mig agents --version``: releases in the order that ``packaging`` gives them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from mig_core.client.versions import version_condition, version_key
from mig_core.errors import ConfigurationError

NUMBERS = st.integers(0, 12).map(str)
VERSIONS = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "", "", "1!"]),
        st.lists(NUMBERS, min_size=1, max_size=4).map(".".join),
        st.one_of(
            st.just(""), st.builds("".join, st.tuples(st.sampled_from(["a", "b", "rc", ".beta.", "-C"]), NUMBERS))
        ),
        st.one_of(st.just(""), st.builds(".post{}".format, NUMBERS), st.builds("-{}".format, NUMBERS)),
        st.one_of(st.just(""), st.builds(".dev{}".format, NUMBERS)),
        st.sampled_from(["", "", "+deb12.1", "+9", "+g1a2b"]),
    ),
)


@given(VERSIONS, VERSIONS)
def test_two_versions_stand_as_packaging_has_them(one: str, other: str) -> None:
    ours, theirs = version_key(one), version_key(other)

    assert ours is not None
    assert theirs is not None
    assert (ours < theirs, ours == theirs) == (Version(one) < Version(other), Version(one) == Version(other))


@given(st.text(max_size=30))
def test_any_text_is_a_version_or_none(text: str) -> None:
    key = version_key(text)

    assert key is None or key == key


@pytest.mark.parametrize(
    ("condition", "version", "meant"),
    [
        ("<0.2", "0.1.0", True),
        ("<0.10", "0.9", True),
        ("<0.2", "0.2.0", False),
        ("<0.2", "0.2.0rc1", True),
        (">=0.1,<0.3", "0.2.5", True),
        (">=0.1,<0.3", "0.3.0", False),
        ("0.2", "0.2.0", True),
        ("= 0.2", "0.2.0", True),
        ("!=0.2", "0.2.0", False),
        (">0.2", "0.2.0.post1", True),
    ],
)
def test_a_condition_means_what_it_says(condition: str, version: str, meant: bool) -> None:
    key = version_key(version)

    assert key is not None
    assert version_condition(condition)(key) is meant


@pytest.mark.parametrize("condition", ["", "<", "<x", "0.1,", "~=0.2", "<0.2 or >3", "<" + "1" * 200])
def test_what_is_no_condition_is_refused(condition: str) -> None:
    with pytest.raises(ConfigurationError, match="is no condition on versions"):
        version_condition(condition)

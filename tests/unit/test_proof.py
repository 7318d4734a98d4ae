"""What is kept of a signed answer gives the envelope again; whatever else is stored there is an error."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.domain import envelope as envelopes
from mig_core.domain.proof import Proof
from mig_core.domain.storable import clean_json, same
from mig_core.errors import InvalidDocument
from mig_core.identity import AgentKey, verify_agent

KEY = AgentKey(bytes(32))

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(payload=st.binary(max_size=2000))
def test_the_envelope_comes_back_as_it_was_signed(payload: bytes) -> None:
    envelope = KEY.sign(envelopes.RESULT, payload)

    again = Proof.of(envelope).envelope(KEY.agent_id)

    assert again == envelope
    assert verify_agent(again, KEY.public_key) == KEY.agent_id


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"not compressed",
        zlib.compress(b"{}")[:-1],
        zlib.compress(b"{}") + b"more",
        zlib.compress(bytes(envelopes.MAX_RESULT_BYTES + 1)),
    ],
    ids=["nothing", "something else", "cut short", "with a tail", "larger than any answer"],
)
def test_a_damaged_one_is_an_error_and_bounded(stored: bytes) -> None:
    with pytest.raises(InvalidDocument, match="damaged"):
        Proof(stored, b"").envelope(KEY.agent_id)


@given(value=json_values)
def test_a_value_is_the_same_as_itself_once_it_is_cleaned(value: object) -> None:
    cleaned = clean_json(value)  # type: ignore[arg-type]  # any JSON value

    assert same(cleaned, clean_json(cleaned))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (0, False),
        (None, False),
        ("1", 1),
        ([1], [1, 1]),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, {"a": True}),
        ([], {}),
    ],
)
def test_what_reads_differently_is_not_the_same(one: object, other: object) -> None:
    assert not same(one, other)  # type: ignore[arg-type]  # any JSON value

"""Envelopes: what exactly is signed, and what is refused before anything is verified."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.domain.command import COMMAND_HEAD, CancelMessage, CommandMessage, command_tail, read_message
from mig_core.domain.envelope import (
    ACTION,
    CANCEL,
    LOGIN,
    MAX_ACTION_BYTES,
    MAX_SIGNATURES,
    Envelope,
    Signature,
    envelope_from_json,
    read_envelope,
)
from mig_core.domain.ids import AgentId, CommandId
from mig_core.errors import InvalidDocument

AGENT = AgentId("a" * 32)
COMMAND = CommandId("0197f9f0-1111-7222-8333-444455556666")
SIGNATURES = st.lists(
    st.builds(Signature, st.text("0123456789ABCDEF", max_size=40), st.binary(max_size=100)), min_size=1, max_size=4
).map(tuple)


def document(**changes: Any) -> dict[str, Any]:
    plain = {"payloadType": ACTION, "payload": "YWJj", "signatures": [{"keyid": "A", "sig": "YWJj"}]}
    return {key: value for key, value in (plain | changes).items() if value is not ...}


def test_the_signed_bytes_are_dsse_version_1() -> None:
    assert Envelope("http://example.com/HelloWorld", b"hello world").signed_bytes() == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@given(st.text(max_size=20), st.binary(max_size=50), st.text(max_size=20), st.binary(max_size=50))
def test_two_different_documents_never_have_the_same_signed_bytes(
    type_a: str, payload_a: bytes, type_b: str, payload_b: bytes
) -> None:
    try:
        a, b = Envelope(type_a, payload_a).signed_bytes(), Envelope(type_b, payload_b).signed_bytes()
    except UnicodeEncodeError:  # a type with half a surrogate pair cannot be signed at all
        return

    assert (a == b) == ((type_a, payload_a) == (type_b, payload_b))


@given(st.binary(max_size=300), SIGNATURES)
def test_an_envelope_is_read_back_the_same(payload: bytes, signatures: tuple[Signature, ...]) -> None:
    envelope = Envelope(LOGIN, payload, signatures)

    assert read_envelope(envelope.to_bytes(), expected_type=LOGIN) == envelope


@given(
    st.from_regex(r"[A-Za-z0-9+/]{0,9}={0,3}", fullmatch=True), st.from_regex(r"[a-z0-9]{1,3}[A-Z]?", fullmatch=True)
)
def test_an_envelope_says_the_same_however_its_json_is_spaced(coded: str, keyid: str) -> None:
    value = document(payload=coded, signatures=[{"keyid": keyid, "sig": "YWJj"}])

    def outcome(raw: str) -> object:
        try:
            return read_envelope(raw.encode(), expected_type=ACTION)
        except InvalidDocument as error:
            return str(error)

    assert outcome(json.dumps(value, separators=(",", ":"))) == outcome(json.dumps(value, indent=1))


@given(st.binary(max_size=200))
def test_reading_any_bytes_gives_an_envelope_or_an_invalid_document(raw: bytes) -> None:
    with pytest.raises(InvalidDocument):
        read_envelope(raw, expected_type=ACTION)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"payloadType": CANCEL}, "payloadType"),
        ({"payloadType": ...}, "payloadType"),
        ({"payload": "YW Jj"}, "payload"),
        ({"payload": "YWJ"}, "payload"),
        ({"payload": "é==="}, "payload"),
        ({"payload": 7}, "payload"),
        ({"signatures": []}, "signatures"),
        ({"signatures": [{"keyid": "A", "sig": "YWJj"}] * (MAX_SIGNATURES + 1)}, "signatures"),
        ({"signatures": [{"keyid": "A"}]}, "signatures[0].sig"),
        ({"signatures": [{"keyid": "A", "sig": "!"}]}, "signatures[0].sig"),
        ({"signatures": [{"keyid": "A", "sig": "A" * 10_000}]}, "signatures[0].sig"),
        ({"signatures": [{"keyid": "A" * 101, "sig": "YWJj"}]}, "signatures[0].keyid"),
        ({"signatures": [{"keyid": "A", "sig": "YWJj", "more": 1}]}, "signatures[0].more"),
        ({"more": 1}, "more"),
    ],
)
def test_what_is_no_envelope_is_refused_with_the_path(changes: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidDocument) as error:
        envelope_from_json(document(**changes), expected_type=ACTION)

    assert error.value.path == path


def test_a_missing_key_hint_is_empty() -> None:
    envelope = envelope_from_json(document(signatures=[{"sig": "YWJj"}]), expected_type=ACTION)

    assert envelope.signatures == (Signature("", b"abc"),)


def test_an_envelope_that_is_too_large_is_refused_before_it_is_decoded() -> None:
    raw = json.dumps(document(payload=base64.b64encode(bytes(MAX_ACTION_BYTES)).decode())).encode()

    with pytest.raises(InvalidDocument, match="at most"):
        read_envelope(raw, expected_type=ACTION)


def test_a_signature_is_added_without_touching_the_others() -> None:
    first, second = Signature("A", b"1"), Signature("B", b"2")
    envelope = Envelope(ACTION, b"x", (first,))

    assert envelope.with_signature(second).signatures == (first, second)
    assert envelope.signatures == (first,)


def test_messages_of_the_relay_carry_envelopes_and_are_read_back_the_same() -> None:
    command = CommandMessage(COMMAND, AGENT, Envelope(ACTION, b"x", (Signature("A", b"1"),)))
    cancel = CancelMessage(AGENT, Envelope(CANCEL, b"x", (Signature("A", b"1"),)))

    assert read_message(command.to_bytes()) == command
    assert command.to_bytes() == (COMMAND_HEAD % (COMMAND, AGENT)).encode() + command_tail(command.action)
    assert read_message(cancel.to_bytes()) == cancel


@given(st.binary(max_size=200))
def test_reading_any_bytes_as_a_message_gives_an_invalid_document(raw: bytes) -> None:
    with pytest.raises(InvalidDocument):
        read_message(raw)


def test_a_message_with_the_wrong_envelope_or_an_unknown_kind_is_refused() -> None:
    swapped = CommandMessage(COMMAND, AGENT, Envelope(CANCEL, b"x", (Signature("A", b"1"),)))

    with pytest.raises(InvalidDocument, match="payloadType"):
        read_message(swapped.to_bytes())
    with pytest.raises(InvalidDocument, match="kind: must be command or cancel"):
        read_message(json.dumps({"kind": "other", "agent": AGENT}).encode())

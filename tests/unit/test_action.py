"""Actions and cancels: limits, paths of faults, and round trips through real signatures."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mig_core.domain.action import MAX_OPERATIONS, MAX_WINDOW, Action, Cancel, Operation, read_action, read_cancel
from mig_core.domain.envelope import ACTION, CANCEL, Envelope
from mig_core.domain.ids import ActionId
from mig_core.errors import InvalidDocument, SignatureInvalid
from mig_core.pgp.base import verify_all
from mig_core.testing.keys import sign_action

if TYPE_CHECKING:
    from mig_core.pgp.base import Keyring
    from mig_core.testing.keys import InvestigatorKeys

ID = ActionId("0197f9f0-1111-7222-8333-444455556666")
START = datetime(2026, 11, 23, tzinfo=UTC)
PLAIN = Action(ID, "who has it", "os = 'linux'", START, START + timedelta(hours=1), (Operation("file", {"a": [1]}),))

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
ACTIONS = st.builds(
    Action,
    id=st.uuids().map(str),
    name=TEXT.map(lambda text: f"a{text}"),
    target=st.sampled_from(["all", "os = 'linux' AND name LIKE 'web%'"]),
    valid_from=st.just(START),
    expire_after=st.timedeltas(timedelta(seconds=1), MAX_WINDOW).map(lambda length: START + length),
    operations=st.lists(
        st.builds(Operation, st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True), st.dictionaries(TEXT, TEXT)),
        min_size=1,
        max_size=4,
    ).map(tuple),
    description=TEXT,
    threat=TEXT,
)


def document(**changes: Any) -> bytes:
    plain = json.loads(PLAIN.to_payload())
    return json.dumps({key: value for key, value in (plain | changes).items() if value is not ...}).encode()


@given(ACTIONS)
def test_an_action_is_read_back_the_same(action: Action) -> None:
    assert read_action(action.to_payload()) == action


@given(st.binary(max_size=200))
def test_reading_any_bytes_as_action_or_cancel_gives_an_invalid_document(raw: bytes) -> None:
    for read in (read_action, read_cancel):
        with pytest.raises(InvalidDocument):
            read(raw)


JSON_VALUE: st.SearchStrategy[object] = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just([]) | st.just({}) | st.just([{}])
)


@given(st.sampled_from(sorted(json.loads(PLAIN.to_payload()))), JSON_VALUE)
def test_any_value_in_any_place_gives_an_action_or_an_invalid_document(key: str, value: object) -> None:
    try:
        read_action(document(**{key: value}))
    except InvalidDocument as error:
        assert error.path.startswith(key) or error.path == "expireafter"


def operation(**changes: Any) -> list[dict[str, Any]]:
    return [{"module": "file", "parameters": {}} | changes]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"syntaxversion": 2}, "syntaxversion"),
        ({"syntaxversion": "3"}, "syntaxversion"),
        ({"id": "1"}, "id"),
        ({"name": " "}, "name"),
        ({"name": "x" * 2001}, "name"),
        ({"target": "status = "}, "target"),
        ({"target": "x" * 9000}, "target"),
        ({"target": ...}, "target"),
        ({"validfrom": "yesterday"}, "validfrom"),
        ({"expireafter": "2026-11-23T00:00:00Z"}, "expireafter"),
        ({"expireafter": "2027-11-23T00:00:00Z"}, "expireafter"),
        ({"operations": []}, "operations"),
        ({"operations": operation() * (MAX_OPERATIONS + 1)}, "operations"),
        ({"operations": operation(module="../file")}, "operations[0].module"),
        ({"operations": operation(module="File")}, "operations[0].module"),
        ({"operations": operation(parameters=[])}, "operations[0].parameters"),
        ({"operations": operation(wantcompressed=True)}, "operations[0].wantcompressed"),
        ({"investigators": []}, "investigators"),
    ],
)
def test_what_is_no_action_is_refused_with_the_path(changes: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidDocument) as error:
        read_action(document(**changes))

    assert error.value.path == path


def test_description_and_threat_may_be_left_out() -> None:
    action = read_action(document(description=..., threat=None))

    assert action.description == action.threat == ""


def test_a_cancel_is_read_back_the_same() -> None:
    cancel = Cancel(ID, "wrong target", START)

    assert read_cancel(cancel.to_payload()) == cancel


def test_a_cancel_with_a_misspelt_key_is_refused() -> None:
    with pytest.raises(InvalidDocument, match="resaon: is not a known key"):
        read_cancel(json.dumps({"action": ID, "resaon": "", "issuedat": "2026-11-23T00:00:00Z"}).encode())


def test_an_action_signed_by_two_names_both_in_their_order(
    investigator_keys: InvestigatorKeys, investigator_keyring: Keyring
) -> None:
    alice, dave = investigator_keys.alice, investigator_keys.dave

    envelope = sign_action(PLAIN, dave, alice)

    assert verify_all(investigator_keyring, envelope) == (dave.fingerprint, alice.fingerprint)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_changing_any_signed_byte_or_the_type_breaks_the_signature(
    data: st.DataObject, investigator_keys: InvestigatorKeys, investigator_keyring: Keyring
) -> None:
    envelope = sign_action(PLAIN, investigator_keys.alice)
    payload = envelope.payload
    at = data.draw(st.integers(0, len(payload) - 1))
    flipped = payload[:at] + bytes([payload[at] ^ data.draw(st.integers(1, 255))]) + payload[at + 1 :]

    for changed in (
        Envelope(ACTION, flipped, envelope.signatures),
        Envelope(ACTION, payload[:at], envelope.signatures),
        Envelope(CANCEL, payload, envelope.signatures),
    ):
        with pytest.raises(SignatureInvalid):
            verify_all(investigator_keyring, changed)

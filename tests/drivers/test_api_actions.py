"""Actions over a real mig-api: created, signed, listed, cancelled; and everything that is refused on the way."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from mig_core.client.compose import compose_action
from mig_core.domain import envelope as envelopes
from mig_core.domain.action import Action, Cancel, Operation
from mig_core.domain.envelope import Envelope, Signature
from mig_core.domain.ids import ActionId
from mig_core.errors import ApiError
from mig_core.testing.keys import sign_action

if TYPE_CHECKING:
    from pathlib import Path

    from mig_core.client.client import MigClient
    from mig_core.config.server import ApiSettings
    from mig_core.testing.api_site import ApiSite
    from mig_core.testing.keys import InvestigatorKeys


@pytest.fixture
def api_settings(api_settings: ApiSettings, tmp_path: Path, investigator_keys: InvestigatorKeys) -> ApiSettings:
    """With an ACL: everybody alone for everything, but `memory` needs two."""
    people = {
        name: {"fingerprint": signer.fingerprint, "weight": 1}
        for name, signer in (("Alice", investigator_keys.alice), ("Bob", investigator_keys.bob))
    }
    acl = tmp_path / "acl.json"
    acl.write_text(
        json.dumps(
            {
                "default": {"minimumweight": 1, "investigators": people},
                "memory": {"minimumweight": 2, "investigators": people},
            }
        )
    )
    return type(api_settings)(
        state=api_settings.state,
        listen=api_settings.listen,
        database=api_settings.database,
        enrolment_secret_file=api_settings.enrolment_secret_file,
        acl=acl,
    )


@pytest.fixture
def alice(api_site: ApiSite) -> MigClient:
    return api_site.first_investigator()


def question(module: str = "file", *, name: str = "a question", target: str = "all") -> Action:
    return compose_action([Operation(module, {"searches": {}})], name=name, target=target, expiry=timedelta(minutes=5))


def test_a_signed_action_is_scheduled_and_comes_back_as_it_was_signed(api_site: ApiSite, alice: MigClient) -> None:
    action = question()
    envelope = sign_action(action, api_site.keys.alice)

    created = alice.create_action(envelope)
    shown = alice.action(action.id)

    assert created["state"] == "scheduled"
    assert created["signers"] == [api_site.keys.alice.fingerprint]
    assert created["operations"] == [{"module": "file", "parameters": {"searches": {}}}]
    assert shown["envelope"] == envelope.to_json()


def test_an_action_that_needs_two_waits_until_the_second_has_signed(api_site: ApiSite, alice: MigClient) -> None:
    keys = api_site.keys
    alice.add_investigator("Bob", keys.bob.public_key(), ["read", "ask"])
    bob = api_site.client(keys.bob)
    action = question("memory")
    envelope = sign_action(action, keys.alice)

    created = alice.create_action(envelope)
    with pytest.raises(ApiError) as again:
        alice.add_signature(action.id, envelope.signatures[0])
    signed = bob.add_signature(action.id, keys.bob.sign(envelope).signatures[-1])

    assert created["state"] == "pending"
    assert created["needed"] == [{"module": "memory", "minimum": 2, "have": 1}]
    assert again.value.status == 409
    assert signed["state"] == "scheduled"
    assert signed["needed"] == []
    assert signed["signers"] == [keys.alice.fingerprint, keys.bob.fingerprint]
    assert len(bob.action(action.id)["envelope"]["signatures"]) == 2


def test_a_signature_over_something_else_is_not_added(api_site: ApiSite, alice: MigClient) -> None:
    keys = api_site.keys
    alice.add_investigator("Bob", keys.bob.public_key(), ["ask"])
    action = question("memory")
    alice.create_action(sign_action(action, keys.alice))
    elsewhere = sign_action(question("memory"), keys.bob).signatures[0]

    with pytest.raises(ApiError) as refused:
        alice.add_signature(action.id, elsewhere)

    assert refused.value.status == 403
    assert alice.action(action.id)["state"] == "pending"


def test_weights_tell_before_signing_how_far_one_comes(api_site: ApiSite, alice: MigClient) -> None:
    unsigned = Envelope(envelopes.ACTION, question("memory").to_payload())

    lines = alice.weights(unsigned, api_site.keys.alice.fingerprint)

    assert lines == ["module memory needs weight 2, has 1 with your signature"]


def test_the_same_action_id_is_not_taken_twice(api_site: ApiSite, alice: MigClient) -> None:
    envelope = sign_action(question(), api_site.keys.alice)
    alice.create_action(envelope)

    with pytest.raises(ApiError) as refused:
        alice.create_action(envelope)

    assert refused.value.status == 409


def test_nobody_sends_what_only_others_signed(api_site: ApiSite, alice: MigClient) -> None:
    alice.add_investigator("Bob", api_site.keys.bob.public_key(), ["ask"])

    with pytest.raises(ApiError) as refused:
        alice.create_action(sign_action(question(), api_site.keys.bob))

    assert refused.value.status == 403
    assert "not among the signers" in str(refused.value)


def test_a_disabled_signer_spoils_the_action_even_for_others(api_site: ApiSite, alice: MigClient) -> None:
    keys = api_site.keys
    alice.add_investigator("Bob", keys.bob.public_key(), ["ask"])
    alice.change_investigator(keys.bob.fingerprint, active=False)

    with pytest.raises(ApiError) as refused:
        alice.create_action(sign_action(question("memory"), keys.alice, keys.bob))

    assert refused.value.status == 403
    assert "disabled" in str(refused.value)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"payloadType": "text/plain"}, "payloadType"),
        ({"payload": "%%%"}, "payload"),
        ({"signatures": []}, "signatures"),
        ({"signatures": [{"keyid": "x"}]}, "signatures[0].sig"),
        ({"extra": 1}, "extra"),
    ],
)
def test_a_bad_envelope_is_refused_by_the_name_of_its_field(
    api_site: ApiSite, alice: MigClient, change: dict[str, object], field: str
) -> None:
    document = {**sign_action(question(), api_site.keys.alice).to_json(), **change}
    token = session_token(alice)

    answer = api_site.ask("POST", "/api/v1/actions", body=json.dumps(document).encode(), token=token)

    assert answer.status == 400
    assert answer.json["field"] == field


@pytest.mark.parametrize(
    ("key", "value", "field"),
    [
        ("target", "status = 'online", "target"),
        ("target", "1=1); DROP TABLE agents; --", "target"),
        ("operations", [], "operations"),
        ("syntaxversion", 2, "syntaxversion"),
        ("surprise", True, "surprise"),
        ("expireafter", "2020-01-01T00:00:00Z", "expireafter"),
    ],
)
def test_a_signed_action_that_is_none_is_refused_by_the_name_of_its_field(
    api_site: ApiSite, alice: MigClient, key: str, value: object, field: str
) -> None:
    document = {**json.loads(question().to_payload()), key: value}
    envelope = api_site.keys.alice.sign(Envelope(envelopes.ACTION, json.dumps(document).encode()))

    with pytest.raises(ApiError) as refused:
        alice.create_action(envelope)

    assert refused.value.status == 400
    assert refused.value.field == field


def test_an_action_whose_window_is_over_is_refused(api_site: ApiSite, alice: MigClient) -> None:
    past = datetime.now(UTC) - timedelta(hours=1)
    action = compose_action([Operation("file", {})], name="late", target="all", expiry=timedelta(minutes=1), now=past)

    with pytest.raises(ApiError) as refused:
        alice.create_action(sign_action(action, api_site.keys.alice))

    assert (refused.value.status, refused.value.field) == (400, "expireafter")


def test_a_changed_payload_breaks_the_signature(api_site: ApiSite, alice: MigClient) -> None:
    good = sign_action(question(), api_site.keys.alice)
    changed = Envelope(good.payload_type, good.payload.replace(b"a question", b"A question"), good.signatures)

    with pytest.raises(ApiError) as refused:
        alice.create_action(changed)

    assert (refused.value.status, refused.value.field) == (403, "signatures")


def test_actions_are_listed_in_pages_and_filtered(api_site: ApiSite, alice: MigClient) -> None:
    names = [f"question {number}" for number in range(5)]
    for name in names:
        alice.create_action(sign_action(question(name=name), api_site.keys.alice))
    alice.create_action(sign_action(question("memory", name="other"), api_site.keys.alice))
    token = session_token(alice)

    first = api_site.ask("GET", "/api/v1/actions?limit=2&name=QUESTION", token=token).json
    second = api_site.ask("GET", f"/api/v1/actions?limit=200&name=QUESTION&cursor={first['cursor']}", token=token).json
    pending = list(alice.actions(states=["pending"]))

    assert [one["name"] for one in first["items"] + second["items"]] == names[::-1]
    assert second["cursor"] == ""
    assert [one["name"] for one in pending] == ["other"]
    assert [one["name"] for one in alice.actions(limit=3)] == ["other", names[4], names[3]]


@pytest.mark.parametrize(
    "path", ["/actions?limit=none", "/actions?state=wrong", "/actions?cursor=%00'", "/actions/x", "/actions?creator=x"]
)
def test_parameters_that_make_no_sense_are_refused(api_site: ApiSite, alice: MigClient, path: str) -> None:
    answer = api_site.ask("GET", f"/api/v1{path}", token=session_token(alice))

    assert answer.status == 400
    assert answer.json["detail"]


def test_an_unknown_action_is_not_found(alice: MigClient) -> None:
    for ask in (alice.action, lambda one: list(alice.commands(one))):
        with pytest.raises(ApiError) as missing:
            ask("0197f9f0-0000-7000-8000-000000000000")
        assert missing.value.status == 404


def test_a_signed_cancel_ends_an_action_that_was_not_sent(api_site: ApiSite, alice: MigClient) -> None:
    action = question()
    alice.create_action(sign_action(action, api_site.keys.alice))
    unsigned = Envelope(envelopes.CANCEL, Cancel(action.id, "a mistake", datetime.now(UTC)).to_payload())
    other = Cancel(ActionId("0197f9f0-0000-7000-8000-000000000000"), "", datetime.now(UTC)).to_payload()

    with pytest.raises(ApiError) as unsigned_by_us:
        alice.cancel(action.id, unsigned.with_signature(Signature(api_site.keys.alice.fingerprint, b"\x88\x01")))
    with pytest.raises(ApiError) as of_another:
        alice.cancel(action.id, api_site.keys.alice.sign(Envelope(envelopes.CANCEL, other)))
    cancelled = alice.cancel(action.id, api_site.keys.alice.sign(unsigned))

    assert unsigned_by_us.value.status == 403
    assert (of_another.value.status, of_another.value.field) == (400, "action")
    assert cancelled["state"] == "cancelled"


def session_token(client: MigClient) -> str:
    client.log_in()
    return client._session.token()

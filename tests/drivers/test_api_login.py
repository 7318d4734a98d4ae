"""Bootstrap, login, sessions and permissions, over a real mig-api."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from mig_core.client.client import MigClient
from mig_core.config.client import ClientSettings
from mig_core.domain import envelope as envelopes
from mig_core.domain.document import dump
from mig_core.domain.envelope import Envelope, Signature
from mig_core.domain.times import format_time
from mig_core.errors import ApiError

if TYPE_CHECKING:
    from pathlib import Path

    from mig_core.pgp.base import Signer
    from mig_core.testing.api_site import ApiSite


def login_envelope(site: ApiSite, signer: Signer, *, nonce: str = "", issued: datetime | None = None) -> Envelope:
    given = nonce or site.ask("POST", "/api/v1/login/nonce").json["nonce"]
    payload = {
        "nonce": given,
        "fingerprint": signer.fingerprint,
        "issuedat": format_time(issued or datetime.now(UTC)),
        "api": site.url,
    }
    return signer.sign(Envelope(envelopes.LOGIN, dump({**payload})))


def log_in(site: ApiSite, envelope: Envelope) -> int:
    return site.ask("POST", "/api/v1/login", body=envelope.to_bytes()).status


def test_a_client_learns_how_far_its_clock_is_ahead(api_site: ApiSite) -> None:
    alice = api_site.keys.alice
    api_site.first_investigator()
    settings = ClientSettings(api=api_site.url, fingerprint=alice.fingerprint)
    ahead = timedelta(seconds=40)

    with MigClient(settings, lambda: alice, keep_session=False, clock=lambda: datetime.now(UTC) + ahead) as client:
        before = client.clock_ahead
        client.dashboard()

    assert before == timedelta(0)
    assert abs(client.clock_ahead - ahead) < timedelta(seconds=5)


def test_the_first_investigator_is_admitted_once_with_the_secret_file(api_site: ApiSite) -> None:
    secret_file = api_site.state / "bootstrap-secret"
    mode = stat.S_IMODE(secret_file.stat().st_mode)
    secret = api_site.bootstrap_secret

    alice = api_site.first_investigator()

    assert mode == 0o600
    assert not secret_file.exists()
    assert sorted(alice.investigator(api_site.keys.alice.fingerprint)["permissions"]) == [
        "agents",
        "ask",
        "investigators",
        "log",
        "propose",
        "read",
    ]
    with pytest.raises(ApiError) as refused:
        api_site.client(api_site.keys.bob).bootstrap(secret, "Bob", api_site.keys.bob.public_key())
    assert refused.value.status == 403
    assert refused.value.field == "secret"


def test_a_wrong_bootstrap_secret_admits_nobody_and_attempts_are_limited(api_site: ApiSite) -> None:
    body = {"secret": "guess", "name": "Mallory", "publickey": "-"}

    statuses = [api_site.ask("POST", "/api/v1/bootstrap", body={**body}).status for _ in range(30)]

    assert set(statuses[:20]) == {403}
    assert statuses[-1] == 429
    assert (api_site.state / "bootstrap-secret").exists()


def test_a_key_that_is_not_one_public_key_is_refused_by_name(api_site: ApiSite) -> None:
    secret = api_site.bootstrap_secret

    answer = api_site.ask("POST", "/api/v1/bootstrap", body={"secret": secret, "name": "A", "publickey": "not a key"})

    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["field"] == "publickey"


def test_a_restart_keeps_the_bootstrap_secret_until_it_is_spent(api_site: ApiSite) -> None:
    before = api_site.bootstrap_secret

    api_site.stop()
    api_site.start()
    kept = api_site.bootstrap_secret
    api_site.first_investigator()
    api_site.stop()
    api_site.start()

    assert kept == before
    assert not (api_site.state / "bootstrap-secret").exists()


def test_a_login_works_once_for_each_nonce(api_site: ApiSite) -> None:
    api_site.first_investigator()
    envelope = login_envelope(api_site, api_site.keys.alice)

    first, replayed = log_in(api_site, envelope), log_in(api_site, envelope)

    assert (first, replayed) == (201, 401)


def test_an_expired_nonce_or_an_old_signature_is_refused(api_site: ApiSite) -> None:
    api_site.first_investigator()
    alice = api_site.keys.alice
    nonce = api_site.ask("POST", "/api/v1/login/nonce").json["nonce"]

    old = log_in(api_site, login_envelope(api_site, alice, issued=datetime.now(UTC) - timedelta(minutes=6)))
    api_site.offset = timedelta(seconds=61)
    late = log_in(api_site, login_envelope(api_site, alice, nonce=nonce))

    assert (old, late) == (401, 401)


def test_strangers_forged_signatures_and_other_documents_do_not_log_in(api_site: ApiSite) -> None:
    api_site.first_investigator()
    alice, stranger = api_site.keys.alice, api_site.keys.stranger
    good = login_envelope(api_site, alice)
    by_stranger = stranger.sign(Envelope(good.payload_type, good.payload)).signatures[0].sig

    unknown = log_in(api_site, login_envelope(api_site, stranger))
    borrowed = log_in(api_site, Envelope(good.payload_type, good.payload, (Signature(alice.fingerprint, by_stranger),)))
    signed_as_cancel = alice.sign(Envelope(envelopes.CANCEL, good.payload)).signatures[0]
    other_type = log_in(api_site, Envelope(good.payload_type, good.payload, (signed_as_cancel,)))

    assert (unknown, borrowed, other_type) == (401, 401, 401)
    assert log_in(api_site, good) == 201


def test_a_disabled_investigator_loses_access_at_once(api_site: ApiSite) -> None:
    alice = api_site.first_investigator()
    keys = api_site.keys
    alice.add_investigator("Bob", keys.bob.public_key(), ["read", "ask"])
    bob = api_site.client(keys.bob)
    before = bob.dashboard()

    alice.change_investigator(keys.bob.fingerprint, active=False)

    assert "agents" in before
    with pytest.raises(ApiError) as refused:
        bob.dashboard()
    assert refused.value.status == 401
    assert "disabled" in str(refused.value)


def test_permissions_are_checked_and_take_effect_at_once(api_site: ApiSite) -> None:
    alice = api_site.first_investigator()
    keys = api_site.keys
    alice.add_investigator("Carol", keys.carol.public_key(), ["read"])
    carol = api_site.client(keys.carol)
    carol.log_in()

    with pytest.raises(ApiError) as refused:
        carol.add_investigator("Mallory", keys.stranger.public_key(), ["read"])
    alice.change_investigator(keys.carol.fingerprint, permissions=["read", "investigators"])
    added = carol.add_investigator("Dave", keys.dave.public_key(), [])

    assert refused.value.status == 403
    assert "investigators" in str(refused.value)
    assert added["permissions"] == []
    assert [one["name"] for one in carol.investigators()] == ["Alice", "Carol", "Dave"]


def test_the_last_who_may_change_investigators_cannot_be_disabled(api_site: ApiSite) -> None:
    alice = api_site.first_investigator()

    with pytest.raises(ApiError) as refused:
        alice.change_investigator(api_site.keys.alice.fingerprint, active=False)

    assert refused.value.status == 409


def test_a_logout_ends_the_session(api_site: ApiSite) -> None:
    api_site.first_investigator()
    envelope = login_envelope(api_site, api_site.keys.alice)
    token = api_site.ask("POST", "/api/v1/login", body=envelope.to_bytes()).json["token"]

    before = api_site.ask("GET", "/api/v1/dashboard", token=token).status
    ended = api_site.ask("POST", "/api/v1/logout", token=token).status
    after = api_site.ask("GET", "/api/v1/dashboard", token=token)

    assert (before, ended, after.status) == (200, 204, 401)
    assert after.headers["www-authenticate"] == "Bearer"


def test_a_session_ends_by_itself(api_site: ApiSite) -> None:
    api_site.first_investigator()
    envelope = login_envelope(api_site, api_site.keys.alice)
    token = api_site.ask("POST", "/api/v1/login", body=envelope.to_bytes()).json["token"]

    api_site.offset = api_site.settings.session_lifetime + timedelta(seconds=1)

    assert api_site.ask("GET", "/api/v1/dashboard", token=token).status == 401


def test_the_client_keeps_its_session_in_a_private_file_and_signs_only_once(api_site: ApiSite, tmp_path: Path) -> None:
    api_site.first_investigator()
    signer = api_site.keys.alice
    asked: list[str] = []

    def counted() -> Signer:
        asked.append("signer")
        return signer

    settings = ClientSettings(api=api_site.url, fingerprint=signer.fingerprint)
    for _ in range(3):
        with MigClient(settings, counted, state=tmp_path / "sessions", environment={}) as client:
            client.dashboard()

    files = list((tmp_path / "sessions").iterdir())
    assert len(asked) == 1
    assert [stat.S_IMODE(path.stat().st_mode) for path in files] == [0o600]


def test_the_client_logs_in_again_when_its_kept_session_is_refused(api_site: ApiSite, tmp_path: Path) -> None:
    alice = api_site.first_investigator()
    bob = api_site.keys.bob
    alice.add_investigator("Bob", bob.public_key(), ["read"])
    settings = ClientSettings(api=api_site.url, fingerprint=bob.fingerprint)
    client = MigClient(settings, lambda: bob, state=tmp_path, environment={})
    client.log_in()
    alice.change_investigator(bob.fingerprint, active=False)
    alice.change_investigator(bob.fingerprint, active=True)

    numbers = client.dashboard()

    assert "agents" in numbers

"""A question is signed and sent without a check of one's own: what is wrong with the key is said when it is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from mig_core.client.compose import compose_action
from mig_core.client.connection import Connection
from mig_core.config.client import ClientSettings
from mig_core.domain.action import Operation
from mig_core.domain.envelope import ACTION, Envelope
from mig_core.errors import ApiError, SignatureInvalid
from mig_core.pgp.gnupg import GnupgSigner, stop_agent
from mig_core.testing.odd_keys import OddKeys, without_back_signature

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mig_core.client.client import MigClient
    from mig_core.pgp.base import Signer
    from mig_core.testing.api_site import ApiSite


@pytest.fixture
def homes(tmp_path: Path) -> Iterator[tuple[OddKeys, OddKeys]]:
    """Two GnuPG homes."""
    two = OddKeys.in_folder(tmp_path / "good"), OddKeys.in_folder(tmp_path / "bad")
    yield two
    for one in two:
        stop_agent(one.home)


def connection_of(client: MigClient, signer: Signer) -> Connection:
    connection = Connection(ClientSettings())
    connection.__dict__.update(client=client, signer=signer)
    return connection


def question() -> Envelope:
    operations = [Operation("file", {"searches": {}})]
    action = compose_action(operations, name="a question", target="all", expiry=timedelta(minutes=5))
    return Envelope(ACTION, action.to_payload())


def test_a_subkey_that_nobody_vouched_for_is_named_as_before_and_nothing_is_asked(
    api_site: ApiSite, homes: tuple[OddKeys, OddKeys]
) -> None:
    good, bad = homes
    key = good.made("ann")
    client = api_site.client(GnupgSigner(key, good.home))
    client.bootstrap(api_site.bootstrap_secret, "Ann", good.gpg("--armor", "--export", key))
    client.log_in()
    good.gpg("--quick-add-key", key, "ed25519", "sign", "0")
    bad.gpg("--import", stdin=without_back_signature(good.gpg("--export-secret-keys", key)))
    connection = connection_of(client, GnupgSigner(key, bad.home))

    with pytest.raises(SignatureInvalid, match=r"no agent would accept it: .*vouch for each other") as refusal:
        connection.sent(connection.signed(question()))

    assert "cross-certify" in refusal.value.next_step
    assert list(client.actions()) == []


def test_what_the_platform_refuses_for_another_reason_is_its_to_say(api_site: ApiSite) -> None:
    alice = api_site.first_investigator()
    keys = api_site.keys
    alice.add_investigator("Bob", keys.bob.public_key(), ["read"])
    connection = connection_of(api_site.client(keys.bob), keys.bob)

    with pytest.raises(ApiError, match="lacks the permission ask"):
        connection.sent(connection.signed(question()))

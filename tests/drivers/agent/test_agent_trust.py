"""Keys and ACL in force: read anew when their files change, never wider by a file that is not whole or not ours."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from mig_core.agent.trust import ACL, KEYS, Trust
from mig_core.config.agent import TrustSettings
from mig_core.domain import envelope as envelopes
from mig_core.domain.envelope import Envelope
from mig_core.errors import ConfigurationError, SignatureInvalid
from mig_core.pgp import keyring as keyrings
from mig_core.pgp.gnupg import GnupgSigner, generate_key
from mig_core.pgp.home import stop_agent
from mig_core.testing.eventually import eventually
from mig_core.testing.running import alive, verifying

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mig_core.pgp.keyring import KeyFiles


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, GnupgSigner]]:
    """Two investigators."""
    home = tmp_path_factory.mktemp("people")
    yield {
        name: GnupgSigner(generate_key(home, name, f"{name}@example.org").fingerprint, home)
        for name in ("alice", "bob")
    }
    stop_agent(home)


@pytest.fixture
def place(tmp_path: Path, people: dict[str, GnupgSigner]) -> TrustSettings:
    """An endpoint's keys and ACL; alice's key is there."""
    settings = TrustSettings(tmp_path / "keys", tmp_path / "acl.json")
    settings.keys.mkdir()
    (settings.keys / "alice.asc").write_bytes(people["alice"].public_key())
    write_acl(settings, people["alice"])
    return settings


def write_acl(settings: TrustSettings, *investigators: GnupgSigner) -> None:
    weights = {one.fingerprint: {"fingerprint": one.fingerprint, "weight": 1} for one in investigators}
    settings.acl.write_text(json.dumps({"default": {"minimumweight": 1, "investigators": weights}}))


def believes(trust: Trust, signer: GnupgSigner) -> bool:
    envelope = signer.sign(Envelope(envelopes.ACTION, b"{}"))
    with trust.in_force() as (keyring, _):
        try:
            return keyring.verify(envelope.signed_bytes(), envelope.signatures[0]) == signer.fingerprint
        except SignatureInvalid:
            return False


def knows(trust: Trust, signer: GnupgSigner) -> bool:
    with trust.in_force() as (_, acl):
        return acl.knows(signer.fingerprint)


def test_keys_and_acl_are_those_of_the_files_as_they_are_now(
    tmp_path: Path, place: TrustSettings, people: dict[str, GnupgSigner]
) -> None:
    trust = Trust(tmp_path / "keyring", place)
    before = trust.digests()
    assert believes(trust, people["alice"]) and not believes(trust, people["bob"])

    (place.keys / "bob.asc").write_bytes(people["bob"].public_key())
    (place.keys / "alice.asc").unlink()
    write_acl(place, people["bob"])

    assert believes(trust, people["bob"]) and not believes(trust, people["alice"])
    assert knows(trust, people["bob"]) and not knows(trust, people["alice"])
    assert trust.problems() == {}
    assert all(trust.digests()[name] != before[name] for name in ("acl", "keyring"))


def test_a_gpg_that_waited_when_the_keys_changed_is_asked_no_more(
    tmp_path: Path, place: TrustSettings, people: dict[str, GnupgSigner]
) -> None:
    trust = Trust(tmp_path / "keyring", place)
    trust.get_ready()
    (pid,) = eventually(lambda: verifying(tmp_path / "keyring"))

    (place.keys / "bob.asc").write_bytes(people["bob"].public_key())
    (place.keys / "alice.asc").unlink()
    trust.look()

    assert not alive(pid)
    trust.get_ready()
    assert not believes(trust, people["alice"])
    trust.get_ready()
    assert believes(trust, people["bob"])
    trust.get_ready()
    assert len(eventually(lambda: verifying(tmp_path / "keyring"))) == 1
    trust.rest()
    assert not verifying(tmp_path / "keyring")


def test_the_digests_are_those_that_shell_commands_print(tmp_path: Path, place: TrustSettings) -> None:
    (place.keys / "more.asc").write_text("nothing that gpg could read\n")

    digests = Trust(tmp_path / "keyring", place).digests()

    lines = "sha256sum acl.json | cut -c1-64; sha256sum keys/* | cut -c1-64 | LC_ALL=C sort | sha256sum | cut -c1-64"
    printed = subprocess.run(["sh", "-c", lines], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert printed.split() == [digests["acl"], digests["keyring"]]


def test_what_is_half_written_leaves_the_old_in_force_and_is_said(
    tmp_path: Path, place: TrustSettings, people: dict[str, GnupgSigner]
) -> None:
    trust = Trust(tmp_path / "keyring", place)
    before = trust.digests()

    key, acl = place.keys / "alice.asc", place.acl.read_bytes()
    key.write_bytes(people["alice"].public_key()[:-200])
    (place.keys / "bob.asc").write_bytes(people["bob"].public_key()[:300])
    place.acl.write_bytes(acl[:-10])

    assert believes(trust, people["alice"]) and knows(trust, people["alice"]) and not believes(trust, people["bob"])
    assert trust.digests()["acl"] == before["acl"]
    assert set(trust.problems()) >= {ACL, KEYS} and "stays in force" in trust.problems()[ACL]

    key.write_bytes(people["alice"].public_key())
    (place.keys / "bob.asc").unlink()
    place.acl.write_bytes(acl)

    assert believes(trust, people["alice"])
    assert trust.problems() == {} and trust.digests() == before


def test_what_others_could_have_written_is_not_believed_though_a_removal_always_counts(
    tmp_path: Path, place: TrustSettings, people: dict[str, GnupgSigner]
) -> None:
    trust = Trust(tmp_path / "keyring", place)

    (place.keys / "bob.asc").write_bytes(people["bob"].public_key())
    (place.keys / "bob.asc").chmod(0o666)
    write_acl(place, people["alice"], people["bob"])
    place.acl.chmod(0o666)

    assert not believes(trust, people["bob"]) and not knows(trust, people["bob"])
    assert believes(trust, people["alice"]) and "others may write it" in trust.problems()[KEYS]

    place.keys.chmod(0o777)
    (place.keys / "alice.asc").unlink()

    assert not believes(trust, people["alice"]) and not believes(trust, people["bob"])

    place.keys.chmod(0o755)
    (place.keys / "bob.asc").chmod(0o644)
    place.acl.chmod(0o644)

    assert believes(trust, people["bob"]) and knows(trust, people["bob"]) and trust.problems() == {}


def test_a_removed_key_counts_no_more_when_no_new_keyring_can_be_made(
    tmp_path: Path, place: TrustSettings, people: dict[str, GnupgSigner], monkeypatch: pytest.MonkeyPatch
) -> None:
    (place.keys / "bob.asc").write_bytes(people["bob"].public_key())
    trust = Trust(tmp_path / "keyring", place)
    made = keyrings.GnupgKeyring.from_files

    def full(home: Path, files: KeyFiles) -> keyrings.GnupgKeyring:
        raise ConfigurationError(str(home), "", "no keyring can be made: no space left on device")

    monkeypatch.setattr(keyrings.GnupgKeyring, "from_files", staticmethod(full))
    (place.keys / "alice.asc").unlink()

    assert believes(trust, people["bob"]) and not believes(trust, people["alice"])
    assert "no space" in trust.problems()[KEYS]

    monkeypatch.setattr(keyrings.GnupgKeyring, "from_files", made)
    (place.keys / "alice.asc").write_bytes(people["alice"].public_key())

    assert believes(trust, people["bob"]) and believes(trust, people["alice"]) and trust.problems() == {}


def test_a_folder_of_keys_that_is_away_leaves_the_old_in_force_and_an_empty_one_does_not(
    tmp_path: Path, place: TrustSettings, people: dict[str, GnupgSigner]
) -> None:
    trust = Trust(tmp_path / "keyring", place)

    os.rename(place.keys, tmp_path / "old")

    assert believes(trust, people["alice"]) and KEYS in trust.problems()

    place.keys.mkdir()

    assert not believes(trust, people["alice"]) and trust.problems() == {}


def test_an_acl_that_is_a_pipe_holds_nobody_up_and_leaves_the_old_in_force(
    tmp_path: Path, place: TrustSettings, people: dict[str, GnupgSigner]
) -> None:
    trust = Trust(tmp_path / "home", place)

    place.acl.unlink()
    os.mkfifo(place.acl)

    assert believes(trust, people["alice"])
    assert "no regular file" in trust.problems()[ACL]

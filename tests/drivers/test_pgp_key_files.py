"""Key files that hold more, or less, than gpg can use: none takes another key away, and each reason is said."""

from __future__ import annotations

import logging
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from mig_core.domain.envelope import ACTION, Envelope
from mig_core.errors import ConfigurationError, InvalidDocument, SignatureInvalid
from mig_core.pgp.gnupg import GnupgKeyring, GnupgSigner, stop_agent
from mig_core.pgp.packets import read_packets
from mig_core.testing.odd_keys import OddKeys, bare_key, packet, without_back_signature

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mig_core.testing.keys import InvestigatorKeys
    from mig_core.testing.small_disk import SmallDisk

DATA = b"what was signed"
DOCUMENT = Envelope(ACTION, b'{"any": "bytes"}')


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[OddKeys]:
    odd = OddKeys.in_folder(tmp_path / "odd")
    yield odd
    stop_agent(odd.home)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The directory of an agent's keys."""
    folder = tmp_path / "keys"
    folder.mkdir()
    return folder


@pytest.mark.fault("revoked key")
@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_a_key_revoked_by_its_designated_revoker_is_revoked_whichever_file_is_read_first(
    order: tuple[str, str], odd: OddKeys, folder: Path, tmp_path: Path
) -> None:
    key, revoker = odd.made("ann"), odd.made("rev")
    odd.name_revoker(key, revoker)
    signature = odd.signature(key, DATA)
    (folder / order[0]).write_bytes(odd.revoked_by_revoker(key))
    (folder / order[1]).write_bytes(odd.public(revoker))

    keyring = GnupgKeyring.from_directory(tmp_path / "home", folder)
    keys = keyring.keys()

    assert {one.fingerprint: one.revoked for one in keys} == {key: True, revoker: False}
    with pytest.raises(SignatureInvalid, match="revoked"):
        keyring.verify(DATA, signature)


def test_a_revocation_that_cannot_be_checked_takes_the_key_out_and_names_the_revoker(
    odd: OddKeys, folder: Path, tmp_path: Path
) -> None:
    key, revoker = odd.made("ann"), odd.made("rev")
    odd.name_revoker(key, revoker)
    (folder / "ann.asc").write_bytes(odd.public(key))
    (folder / "revocation.asc").write_bytes(odd.revoked_by_revoker(key))

    keyring = GnupgKeyring.from_directory(tmp_path / "home", folder)

    assert keyring.keys() == ()
    assert f"its designated revoker {revoker} has revoked it" in keyring.unusable[f"ann.asc: {key}"]


def test_a_strangers_claim_to_have_revoked_a_key_changes_nothing(odd: OddKeys, folder: Path, tmp_path: Path) -> None:
    key, revoker, other = odd.made("ann"), odd.made("rev"), odd.made("bea")
    odd.name_revoker(other, revoker)
    revocation = next(read_packets(odd.gpg("--dearmor", stdin=odd.revoked_by_revoker(other))[53:]))
    first, *rest = read_packets(odd.public(key))
    (folder / "ann.gpg").write_bytes(b"".join(one.raw for one in (first, revocation, *rest)))

    keys = GnupgKeyring.from_directory(tmp_path / "home", folder).keys()

    assert [one.revoked for one in keys if one.fingerprint == key] == [False]


def test_a_revocation_certificate_that_stands_alone_revokes_the_key_in_another_file(
    odd: OddKeys, folder: Path, tmp_path: Path
) -> None:
    key = odd.made("ann")
    certificate = (odd.home / "openpgp-revocs.d" / f"{key}.rev").read_bytes()
    (folder / "ann.asc").write_bytes(odd.public(key))
    (folder / "aaa.rev").write_bytes(certificate)
    disarmed = GnupgKeyring.from_directory(tmp_path / "home", folder).keys()
    (folder / "aaa.rev").write_bytes(certificate.replace(b":-----BEGIN", b"-----BEGIN"))

    revoked = GnupgKeyring.from_directory(tmp_path / "home", folder).keys()

    assert [one.revoked for one in (*disarmed, *revoked)] == [False, True]


@pytest.mark.parametrize("version", [3, 5, 6])
@pytest.mark.parametrize("first", [True, False])
def test_a_certificate_of_another_version_leaves_the_others_in_its_file_alone(
    version: int, first: bool, odd: OddKeys, folder: Path, tmp_path: Path
) -> None:
    good, bare = odd.public(odd.made("ann")), bare_key(version=version, algorithm=27, created=1_700_000_000)
    (folder / "both.gpg").write_bytes(bare + good if first else good + bare)

    keyring = GnupgKeyring.from_directory(tmp_path / "home", folder)

    (kept,) = keyring.keys()
    assert kept.user_ids == ("ann <ann@e.org>",)
    (why,) = keyring.unusable.values()
    assert why == f"is a key of version {version}; gpg uses version 4"


def test_each_key_that_gpg_cannot_use_is_said_with_its_own_reason(
    odd: OddKeys, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    soon = datetime.now(UTC) + timedelta(days=400)
    future, weak = odd.made("fay", at=soon), odd.made("wes", "--cert-digest-algo=SHA1")
    (folder / "1-future.gpg").write_bytes(odd.public(future))
    (folder / "2-weak.gpg").write_bytes(odd.public(weak))
    (folder / "3-new.gpg").write_bytes(bare_key(version=4, algorithm=27, created=1_700_000_000))
    (folder / "4-nameless.gpg").write_bytes(odd.public(odd.made("ann"))[:53])
    (folder / "5-cut.gpg").write_bytes(odd.public(odd.made("bea"))[:-3])
    (folder / "6-empty.gpg").write_bytes(b"")
    (folder / "7-armor.asc").write_bytes(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDME\n")
    (folder / "8-secret.asc").write_bytes(odd.gpg("--armor", "--export-secret-keys", weak))

    with caplog.at_level(logging.WARNING):
        keyring = GnupgKeyring.from_directory(tmp_path / "home", folder)

    reasons = {name[0]: why for name, why in keyring.unusable.items()}
    for number, words in {
        "1": "in the future: here it is",
        "2": "weak hashes only",
        "3": "number 27 (Ed25519 of RFC 9580)",
        "4": "has no user id",
        "5": "is cut short",
        "6": "is neither armored nor binary",
        "7": "has no end of its armor",
        "8": "is a secret key",
    }.items():
        assert words in reasons[number]
        assert reasons[number] in caplog.text
    assert keyring.keys() == ()


def test_an_uploaded_key_that_cannot_be_used_is_refused_with_the_reason(odd: OddKeys, tmp_path: Path) -> None:
    weak = odd.made("wes", "--cert-digest-algo=SHA1")

    with pytest.raises(InvalidDocument, match="weak hashes only"):
        GnupgKeyring(tmp_path / "keyring").add(odd.public(weak))


def test_a_key_of_the_future_is_taken_in_as_soon_as_the_clock_has_been_put_right(
    odd: OddKeys, folder: Path, tmp_path: Path
) -> None:
    key = odd.made("ann")
    signature = odd.signature(key, DATA)
    (folder / "ann.gpg").write_bytes(odd.public(key))
    times = [datetime.now(UTC) - timedelta(days=30)]
    keyring = GnupgKeyring.from_directory(tmp_path / "home", folder, clock=lambda: times[-1])
    with pytest.raises(SignatureInvalid, match="not in the keyring"):
        keyring.verify(DATA, signature)

    times.append(datetime.now(UTC))

    assert keyring.verify(DATA, signature) == key


def test_a_signature_may_be_dated_no_further_ahead_than_windows_begin_in_the_past(odd: OddKeys, tmp_path: Path) -> None:
    key = odd.made("ann")
    keyring = GnupgKeyring(tmp_path / "keyring")
    keyring.add(odd.public(key))
    now = datetime.now(UTC)

    def dated(ahead: timedelta) -> str:
        return f"--faked-system-time={now + ahead:%Y%m%dT%H%M%S}!"

    assert keyring.verify(DATA, odd.signature(key, DATA, dated(timedelta(seconds=50)))) == key
    with pytest.raises(SignatureInvalid, match="in the future: here it is") as refusal:
        keyring.verify(DATA, odd.signature(key, DATA, dated(timedelta(minutes=10))))
    assert "clocks" in refusal.value.next_step


def test_a_signature_older_than_its_key_is_refused_and_says_so(odd: OddKeys, tmp_path: Path) -> None:
    key = odd.made("ann")
    keyring = GnupgKeyring(tmp_path / "keyring")
    keyring.add(odd.public(key))
    old = odd.signature(key, DATA, "--faked-system-time=20250101T000000!", "--ignore-time-conflict")

    with pytest.raises(SignatureInvalid, match="older than its key"):
        keyring.verify(DATA, old)


def test_third_parties_names_on_a_key_are_left_out(odd: OddKeys, tmp_path: Path) -> None:
    key, other = odd.made("ann"), odd.made("bea")
    odd.gpg(f"--local-user={other}", "--yes", "--quick-sign-key", key)
    before = odd.public(key)
    keyring = GnupgKeyring(tmp_path / "keyring")

    keyring.add(before)

    stored = OddKeys(tmp_path / "keyring").public(key)
    assert other[-16:].lower() in before.hex() and other[-16:].lower() not in stored.hex()


@pytest.mark.parametrize("kind", ["subkey", "weak"])
def test_a_signature_that_no_agent_would_accept_is_not_sent(kind: str, odd: OddKeys, tmp_path: Path) -> None:
    other = OddKeys.in_folder(tmp_path / "other")
    if kind == "subkey":
        key = odd.made("ann", usage="cert")
        odd.gpg("--quick-add-key", key, "ed25519", "sign", "0")
        secret = without_back_signature(odd.gpg("--export-secret-keys", key))
        problem, next_step = "vouch for each other", "cross-certify"
    else:
        key = odd.made("ann", "--cert-digest-algo=SHA1")
        secret = odd.gpg("--export-secret-keys", key)
        problem, next_step = "weak hashes", ""
    try:
        other.gpg("--import", stdin=secret)

        with pytest.raises(SignatureInvalid, match=f"no agent would accept it: .*{problem}") as refusal:
            GnupgSigner(key, other.home).sign(DOCUMENT)

        assert next_step in refusal.value.next_step
    finally:
        stop_agent(other.home)


def test_random_packets_never_break_the_reader(odd: OddKeys, tmp_path: Path) -> None:
    keyring = GnupgKeyring(tmp_path / "keyring")
    good = odd.public(odd.made("ann"))

    for block in (packet(6, b""), packet(6, b"\x04"), packet(2, b"") + good, packet(13, b"x"), good[:60], b"\xff" * 50):
        try:
            assert len(keyring.add(block)) == 1
        except InvalidDocument:
            continue


def test_a_full_disk_at_start_keeps_the_keyring_of_the_same_files(
    investigator_keys: InvestigatorKeys, small_disk: SmallDisk, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "alice.asc").write_bytes(investigator_keys.alice.public_key())
    (folder / "bob.asc").write_bytes(investigator_keys.bob.public_key())
    home = small_disk.path / "keyring"
    before = GnupgKeyring.from_directory(home, folder).keys()
    small_disk.fill()

    with caplog.at_level(logging.ERROR):
        after = GnupgKeyring.from_directory(home, folder).keys()

    assert len(before) == 2 and after == before
    assert "No space left" in caplog.text
    (folder / "bob.asc").unlink()
    with pytest.raises(ConfigurationError, match="no keyring can be made"):
        GnupgKeyring.from_directory(home, folder)
    small_disk.free()
    assert len(GnupgKeyring.from_directory(home, folder).keys()) == 1
    assert sorted(path.name for path in small_disk.path.iterdir()) == ["keyring"]


def test_an_interrupted_replacement_is_mended_at_the_next_start(
    investigator_keys: InvestigatorKeys, tmp_path: Path, folder: Path
) -> None:
    (folder / "alice.asc").write_bytes(investigator_keys.alice.public_key())
    home = tmp_path / "keyring"
    GnupgKeyring.from_directory(home, folder)
    shutil.copytree(home, tmp_path / "keyring.old")
    home.rename(tmp_path / "keyring.new")

    keyring = GnupgKeyring.from_directory(home, folder)

    (kept,) = keyring.keys()
    assert kept.user_ids == ("Alice <alice@example.org>",)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keyring", "keys"]

"""OpenPGP with real gpg: keyring, signer, key making, and what is left behind."""

from __future__ import annotations

import logging
import os
import shutil
import stat
from typing import TYPE_CHECKING

import pytest

from mig_core.domain.envelope import ACTION, Envelope, Signature
from mig_core.errors import ConfigurationError, InvalidDocument, SignatureInvalid
from mig_core.pgp.gnupg import GnupgKeyring, GnupgSigner, export_public, generate_key, secret_keys
from mig_core.pgp.home import short_home, stop_agent
from mig_core.testing.keys import PASSPHRASE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mig_core.testing.keys import InvestigatorKeys

DOCUMENT = Envelope(ACTION, b'{"any": "bytes"}')


@pytest.fixture
def own_home(tmp_path: Path) -> Iterator[Path]:
    """A GnuPG home whose path is too long for gpg-agent's sockets."""
    home = tmp_path / ("long-" * 20) / "gnupg"
    yield home
    stop_agent(home)


@pytest.mark.parametrize("who", ["alice", "bob", "carol", "dave", "locked"])
def test_a_signature_by_every_kind_of_key_is_good_and_counts_for_the_primary_key(
    who: str, investigator_keys: InvestigatorKeys, investigator_keyring: GnupgKeyring
) -> None:
    signer = getattr(investigator_keys, who)

    signed = signer.sign(DOCUMENT)

    (signature,) = signed.signatures
    assert signature.keyid == signer.fingerprint
    assert investigator_keyring.verify(signed.signed_bytes(), signature) == signer.fingerprint


def test_changing_any_byte_of_signature_or_document_breaks_it(
    investigator_keys: InvestigatorKeys, investigator_keyring: GnupgKeyring
) -> None:
    signed = investigator_keys.alice.sign(DOCUMENT)
    data, signature = signed.signed_bytes(), signed.signatures[0]
    others = [
        *((data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], signature) for at in range(0, len(data), 7)),
        (data + b"\n", signature),
        (data.replace(b" ", b"\r\n"), signature),
        (data, Signature(signature.keyid, signature.sig[:-1] + bytes([signature.sig[-1] ^ 1]))),
        (data, Signature(signature.keyid, signature.sig[:-1])),
        (data, Signature(signature.keyid, signature.sig * 2)),
        (data, Signature(signature.keyid, b"")),
        (data, Signature(signature.keyid, b"\x88" * 5000)),
    ]

    for changed, claimed in others:
        with pytest.raises(SignatureInvalid):
            investigator_keyring.verify(changed, claimed)


def test_the_key_hint_proves_nothing_and_never_reaches_the_error_as_it_came(
    investigator_keys: InvestigatorKeys, investigator_keyring: GnupgKeyring
) -> None:
    alice, bob = investigator_keys.alice, investigator_keys.bob
    made = alice.sign(DOCUMENT).signatures[0]

    assert investigator_keyring.verify(DOCUMENT.signed_bytes(), Signature(bob.fingerprint, made.sig)) == (
        alice.fingerprint
    )
    with pytest.raises(SignatureInvalid) as refusal:
        investigator_keyring.verify(b"other", Signature("x\n\x1b[31m", made.sig))
    assert refusal.value.keyid == ""


def test_a_strangers_signature_is_refused(
    investigator_keys: InvestigatorKeys, investigator_keyring: GnupgKeyring
) -> None:
    signed = investigator_keys.stranger.sign(DOCUMENT)

    with pytest.raises(SignatureInvalid, match="not in the keyring"):
        investigator_keyring.verify(signed.signed_bytes(), signed.signatures[0])


@pytest.mark.parametrize("which", ["expired", "expired_subkey"])
def test_a_signature_by_an_expired_key_or_subkey_is_refused_even_if_made_in_time(
    which: str, investigator_keys: InvestigatorKeys, tmp_path: Path
) -> None:
    fingerprint = getattr(investigator_keys, which)
    keyring = GnupgKeyring(tmp_path / "keyring")
    keyring.add(investigator_keys.public_key(fingerprint))
    signature = investigator_keys.odd_signature(fingerprint, b"data", past=True)

    with pytest.raises(SignatureInvalid, match="the key has expired"):
        keyring.verify(b"data", signature)


def test_a_signature_that_has_itself_expired_is_refused(investigator_keys: InvestigatorKeys, tmp_path: Path) -> None:
    keyring = GnupgKeyring(tmp_path / "keyring")
    keyring.add(investigator_keys.public_key(investigator_keys.old))
    lasting = investigator_keys.odd_signature(investigator_keys.old, b"data", past=True)
    short = investigator_keys.odd_signature(investigator_keys.old, b"data", "--default-sig-expire=1d", past=True)

    assert keyring.verify(b"data", lasting) == investigator_keys.old
    with pytest.raises(SignatureInvalid, match="the signature has expired"):
        keyring.verify(b"data", short)


def test_a_revocation_counts_from_when_it_is_added_and_cannot_be_taken_back(
    investigator_keys: InvestigatorKeys, tmp_path: Path
) -> None:
    data, signature = investigator_keys.by_revoked
    keyring = GnupgKeyring(tmp_path / "keyring")
    keyring.add(investigator_keys.revoked_public_before)
    assert keyring.verify(data, signature) == investigator_keys.revoked

    (info,) = keyring.add(investigator_keys.public_key(investigator_keys.revoked))
    keyring.add(investigator_keys.revoked_public_before)

    assert info.revoked
    with pytest.raises(SignatureInvalid, match="revoked"):
        keyring.verify(data, signature)


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        ("--digest-algo=SHA1", "weak hash SHA-1"),
        ("--digest-algo=RIPEMD160", "weak hash RIPEMD-160"),
        ("--textmode", "another type"),
        ("--armor", "not exactly one"),
    ],
)
def test_a_signature_of_another_form_is_refused_though_the_key_is_trusted(
    option: str, problem: str, investigator_keys: InvestigatorKeys, investigator_keyring: GnupgKeyring
) -> None:
    signature = investigator_keys.odd_signature(investigator_keys.bob.fingerprint, b"data", option)

    with pytest.raises(SignatureInvalid, match=problem):
        investigator_keyring.verify(b"data", signature)


def test_a_signed_message_does_not_pass_for_a_detached_signature(
    investigator_keys: InvestigatorKeys, investigator_keyring: GnupgKeyring
) -> None:
    inline = investigator_keys.gpg(
        f"--local-user={investigator_keys.alice.fingerprint}", "--compress-algo=none", "--sign", stdin=b"data"
    )

    with pytest.raises(SignatureInvalid, match="not exactly one"):
        investigator_keyring.verify(b"data", Signature("", inline))


def test_a_secret_key_is_refused_and_not_kept(investigator_keys: InvestigatorKeys, tmp_path: Path) -> None:
    secret = investigator_keys.gpg("--export-secret-keys", investigator_keys.alice.fingerprint)
    disguised = investigator_keys.bob.public_key() + investigator_keys.gpg(
        "--armor", "--export-secret-keys", investigator_keys.carol.fingerprint
    ).replace(b"PRIVATE", b"PUBLIC")
    keyring = GnupgKeyring(tmp_path / "keyring")

    for block in (secret, disguised):
        with pytest.raises(InvalidDocument, match="secret key"):
            keyring.add(block)

    assert keyring.keys() == ()
    assert not (tmp_path / "keyring" / "private-keys-v1.d").exists()


@pytest.mark.parametrize(
    "block",
    [b"", b"no key", b"\x99\x01", os.urandom(400), b"x" * ((1 << 20) + 1)],
    ids=[
        "empty",
        "text",
        "cut short",
        "noise",
        "too long",
    ],  # a long id does not fit into the environment that gpg gets
)
def test_what_is_no_public_key_is_refused(block: bytes, tmp_path: Path) -> None:
    with pytest.raises(InvalidDocument):
        GnupgKeyring(tmp_path / "keyring").add(block)


def test_keys_are_listed_by_fingerprint_with_what_people_call_them(
    investigator_keys: InvestigatorKeys, investigator_keyring: GnupgKeyring
) -> None:
    keys = investigator_keyring.keys()

    assert [key.fingerprint for key in keys] == sorted(one.fingerprint for one in investigator_keys.trusted)
    by_name = {key.user_ids[0].split()[0]: key for key in keys}
    assert {name: key.algorithm for name, key in by_name.items()} == {
        "Alice": "ed25519",
        "Bob": "rsa2048",
        "Carol": "nistp256",
        "Dave": "rsa2048",
        "Lee": "ed25519",
    }
    assert by_name["Alice"].user_ids == ("Alice <alice@example.org>",)
    assert by_name["Alice"].expires is None and by_name["Alice"].created is not None


def test_a_directory_of_keys_is_taken_as_it_is_now_and_bad_files_are_named(
    investigator_keys: InvestigatorKeys, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "alice.asc").write_bytes(investigator_keys.alice.public_key())
    (keys / "bob.asc").write_bytes(investigator_keys.bob.public_key())
    (keys / "broken.asc").write_bytes(b"junk")
    both = GnupgKeyring.from_directory(tmp_path / "home", keys)
    (keys / "bob.asc").unlink()

    with caplog.at_level(logging.WARNING):
        one = GnupgKeyring.from_directory(tmp_path / "home", keys)

    assert len(both.keys()) == 1 and len(one.keys()) == 1
    assert one.keys()[0].fingerprint == investigator_keys.alice.fingerprint
    assert "broken.asc is skipped" in caplog.text


def test_a_missing_directory_of_keys_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        GnupgKeyring.from_directory(tmp_path / "home", tmp_path / "nothing")


def test_the_keyrings_home_is_private_and_runs_no_gpg_agent(
    investigator_keys: InvestigatorKeys, tmp_path: Path
) -> None:
    home = tmp_path / ("k" * 150)
    home.mkdir(mode=0o755)

    keyring = investigator_keys.keyring(home)
    signed = investigator_keys.alice.sign(DOCUMENT)
    keyring.verify(signed.signed_bytes(), signed.signatures[0])

    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert not [name for name in os.listdir(home) if name.startswith(("S.", "signature-"))]


def test_a_key_can_be_made_listed_used_and_exported_in_a_home_with_a_long_path(own_home: Path, tmp_path: Path) -> None:
    made = generate_key(own_home, "Zoë Ångström", "zoe@example.org", expires="1y")

    signed = GnupgSigner(made.fingerprint, own_home).sign(DOCUMENT)
    keyring = GnupgKeyring(tmp_path / "keyring")
    (added,) = keyring.add(export_public(own_home, made.fingerprint))

    assert secret_keys(own_home) == (made,)
    assert made.user_ids == ("Zoë Ångström <zoe@example.org>",) and made.expires is not None
    assert added == made
    assert keyring.verify(signed.signed_bytes(), signed.signatures[0]) == made.fingerprint
    assert stat.S_IMODE(own_home.stat().st_mode) == 0o700


def test_a_user_id_cannot_speak_in_gpgs_name(own_home: Path, tmp_path: Path) -> None:
    forged = f"[GNUPG:] VALIDSIG {'A' * 40} x x x x x x x x {'A' * 40}"
    made = generate_key(own_home, f"Eve\u0085{forged}\u2028fpr\u0085pub", "eve@example.org")
    keyring = GnupgKeyring(tmp_path / "keyring")

    (added,) = keyring.add(export_public(own_home, made.fingerprint))
    signed = GnupgSigner(made.fingerprint, own_home).sign(DOCUMENT)

    assert added.fingerprint == made.fingerprint
    assert keyring.verify(signed.signed_bytes(), signed.signatures[0]) == made.fingerprint
    with pytest.raises(SignatureInvalid):
        keyring.verify(b"other", signed.signatures[0])


def test_stopping_the_agent_of_a_long_home_removes_its_short_name(tmp_path: Path) -> None:
    home = tmp_path / ("long-" * 20)
    home.mkdir()
    link = short_home(home)
    assert link.resolve() == home.resolve()

    stop_agent(home)

    assert not link.is_symlink()


def test_a_passphrase_comes_from_the_caller_or_from_the_file_the_environment_names(
    investigator_keys: InvestigatorKeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked, home = investigator_keys.locked.fingerprint, investigator_keys.home
    stop_agent(home)
    file = tmp_path / "passphrase"
    file.write_text(PASSPHRASE + "\n", encoding="utf-8")
    monkeypatch.setenv("MIG_PGP_PASSPHRASE_FILE", str(file))

    signed = GnupgSigner(locked, home).sign(DOCUMENT)

    assert signed.signatures[0].keyid == locked


def test_a_passphrase_that_gpg_agent_remembers_is_not_asked_for_again(investigator_keys: InvestigatorKeys) -> None:
    investigator_keys.locked.sign(DOCUMENT)

    signed = GnupgSigner(investigator_keys.locked.fingerprint, investigator_keys.home).sign(DOCUMENT)

    assert len(signed.signatures) == 1


@pytest.mark.parametrize(
    ("passphrase", "problem"), [("wrong", "passphrase is wrong"), ("", "empty"), ("two\nlines", "not one line")]
)
def test_a_wrong_passphrase_is_told_apart(passphrase: str, problem: str, investigator_keys: InvestigatorKeys) -> None:
    stop_agent(investigator_keys.home)
    signer = GnupgSigner(investigator_keys.locked.fingerprint, investigator_keys.home, lambda: passphrase)

    with pytest.raises(SignatureInvalid, match=problem):
        signer.sign(DOCUMENT)


def test_a_key_that_cannot_sign_says_why(investigator_keys: InvestigatorKeys) -> None:
    problems = {
        investigator_keys.expired: "has expired",
        investigator_keys.revoked: "has been revoked",
        investigator_keys.expired_subkey: "no secret key of this fingerprint that can sign",
        "A" * 40: "no secret key of this fingerprint that can sign",
    }

    for fingerprint, problem in problems.items():
        with pytest.raises(SignatureInvalid, match=problem):
            GnupgSigner(fingerprint, investigator_keys.home).sign(DOCUMENT)


def test_only_keys_that_can_sign_now_are_offered(investigator_keys: InvestigatorKeys) -> None:
    offered = {key.fingerprint for key in secret_keys(investigator_keys.home)}

    assert offered >= {one.fingerprint for one in (*investigator_keys.trusted, investigator_keys.stranger)}
    assert not offered & {investigator_keys.expired, investigator_keys.revoked, investigator_keys.expired_subkey}


def test_options_of_the_investigators_own_gpg_conf_do_not_change_what_is_signed(own_home: Path, tmp_path: Path) -> None:
    made = generate_key(own_home, "Ann", "ann@example.org", algorithm="rsa2048")
    (own_home / "gpg.conf").write_text("digest-algo SHA1\ntextmode\narmor\nlocal-user nobody\n", encoding="ascii")

    signed = GnupgSigner(made.fingerprint, own_home).sign(DOCUMENT)

    keyring = GnupgKeyring(tmp_path / "keyring")
    keyring.add(export_public(own_home, made.fingerprint))
    assert keyring.verify(signed.signed_bytes(), signed.signatures[0]) == made.fingerprint


def test_gnupghome_names_the_investigators_own_home(
    investigator_keys: InvestigatorKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GNUPGHOME", str(investigator_keys.home))

    signed = GnupgSigner(investigator_keys.alice.fingerprint).sign(DOCUMENT)

    assert signed.signatures[0].keyid == investigator_keys.alice.fingerprint


def test_a_machine_without_gpg_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shutil.which("gpg")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ConfigurationError, match="not installed") as error:
        GnupgKeyring(tmp_path / "keyring")

    assert "install GnuPG" in error.value.next_step


@pytest.mark.parametrize(("name", "algorithm"), [("Eve\n%no-protection", "ed25519"), ("Eve", "md5")])
def test_a_key_cannot_be_ordered_with_control_characters_or_an_unknown_algorithm(
    name: str, algorithm: str, own_home: Path
) -> None:
    with pytest.raises(ConfigurationError):
        generate_key(own_home, name, "eve@example.org", algorithm=algorithm)

"""Investigators' keys for tests: real ones, made once per test session by real gpg, in one GnuPG home.

Use it with ``pytest_plugins = ["mig_core.testing.keys"]``. Odd keys (expired, revoked, with subkeys) need gpg commands
that MIG itself never gives, so this file runs gpg directly.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mig_core.domain import envelope as envelopes
from mig_core.domain.envelope import Envelope, Signature
from mig_core.domain.ids import Fingerprint
from mig_core.pgp.gnupg import GnupgKeyring, GnupgSigner, export_public, generate_key
from mig_core.pgp.home import short_home, stop_agent
from mig_core.testing.services import service_missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.domain.action import Action
    from mig_core.pgp.base import Signer

PASSPHRASE = "correct horse, bättery"  # noqa: S105 - protects a key that lives as long as a test session
_EPOCH = "20250101T000000!"
"""The ``!`` freezes gpg's clock, so that keys and their first signatures have the same second."""


@dataclass(frozen=True, slots=True)
class InvestigatorKeys:
    """The investigators of a test session, all in one GnuPG home."""

    home: Path
    alice: Signer
    """ed25519."""
    bob: Signer
    """rsa2048 (the smallest, for speed)."""
    carol: Signer
    """nistp256."""
    dave: Signer
    """An rsa2048 primary key that only certifies, and an ed25519 subkey that signs."""
    stranger: Signer
    """ed25519, in nobody's keyring."""
    locked: Signer
    """ed25519, protected by :data:`PASSPHRASE`, which this signer gives."""
    expired: Fingerprint
    """Has expired in 2025; see :meth:`odd_signature`."""
    old: Fingerprint
    """Made in 2025 and still valid; in nobody's keyring."""
    expired_subkey: Fingerprint
    """Valid, but its signing subkey has expired in 2025."""
    revoked: Fingerprint
    """Was revoked after :attr:`by_revoked` was made."""
    revoked_public_before: bytes
    """The public key of ``revoked`` as it was before."""
    by_revoked: tuple[bytes, Signature]
    """Data, and a signature over it that was good when it was made."""

    @property
    def trusted(self) -> tuple[Signer, ...]:
        """Everyone whose signature is to be accepted."""
        return (self.alice, self.bob, self.carol, self.dave, self.locked)

    def keyring(self, home: Path) -> GnupgKeyring:
        """A new keyring of the trusted keys, in a home that the caller removes."""
        keyring = GnupgKeyring(home)
        keyring.add(b"".join(one.public_key() for one in self.trusted))
        return keyring

    def gpg(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """What gpg prints, run over these keys; raises RuntimeError with its complaint when it fails."""
        return _gpg(self.home, *arguments, stdin=stdin)

    def odd_signature(self, fingerprint: Fingerprint, data: bytes, *options: str, past: bool = False) -> Signature:
        """A detached signature made with unusual options of gpg, or in 2025, when the expired keys were valid."""
        made = self.gpg(*_clock(past), *options, f"--local-user={fingerprint}", "--detach-sign", stdin=data)
        return Signature(fingerprint, made)

    def public_key(self, fingerprint: Fingerprint) -> bytes:
        """The armored public key of any of them."""
        return export_public(self.home, fingerprint)


def sign_action(action: Action, *signers: Signer) -> Envelope:
    """The action in an envelope, signed by each in turn."""
    signed = Envelope(envelopes.ACTION, action.to_payload())
    for signer in signers:
        signed = signer.sign(signed)
    return signed


@pytest.fixture(scope="session")
def investigator_keys() -> Iterator[InvestigatorKeys]:
    """Alice, Bob and the others."""
    if shutil.which("gpg") is None:
        service_missing("gpg is not installed (package gnupg)")
    home = Path(tempfile.mkdtemp(prefix="mig-keys-"))
    try:
        yield _make(home)
    finally:
        stop_agent(home)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def investigator_keyring(investigator_keys: InvestigatorKeys, tmp_path_factory: pytest.TempPathFactory) -> GnupgKeyring:
    """A keyring that holds exactly the trusted keys. Do not add to it: make your own for that."""
    return investigator_keys.keyring(tmp_path_factory.mktemp("keyring"))


def _make(home: Path) -> InvestigatorKeys:
    def made(name: str, algorithm: str = "ed25519") -> Signer:
        return GnupgSigner(
            generate_key(home, name, f"{name.lower()}@example.org", algorithm=algorithm).fingerprint, home
        )

    locked = generate_key(home, "Lee", "lee@example.org", passphrase=PASSPHRASE).fingerprint
    dave = _quick_key(home, "Dave", "rsa2048", "cert", "0")
    _add_subkey(home, dave, "0")
    expired = _quick_key(home, "Erin", "ed25519", "sign", "1d", past=True)
    old = _quick_key(home, "Olga", "ed25519", "sign", "0", past=True)
    expired_subkey = _quick_key(home, "Frank", "ed25519", "cert", "0", past=True)
    _add_subkey(home, expired_subkey, "1d", past=True)
    revoked = generate_key(home, "Grace", "grace@example.org").fingerprint
    before = export_public(home, revoked)
    data = b"signed before the key was revoked"
    signature = Signature(revoked, _gpg(home, f"--local-user={revoked}", "--detach-sign", stdin=data))
    certificate = (short_home(home) / "openpgp-revocs.d" / f"{revoked}.rev").read_bytes()
    _gpg(home, "--import", stdin=certificate.replace(b":-----BEGIN", b"-----BEGIN"))
    return InvestigatorKeys(
        home=home,
        alice=made("Alice"),
        bob=made("Bob", "rsa2048"),
        carol=made("Carol", "nistp256"),
        dave=GnupgSigner(dave, home),
        stranger=made("Mallory"),
        locked=GnupgSigner(locked, home, lambda: PASSPHRASE),
        expired=expired,
        old=old,
        expired_subkey=expired_subkey,
        revoked=revoked,
        revoked_public_before=before,
        by_revoked=(data, signature),
    )


def _quick_key(home: Path, name: str, algorithm: str, usage: str, expires: str, *, past: bool = False) -> Fingerprint:
    user_id = f"{name} <{name.lower()}@example.org>"
    said = _gpg(home, *_clock(past), "--status-fd=1", "--quick-gen-key", user_id, algorithm, usage, expires)
    return Fingerprint(said.decode("ascii").split("KEY_CREATED", 1)[1].split()[1])


def _add_subkey(home: Path, primary: Fingerprint, expires: str, *, past: bool = False) -> None:
    _gpg(home, *_clock(past), "--quick-add-key", primary, "ed25519", "sign", expires)


def _clock(past: bool) -> tuple[str, ...]:
    return (f"--faked-system-time={_EPOCH}",) if past else ()


def _gpg(home: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    command = ["gpg", "--homedir", str(short_home(home)), "--batch", "--no-tty", "--pinentry-mode=loopback"]
    done = subprocess.run([*command, "--passphrase=", *arguments], input=stdin, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.decode("utf-8", "replace"))
    return done.stdout

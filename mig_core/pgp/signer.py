"""The signer: signs with the investigator's own GnuPG, where gpg-agent asks for passphrases and smart cards work.

gpg signs with a key that nobody will accept without a word (a subkey that has not vouched for its primary key), so each
signature is verified as agents will verify it before it goes anywhere but to mig-api, which does that itself.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mig_core.domain.envelope import Signature
from mig_core.domain.ids import Fingerprint, check_fingerprint
from mig_core.errors import ConfigurationError, SignatureInvalid
from mig_core.pgp.gnupg_program import (
    QUIET,
    Output,
    begin,
    finish,
    give_up,
    latin1,
    listed_keys,
    not_started,
    open_gpg,
)
from mig_core.pgp.home import private_home, short_home

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping

    from mig_core.domain.envelope import Envelope
    from mig_core.pgp.base import KeyInfo

PASSPHRASE_FILE = "MIG_PGP_PASSPHRASE_FILE"  # noqa: S105 - a variable's name, no passphrase
"""Environment variable: a file whose first line is the passphrase, for signing without anybody to ask."""

_SIGNING = ["--digest-algo=SHA512", "--no-armor", "--no-textmode"]
_KEY_TYPES = {
    "ed25519": "Key-Type: EDDSA\nKey-Curve: ed25519\n",
    "nistp256": "Key-Type: ECDSA\nKey-Curve: nistp256\n",
    "rsa2048": "Key-Type: RSA\nKey-Length: 2048\n",
    "rsa3072": "Key-Type: RSA\nKey-Length: 3072\n",
    "rsa4096": "Key-Type: RSA\nKey-Length: 4096\n",
}


class GnupgSigner:
    """Signs with one secret key of a GnuPG home; a signing subkey is used where the key has one.

    Without a passphrase to give, gpg-agent asks for it (pinentry), or remembers it.
    """

    def __init__(
        self,
        fingerprint: str,
        home: Path | None = None,
        passphrase: Callable[[], str] | None = None,
        *,
        may_ask: bool = True,
    ) -> None:
        """Nothing is checked before the first signature.

        Args:
            fingerprint: of the primary key.
            home: None is the investigator's own (``$GNUPGHOME``, else ``~/.gnupg``).
            passphrase: asked at each signature; None: the first line of the file that ``$MIG_PGP_PASSPHRASE_FILE``
                names, if set.
            may_ask: whether gpg-agent may ask the investigator; else a locked key is an error.

        Raises:
            InvalidDocument: that is no fingerprint.
        """
        self._fingerprint = check_fingerprint(fingerprint, subject="signing key", path="")
        self._home = home
        self._passphrase = passphrase or _passphrase_from_file()
        self._options = [] if may_ask or self._passphrase else ["--pinentry-mode=error"]

    @property
    def fingerprint(self) -> Fingerprint:
        """The primary fingerprint."""
        return self._fingerprint

    def sign(self, envelope: Envelope, *, check: bool = True) -> Envelope:
        """See :meth:`mig_core.pgp.base.Signer.sign`. SHA-512, binary, detached."""
        return self.begin().sign(envelope, check=check)

    def begin(self) -> BegunSignature:
        """Starts gpg, which gets ready meanwhile, to sign what is not known yet.

        Raises:
            SignatureInvalid: the passphrase cannot be one.
            ConfigurationError: gpg cannot be used.
        """
        passphrase = None if self._passphrase is None else self._passphrase()
        if passphrase is not None and (not passphrase or any(character in passphrase for character in "\r\n\0")):
            raise SignatureInvalid(self._fingerprint, "the passphrase given is empty or not one line")
        gpg = _open_secret(self._home, tried=False)
        words = ["--detach-sign", f"--local-user={self._fingerprint}", *_SIGNING, *self._options]
        try:
            run = begin(gpg, words, passphrase=passphrase is not None)
        except OSError as error:
            raise not_started(error) from error
        return BegunSignature(self, gpg, run, b"" if passphrase is None else f"{passphrase}\n".encode())

    def check(self, envelope: Envelope) -> None:
        """See :meth:`mig_core.pgp.base.Signer.check`."""
        # Whoever only signs does not wait for these.
        import tempfile
        from datetime import UTC, datetime

        from mig_core.domain.times import CLOCK_TOLERANCE
        from mig_core.pgp.signature_packet import check_signature_form
        from mig_core.pgp.verdict import KEYRING, judge

        gpg, data, signature = _open_secret(self._home, tried=False), envelope.signed_bytes(), envelope.signatures[-1]
        with tempfile.NamedTemporaryFile(prefix="mig-signature-") as file:
            file.write(signature.sig)
            file.flush()
            # What gpg remembers of the key's own signatures was found out by other rules.
            options = [*KEYRING, "--lock-never", "--no-sig-cache"]
            result: Output = gpg.verify_data(file.name, data, extra_args=options)
        try:
            check_signature_form(signature.sig)
            made_by = judge(result, signature, now=datetime.now(UTC), ahead=CLOCK_TOLERANCE)
            if made_by != self._fingerprint:
                raise ValueError(f"is by another key, {made_by}")
        except (SignatureInvalid, ValueError) as error:
            problem = error.problem if isinstance(error, SignatureInvalid) else str(error)
            raise SignatureInvalid(
                self._fingerprint,
                f"GnuPG signed, but no agent would accept it: {problem}",
                next_step="a subkey is mended with: gpg --edit-key FINGERPRINT cross-certify save; or make a new one",
            ) from error

    def public_key(self) -> bytes:
        """See :meth:`mig_core.pgp.base.Signer.public_key`."""
        return export_public(self._home, self._fingerprint)


class BegunSignature:
    """A gpg that waits for what it is to sign. It is used once: to sign, or to be given up."""

    def __init__(self, signer: GnupgSigner, gpg: Any, run: subprocess.Popen[bytes], before: bytes) -> None:
        """Made by :meth:`GnupgSigner.begin`; ``before`` is what gpg reads before what it signs."""
        self._signer, self._gpg, self._run, self._before = signer, gpg, run, before

    @property
    def pid(self) -> int:
        """gpg's."""
        return self._run.pid

    @property
    def usable(self) -> bool:
        """Whether it has not ended: gpg does when it has no such key, and then a new one says so."""
        return self._run.poll() is None

    def sign(self, envelope: Envelope, *, check: bool = True) -> Envelope:
        """See :meth:`mig_core.pgp.base.Signer.sign`."""
        try:
            result = finish(self._run, self._before + envelope.signed_bytes())
        finally:
            self.give_up()
        said = result.statuses()
        fingerprint = self._signer.fingerprint
        if result.returncode != 0 or len(said.get("SIG_CREATED", ())) != 1 or not result.data:
            problem, next_step = _why_not_signed(said, listed_keys(self._gpg.list_keys(keys=[fingerprint])))
            raise SignatureInvalid(fingerprint, problem, next_step=next_step)
        signed = envelope.with_signature(Signature(fingerprint, result.data))
        if check:
            self._signer.check(signed)
        return signed

    def give_up(self) -> None:
        """Ends gpg, which would take the end of its input for all it is to sign, and might ask for a passphrase."""
        give_up(self._run)


def secret_keys(home: Path | None) -> tuple[KeyInfo, ...]:
    """The secret keys of a home (None: the investigator's own) that can sign now, by fingerprint; none of no home."""
    if home is not None and not home.is_dir():
        return ()
    listing = _open_secret(home).list_keys(secret=True)
    return tuple(key for key, _, abilities in listed_keys(listing) if "S" in abilities)


def generate_key(
    home: Path,
    name: str,
    email: str,
    *,
    algorithm: str = "ed25519",
    passphrase: str | None = None,
    expires: str = "0",
) -> KeyInfo:
    """Makes a signing key; a gpg-agent is left running for the home (see :func:`stop_agent`).

    Args:
        home: made (0700) if it is not there.
        algorithm: ``ed25519``, ``nistp256``, ``rsa2048``, ``rsa3072`` or ``rsa4096``.
        passphrase: None leaves the key unprotected.
        expires: as gpg writes it: ``0`` never, ``1y``, ``2027-01-31``.

    Raises:
        ConfigurationError: gpg did not make it.
    """
    texts = (name, email, passphrase or "", expires)
    if algorithm not in _KEY_TYPES or any(ord(character) < 32 for text in texts for character in text):
        raise ConfigurationError("gpg", "", f"cannot make such a key: {algorithm}, {name!r}, {email!r}")
    protection = "%no-protection\n" if passphrase is None else f"Passphrase: {passphrase}\n"
    order = f"{_KEY_TYPES[algorithm]}Key-Usage: sign\nName-Real: {name}\nName-Email: {email}\nExpire-Date: {expires}\n"
    private_home(home)
    gpg = _open_secret(home)
    result: Output = gpg.gen_key(latin1(f"{order}{protection}%commit\n"))
    created = result.statuses().get("KEY_CREATED", [])
    if not created:
        raise ConfigurationError("gpg", "", f"did not make a key in {home}: {result.complaint()}")
    ((made, _, _),) = listed_keys(gpg.list_keys(secret=True, keys=[created[0].split()[1]]))
    return made


def export_public(home: Path | None, fingerprint: Fingerprint) -> bytes:
    """The armored public key, whole: gpg's minimal form lacks expired subkeys, so a keyring would not learn of them.

    Raises:
        SignatureInvalid: there is no such key.
    """
    exported = _open_secret(home).export_keys(fingerprint, armor=True)
    data = exported.encode("latin-1") if isinstance(exported, str) else bytes(exported)
    if not data:
        raise SignatureInvalid(fingerprint, "there is no such key in GnuPG", next_step="gpg --list-secret-keys")
    return data


def _open_secret(home: Path | None, *, tried: bool = True) -> Any:
    if home is None and os.environ.get("GNUPGHOME"):
        home = Path(os.environ["GNUPGHOME"])
    environment = dict(os.environ)
    if "GPG_TTY" not in environment:
        with contextlib.suppress(OSError):
            environment["GPG_TTY"] = os.ttyname(2)
    return open_gpg(None if home is None else short_home(home), [*QUIET], environment, tried=tried)


def _passphrase_from_file() -> Callable[[], str] | None:
    name = os.environ.get(PASSPHRASE_FILE)
    if not name:
        return None

    def read() -> str:
        try:
            with Path(name).open(encoding="utf-8") as file:
                return file.readline(4096).rstrip("\r\n")
        except (OSError, ValueError) as error:
            raise ConfigurationError(PASSPHRASE_FILE, "", f"{name} cannot be read: {error}") from error

    return read


def _why_not_signed(said: Mapping[str, list[str]], known: tuple[tuple[KeyInfo, bool, str], ...]) -> tuple[str, str]:
    """Problem and next step; numbers are libgpg-error's."""
    for key, _, abilities in known:
        if key.revoked:
            return "the key has been revoked", "gpg --list-secret-keys"
        if key.expires is not None and not abilities.strip("scea"):
            return "the key has expired", "gpg --list-secret-keys"
    code = int((said.get("FAILURE", ["0"])[0].split() or ["0"])[-1]) & 0xFFFF
    if code == 11:
        return "the passphrase is wrong", ""
    if code in (99, 198):
        return "the passphrase prompt was cancelled", ""
    if "INV_SGNR" in said or code in (9, 17):
        return "GnuPG has no secret key of this fingerprint that can sign", "mig config init lists the keys there are"
    if code == 85 or code & 0x8000:
        return (
            "the key is locked and gpg-agent could not ask for its passphrase",
            f"unlock it in gpg-agent, run this in a terminal (export GPG_TTY=$(tty)), or set {PASSPHRASE_FILE}",
        )
    return f"gpg could not sign (error {code})", f"try: gpg --detach-sign; {PASSPHRASE_FILE} gives a passphrase"

"""What MIG needs of OpenPGP, apart from who provides it.

Two sides: a :class:`Keyring` holds public keys and verifies (agent, API); a :class:`Signer` holds the investigator's
own
secret key and signs (client). Signatures are detached and binary (RFC 4880, RFC 9580), over an envelope's signed bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from mig_core.domain.envelope import Envelope, Signature
    from mig_core.domain.ids import Fingerprint


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """A public key as people speak of it. ``fingerprint`` is the primary key's."""

    fingerprint: Fingerprint
    user_ids: tuple[str, ...]
    algorithm: str
    """``rsa4096``, ``ed25519``, ``nistp256``…"""
    created: datetime | None = None
    expires: datetime | None = None
    revoked: bool = False


class Keyring(Protocol):
    """Public keys that are trusted to sign. Thread-safe."""

    def add(self, armored: bytes) -> tuple[KeyInfo, ...]:
        """Takes in every usable key of an armored or binary block, and returns those; secret keys are refused.

        Raises:
            InvalidDocument: there is no usable public key in it; says why each is none.
        """
        ...

    def keys(self) -> tuple[KeyInfo, ...]:
        """All keys, by fingerprint."""
        ...

    def verify(self, data: bytes, signature: Signature) -> Fingerprint:
        """The *primary* fingerprint of the key that made the signature (a signing subkey counts for its primary key).

        Raises:
            SignatureInvalid: unknown, expired, revoked or disabled key (primary or subkey), expired signature or one
                dated in the future, a weak hash (MD5, SHA-1, RIPEMD-160), or a signature that does not fit the data.
        """
        ...

    def get_ready(self) -> None:
        """A verification may be asked for soon: what can be done before is done now. It is as strict as any."""
        ...

    def rest(self) -> None:
        """None is expected soon: what waits for it ends."""
        ...


class Signer(Protocol):
    """The investigator's own secret key, wherever it lives (gpg-agent asks for passphrases, smart cards work)."""

    @property
    def fingerprint(self) -> Fingerprint:
        """The primary fingerprint."""
        ...

    def sign(self, envelope: Envelope, *, check: bool = True) -> Envelope:
        """The envelope with this key's signature added.

        Args:
            check: whether it is verified as agents verify it. Only what is sent to mig-api at once, which verifies it
                before it keeps it, need not be.

        Raises:
            SignatureInvalid: the key cannot sign (missing, expired, passphrase refused), or no agent would
                accept what it signs.
        """
        ...

    def check(self, envelope: Envelope) -> None:
        """Verifies the last signature of an envelope, which this key made, as agents verify it.

        Raises:
            SignatureInvalid: no agent would accept it.
        """
        ...

    def public_key(self) -> bytes:
        """The armored public key, with its subkeys and revocations."""
        ...


def verify_all(keyring: Keyring, envelope: Envelope) -> tuple[Fingerprint, ...]:
    """The signers' primary fingerprints, in the envelope's order, when *every* signature is good.

    Raises:
        SignatureInvalid: the first one that is not.
    """
    data = envelope.signed_bytes()
    return tuple(keyring.verify(data, one) for one in envelope.signatures)

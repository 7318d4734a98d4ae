"""An agent's identity: its Ed25519 key, and what proves that a document came from it.

The only file that imports PyNaCl. The key is made at first start and never leaves the endpoint; the platform pins the
public half at enrolment. Signatures are raw Ed25519 (RFC 8032) over an envelope's pre-authentication encoding.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from mig_core.domain.envelope import Envelope, Signature
from mig_core.domain.ids import AgentId, agent_id
from mig_core.errors import ConfigurationError, SignatureInvalid

if TYPE_CHECKING:
    from pathlib import Path

_SEED_BYTES = 32


class AgentKey:
    """The secret key of one agent."""

    def __init__(self, seed: bytes) -> None:
        self._key = SigningKey(seed)
        self.public_key: bytes = bytes(self._key.verify_key)
        self.agent_id: AgentId = agent_id(self.public_key)

    @classmethod
    def generate(cls) -> AgentKey:
        """A new key from the system's randomness."""
        return cls(os.urandom(_SEED_BYTES))

    @classmethod
    def load_or_create(cls, path: Path) -> AgentKey:
        """The key in a file of 64 hexadecimal digits; made (mode 0600, synced) when there is none.

        Raises:
            ConfigurationError: the file is not such a key, or others may read it.
        """
        try:
            return cls._load(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise ConfigurationError(str(path), "", f"cannot be read: {error.strerror}") from error
        try:
            _write_once(path, os.urandom(_SEED_BYTES).hex().encode("ascii") + b"\n")
            return cls._load(path)
        except OSError as error:
            raise ConfigurationError(str(path), "", f"cannot be made: {error.strerror}") from error

    @classmethod
    def _load(cls, path: Path) -> AgentKey:
        next_step = "restore it, or remove it to enrol as a new agent"
        if path.stat().st_mode & 0o077:
            raise ConfigurationError(
                str(path), "", "others may read this key", next_step="chmod 600 it; better: make a new one"
            )
        try:
            seed = bytes.fromhex(path.read_text(encoding="ascii").strip())
        except ValueError:
            seed = b""
        if len(seed) != _SEED_BYTES:
            raise ConfigurationError(str(path), "", "is not an agent key", next_step=next_step)
        return cls(seed)

    def sign(self, payload_type: str, payload: bytes) -> Envelope:
        """The payload in a signed envelope."""
        unsigned = Envelope(payload_type, payload)
        signature = self._key.sign(unsigned.signed_bytes()).signature
        return unsigned.with_signature(Signature(self.agent_id, signature))


def _write_once(path: Path, content: bytes) -> None:
    """Makes a private file that appears whole or not at all; whoever comes second leaves the first one's alone."""
    whole = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(whole, path)
    finally:
        whole.unlink()


def verify_agent(envelope: Envelope, public_key: bytes) -> AgentId:
    """The id of the agent that signed, when the envelope carries exactly one good signature by this key.

    Raises:
        SignatureInvalid: otherwise.
    """
    signer = agent_id(public_key)
    if len(envelope.signatures) != 1:
        raise SignatureInvalid(signer, "an agent's document carries exactly one signature")
    signature = envelope.signatures[0]
    if signature.keyid != signer:
        raise SignatureInvalid(signature.keyid, f"is not by agent {signer}")
    try:
        VerifyKey(public_key).verify(envelope.signed_bytes(), signature.sig)
    except (BadSignatureError, ValueError, TypeError) as error:
        raise SignatureInvalid(signer, "does not fit the document") from error
    return signer

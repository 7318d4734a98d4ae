"""Key files taken apart, one certificate (a key with all that belongs to it) at a time, before gpg is given any.

gpg reads a file as a whole: one certificate of a version that it does not know takes the others in the file away, and
a key that it cannot use is left out under one sentence for every cause. Here each certificate stands alone, and what
keeps gpg from using one is said. Nothing here proves anything: whether signatures are good is gpg's to say.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mig_core.domain.times import format_time
from mig_core.pgp.packets import (
    PUBLIC_KEY,
    SECRET_KEY,
    SECRET_SUBKEY,
    SIGNATURE,
    USER_ID,
    Packet,
    read_packets,
)
from mig_core.pgp.signature_packet import (
    CERTIFICATIONS,
    KEY_REVOCATION,
    SELF_SIGNATURES,
    WEAK_HASHES,
    SignaturePacket,
    read_signature,
)

if TYPE_CHECKING:
    from collections.abc import Collection

_BEGIN = b"-----BEGIN PGP "
_END = b"\n-----END PGP "
_VERSION = 4
_RSA = (1, 2, 3)
_ALGORITHMS = {
    1: "RSA",
    17: "DSA",
    19: "ECDSA",
    22: "EdDSA",
    25: "X25519",
    26: "X448",
    27: "Ed25519 of RFC 9580",
    28: "Ed448 of RFC 9580",
}


@dataclass(frozen=True, slots=True)
class Certificate:
    """A public key, its user ids, subkeys and signatures."""

    data: bytes
    """Its packets without what third parties say of its user ids."""
    fingerprint: str
    """Upper case; empty for a version whose fingerprint MIG does not know."""
    version: int
    algorithm: int
    created: datetime | None
    user_ids: int
    weak_self_signatures: bool
    """Whether every signature with which it vouches for itself uses a weak hash."""
    revokers: frozenset[str]
    """Fingerprints of the keys that may revoke it."""
    revoked_by: frozenset[str]
    """Fingerprints and key ids of other keys that claim to revoke it."""

    def revoked_by_one_of(self, fingerprints: Collection[str]) -> frozenset[str]:
        """Those of the fingerprints that claim to revoke it."""
        return frozenset(one for one in fingerprints if any(one.endswith(claimed) for claimed in self.revoked_by))


@dataclass(slots=True)
class KeyBlock:
    """What a file (or an upload) holds."""

    certificates: list[Certificate] = field(default_factory=list)
    revocations: list[bytes] = field(default_factory=list)
    """Signature packets that stand alone, as ``gpg --gen-revoke`` writes them."""
    secret: bool = False
    """Whether there is a secret key in it."""
    damage: str = ""
    """Why the rest of it could not be read; what stands before is above."""


def read_key_block(content: bytes) -> KeyBlock:
    """The certificates of an armored or binary block. Total: what cannot be read is said in ``damage``."""
    block = KeyBlock()
    if content[:1] and content[0] & 0x80:
        _read_part(content, block)
        return block
    at, begun = 0, False
    while (at := content.find(_BEGIN, at)) >= 0:
        if at and content[at - 1] != ord("\n"):
            at += 1  # as gpg disarms its own revocation certificates
            continue
        begun = True
        text, end = content.find(b"\n", at), content.find(_END, at)
        if min(text, end) < 0:
            block.damage = block.damage or "has no end of its armor"
            break
        try:
            _read_part(_dearmored(content[text:end]), block)
        except ValueError as error:
            block.damage = block.damage or str(error)
        at = end + 1
    if not begun:
        block.damage = "is neither armored nor binary OpenPGP"
    return block


def why_unusable(certificate: Certificate, *, algorithms: Collection[int], now: datetime) -> str:
    """What keeps gpg from using a certificate; empty: nothing that can be seen from outside.

    Args:
        certificate: looked at.
        algorithms: numbers of the public key algorithms that this gpg knows.
        now: by this machine's clock, which is gpg's too.
    """
    if certificate.version != _VERSION:
        return f"is a key of version {certificate.version}; gpg uses version {_VERSION}"
    if certificate.algorithm not in algorithms and not (certificate.algorithm in _RSA and 1 in algorithms):
        name = _ALGORITHMS.get(certificate.algorithm, "unknown")
        return f"uses an algorithm that this gpg does not know: number {certificate.algorithm} ({name})"
    if certificate.created is not None and certificate.created > now:
        made = format_time(certificate.created)
        return f"was made at {made}, in the future: here it is {format_time(now)}"
    if not certificate.user_ids:
        return "has no user id"
    if certificate.weak_self_signatures:
        return "vouches for itself with weak hashes only (SHA-1 or older)"
    return ""


def _read_part(part: bytes, block: KeyBlock) -> None:
    packets: list[Packet] = []
    try:
        for packet in read_packets(part):
            if packet.tag in (SECRET_KEY, SECRET_SUBKEY):
                block.secret = True
            if packet.tag in (PUBLIC_KEY, SECRET_KEY):
                _take(packets, block)
                packets = []
            packets.append(packet)
    except ValueError as error:
        # The certificate that the damage is in is left out: what is lost may have been its revocation.
        packets = []
        block.damage = block.damage or str(error)
    _take(packets, block)


def _take(packets: list[Packet], block: KeyBlock) -> None:
    if not packets:
        return
    if packets[0].tag == PUBLIC_KEY:
        block.certificates.append(_certificate(packets))
        return
    for packet in packets:
        signature = read_signature(packet.body) if packet.tag == SIGNATURE else None
        if signature is not None and signature.kind == KEY_REVOCATION:
            block.revocations.append(packet.raw)


def _certificate(packets: list[Packet]) -> Certificate:
    body = packets[0].body
    version = body[0] if body else 0
    fingerprint = _fingerprint(version, body)
    kept: list[bytes] = []
    own: list[SignaturePacket] = []
    revoked_by: set[str] = set()
    for packet in packets:
        signature = read_signature(packet.body) if packet.tag == SIGNATURE else None
        if signature is not None and not signature.made_by(fingerprint):
            if signature.kind in CERTIFICATIONS:
                continue
            if signature.kind == KEY_REVOCATION:
                revoked_by |= signature.issuers
        elif signature is not None and signature.kind in SELF_SIGNATURES:
            own.append(signature)
        kept.append(packet.raw)
    return Certificate(
        data=b"".join(kept),
        fingerprint=fingerprint,
        version=version,
        algorithm=body[5] if len(body) > 5 else 0,
        created=datetime.fromtimestamp(int.from_bytes(body[1:5], "big"), UTC) if len(body) > 5 else None,
        user_ids=sum(packet.tag == USER_ID for packet in packets),
        weak_self_signatures=bool(own) and all(one.hash_algorithm in WEAK_HASHES for one in own),
        revokers=frozenset().union(*(one.revokers for one in own)),
        revoked_by=frozenset(revoked_by),
    )


def _fingerprint(version: int, body: bytes) -> str:
    """RFC 9580 section 5.5.4."""
    if version == _VERSION:
        digest = hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body[:65535], usedforsecurity=False)
        return digest.hexdigest().upper() if len(body) < 65536 else ""
    if version == 6:
        return hashlib.sha256(b"\x9b" + len(body).to_bytes(4, "big") + body).hexdigest().upper()
    return ""


def _dearmored(text: bytes) -> bytes:
    """The bytes of an armored block, given without its first and last line (RFC 9580 section 6)."""
    lines = [line.strip() for line in text.split(b"\n")]
    # Headers like "Comment: …" and the empty line after them; some programs leave the empty line out.
    while lines and (b":" in lines[0] or not lines[0]):
        del lines[0]
    data = b"".join(line for line in lines if not line.startswith(b"="))
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("has damaged armor") from None

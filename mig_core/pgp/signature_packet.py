"""What a signature packet says of itself (RFC 4880 section 5.2.3, RFC 9580 section 5.2.3); nothing of it is proven.

gpg would read much more than MIG means by a signature: armor, compressed data, several signatures of which one is
good, signatures over text whose line ends may change. Only one binary signature of version 4 over binary data passes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.pgp.packets import SIGNATURE, only_packet
from mig_core.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = 4
OVER_BINARY = 0x00
KEY_REVOCATION = 0x20
CERTIFICATIONS = frozenset({0x10, 0x11, 0x12, 0x13})
SELF_SIGNATURES = CERTIFICATIONS | {0x1F}
WEAK_HASHES = {1: "MD5", 2: "SHA-1", 3: "RIPEMD-160"}
"""RFC 9580 section 9.5."""

_ISSUER = 16
_ISSUER_FINGERPRINT = 33
_REVOCATION_KEY = 12


@dataclass(frozen=True, slots=True)
class SignaturePacket:
    """The fields MIG looks at."""

    kind: int
    hash_algorithm: int
    issuers: frozenset[str]
    """Fingerprints (40 digits) and key ids (16 digits), upper case, of whoever claims to have made it."""
    revokers: frozenset[str]
    """Fingerprints of keys that it allows to revoke the key it is about."""

    def made_by(self, fingerprint: str) -> bool:
        """Whether it names this key as its maker, or none at all."""
        return not self.issuers or any(fingerprint.endswith(one) for one in self.issuers)


def check_signature_form(blob: bytes) -> None:
    """Returns when ``blob`` is exactly one detached binary signature of version 4 with a strong hash.

    Raises:
        ValueError: it is anything else; the text says what, in a few words.
    """
    packet = only_packet(blob)
    if packet.tag != SIGNATURE:
        raise ValueError("is not a detached binary OpenPGP signature")
    body = packet.body
    if len(body) < 6 or body[0] != VERSION:
        raise ValueError(f"is not of version {VERSION}")
    if body[1] != OVER_BINARY:
        raise ValueError("is of another type than a signature over binary data")
    if body[3] in WEAK_HASHES:
        raise ValueError(f"uses the weak hash {WEAK_HASHES[body[3]]}")


def read_signature(body: bytes) -> SignaturePacket | None:
    """The fields of a version 4 signature packet; None when it is of another version, or damaged."""
    if len(body) < 10 or body[0] != VERSION:
        return None
    hashed_end = 6 + int.from_bytes(body[4:6], "big")
    unhashed_end = hashed_end + 2 + int.from_bytes(body[hashed_end : hashed_end + 2], "big")
    if hashed_end + 2 > len(body) or unhashed_end > len(body):
        return None
    issuers: set[str] = set()
    revokers: set[str] = set()
    for kind, content in (*_subpackets(body[6:hashed_end]), *_subpackets(body[hashed_end + 2 : unhashed_end])):
        if kind == _ISSUER and len(content) == 8:
            issuers.add(content.hex().upper())
        elif kind == _ISSUER_FINGERPRINT and content[:1] == b"\x04" and len(content) == 21:
            issuers.add(content[1:].hex().upper())
        elif kind == _REVOCATION_KEY and len(content) == 22:
            revokers.add(content[2:].hex().upper())
    return SignaturePacket(body[1], body[3], frozenset(issuers), frozenset(revokers))


def _subpackets(area: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and content of each; what is damaged ends the list."""
    at = 0
    while at < len(area):
        length, start = area[at], at + 1
        if length == 255:
            length, start = int.from_bytes(area[at + 1 : at + 5], "big"), at + 5
        elif length >= 192:
            length, start = (length - 192 << 8) + int.from_bytes(area[at + 1 : at + 2], "big") + 192, at + 2
        if not length or start + length > len(area):
            return
        yield area[start] & 0x7F, area[start + 1 : start + length]
        at = start + length

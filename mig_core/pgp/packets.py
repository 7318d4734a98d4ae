"""Looks at a signature's outer form before gpg is given it (RFC 4880 sections 4.2 and 5.2.3, RFC 9580).

gpg would read much more than MIG means by a signature: armor, compressed data, several signatures of which one is
good, signatures over text whose line ends may change. Only one binary signature of version 4 over binary data passes.
No cryptography happens here.
"""

from __future__ import annotations

_SIGNATURE_TAG = 2
_VERSION = 4
_OVER_BINARY = 0x00
_WEAK_HASHES = {1: "MD5", 2: "SHA-1", 3: "RIPEMD-160"}
"""RFC 9580 section 9.5."""


def check_signature_form(blob: bytes) -> None:
    """Returns when ``blob`` is exactly one detached binary signature of version 4 with a strong hash.

    Raises:
        ValueError: it is anything else; the text says what, in a few words.
    """
    tag, body = _only_packet(blob)
    if tag != _SIGNATURE_TAG:
        raise ValueError("is not a detached binary OpenPGP signature")
    if len(body) < 6 or body[0] != _VERSION:
        raise ValueError(f"is not of version {_VERSION}")
    if body[1] != _OVER_BINARY:
        raise ValueError("is of another type than a signature over binary data")
    if body[3] in _WEAK_HASHES:
        raise ValueError(f"uses the weak hash {_WEAK_HASHES[body[3]]}")


def _only_packet(blob: bytes) -> tuple[int, bytes]:
    """Tag and body of the one packet ``blob`` consists of; a length that does not fit it exactly is refused."""
    problem = "is not exactly one OpenPGP packet"
    if len(blob) < 2 or not blob[0] & 0x80:
        raise ValueError(problem)
    if blob[0] & 0x40:
        tag, first = blob[0] & 0x3F, blob[1]
        if first < 192:
            start, length = 2, first
        elif first < 224 and len(blob) >= 3:
            start, length = 3, (first - 192 << 8) + blob[2] + 192
        elif first == 255:
            start, length = 6, int.from_bytes(blob[2:6], "big")
        else:
            raise ValueError(problem)
    else:
        tag, width = blob[0] >> 2 & 0x0F, 1 << (blob[0] & 3)
        if width == 8:
            raise ValueError(problem)
        start, length = 1 + width, int.from_bytes(blob[1 : 1 + width], "big")
    if len(blob) != start + length:
        raise ValueError(problem)
    return tag, blob[start:]

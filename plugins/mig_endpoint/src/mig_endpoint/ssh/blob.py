"""The wire form of a public key (RFC 4253, section 6.6), and what is read off it: kind, size, fingerprints."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct

from mig_core.records import dataclass

MAX_BLOB = 1 << 16
MAX_KIND = 100
"""Bytes of the name of a kind of key."""
_CERTIFICATE = "-cert-v01@openssh.com"
_CURVES = {"nistp256": 256, "nistp384": 384, "nistp521": 521}


class NotAKey(ValueError):
    """It does not have the form of a key."""


@dataclass(frozen=True, slots=True)
class Found:
    """A key, or an entry about one, as it was found in a file. What is not known is empty or None."""

    type: str
    """``private``, ``public``, ``certificate``, ``authorizedkeys`` or ``knownhosts``."""
    blob: bytes = b""
    """Its public half; empty where it cannot be had without the passphrase."""
    encrypted: bool | None = None
    """Of private keys."""
    comment: str = ""
    format: str = ""
    algorithm: str = ""
    """Where there is no blob to tell it."""
    options: str = ""
    """Of an authorized key, as written."""
    hosts: str = ""
    """Of a known host, as written; hashed ones begin with ``|1|``."""
    line: int = 0


def strings(blob: bytes) -> list[bytes]:
    """The strings that a blob consists of.

    Raises:
        NotAKey: it does not consist of strings.
    """
    found, place = [], 0
    while place < len(blob):
        value, place = string_at(blob, place, "not a public key")
        found.append(value)
    return found


def string_at(data: bytes, place: int, problem: str) -> tuple[bytes, int]:
    """The string that begins at a place, and the place behind it.

    Raises:
        NotAKey: there is no whole one; says ``problem``.
    """
    if place + 4 > len(data):
        raise NotAKey(problem)
    (length,) = struct.unpack_from(">I", data, place)
    place += 4
    if length > len(data) - place:
        raise NotAKey(problem)
    return data[place : place + length], place + length


def string(value: bytes) -> bytes:
    """A string on the wire."""
    return struct.pack(">I", len(value)) + value


def number(value: int) -> bytes:
    """A number on the wire: as many bytes as it needs, a zero in front of a high bit."""
    return string(value.to_bytes(value.bit_length() // 8 + 1) if value else b"")


def first_string(blob: bytes) -> bytes:
    """The first string of a blob: the key's kind.

    Raises:
        NotAKey: there is none.
    """
    found, _ = string_at(blob, 0, "not a public key")
    if not 0 < len(found) <= MAX_KIND:
        raise NotAKey("not a public key")
    return found


def algorithm_of(blob: bytes) -> str:
    """The key's kind: ``ssh-ed25519``, ``sk-ecdsa-sha2-nistp256@openssh.com``, …

    Raises:
        NotAKey: it has none.
    """
    try:
        return first_string(blob).decode("ascii")
    except UnicodeDecodeError:
        raise NotAKey("not a public key") from None


def is_certificate(blob: bytes) -> bool:
    """Whether it is an OpenSSH certificate: a key that somebody signed."""
    return algorithm_of(blob).endswith(_CERTIFICATE)


def bare(blob: bytes) -> bytes:
    """The key itself, without what a certificate adds: ``ssh-keygen -l`` takes the fingerprint of that.

    Raises:
        NotAKey: it does not have the certificate's form.
    """
    algorithm = algorithm_of(blob)
    if not algorithm.endswith(_CERTIFICATE):
        return blob
    kind = algorithm.removesuffix(_CERTIFICATE)
    if kind.startswith("sk-"):
        kind += "@openssh.com"
    parts = {"ssh-rsa": 2, "ssh-dss": 4, "ssh-ed25519": 1}.get(kind)
    if parts is None:
        parts = 3 if kind.startswith("sk-ecdsa") else 2
    place, found = len(string(algorithm.encode())), []
    for index in range(parts + 1):  # a nonce comes first
        part, place = string_at(blob, place, "not a certificate")
        if index:
            found.append(part)
    return string(kind.encode()) + b"".join(map(string, found))


def bits_of(blob: bytes) -> int:
    """The size of the key in bits; 0 where the kind does not say.

    Raises:
        NotAKey: it does not have the form of its kind.
    """
    kind, *parts = strings(bare(blob))
    if kind == b"ssh-rsa" and len(parts) >= 2:
        return int.from_bytes(parts[1]).bit_length()
    if kind == b"ssh-dss" and parts:
        return int.from_bytes(parts[0]).bit_length()
    if b"ed25519" in kind:
        return 256
    return next((size for curve, size in _CURVES.items() if curve.encode() in kind), 0)


def decoded(text: bytes) -> bytes:
    """The blob in base64.

    Raises:
        NotAKey: it is none.
    """
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NotAKey("not base64") from None
    if len(text) % 4 or text.endswith(b"==="):
        raise NotAKey("more padding than base64 has")  # which Python takes, and sshd does not
    if len(blob) > MAX_BLOB:
        raise NotAKey("too long for a key")
    return blob


def fingerprints(blob: bytes) -> tuple[str, str]:
    """MD5 and SHA-256, as ``ssh-keygen -l`` writes them, without ``MD5:`` in front as the original did.

    Raises:
        NotAKey: it does not have the form of a key.
    """
    key = bare(blob)
    md5 = hashlib.md5(key, usedforsecurity=False).hexdigest()
    sha = base64.b64encode(hashlib.sha256(key).digest()).rstrip(b"=").decode()
    return ":".join(md5[place : place + 2] for place in range(0, 32, 2)), f"SHA256:{sha}"

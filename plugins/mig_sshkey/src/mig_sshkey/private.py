"""Private keys: OpenSSH's own form, PEM (PKCS#1, SEC1, DSA) and PKCS#8. Nothing is decrypted, nothing asked for.

Sources: OpenSSH's ``PROTOCOL.key`` (10.0), RFC 8017 appendix A, RFC 5915, RFC 5958, RFC 8410, RFC 9881 (ML-DSA).
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

from mig_endpoint.ssh.blob import Found, NotAKey, number, string, string_at, strings
from mig_sshkey import armor, der

if TYPE_CHECKING:
    from collections.abc import Callable

BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]{0,40}PRIVATE KEY)-----")
_MAX_DSA_BITS = 1 << 12
"""Beyond what anybody makes; the public half is reckoned, which takes the cube of it."""
_SSH2 = b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----"
_MAGIC = b"openssh-key-v1\0"
_CURVES = {
    bytes.fromhex("2a8648ce3d030107"): "nistp256",
    bytes.fromhex("2b81040022"): "nistp384",
    bytes.fromhex("2b81040023"): "nistp521",
}
_RSA, _DSA, _EC = bytes.fromhex("2a864886f70d010101"), bytes.fromhex("2a8648ce380401"), bytes.fromhex("2a8648ce3d0201")
_ED25519 = bytes.fromhex("2b6570")
_ML_DSA = {bytes.fromhex("6086480165030403") + bytes([number]): name
           for number, name in ((17, "ml-dsa-44"), (18, "ml-dsa-65"), (19, "ml-dsa-87"))}  # fmt: skip


def keys(content: bytes) -> list[Found | NotAKey]:
    """The private keys in a file, damaged ones as what is wrong with them."""
    found = armor.blocks(content, BEGIN, lambda label, body: _key(label.decode("ascii"), body))
    if _SSH2 in content:
        found.append(Found("private", encrypted=None, format="ssh.com"))
    return found


def _key(label: str, body: bytes) -> Found:
    if label == "ENCRYPTED PRIVATE KEY":
        return Found("private", encrypted=True, format="pkcs8")
    head, _, rest = body.partition(b"\n\n") if b":" in body.partition(b"\n")[0] else (b"", b"", body)
    kind = {"RSA PRIVATE KEY": "ssh-rsa", "DSA PRIVATE KEY": "ssh-dss", "EC PRIVATE KEY": "ecdsa"}.get(label, "")
    if b"ENCRYPTED" in head:
        return Found("private", encrypted=True, format="pem", algorithm=kind)
    try:
        raw = base64.b64decode(b"".join(rest.split()), validate=True)
    except (binascii.Error, ValueError):
        raise NotAKey("damaged base64") from None
    if label == "OPENSSH PRIVATE KEY":
        return _openssh(raw)
    read = _READERS.get(label)
    if read is None:
        raise NotAKey(f"a {label.lower()} of an unknown form")
    return read(raw)


def _openssh(raw: bytes) -> Found:
    """Cipher, derivation, its options, number of keys, the public half, and the rest, which may be encrypted."""
    if not raw.startswith(_MAGIC):
        raise NotAKey("damaged")
    place, parts = len(_MAGIC), []
    for index in range(5):
        if index == 3:
            place += 4  # the number of keys, always 1
        part, place = string_at(raw, place, "damaged")
        parts.append(part)
    cipher, _, _, blob, rest = parts
    encrypted = cipher != b"none"
    comment = "" if encrypted else _comment(rest)
    return Found("private", blob, encrypted=encrypted, comment=comment, format="openssh")


def _comment(rest: bytes) -> str:
    """The last string before the padding (1, 2, 3, …) of what is not encrypted."""
    body = rest[8:]  # the same number twice: whether the passphrase was right
    while body and body[-1] < 16 and len(body) % 8 == 0 and body.endswith(bytes(range(1, body[-1] + 1))):
        body = body[: -body[-1]]
        break
    try:
        return strings(body)[-1].decode("utf-8", "replace")
    except (NotAKey, IndexError):
        return ""


def _pkcs1(raw: bytes) -> Found:
    parts = der.sequence(raw)
    if len(parts) < 3:
        raise NotAKey("damaged")
    blob = string(b"ssh-rsa") + number(der.integer(parts[2])) + number(der.integer(parts[1]))
    return Found("private", blob, encrypted=False, format="pem")


def _dsa(raw: bytes) -> Found:
    parts = der.sequence(raw)
    if len(parts) < 5:
        raise NotAKey("damaged")
    blob = string(b"ssh-dss") + b"".join(number(der.integer(one)) for one in parts[1:5])
    return Found("private", blob, encrypted=False, format="pem")


def _sec1(raw: bytes, curve: bytes = b"") -> Found:
    point = b""
    for tag, content in der.sequence(raw):
        if tag == 0xA0:
            curve = next((value for kind, value in der.elements(content) if kind == der.OBJECT), curve)
        elif tag == 0xA1:
            point = next((value[1:] for kind, value in der.elements(content) if kind == der.BIT_STRING), b"")
    name = _CURVES.get(curve)
    if name is None or not point:
        return Found("private", encrypted=False, format="pem", algorithm="ecdsa")
    blob = string(f"ecdsa-sha2-{name}".encode()) + string(name.encode()) + string(point)
    return Found("private", blob, encrypted=False, format="pem")


def _pkcs8(raw: bytes) -> Found:
    parts = der.sequence(raw)
    if len(parts) < 3 or parts[2][0] != der.OCTET_STRING:
        raise NotAKey("damaged")
    kind, *parameters = der.elements(parts[1][1])
    inner = parts[2][1]
    if kind[1] == _RSA:
        found = _pkcs1(inner)
    elif kind[1] == _EC:
        found = _sec1(inner, parameters[0][1] if parameters else b"")
    elif kind[1] == _ED25519:
        found = _ed25519(inner)
    elif kind[1] == _DSA and parameters:
        p, q, g = (der.integer(one) for one in der.elements(parameters[0][1])[:3])
        x = der.integer(der.elements(inner)[0])
        is_sane = p and max(p.bit_length(), g.bit_length(), x.bit_length()) <= _MAX_DSA_BITS
        public = pow(g, x, p) if is_sane else 0
        blob = string(b"ssh-dss") + b"".join(map(number, (p, q, g, public))) if public else b""
        found = Found("private", blob, encrypted=False, algorithm="ssh-dss")
    else:
        found = Found("private", encrypted=False, algorithm=_ML_DSA.get(kind[1], ""))
    return Found(
        "private", found.blob, encrypted=False, format="pkcs8", algorithm=found.algorithm, comment=found.comment
    )


def _ed25519(inner: bytes) -> Found:
    from nacl.signing import SigningKey

    seed = next((value for tag, value in der.elements(inner) if tag == der.OCTET_STRING), b"")
    if len(seed) != 32:
        raise NotAKey("damaged")
    public = bytes(SigningKey(seed).verify_key)
    return Found("private", string(b"ssh-ed25519") + string(public), encrypted=False)


_READERS: dict[str, Callable[[bytes], Found]] = {
    "RSA PRIVATE KEY": _pkcs1,
    "DSA PRIVATE KEY": _dsa,
    "EC PRIVATE KEY": _sec1,
    "PRIVATE KEY": _pkcs8,
}

"""Public keys and certificates: a line each (sshd(8)), SSH2 blocks (RFC 4716), and PEM."""

from __future__ import annotations

import base64
import binascii
import re

from mig_sshkey import armor, der
from mig_sshkey.blob import Found, NotAKey, algorithm_of, decoded, is_certificate, number, string

KIND = re.compile(rb"(?:ssh-|ecdsa-sha2-|sk-(?:ssh|ecdsa)-)[a-z0-9@.-]+")
_SSH2 = re.compile(rb"---- BEGIN (SSH2 PUBLIC KEY) ----")
_PEM = re.compile(rb"-----BEGIN (RSA PUBLIC KEY|PUBLIC KEY)-----")
_RSA, _ED25519 = bytes.fromhex("2a864886f70d010101"), bytes.fromhex("2b6570")


def line_key(line: bytes, number_of_line: int) -> Found | None:
    """The key in a line ``kind base64 comment``; None when the line does not begin with a kind of key.

    Raises:
        NotAKey: it does, and what follows is no key of that kind.
    """
    words = line.split(None, 2)
    if len(words) < 2 or not KIND.fullmatch(words[0]):
        return None
    blob = decoded(words[1])
    if algorithm_of(blob).encode() != words[0]:
        raise NotAKey("the word in front does not name the key's kind")
    comment = words[2].decode("utf-8", "replace").strip() if len(words) > 2 else ""
    return Found(
        "certificate" if is_certificate(blob) else "public",
        blob,
        comment=comment,
        format="openssh",
        line=number_of_line,
    )


def blocks(content: bytes) -> list[Found | NotAKey]:
    """The keys in blocks."""
    return armor.blocks(content, _SSH2, lambda _, body: _ssh2(body)) + armor.blocks(content, _PEM, _pem)


def _ssh2(body: bytes) -> Found:
    comment, rows, is_header = "", [], False
    for row in body.splitlines():
        if is_header or b":" in row:
            if row.lower().startswith(b"comment:"):
                comment = row.partition(b":")[2].decode("utf-8", "replace").strip().strip('"')
            is_header = row.endswith(b"\\")
        else:
            rows.append(row.strip())
    return Found("public", decoded(b"".join(rows)), comment=comment, format="ssh2")


def _pem(label: bytes, body: bytes) -> Found:
    try:
        raw = base64.b64decode(b"".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        raise NotAKey("damaged base64") from None
    parts = der.sequence(raw)
    blob = b""
    if label == b"PUBLIC KEY":
        if len(parts) < 2:
            raise NotAKey("damaged")
        kind = der.elements(parts[0][1])[0][1]
        bits = parts[1][1][1:]
        if kind == _ED25519:
            blob = string(b"ssh-ed25519") + string(bits)
        parts = der.sequence(bits) if kind == _RSA else []
    if not blob and len(parts) >= 2:
        blob = string(b"ssh-rsa") + number(der.integer(parts[1])) + number(der.integer(parts[0]))
    return Found("public", blob, format="pem")

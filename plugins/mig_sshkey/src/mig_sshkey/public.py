"""Public keys in blocks: SSH2 (RFC 4716) and PEM."""

from __future__ import annotations

import base64
import binascii
import re

from mig_endpoint.ssh.blob import Found, NotAKey, decoded, number, string
from mig_sshkey import armor, der

_SSH2 = re.compile(rb"---- BEGIN (SSH2 PUBLIC KEY) ----")
_PEM = re.compile(rb"-----BEGIN (RSA PUBLIC KEY|PUBLIC KEY)-----")
_RSA, _ED25519 = bytes.fromhex("2a864886f70d010101"), bytes.fromhex("2b6570")


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

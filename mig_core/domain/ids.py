"""Identifiers: what they are made of and how they are checked.

Actions and commands carry a UUIDv7 (RFC 9562 section 5.7): made by whoever creates them, unique without coordination,
ordered by time. An agent's id derives from its public key, so that two hosts cannot share one; a fingerprint is the
OpenPGP version 4 fingerprint of a primary key.
"""

from __future__ import annotations

import base64
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NewType

from mig_core.errors import InvalidDocument

if TYPE_CHECKING:
    from datetime import datetime

ActionId = NewType("ActionId", str)
CommandId = NewType("CommandId", str)
AgentId = NewType("AgentId", str)
Fingerprint = NewType("Fingerprint", str)

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_FINGERPRINT = re.compile(r"[0-9A-F]{40}")
_AGENT_ID = re.compile(r"[a-z2-7]{32}")


def uuid7(now: datetime, randomness: bytes) -> str:
    """A UUIDv7 in its text form.

    Args:
        now: aware; its milliseconds since 1970 become the first 48 bits.
        randomness: 10 bytes from a cryptographic source; 74 of their 80 bits are used.
    """
    milliseconds = int(now.timestamp() * 1000) & 0xFFFFFFFFFFFF
    rand_a = int.from_bytes(randomness[:2], "big") & 0x0FFF
    rand_b = int.from_bytes(randomness[2:10], "big") & 0x3FFFFFFFFFFFFFFF
    digits = f"{milliseconds << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def check_uuid(text: object, *, subject: str, path: str) -> str:
    """The canonical lower-case form of a UUID of any version.

    Raises:
        InvalidDocument: it is not one.
    """
    if isinstance(text, str) and _UUID.fullmatch(text):
        return text.lower()
    raise InvalidDocument(subject, f"must be a UUID like 0197f9f0-…, got {text!r:.60}", path=path)


@lru_cache(maxsize=10_000)
def agent_id(public_key: bytes) -> AgentId:
    """The id of the agent that holds this Ed25519 key.

    It is the base32 of the first 160 bits of the key's SHA-256: lower case, 32 characters.
    """
    import hashlib  # OpenSSL costs 2 ms, and a module that is run by itself needs none

    return AgentId(base64.b32encode(hashlib.sha256(public_key).digest()[:20]).decode("ascii").lower())


def check_agent_id(text: object, *, subject: str, path: str) -> AgentId:
    """The id itself.

    Raises:
        InvalidDocument: it does not have the form of one.
    """
    if isinstance(text, str) and _AGENT_ID.fullmatch(text):
        return AgentId(text)
    raise InvalidDocument(subject, f"must be an agent id (32 characters a-z, 2-7), got {text!r:.60}", path=path)


def check_fingerprint(text: object, *, subject: str, path: str) -> Fingerprint:
    """The fingerprint in capitals, without blanks or ``0x``.

    Raises:
        InvalidDocument: it is not the 40 hexadecimal digits of a version 4 key.
    """
    if isinstance(text, str):
        plain = text.replace(" ", "").upper().removeprefix("0X")
        if _FINGERPRINT.fullmatch(plain):
            return Fingerprint(plain)
    raise InvalidDocument(subject, f"must be a key fingerprint (40 hexadecimal digits), got {text!r:.60}", path=path)

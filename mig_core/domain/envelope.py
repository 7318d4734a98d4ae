"""Envelopes: how signed documents travel (DSSE v1, https://github.com/secure-systems-lab/dsse).

A signature covers the *pre-authentication encoding* of type and payload: the exact bytes, so there is no canonical JSON
to get wrong, and a type that keeps one purpose apart from another (a signed login is no action). Verify first, parse
the payload after, and parse only what was verified.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

from mig_core.domain.document import dump, load, members
from mig_core.errors import InvalidDocument
from mig_core.records import dataclass

if TYPE_CHECKING:
    from mig_core.domain.document import JSON

ACTION = "application/vnd.mig.action.v3+json"
CANCEL = "application/vnd.mig.cancel.v3+json"
LOGIN = "application/vnd.mig.login.v3+json"
RESULT = "application/vnd.mig.result.v3+json"
HEARTBEAT = "application/vnd.mig.heartbeat.v3+json"
ENROL = "application/vnd.mig.enrol.v3+json"
LEDGER = "application/vnd.mig.ledger.v3+json"
CASE = "application/vnd.mig.case.v1+json"

MAX_SIGNATURES = 16
MAX_SIGNATURE_BYTES = 4096
MAX_ACTION_BYTES = 1 << 20
"""Largest envelope with an action, cancel, login or heartbeat in it, before base64 is undone."""
MAX_RESULT_BYTES = 32 << 20
"""Largest envelope with a result in it."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature. ``keyid`` is a hint that finds the key (primary fingerprint, or agent id); it proves nothing."""

    keyid: str
    sig: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload, its type and the signatures over both."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...] = ()

    def signed_bytes(self) -> bytes:
        """The pre-authentication encoding: the bytes every signature covers."""
        kind = self.payload_type.encode("utf-8")
        return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(self.payload), self.payload)

    def with_signature(self, signature: Signature) -> Envelope:
        """The same document with one more signature."""
        return Envelope(self.payload_type, self.payload, (*self.signatures, signature))

    def to_json(self) -> dict[str, JSON]:
        """The envelope as a JSON object, to be put into another document."""
        return {
            "payloadType": self.payload_type,
            "payload": base64.b64encode(self.payload).decode("ascii"),
            "signatures": [
                {"keyid": one.keyid, "sig": base64.b64encode(one.sig).decode("ascii")} for one in self.signatures
            ],
        }

    def to_bytes(self) -> bytes:
        """The envelope as it travels."""
        return dump(self.to_json())


# As :meth:`Envelope.to_bytes` writes one with one signature by an agent: nothing in it can be said in two ways.
_USUAL = re.compile(
    rb'\{"payloadType":"([a-z0-9./+]{1,200})","payload":"([A-Za-z0-9+/]*={0,2})",'
    rb'"signatures":\[\{"keyid":"([a-z0-9]{1,100})","sig":"([A-Za-z0-9+/]{2,200}={0,2})"\}\]\}'
)


def read_envelope(raw: bytes, *, expected_type: str, max_bytes: int = MAX_ACTION_BYTES) -> Envelope:
    """The envelope in ``raw``; nothing in it is verified yet.

    Raises:
        InvalidDocument: too large, not an envelope, another payload type than expected, no signature or too many.
    """
    usual = _USUAL.fullmatch(raw) if len(raw) <= max_bytes else None
    if usual is not None and usual[1] == expected_type.encode("ascii"):
        signature = Signature(usual[3].decode("ascii"), _decode(usual[4], "signatures[0].sig"))
        return Envelope(expected_type, _decode(usual[2], "payload"), (signature,))
    return envelope_from_json(
        load(raw, subject="envelope", max_bytes=max_bytes), expected_type=expected_type, max_bytes=max_bytes
    )


def envelope_from_json(value: JSON, *, expected_type: str, max_bytes: int = MAX_ACTION_BYTES) -> Envelope:
    """The envelope in an already decoded JSON value; for documents that carry an envelope inside.

    Raises:
        InvalidDocument: as :func:`read_envelope`.
    """
    fields = members(value, subject="envelope")
    payload_type = fields.text("payloadType", max_length=200)
    if payload_type != expected_type:
        fields.refuse("payloadType", f"must be {expected_type}, got {payload_type!r:.100}")
    payload = _decode(fields.text("payload", max_length=max_bytes), "payload")
    signatures = []
    for one in fields.objects("signatures", minimum=1, maximum=MAX_SIGNATURES):
        keyid = one.text("keyid", max_length=100, default="")
        text = one.text("sig", max_length=MAX_SIGNATURE_BYTES * 2)
        one.close()
        signatures.append(Signature(keyid, _decode(text, one.path_of("sig"))))
    fields.close()
    return Envelope(payload_type, payload, tuple(signatures))


def _decode(text: str | bytes, path: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidDocument("envelope", "is not base64", path=path) from None

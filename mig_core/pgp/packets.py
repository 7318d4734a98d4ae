"""OpenPGP packets: where one ends and the next begins (RFC 4880 section 4.2, RFC 9580 section 4.2).

What MIG looks at before gpg is given anything. No cryptography happens here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNATURE = 2
SECRET_KEY = 5
PUBLIC_KEY = 6
SECRET_SUBKEY = 7
USER_ID = 13


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet. ``raw`` is all of it, ``body`` what its length counts."""

    tag: int
    raw: bytes
    body: bytes


def read_packets(blob: bytes) -> Iterator[Packet]:
    """The packets of a block, one after the other. Lengths that are not said at the beginning are not accepted.

    Raises:
        ValueError: the rest is no packet; those before it were.
    """
    at = 0
    while at < len(blob):
        tag, start, length = _head(blob, at)
        if start + length > len(blob):
            raise ValueError(f"is cut short: the packet at byte {at} is longer than what is left")
        yield Packet(tag, blob[at : start + length], blob[start : start + length])
        at = start + length


def only_packet(blob: bytes) -> Packet:
    """The one packet that ``blob`` consists of.

    Raises:
        ValueError: a length that does not fit exactly, or more than one packet.
    """
    problem = "is not exactly one OpenPGP packet"
    try:
        found = list(read_packets(blob))
    except ValueError:
        raise ValueError(problem) from None
    if len(found) != 1:
        raise ValueError(problem)
    return found[0]


def _head(blob: bytes, at: int) -> tuple[int, int, int]:
    """Tag, first byte of the body, and its length."""
    mark = blob[at]
    if not mark & 0x80:
        raise ValueError(f"has no OpenPGP packet at byte {at}")
    if not mark & 0x40:
        width = 1 << (mark & 3)
        if width < 8 and at + 1 + width <= len(blob):
            return mark >> 2 & 0x0F, at + 1 + width, int.from_bytes(blob[at + 1 : at + 1 + width], "big")
        raise ValueError(f"has a packet without a length at byte {at}")
    first = blob[at + 1] if at + 1 < len(blob) else 224
    if first < 192:
        return mark & 0x3F, at + 2, first
    if first < 224 and at + 3 <= len(blob):
        return mark & 0x3F, at + 3, (first - 192 << 8) + blob[at + 2] + 192
    if first == 255 and at + 6 <= len(blob):
        return mark & 0x3F, at + 6, int.from_bytes(blob[at + 2 : at + 6], "big")
    raise ValueError(f"has a packet without a length at byte {at}")

"""The attributes of nf_tables' messages, as the kernel wrote them. Source: ``linux/netlink.h``.

pyroute2 carries the messages; what is in them is read here. Its own decoding of rules takes some attributes for others
(a quota's bytes for 16 bits of them, the parts of fib for one another), and what it does not know it gives as numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Attributes = Mapping[int, bytes]
"""By number: the first of each."""
_HEADERS = 20
"""Of netlink (16 bytes) and of netfilter (4)."""
_NUMBER = 0x3FFF
"""Bits of an attribute's type that are its number; two say whether others are in it, and how its bytes are ordered."""


def of_message(message: Any) -> dict[int, bytes]:
    """The attributes of a message that pyroute2 has received."""
    return attributes(bytes(message.data[message.offset + _HEADERS : message.offset + message.length]))


def attributes(raw: bytes) -> dict[int, bytes]:
    """What is in an attribute that has others in it."""
    found: dict[int, bytes] = {}
    for number, value in _each(raw):
        found.setdefault(number, value)
    return found


def listed(raw: bytes) -> list[bytes]:
    """The members of an attribute that is a list."""
    return [value for _, value in _each(raw)]


def number_of(raw: bytes) -> int:
    """A number; the kernel writes those of nf_tables with the highest byte first."""
    return int.from_bytes(raw, "big")


def text_of(raw: bytes) -> str:
    """A name."""
    return raw.partition(b"\0")[0].decode("utf-8", "backslashreplace")


def _each(raw: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place + 4 <= len(raw):
        length, kind = struct.unpack_from("=HH", raw, place)
        if length < 4:
            return
        yield kind & _NUMBER, raw[place + 4 : place + length]
        place += length + 3 & ~3

"""Values in rules and sets of nftables as people write them. Sources: nft(8), ``linux/netfilter/nf_tables.h``; the
numbers of sets' types are those of nft itself (``datatype.h``), to the kernel they mean nothing.
"""

from __future__ import annotations

import ipaddress
import sys
from typing import TYPE_CHECKING, NamedTuple

from mig_netstat.nft_attributes import attributes, listed, number_of, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_netstat.nft_attributes import Attributes

PROTOCOLS = {
    1: "icmp",
    2: "igmp",
    6: "tcp",
    17: "udp",
    33: "dccp",
    50: "esp",
    51: "ah",
    58: "icmpv6",
    108: "comp",
    132: "sctp",
    136: "udplite",
}
FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
ETHERNET = {0x0800: "ip", 0x0806: "arp", 0x8100: "vlan", 0x86DD: "ip6", 0x88A8: "8021ad"}
STATES = {1: "invalid", 2: "established", 4: "related", 8: "new", 64: "untracked"}
STATUSES = {
    1: "expected",
    2: "seen-reply",
    4: "assured",
    8: "confirmed",
    16: "snat",
    32: "dnat",
    512: "dying",
}
TCP_FLAGS = {1: "fin", 2: "syn", 4: "rst", 8: "psh", 16: "ack", 32: "urg", 64: "ecn", 128: "cwr"}
ADDRESS_TYPES = {
    0: "unspec",
    1: "unicast",
    2: "local",
    3: "broadcast",
    4: "anycast",
    5: "multicast",
    6: "blackhole",
    7: "unreachable",
    8: "prohibit",
}
_BITS = {"state": STATES, "status": STATUSES, "tcp flags": TCP_FLAGS}
_NAMES = {"protocol": PROTOCOLS, "family": FAMILIES, "ethertype": ETHERNET, "address type": ADDRESS_TYPES}
_HOST = frozenset({"host", "state", "status", "address type"})
"""Kinds whose bytes are in the machine's own order."""
_VERDICTS = {0: "drop", 1: "accept", 2: "stolen", 3: "queue", 4: "repeat", 5: "stop"}
_JUMPS = {-1: "continue", -2: "break", -3: "jump", -4: "goto", -5: "return"}
_VERDICT_TYPE = 0xFFFFFF00
INTERVAL, ANONYMOUS, MAP, CONCATENATED = 4, 1, 8, 128
"""Flags of a set."""
_WORD = 4
_TYPES = {
    2: ("family", 1),
    7: ("address", 4),
    8: ("address", 16),
    9: ("ether", 6),
    10: ("ethertype", 2),
    11: ("", 2),
    12: ("protocol", 1),
    13: ("port", 2),
    14: ("", 1),
    15: ("tcp flags", 1),
    18: ("host", 8),
    19: ("host", 4),
    20: ("host", 4),
    21: ("host", 2),
    22: ("host", 4),
    23: ("host", 4),
    24: ("host", 4),
    25: ("host", 4),
    26: ("state", 4),
    27: ("", 1),
    28: ("status", 4),
    29: ("", 1),
    30: ("host", 16),
    31: ("", 1),
    32: ("", 1),
    33: ("", 1),
    34: ("", 1),
    35: ("host", 4),
    36: ("", 1),
    37: ("", 1),
    38: ("address type", 4),
    39: ("", 1),
    41: ("interface", 16),
    42: ("", 1),
    43: ("host", 8),
    44: ("host", 4),
    45: ("", 1),
    46: ("host", 8),
}
"""By the number of a set's type: how its values are written, and how many bytes they have."""


class Field(NamedTuple):
    """A part of a set's key, or its data."""

    kind: str
    length: int


def number_in(raw: bytes, kind: str) -> int:
    """A value as a number."""
    return int.from_bytes(raw, sys.byteorder if kind in _HOST else "big")


def value_text(raw: bytes, kind: str) -> str:
    """A value as people write it."""
    if kind == "address" and len(raw) in (4, 16):
        return str(ipaddress.ip_address(raw))
    if kind == "ether":
        return raw.hex(":")
    if kind in ("interface", "text"):
        name, end, _ = raw.partition(b"\0")
        open_end = "*" if kind == "interface" and not end and len(raw) < 16 else ""
        return f'"{name.decode("utf-8", "backslashreplace")}{open_end}"'
    number = number_in(raw, kind)
    if kind in _BITS:
        return bits_text(number, _BITS[kind], "|" if kind == "tcp flags" else ",")
    if kind in _NAMES:
        return _NAMES[kind].get(number, str(number))
    return str(number) if len(raw) <= 8 else f"0x{raw.hex()}"


def bits_text(bits: int, names: Mapping[int, str], mark: str = ",") -> str:
    """The names of bits; ``0`` if none is set."""
    return mark.join(names.get(1 << one, str(1 << one)) for one in range(32) if bits >> one & 1) or "0"


def verdict_text(raw: bytes) -> str:
    """``accept``, ``jump chain`` and so on."""
    said = attributes(raw)
    code = int.from_bytes(said[1], "big", signed=True)
    if code >= 0:  # what it has beside the verdict is the number of a queue, or an error for who sent the packet
        return _VERDICTS.get(code & 0xFF, str(code)) + (f" {code >> 16}" if code >> 16 else "")
    return " ".join(filter(None, (_JUMPS.get(code, str(code)), text_of(said.get(2, b"")))))


def data_text(raw: bytes, fields: tuple[Field, ...]) -> str:
    """What an element of a set leads to: a verdict, or a value."""
    said = attributes(raw)
    if 2 in said:
        return verdict_text(said[2])
    value = said[1]
    if len(fields) == 1 and fields[0].kind == "address" and len(value) in (8, 32):  # the ends of a range
        return "-".join(value_text(one, "address") for one in (value[: len(value) // 2], value[len(value) // 2 :]))
    return key_text(value, fields)


def key_text(raw: bytes, fields: tuple[Field, ...]) -> str:
    """A value of one or several parts (``10.0.0.1 . 22``), each of which begins at a multiple of four bytes."""
    if len(fields) < 2:
        return value_text(raw, fields[0].kind if fields else "")
    return " . ".join(value_text(part, field.kind) for part, field in zip(parts_of(raw, fields), fields, strict=True))


def parts_of(raw: bytes, fields: tuple[Field, ...]) -> list[bytes]:
    """The parts of a key.

    Raises:
        ValueError: it is of another length.
    """
    parts, place = [], 0
    for field in fields:
        parts.append(raw[place : place + field.length])
        place += padded(field.length)
    if place != padded(len(raw)):
        raise ValueError("a key of another length")
    return parts


def padded(length: int) -> int:
    """As many bytes as a value takes in registers and keys."""
    return length + _WORD - 1 & -_WORD


def key_of_set(said: Attributes) -> tuple[Field, ...]:
    """Of what a set's keys are made."""
    lengths = [number_of(attributes(one)[1]) for one in listed(attributes(said.get(9, b"")).get(2, b""))]
    return _fields(said, number_of(said.get(4, b"")), number_of(said.get(5, b"")), 0, lengths)


def data_of_set(said: Attributes) -> tuple[Field, ...]:
    """Of what the values of a map are made; nothing of a set, and of one with verdicts."""
    kind = number_of(said.get(6, b""))
    return () if not kind or kind == _VERDICT_TYPE else _fields(said, kind, number_of(said.get(7, b"")), 1, [])


def _fields(said: Attributes, kind: int, length: int, order: int, lengths: list[int]) -> tuple[Field, ...]:
    """The number of a type has six bits for each part. Of integers nft keeps the order of bytes beside the set."""
    numbers = [kind >> place & 63 for place in range(24, -1, -6) if kind >> place]
    known = [_TYPES.get(one, (_integer(said, order), 0)) for one in numbers]
    if len(known) == 1:
        known = [(known[0][0], length)]
    elif len(lengths) == len(known):
        known = [(of, each) for (of, _), each in zip(known, lengths, strict=True)]
    if order == 0 and number_of(said.get(3, b"")) & INTERVAL:  # what is between two values the kernel sees byte by byte
        known = [("" if of == "host" else of, each) for of, each in known]
    if sum(padded(each) for _, each in known) != padded(length) or not all(each for _, each in known):
        return (Field("", length),)
    return tuple(Field(of, each) for of, each in known)


def _integer(said: Attributes, order: int) -> str:
    """How integers are written, by what nft noted for itself (number, length, value): 1 is the machine's own order."""
    noted, place = said.get(13, b""), 0
    while place + 2 <= len(noted):
        number, length = noted[place], noted[place + 1]
        value = noted[place + 2 : place + 2 + length]
        if number == order and int.from_bytes(value, sys.byteorder) == 1:
            return "host"
        place += 2 + length
    return ""

"""Fields of packets' headers by their place. Sources: RFC 768, 791, 792, 826, 4443, 8200, 9293; nft(8) for names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_netstat.rule_registers import Loaded, Part

if TYPE_CHECKING:
    from collections.abc import Mapping

BASES = {0: "ll", 1: "nh", 2: "th", 3: "ih"}
_Fields = dict[int, Part]


def _fields(header: str, *fields: tuple[int, str, str, int]) -> _Fields:
    return {place: Part(f"{header} {name}", kind, length) for place, name, kind, length in fields}


_PORTS = ((0, "sport", "port", 2), (2, "dport", "port", 2))
_ICMP = ((0, "type", "", 1), (1, "code", "", 1), (2, "checksum", "", 2), (4, "id", "", 2), (6, "sequence", "", 2))
_LINK = _fields("ether", (0, "daddr", "ether", 6), (6, "saddr", "ether", 6), (12, "type", "ethertype", 2))
_TAGGED = {**_LINK, **_fields("vlan", (14, "tag", "", 2), (16, "type", "ethertype", 2))}
_NETWORK: Mapping[str, _Fields] = {
    "ip": _fields(
        "ip",
        *((1, "dsfield", "", 1), (2, "length", "", 2), (4, "id", "", 2), (6, "frag-off", "", 2), (8, "ttl", "", 1)),
        *((9, "protocol", "protocol", 1), (10, "checksum", "", 2)),
        *((12, "saddr", "address", 4), (16, "daddr", "address", 4)),
    ),
    "ip6": _fields(
        "ip6",
        *((4, "length", "", 2), (6, "nexthdr", "protocol", 1), (7, "hoplimit", "", 1)),
        *((8, "saddr", "address", 16), (24, "daddr", "address", 16)),
    ),
    "arp": _fields(
        "arp",
        *((0, "htype", "", 2), (2, "ptype", "ethertype", 2), (4, "hlen", "", 1), (5, "plen", "", 1)),
        *((6, "operation", "", 2), (8, "saddr ether", "ether", 6), (14, "saddr ip", "address", 4)),
        *((18, "daddr ether", "ether", 6), (24, "daddr ip", "address", 4)),
    ),
}
_TRANSPORT: Mapping[str, _Fields] = {
    "tcp": _fields(
        "tcp",
        *(*_PORTS, (4, "sequence", "", 4), (8, "ackseq", "", 4), (13, "flags", "tcp flags", 1)),
        *((14, "window", "", 2), (16, "checksum", "", 2), (18, "urgptr", "", 2)),
    ),
    "udp": _fields("udp", *_PORTS, (4, "length", "", 2), (6, "checksum", "", 2)),
    "udplite": _fields("udplite", *_PORTS),
    "sctp": _fields("sctp", *_PORTS, (4, "vtag", "", 4)),
    "dccp": _fields("dccp", *_PORTS),
    "th": _fields("th", *_PORTS),
    "icmp": _fields("icmp", *_ICMP),
    "icmpv6": _fields("icmpv6", *_ICMP),
}


def loaded(base: int, place: int, length: int, network: str, transport: str, tagged: bool = False) -> Loaded:
    """What is loaded from a header.

    Args:
        base: which header, by the kernel's number.
        place: in bytes.
        length: in bytes.
        network: of which protocol that header is, as far as the rule has said so: ``ip``, ``ip6``, ``arp``.
        transport: likewise: ``tcp``, ``udp``, …; ``th`` where it has not.
        tagged: whether the packet is one of a VLAN.
    """
    fields = {
        0: _TAGGED if tagged else _LINK,
        1: _NETWORK.get(network, {}),
        2: _TRANSPORT.get(transport, {}),
    }.get(base, {})
    first = fields.get(place)
    if first is not None and first.kind == "address" and length < first.length:
        return Loaded((first,), length)  # the beginning of an address: a network
    parts, at = [], place
    while at < place + length and (part := fields.get(at)) is not None:
        parts.append(part)
        at += part.length
    if not parts or at != place + length:
        parts = [Part(f"@{BASES.get(base, str(base))},{place * 8},{length * 8}", "", length)]
    return Loaded(tuple(parts), length)

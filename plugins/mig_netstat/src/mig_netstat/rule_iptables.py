"""Matches and targets of iptables' own in rules of nftables (nft_compat). Sources: ``xt_conntrack.h``,
``xt_addrtype.h``, ``xt_multiport.h``, ``xt_mac.h``, ``xt_owner.h``, ``xt_MARK.h``, ``ipt_REJECT.h``, ``ip6t_REJECT.h``,
``ipt_LOG.h``, ``nf_nat.h``.
"""

from __future__ import annotations

import struct
import sys

from mig_netstat.nft_values import bits_text, value_text

_STATES = {1: "invalid", 2: "established", 4: "related", 8: "new", 64: "snat", 128: "dnat", 256: "untracked"}
_ADDRESS_TYPES = {
    1: "unspec",
    2: "unicast",
    4: "local",
    8: "broadcast",
    16: "anycast",
    32: "multicast",
    64: "blackhole",
    128: "unreachable",
    256: "prohibit",
}
_STATE, _STATE_ALIAS = 0x1, 0x2000
"""Of a match of connections: that it is about their state, and that it was written as ``-m state``."""
_LOG_LEVEL = 4
_ANY_TYPE = 255
"""Of ICMP, as ``--icmp-type any`` writes it."""
_REFUSALS = {
    "ip": (
        *("net-unreachable", "host-unreachable", "prot-unreachable", "port-unreachable", "echoreply"),
        *("net-prohibited", "host-prohibited", "tcp reset", "admin-prohibited"),
    ),
    "ip6": (
        *("no-route", "admin-prohibited", "not-neighbour", "addr-unreachable", "port-unreachable", "echoreply"),
        *("tcp reset", "policy-fail", "reject-route"),
    ),
}
_NAT_FLAGS = {4: "random", 8: "persistent", 16: "fully-random"}
_KNOWN_FLAGS = 31
_HAS_ADDRESSES, _HAS_PORTS, _SAID_ANYWAY = 1, 2, 3
"""Flags of a translation that say no more than that it has addresses, or ports."""
_WIDTHS = {"ip": 4, "ip6": 16}
_TRANSLATIONS = {"DNAT": "dnat", "SNAT": "snat", "MASQUERADE": "masquerade", "REDIRECT": "redirect"}
_REVISIONS = 3
"""Of translations: their first is the older form for IPv4, the later ones are one."""


def match_text(name: str, revision: int, raw: bytes, transport: str) -> str:
    """What a match says; empty where it is not understood."""
    if name == "comment":
        return f'comment "{raw.partition(bytes(1))[0].decode("utf-8", "backslashreplace")}"'
    if name == "multiport" and revision == 1:
        flags, count = raw[0], raw[1]
        ports, ranges = struct.unpack_from("=15H", raw, 2), raw[32:47]
        texts = "".join(f"{port}{'-' if more else ', '}" for port, more in zip(ports[:count], ranges, strict=False))
        side = ("sport", "dport", "port")[flags]
        return f"{transport} {side} {'!= ' if raw[47] else ''}{{ {texts.removesuffix(', ')} }}"
    if name == "conntrack" and revision == 3:
        asked, inverted, states = struct.unpack_from("=HHH", raw, 146)
        if asked & ~_STATE_ALIAS == _STATE and inverted & ~_STATE == 0:
            return f"ct state {'!= ' if inverted else ''}{bits_text(states, _STATES)}"
    if name in ("icmp", "icmp6") and revision == 0:
        kind, low, high, inverted = raw[:4]
        if name == "icmp" and kind == _ANY_TYPE and not inverted and (low, high) == (0, 255):
            return "icmp type any"
        code = "" if (low, high) == (0, 255) else f" code {low}{f'-{high}' if high != low else ''}"
        return f"{'icmp' if name == 'icmp' else 'icmpv6'} type {'!= ' if inverted else ''}{kind}{code}"
    if name == "mac" and revision == 0:
        return f"ether saddr {'!= ' if any(raw[8:12]) else ''}{raw[:6].hex(':')}"
    if name == "owner" and revision == 1:
        return _owner_text(raw)
    if name == "addrtype" and revision == 1 and not any(raw[4:8]):
        sides = zip(("saddr", "daddr"), struct.unpack_from("=HH", raw), strict=True)
        return " ".join(f"fib {side} type {bits_text(bits, _ADDRESS_TYPES)}" for side, bits in sides if bits)
    return ""


def _owner_text(raw: bytes) -> str:
    *numbers, asked, inverted = struct.unpack_from("=4I2B", raw)
    if asked & ~3:
        return ""
    texts = []
    for bit, word, (low, high) in ((1, "skuid", numbers[:2]), (2, "skgid", numbers[2:])):
        if asked & bit:
            ends = f"{low}-{high}" if high != low else str(low)
            texts.append(f"meta {word} {'!= ' if inverted & bit else ''}{ends}")
    return " ".join(texts)


def _translation(word: str, flags: int, addresses: tuple[bytes, ...], ports: tuple[bytes, bytes]) -> str:
    ends = "-".join(dict.fromkeys(value_text(one, "address") for one in addresses))
    shown = "-".join(dict.fromkeys(value_text(one, "port") for one in ports)) if flags & _HAS_PORTS else ""
    ends = f"[{ends}]" if ":" in ends and shown else ends
    to = f" to {ends}{f':{shown}' if shown else ''}" if ends or shown else ""
    return f"{word}{to}{_flags_text(flags)}"


def _flags_text(flags: int) -> str:
    return f" {bits_text(flags & ~_SAID_ANYWAY, _NAT_FLAGS)}" if flags & ~_SAID_ANYWAY else ""


def target_text(name: str, revision: int, raw: bytes, family: str) -> str:
    """What a target says; empty where it is not understood."""
    if name in _TRANSLATIONS and revision < _REVISIONS and family in _WIDTHS:
        if family == "ip" and revision == 0:
            _, flags, first, last, low, high = struct.unpack_from("=II4s4s2s2s", raw)
        else:
            flags, first, last, low, high = struct.unpack_from("=I16s16s2s2s", raw)
        if flags & ~_KNOWN_FLAGS:  # with what it shifts ports by, or of a kind that is not known here
            return ""
        addresses = tuple(one[: _WIDTHS[family]] for one in (first, last)) if flags & _HAS_ADDRESSES else ()
        return _translation(_TRANSLATIONS[name], flags, addresses, (low, high))
    if name == "REJECT" and revision == 0 and family in _REFUSALS:
        how = _REFUSALS[family][int.from_bytes(raw[:4], sys.byteorder)]
        return f"reject with {how if how == 'tcp reset' else f'icmp {how}'}"
    if name == "LOG" and revision == 0 and not raw[1]:
        prefix = raw[2:32].partition(bytes(1))[0].decode("utf-8", "backslashreplace")
        return "log" + (f' prefix "{prefix}"' if prefix else "") + (f" level {raw[0]}" if raw[0] != _LOG_LEVEL else "")
    if name == "MARK" and revision == 2:
        mark, mask = struct.unpack_from("=II", raw)
        return f"meta mark set {mark}" if mask == 0xFFFFFFFF else f"meta mark set {mark:#x}/{mask:#x}"
    return ""

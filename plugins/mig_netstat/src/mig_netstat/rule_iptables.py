"""Matches and targets of iptables' own in rules of nftables (nft_compat). Sources: ``xt_conntrack.h``,
``xt_addrtype.h``, ``xt_multiport.h``, ``nf_nat.h``.
"""

from __future__ import annotations

import struct
import sys

from mig_netstat.nft_values import bits_text, value_text

_STATES = {1: "invalid", 2: "established", 4: "related", 8: "new", 64: "snat", 128: "dnat", 256: "untracked"}
_ADDRESS_TYPES = {1: "unspec", 2: "unicast", 4: "local", 8: "broadcast", 16: "anycast", 32: "multicast"}
_SAID_ANYWAY = 3
"""Flags of a translation that say no more than that it has addresses, or ports."""
_WIDTHS = {"ip": 4, "ip6": 16}


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
    if name == "conntrack" and revision == 3 and raw[146:150] == struct.pack("=HH", 1, 0):
        return f"ct state {bits_text(int.from_bytes(raw[150:152], sys.byteorder), _STATES)}"
    if name == "addrtype" and revision == 1 and not any(raw[4:8]):
        sides = zip(("saddr", "daddr"), struct.unpack_from("=HH", raw), strict=True)
        return " ".join(f"fib {side} type {bits_text(bits, _ADDRESS_TYPES)}" for side, bits in sides if bits)
    return ""


def target_text(name: str, revision: int, raw: bytes, family: str) -> str:
    """What a target says; empty where it is not understood."""
    if name in ("DNAT", "SNAT") and revision == 2 and family in _WIDTHS:
        flags, first, last, low, high = struct.unpack_from("=I16s16s2s2s", raw)
        if flags & ~_SAID_ANYWAY:
            return ""
        ends = dict.fromkeys(value_text(one[: _WIDTHS[family]], "address") for one in (first, last))
        ports = dict.fromkeys(value_text(one, "port") for one in (low, high))
        shown = "-".join(ports) if any(low) else ""
        return f"{name.lower()} to {':'.join(filter(None, ('-'.join(ends), shown)))}"
    if name in ("MASQUERADE", "REDIRECT") and not any(raw[4:]):
        return name.lower()
    return ""

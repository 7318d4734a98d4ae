"""What a rule of nftables says, much as ``nft list ruleset`` writes it. Sources: nft(8);
``linux/netfilter/nf_tables.h``, ``xt_conntrack.h``, ``xt_addrtype.h``, ``xt_multiport.h``, ``nf_nat.h``.

The kernel keeps a rule as small steps: load a field into a register, mask it, compare, decide. They are put together
again here. A step that is not understood stands in brackets with everything the kernel said of it, so that nothing is
left out of a rule but its counters. Pure: decoded attributes in, text out.
"""

from __future__ import annotations

import ipaddress
import struct
import sys
from typing import TYPE_CHECKING, Any

from mig_core.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Attributes = Mapping[str, Any]

PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 33: "dccp", 58: "icmpv6", 132: "sctp", 136: "udplite"}
FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
_STATES = {1: "invalid", 2: "established", 4: "related", 8: "new", 64: "untracked"}
_OLD_STATES = {1: "invalid", 2: "established", 4: "related", 8: "new", 64: "snat", 128: "dnat", 256: "untracked"}
_ADDRESS_TYPES = {1: "unspec", 2: "unicast", 4: "local", 8: "broadcast", 16: "anycast", 32: "multicast"}
_OPERATORS = {"EQ": "", "NEQ": "!= ", "LT": "< ", "LTE": "<= ", "GT": "> ", "GTE": ">= "}
_FIELDS = {
    ("ip", 12): ("ip saddr", "address"),
    ("ip", 16): ("ip daddr", "address"),
    ("ip", 9): ("ip protocol", "protocol"),
    ("ip6", 8): ("ip6 saddr", "address"),
    ("ip6", 24): ("ip6 daddr", "address"),
    ("ip6", 6): ("ip6 nexthdr", "protocol"),
}
_NAMED = {"L4PROTO": "protocol", "NFPROTO": "family", "IIFNAME": "interface", "OIFNAME": "interface"}
_IMPLIED = {"NF_NAT_RANGE_MAP_IPS", "NF_NAT_RANGE_PROTO_SPECIFIED"}
"""Flags of a translation that say no more than that it has addresses, or ports."""
_WIDTHS = {"ip": 4, "ip6": 16}


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What a register holds."""

    text: str
    kind: str = "network"
    """How its bytes are written: address, port, protocol, family, interface, state, network or host (byte order)."""
    width: int = 0
    mask: bytes = b""


def rule_text(steps: Iterable[tuple[str, Attributes]], family: int, sets: Mapping[str, str]) -> str:
    """The rule.

    Args:
        steps: names of the expressions and their attributes, as :func:`plain` gives them.
        family: of the table.
        sets: contents of sets without a name of their own.
    """
    rule = _Rule(FAMILIES.get(family, ""), sets)
    for name, attributes in steps:
        rule.step(name, attributes)
    return " ".join(rule.words)


def plain(value: Any) -> Any:
    """Attributes as pyroute2 decodes them, as dictionaries: ``{"META_KEY": "NFT_META_MARK"}``."""
    if isinstance(value, dict) and "attrs" in value:
        return {name.removeprefix("NFTA_"): plain(one) for name, one in value["attrs"]}
    return value


def bytes_text(raw: bytes, kind: str) -> str:
    """A value as people write it."""
    if kind == "address" and len(raw) in (4, 16):
        return str(ipaddress.ip_address(raw))
    if kind == "interface":
        name, end, _ = raw.partition(b"\0")
        return f'"{name.decode("utf-8", "backslashreplace")}{"" if end else "*"}"'
    number = int.from_bytes(raw, sys.byteorder if kind in ("host", "state") else "big")
    if kind == "protocol":
        return PROTOCOLS.get(number, str(number))
    if kind == "family":
        return FAMILIES.get(number, str(number))
    return str(number) if len(raw) <= 8 else f"0x{raw.hex()}"


class _Rule:
    def __init__(self, family: str, sets: Mapping[str, str]) -> None:
        self.words: list[str] = []
        self._family = family if family in _WIDTHS else ""
        self._transport = "th"
        self._sets = sets
        self._registers: dict[str, _Loaded] = {}
        self._steps: dict[str, Callable[[Attributes], None]] = {
            "meta": self._meta,
            "ct": self._ct,
            "payload": self._payload,
            "bitwise": self._bitwise,
            "cmp": self._cmp,
            "range": self._range,
            "lookup": self._lookup,
            "immediate": self._immediate,
            "nat": self._nat,
            "log": self._log,
            "limit": self._limit,
            "match": self._match,
            "target": self._target,
            "counter": lambda _: None,
            "masq": lambda said: self._plain_target("masquerade", said),
            "redir": lambda said: self._plain_target("redirect", said),
            "reject": lambda _: self.words.append("reject"),
            "notrack": lambda _: self.words.append("notrack"),
        }

    def step(self, name: str, attributes: Attributes) -> None:
        """Adds one step; one that does not look as it should is shown as it is."""
        words = list(self.words)
        try:
            self._steps[name](attributes)
        except (LookupError, TypeError, ValueError, AttributeError, struct.error):
            self.words = [*words, _raw(name, attributes)]

    def _meta(self, said: Attributes) -> None:
        key = said["META_KEY"].removeprefix("NFT_META_")
        name = key.lower() if key in ("IIFNAME", "OIFNAME") else f"meta {key.lower()}"
        self._load_or_set(said, "META", _Loaded(name, _NAMED.get(key, "host")))

    def _ct(self, said: Attributes) -> None:
        key = said["CT_KEY"].removeprefix("NFT_CT_")
        name = " ".join(["ct", *([str(said["CT_DIRECTION"])] if said.get("CT_DIRECTION") is not None else [])])
        self._load_or_set(said, "CT", _Loaded(f"{name} {key.lower()}", "state" if key == "STATE" else "host"))

    def _load_or_set(self, said: Attributes, kind: str, loaded: _Loaded) -> None:
        if (source := said.get(f"{kind}_SREG")) is not None:
            self.words.append(f"{loaded.text} set {self._registers[source].text}")
        else:
            self._registers[said[f"{kind}_DREG"]] = loaded

    def _payload(self, said: Attributes) -> None:
        base = said["PAYLOAD_BASE"].removeprefix("NFT_PAYLOAD_").removesuffix("_HEADER")
        offset, length = said["PAYLOAD_OFFSET"], said["PAYLOAD_LEN"]
        if base == "NETWORK" and (self._family, offset) in _FIELDS:
            name, kind = _FIELDS[self._family, offset]
            loaded = _Loaded(name, kind, _WIDTHS[self._family] if kind == "address" else 0)
        elif base == "TRANSPORT" and (offset, length) in ((0, 2), (2, 2)) and self._transport[:4] != "icmp":
            loaded = _Loaded(f"{self._transport} {'dport' if offset else 'sport'}", "port")
        elif base == "TRANSPORT" and (offset, length) == (0, 1) and self._transport[:4] == "icmp":
            loaded = _Loaded(f"{self._transport} type")
        else:
            place = {"LL": "ll", "NETWORK": "nh", "TRANSPORT": "th"}.get(base, base.lower())
            loaded = _Loaded(f"@{place},{offset * 8},{length * 8}")
        self._load_or_set(said, "PAYLOAD", loaded)

    def _bitwise(self, said: Attributes) -> None:
        source = self._registers[said["BITWISE_SREG"]]
        if said["BITWISE_OP"] != "NFT_BITWISE_BOOL" or any(said["BITWISE_XOR"]["DATA_VALUE"]) or source.mask:
            raise ValueError("more than a mask")
        mask = said["BITWISE_MASK"]["DATA_VALUE"]
        self._registers[said["BITWISE_DREG"]] = _Loaded(source.text, source.kind, source.width, mask)

    def _cmp(self, said: Attributes) -> None:
        loaded, raw = self._registers[said["CMP_SREG"]], said["CMP_DATA"]["DATA_VALUE"]
        operator = _OPERATORS[said["CMP_OP"].removeprefix("NFT_CMP_")]
        if loaded.text in ("meta l4proto", "ip protocol", "ip6 nexthdr") and not operator:
            self._transport = PROTOCOLS.get(raw[0], "th")
        if loaded.text == "meta nfproto" and not operator:
            self._family = FAMILIES.get(raw[0], "")
        self.words.append(f"{loaded.text} {_compared(loaded, operator, raw)}")

    def _range(self, said: Attributes) -> None:
        loaded = self._registers[said["RANGE_SREG"]]
        ends = (bytes_text(said[f"RANGE_{end}_DATA"]["DATA_VALUE"], loaded.kind) for end in ("FROM", "TO"))
        operator = "!= " if str(said["RANGE_OP"]).endswith("NEQ") or said["RANGE_OP"] == 1 else ""
        self.words.append(f"{loaded.text} {operator}{'-'.join(ends)}{_mask_text(loaded)}")

    def _lookup(self, said: Attributes) -> None:
        loaded, name = self._registers[said["LOOKUP_SREG"]], said["LOOKUP_SET"]
        operator = "!= " if said.get("LOOKUP_FLAGS") else ""
        text = f"{loaded.text}{_mask_text(loaded)} {operator}{self._sets.get(name) or f'@{name}'}"
        target = said.get("LOOKUP_DREG")
        if target is None:
            self.words.append(text)
        elif str(target).endswith("VERDICT"):
            self.words.append(f"{text.replace(' @', ' vmap @')}")
        else:
            self._registers[target] = _Loaded(f"{loaded.text} map {self._sets.get(name) or f'@{name}'}")

    def _immediate(self, said: Attributes) -> None:
        data = said["IMMEDIATE_DATA"]
        if (verdict := data.get("DATA_VERDICT")) is not None:
            self.words.append(verdict_text(verdict))
        else:
            raw = data["DATA_VALUE"]
            kind = "address" if len(raw) in (4, 16) else "port"
            self._registers[said["IMMEDIATE_DREG"]] = _Loaded(bytes_text(raw, kind))

    def _nat(self, said: Attributes) -> None:
        words = [said["NAT_TYPE"].removeprefix("NFT_NAT_").lower(), "to"]
        ends = [self._nat_ends(said, part) for part in ("ADDR", "PROTO")]
        address = f"[{ends[0]}]" if ":" in ends[0] and ends[1] else ends[0]
        self.words.append(" ".join([*words, ":".join(filter(None, (address, ends[1])))]))
        if flags := set(said.get("NAT_FLAGS") or ()) - _IMPLIED:
            self.words.append(_raw("nat", {"NAT_FLAGS": flags}))

    def _nat_ends(self, said: Attributes, part: str) -> str:
        registers = (said.get(f"NAT_REG_{part}_{end}") for end in ("MIN", "MAX"))
        return "-".join(dict.fromkeys(self._registers[one].text for one in registers if one))

    def _plain_target(self, name: str, said: Attributes) -> None:
        if any(said.values()):
            raise ValueError("with ports or flags")
        self.words.append(name)

    def _log(self, said: Attributes) -> None:
        rest = {name: one for name, one in said.items() if name != "LOG_PREFIX" and one != "NFT_LOGLEVEL_WARNING"}
        prefix = f' prefix "{said["LOG_PREFIX"]}"' if said.get("LOG_PREFIX") else ""
        self.words.append(f"log{prefix}" + (f" {_raw('log', rest)}" if rest else ""))

    def _limit(self, said: Attributes) -> None:
        units = {1: "second", 60: "minute", 3600: "hour", 86400: "day", 604800: "week"}
        over = "over " if said.get("LIMIT_FLAGS") else ""
        what = " bytes" if str(said.get("LIMIT_TYPE", "")).endswith("BYTES") or said.get("LIMIT_TYPE") == 1 else ""
        burst = f" burst {said['LIMIT_BURST']}" if said.get("LIMIT_BURST") else ""
        self.words.append(f"limit rate {over}{said['LIMIT_RATE']}{what}/{units[said['LIMIT_UNIT']]}{burst}")

    def _match(self, said: Attributes) -> None:
        """A match of iptables' own, by way of nft_compat."""
        name, raw = said["MATCH_NAME"], _bytes_of(said["MATCH_INFO"])
        if name == "comment":
            self.words.append(f'comment "{raw.partition(bytes(1))[0].decode("utf-8", "backslashreplace")}"')
        elif name == "multiport" and said["MATCH_REV"] == 1:
            flags, count = raw[0], raw[1]
            ports, ranges = struct.unpack_from("=15H", raw, 2), raw[32:47]
            texts = "".join(f"{port}{'-' if more else ', '}" for port, more in zip(ports[:count], ranges, strict=False))
            side = ("sport", "dport", "port")[flags]
            self.words.append(f"{self._transport} {side} {'!= ' if raw[47] else ''}{{ {texts.removesuffix(', ')} }}")
        elif name == "conntrack" and said["MATCH_REV"] == 3 and raw[146:150] == struct.pack("=HH", 1, 0):
            states = int.from_bytes(raw[150:152], sys.byteorder)
            self.words.append(f"ct state {_bits_text(states, _OLD_STATES)}")
        elif name == "addrtype" and said["MATCH_REV"] == 1 and not any(raw[4:8]):
            self.words += [
                f"fib {side} type {_bits_text(bits, _ADDRESS_TYPES)}"
                for side, bits in zip(("saddr", "daddr"), struct.unpack_from("=HH", raw), strict=True)
                if bits
            ]
        else:
            self.words.append(_raw(f"match {name}", {"rev": said["MATCH_REV"], "info": raw}))

    def _target(self, said: Attributes) -> None:
        name, raw = said["TARGET_NAME"], _bytes_of(said["TARGET_INFO"])
        if name in ("DNAT", "SNAT") and said["TARGET_REV"] == 2 and self._family:
            _, first, last, low, high = struct.unpack_from("=I16s16s2s2s", raw)
            width = _WIDTHS[self._family]
            ends = dict.fromkeys(bytes_text(one[:width], "address") for one in (first, last))
            ports = dict.fromkeys(bytes_text(one, "port") for one in (low, high))
            shown = "-".join(ports) if any(low) else ""
            self.words.append(f"{name.lower()} to {':'.join(filter(None, ('-'.join(ends), shown)))}")
        elif name in ("MASQUERADE", "REDIRECT") and not any(raw[4:]):
            self.words.append(name.lower())
        else:
            self.words.append(_raw(f"target {name}", {"rev": said["TARGET_REV"], "info": raw}))


def verdict_text(verdict: Attributes) -> str:
    """``accept``, ``jump chain`` and so on."""
    code = str(verdict["VERDICT_CODE"]).removeprefix("NF_").removeprefix("NFT_").lower()
    return " ".join(filter(None, (code, verdict.get("VERDICT_CHAIN", ""))))


def _compared(loaded: _Loaded, operator: str, raw: bytes) -> str:
    if loaded.kind == "state" and operator == "!= " and not any(raw) and loaded.mask:
        return _bits_text(int.from_bytes(loaded.mask, sys.byteorder), _STATES)
    if loaded.kind == "address":
        mask = loaded.mask or b"\xff" * len(raw)
        bits = "".join(f"{byte:08b}" for byte in mask)
        prefix = bits.rstrip("0")
        if "0" not in prefix:
            address = bytes_text(raw.ljust(loaded.width, b"\0"), "address")
            return f"{operator}{address}" + (f"/{len(prefix)}" if len(prefix) < loaded.width * 8 else "")
    return f"{_mask_text(loaded).lstrip()} {operator}{bytes_text(raw, loaded.kind)}".lstrip()


def _bits_text(bits: int, names: Mapping[int, str]) -> str:
    return ",".join(names.get(1 << place, str(1 << place)) for place in range(32) if bits >> place & 1)


def _mask_text(loaded: _Loaded) -> str:
    return f" & 0x{loaded.mask.hex()}" if loaded.mask else ""


def _bytes_of(info: Any) -> bytes:
    return bytes.fromhex(info.replace(":", "")) if isinstance(info, str) else bytes(info)


def _raw(name: str, attributes: Any) -> str:
    if not isinstance(attributes, dict):
        return f"[{name}]" if attributes is None else f"[{name} {attributes!r}]"
    values = (f"{key}={_value(one)}" for key, one in attributes.items() if one not in (None, frozenset()))
    return f"[{' '.join([name, *values])}]"


def _value(one: Any) -> str:
    if isinstance(one, bytes):
        return f"0x{one.rstrip(bytes(1)).hex()}"
    return str(sorted(map(str, one)) if isinstance(one, set | frozenset) else one)

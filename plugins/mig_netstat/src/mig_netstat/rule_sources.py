"""Where rules of nftables take values from besides packets' headers: what the kernel knows of a packet (``meta``), its
connection (``ct``), route (``rt``, ``fib``), socket, extension headers and options, numbers made up or of a hash.

Some of them can be set as well; then there is a text instead of something to load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_netstat.nft_attributes import number_of
from mig_netstat.rule_registers import Loaded, of_part

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mig_netstat.nft_attributes import Attributes
    from mig_netstat.rule_registers import Registers

Read = tuple[int, Loaded, str]
"""The register, what is loaded into it, and the text where something is set instead."""
_NOTHING = of_part("")
_META = (
    *("length", "protocol", "priority", "mark", "iif", "oif", "iifname", "oifname", "iiftype", "oiftype", "skuid"),
    *("skgid", "nftrace", "rtclassid", "secmark", "nfproto", "l4proto", "ibrname", "obrname", "pkttype", "cpu"),
    *("iifgroup", "oifgroup", "cgroup", "random", "secpath", "iifkind", "oifkind", "ibrpvid", "ibrvproto", "time"),
    *("day", "hour", "sdif", "sdifname", "broute", "ibrhwaddr"),
)
_META_KINDS = {
    "protocol": ("ethertype", 2),
    "nfproto": ("family", 1),
    "l4proto": ("protocol", 1),
    "iiftype": ("host", 2),
    "oiftype": ("host", 2),
    "pkttype": ("", 1),
    "time": ("host", 8),
    "day": ("", 1),
    "secpath": ("", 1),
    "iifkind": ("text", 16),
    "oifkind": ("text", 16),
    "ibrvproto": ("ethertype", 2),
    "ibrhwaddr": ("ether", 6),
    **dict.fromkeys(("iifname", "oifname", "ibrname", "obrname", "sdifname"), ("interface", 16)),
}
_CT = (
    *("state", "direction", "status", "mark", "secmark", "expiration", "helper", "l3proto", "saddr", "daddr"),
    *("protocol", "proto-src", "proto-dst", "label", "packets", "bytes", "avgpkt", "zone", "event", "ip saddr"),
    *("ip daddr", "ip6 saddr", "ip6 daddr", "id"),
)
_CT_KINDS = {
    "state": ("state", 4),
    "status": ("status", 4),
    "direction": ("", 1),
    "helper": ("text", 16),
    "l3proto": ("family", 1),
    "protocol": ("protocol", 1),
    "proto-src": ("port", 2),
    "proto-dst": ("port", 2),
    "label": ("host", 16),
    "packets": ("host", 8),
    "bytes": ("host", 8),
    "avgpkt": ("host", 8),
    "zone": ("host", 2),
    "saddr": ("address", 16),
    "daddr": ("address", 16),
    "ip saddr": ("address", 4),
    "ip daddr": ("address", 4),
    "ip6 saddr": ("address", 16),
    "ip6 daddr": ("address", 16),
}
_DIRECTIONS = ("original", "reply")
_ASKED = {1: "saddr", 2: "daddr", 4: "mark", 8: "iif", 16: "oif"}
_PRESENT = 32
_RESULTS = {1: ("oif", "host", 4), 2: ("oifname", "interface", 16), 3: ("type", "address type", 4)}
_ROUTE = {0: ("classid", "host", 4), 1: ("ip nexthop", "address", 4), 2: ("ip6 nexthop", "address", 16),
          3: ("mtu", "host", 2), 4: ("ipsec", "", 1)}  # fmt: skip
_SOCKET = {0: ("transparent", "", 1), 1: ("mark", "host", 4), 2: ("wildcard", "", 1)}
_EXTENSIONS = {0: "exthdr", 1: "tcp option", 2: "ip option", 3: "sctp chunk", 4: "dccp option"}
_EXTENSION_NAMES = {
    (0, 0): "hbh",
    (0, 43): "rt",
    (0, 44): "frag",
    (0, 60): "dst",
    (0, 135): "mh",
    (1, 2): "maxseg",
    (1, 3): "window",
    (1, 4): "sack-perm",
    (1, 5): "sack",
    (1, 8): "timestamp",
    (1, 30): "mptcp",
    (2, 7): "rr",
    (2, 131): "lsrr",
    (2, 137): "ssrr",
    (2, 148): "ra",
}


def _meta(said: Attributes, registers: Registers) -> Read:
    key = _META[number_of(said[2])]
    kind, length = _META_KINDS.get(key, ("host", 4))
    name = key if key in ("iifname", "oifname") else f"meta {key}"
    return _loaded_or_set(said, 1, 3, name, (kind, length), registers)


def _ct(said: Attributes, registers: Registers) -> Read:
    key = _CT[number_of(said[2])]
    direction = [_DIRECTIONS[number_of(said[3])]] if 3 in said else []
    return _loaded_or_set(said, 1, 4, " ".join(["ct", *direction, key]), _CT_KINDS.get(key, ("host", 4)), registers)


def _loaded_or_set(
    said: Attributes, target: int, source: int, name: str, form: tuple[str, int], registers: Registers
) -> Read:
    kind, length = form
    if source in said:
        return 0, _NOTHING, f"{name} set {registers.value(number_of(said[source]), kind)}"
    return number_of(said[target]), of_part(name, kind, length), ""


def _fib(said: Attributes, registers: Registers) -> Read:
    del registers
    flags = number_of(said[3])
    asked = " . ".join(name for bit, name in _ASKED.items() if flags & bit)
    name, kind, length = _RESULTS[number_of(said[2])]
    if flags & _PRESENT:
        return number_of(said[1]), of_part(f"fib {asked} {name} exists", "", 1), ""
    return number_of(said[1]), of_part(f"fib {asked} {name}", kind, length), ""


def _numgen(said: Attributes, registers: Registers) -> Read:
    del registers
    text = f"numgen {('inc', 'random')[number_of(said[3])]} mod {number_of(said[2])}{_offset(said.get(4, b''))}"
    return number_of(said[1]), of_part(text, "host"), ""


def _hash(said: Attributes, registers: Registers) -> Read:
    rest = f"mod {number_of(said[4])}"
    if number_of(said.get(7, b"")):
        text = f"symhash {rest}"
    else:
        seed = f" seed {hex(number_of(said[5]))}" if 5 in said else ""
        text = f"jhash {registers.gathered(number_of(said[1]), number_of(said[3]))} {rest}{seed}"
    return number_of(said[2]), of_part(f"{text}{_offset(said.get(6, b''))}", "host"), ""


def _offset(raw: bytes) -> str:
    return f" offset {number_of(raw)}" if number_of(raw) else ""


def _rt(said: Attributes, registers: Registers) -> Read:
    del registers
    name, kind, length = _ROUTE[number_of(said[2])]
    return number_of(said[1]), of_part(f"rt {name}", kind, length), ""


def _socket(said: Attributes, registers: Registers) -> Read:
    del registers
    key = number_of(said[1])
    if key == 3:
        return number_of(said[2]), of_part(f"socket cgroupv2 level {number_of(said[3])}", "host", 8), ""
    name, kind, length = _SOCKET[key]
    return number_of(said[2]), of_part(f"socket {name}", kind, length), ""


def _exthdr(said: Attributes, registers: Registers) -> Read:
    operation, kind = number_of(said.get(6, b"")), number_of(said[2])
    text = f"{_EXTENSIONS[operation]} {_EXTENSION_NAMES.get((operation, kind), str(kind))}"
    if number_of(said.get(5, b"")) & 1:
        return number_of(said[1]), of_part(f"{text} exists", "", 1), ""
    place, length = number_of(said[3]), number_of(said[4])
    text = f"{text} size" if (operation, kind, place, length) == (1, 2, 2, 2) else f"{text} @{place * 8},{length * 8}"
    return _loaded_or_set(said, 1, 7, text, ("", length), registers)


SOURCES: Mapping[str, Callable[[Attributes, Registers], Read]] = {
    "meta": _meta,
    "ct": _ct,
    "fib": _fib,
    "numgen": _numgen,
    "hash": _hash,
    "rt": _rt,
    "socket": _socket,
    "exthdr": _exthdr,
}
"""By the expression's name."""

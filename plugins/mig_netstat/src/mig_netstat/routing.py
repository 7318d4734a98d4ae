"""Interfaces, addresses, neighbours, routes and rules of a network namespace, through pyroute2 (rtnetlink(7)).

With them the firewall, which belongs to a namespace too.
"""

from __future__ import annotations

import os
from itertools import chain
from typing import TYPE_CHECKING, Any

from mig_core.plugin.coverage import Reason
from mig_netstat import firewall, namespaces, proxied
from mig_netstat.nft_attributes import attributes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_core.plugin.cells import Cell
    from mig_core.plugin.coverage import Tally
    from mig_netstat.handlers import Handlers

NOT_ASKED = Reason("interfaces, neighbours and routes that could not be asked for")
INTERFACES, ADDRESSES, NEIGHBOURS, ROUTES, RULES = "interfaces", "addresses", "neighbours", "routes", "rules"
KINDS = (INTERFACES, ADDRESSES, NEIGHBOURS, ROUTES, RULES)
_FLAGS = {0x1: "up", 0x2: "broadcast", 0x8: "loopback", 0x10: "pointopoint", 0x100: "promisc", 0x200: "allmulti",
          0x1000: "multicast", 0x10000: "lower_up"}  # fmt: skip
"""net_device_flags of ``linux/if.h``."""
_NEIGHBOUR_STATES = {0x01: "INCOMPLETE", 0x02: "REACHABLE", 0x04: "STALE", 0x08: "DELAY", 0x10: "PROBE", 0x20: "FAILED",
                     0x40: "NOARP", 0x80: "PERMANENT"}  # fmt: skip
_TABLES = {253: "default", 254: "main", 255: "local"}
_ROUTE_KINDS = {1: "unicast", 2: "local", 3: "broadcast", 4: "anycast", 5: "multicast", 6: "blackhole",
                7: "unreachable", 8: "prohibit", 9: "throw", 10: "nat"}  # fmt: skip
_ENCAPSULATIONS = {1: "mpls", 2: "ip", 3: "ila", 4: "ip6", 5: "seg6", 6: "bpf", 7: "seg6local", 8: "rpl", 9: "ioam6",
                   10: "xfrm"}  # fmt: skip
"""lwtunnel_encap_types of ``linux/lwtunnel.h``: where such a route leads is not its gateway."""
_HOP_FLAGS = {0x1: "dead", 0x4: "onlink", 0x10: "linkdown"}
_INVERTED = 0x2
"""FIB_RULE_INVERT of ``linux/fib_rules.h``."""
_MULTICAST = (128, 129)
"""RTNL_FAMILY_IPMR and RTNL_FAMILY_IP6MR of ``linux/rtnetlink.h``: rules for routes of multicast packets."""
_ALL_BITS = 0xFFFFFFFF
_RULE_HEADERS = 28
"""Of netlink (16 bytes) and of a rule (12)."""
_NEWER = {25: "dscp", 26: "flowlabel", 27: "flowlabel mask", 28: "sport mask", 29: "dport mask", 30: "dscp mask"}
"""Attributes of rules that pyroute2 does not know, by number."""
_WHOLE_PORT = bytes((255, 255))
_RULE_ACTIONS = {1: "to_table", 2: "goto", 3: "nop", 6: "blackhole", 7: "unreachable", 8: "prohibit"}

Row = dict[str, "Cell"]


def rows(wanted: frozenset[str], number: int, paths: tuple[str, ...], handlers: Handlers, tally: Tally) -> list[Row]:
    """The rows of one namespace.

    Args:
        wanted: of :data:`KINDS`, and the firewall.
        number: the namespace's.
        paths: lead to it; none for our own.
        handlers: says what may be asked about the firewall.
        tally: books what could not be asked for.
    """
    name = namespaces.name_of(number)
    try:
        if not paths:
            return _rows(wanted, name, handlers, tally)
        descriptor = namespaces.opened(number, paths)
    except FileNotFoundError:  # its last process has ended
        return []
    except OSError as error:
        tally.failed(NOT_ASKED, name, error.strerror or str(error))
        return []
    try:
        with namespaces.inside(descriptor):
            return _rows(wanted, name, handlers, tally)
    except OSError as error:
        tally.failed(NOT_ASKED, name, error.strerror or str(error))
        return []
    finally:
        os.close(descriptor)


def _rows(wanted: frozenset[str], name: str, handlers: Handlers, tally: Tally) -> list[Row]:
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    found: list[Row] = []
    if firewall.FIREWALL in wanted:
        found += ({"namespace": name, **row} for row in firewall.rows(handlers, tally))
    if not wanted.intersection(KINDS):
        return found
    with IPRoute() as route:
        try:
            interfaces = {one["index"]: one.get_attr("IFLA_IFNAME") or str(one["index"]) for one in route.get_links()}
        except (NetlinkError, OSError) as error:
            tally.failed(NOT_ASKED, f"{INTERFACES} of {name}", str(error))
            interfaces = {}
        asks: dict[str, Callable[[], Iterator[Row]]] = {
            INTERFACES: lambda: map(_interface, route.get_links()),
            ADDRESSES: lambda: (_address(one, interfaces) for one in route.get_addr()),
            NEIGHBOURS: lambda: chain(
                (_neighbour(one, interfaces) for one in route.get_neighbours()),
                (_proxied(one, interfaces) for one in proxied.proxied()),
            ),
            ROUTES: lambda: (row for one in route.get_routes() for row in _routes(one, interfaces)),
            RULES: lambda: (_rule(one) for one in route.get_rules()),
        }
        for kind, ask in asks.items():
            if kind not in wanted:
                continue
            try:
                found += ({"what": kind, "namespace": name, **row} for row in ask())
            except (NetlinkError, OSError) as error:
                tally.failed(NOT_ASKED, f"{kind} of {name}", str(error))
    return found


def _interface(one: Any) -> Row:
    info = one.get_attr("IFLA_LINKINFO")
    row: Row = {
        "interface": one.get_attr("IFLA_IFNAME") or str(one["index"]),
        "mac": one.get_attr("IFLA_ADDRESS") or "",
        "state": one.get_attr("IFLA_OPERSTATE") or "",
        "type": (info.get_attr("IFLA_INFO_KIND") if info else "") or "",
        "flags": [text for bit, text in _FLAGS.items() if one["flags"] & bit],
    }
    return row | _number("mtu", one.get_attr("IFLA_MTU"))


def _address(one: Any, interfaces: dict[int, str]) -> Row:
    address = one.get_attr("IFA_LOCAL") or one.get_attr("IFA_ADDRESS")
    return {
        "interface": interfaces.get(one["index"], str(one["index"])),
        "local_address": f"{address}/{one['prefixlen']}" if address else "",
    }


def _neighbour(one: Any, interfaces: dict[int, str]) -> Row:
    return {
        "interface": interfaces.get(one["ifindex"], str(one["ifindex"])),
        "remote_address": one.get_attr("NDA_DST") or "",
        "mac": one.get_attr("NDA_LLADDR") or "",
        "state": _NEIGHBOUR_STATES.get(one["state"], ""),
    }


def _proxied(one: proxied.Proxied, interfaces: dict[int, str]) -> Row:
    interface = interfaces.get(one.interface, str(one.interface)) if one.interface else ""
    return {"interface": interface, "remote_address": one.address, "state": "PROXY"}


def _routes(one: Any, interfaces: dict[int, str]) -> Iterator[Row]:
    """A row for each next hop: a route may have several."""
    everything = "::" if one["family"] == 10 else "0.0.0.0"  # noqa: S104  # nothing is bound to it
    row: Row = {
        "remote_address": f"{one.get_attr('RTA_DST') or everything}/{one['dst_len']}",
        "local_address": one.get_attr("RTA_PREFSRC") or "",
        "type": _ROUTE_KINDS.get(one["type"], str(one["type"])),
        "table": _table(one),
    }
    row |= _number("metric", one.get_attr("RTA_PRIORITY"))
    conditions = [f"tos {one['tos']:#x}"] if one["tos"] else []
    conditions += [f"from {_network(one.get_attr('RTA_SRC'), one['src_len'])}"] if one["src_len"] else []
    for hop in one.get_attr("RTA_MULTIPATH") or (one,):
        through = one.get_attr("RTA_OIF") if hop is one else hop["oif"]
        other_family = hop.get_attr("RTA_VIA")
        packed = hop.get_attr("RTA_ENCAP_TYPE")
        flags = [*conditions, *([f"encap {_ENCAPSULATIONS.get(packed, packed)}"] if packed else [])]
        flags += [text for bit, text in _HOP_FLAGS.items() if hop["flags"] & bit]
        yield row | {
            "gateway": (other_family["addr"] if other_family else hop.get_attr("RTA_GATEWAY")) or "",
            "interface": interfaces.get(through, str(through)) if through else "",
            **({"flags": flags} if flags else {}),
        }


def _rule(one: Any) -> Row:
    mark, mask = one.get_attr("FRA_FWMARK") or 0, one.get_attr("FRA_FWMASK")
    mask = _ALL_BITS if mask is None and mark else mask or 0
    tunnel = one.get_attr("FRA_TUN_ID")
    flow = one.get_attr("FRA_FLOW")
    parts = {
        "multicast": "routes only" if one["family"] in _MULTICAST else "",
        "not": "all of these" if one["flags"] & _INVERTED else "",
        "from": _network(one.get_attr("FRA_SRC"), one["src_len"]),
        "to": _network(one.get_attr("FRA_DST"), one["dst_len"]),
        "iif": one.get_attr("FRA_IIFNAME"),
        "oif": one.get_attr("FRA_OIFNAME"),
        "tos": f"{one['tos']:#x}" if one["tos"] else "",
        "fwmark": "" if not mask else f"{mark:#x}" if mask == _ALL_BITS else f"{mark:#x}/{mask:#x}",
        "tun_id": tunnel or "",
        "uidrange": one.get_attr("FRA_UID_RANGE"),
        "ipproto": one.get_attr("FRA_IP_PROTO"),
        "sport": one.get_attr("FRA_SPORT_RANGE"),
        "dport": one.get_attr("FRA_DPORT_RANGE"),
        "goto": one.get_attr("FRA_GOTO"),
        "l3mdev": "its table" if one.get_attr("FRA_L3MDEV") else "",
        "realms": f"{flow >> 16}/{flow & 0xFFFF}" if flow else "",
        "suppress_prefixlength": _suppressed(one.get_attr("FRA_SUPPRESS_PREFIXLEN")),
        "suppress_ifgroup": _suppressed(one.get_attr("FRA_SUPPRESS_IFGROUP")),
        **_newer_parts(one),
    }
    row: Row = {
        "type": _RULE_ACTIONS.get(one["action"], str(one["action"])),
        "table": _table(one),
        "flags": [f"{name} {value}" for name, value in parts.items() if value],
    }
    return row | _number("metric", one.get_attr("FRA_PRIORITY") or 0)


def _suppressed(value: int | None) -> str:
    return "" if value in (None, _ALL_BITS) else str(value)


def _newer_parts(one: Any) -> dict[str, str]:
    """What a rule says besides, as numbers: a rule without one of its conditions would be another rule."""
    raw = bytes(one.data[one.offset + _RULE_HEADERS : one.offset + one.length])
    return {
        _NEWER.get(number, str(number)): f"0x{value.hex()}"
        for number, value in attributes(raw).items()
        if number >= min(_NEWER) and value != _WHOLE_PORT
    }


def _number(name: str, value: int | None) -> Row:
    return {} if value is None else {name: value}


def _network(address: str | None, length: int) -> str:
    return f"{address}/{length}" if address else ""


def _table(one: Any) -> str:
    number = one.get_attr("RTA_TABLE") or one.get_attr("FRA_TABLE") or one["table"]
    return _TABLES.get(number, str(number)) if number else ""

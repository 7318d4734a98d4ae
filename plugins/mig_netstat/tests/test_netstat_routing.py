"""Interfaces, addresses, neighbours, routes and rules of a network namespace, as iproute2 has set them."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from mig_netstat import namespaces

if TYPE_CHECKING:
    from collections.abc import Callable

    Rows = Callable[..., list[dict[str, Any]]]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="entering a network namespace needs root")


def ip(netns: str, *words: str) -> None:
    subprocess.run(["ip", "-n", netns, *words], check=True)


def test_interfaces_neighbours_routes_rules_and_the_firewall_of_a_namespace_are_told(rows: Rows, netns: str) -> None:
    ip(netns, "link", "add", "one", "type", "veth", "peer", "name", "two")
    ip(netns, "link", "set", "one", "address", "02:00:00:00:00:01", "up")
    ip(netns, "link", "set", "two", "up")
    ip(netns, "addr", "add", "192.0.2.1/24", "dev", "one")
    ip(netns, "addr", "add", "2001:db8::1/64", "dev", "one", "nodad")
    ip(netns, "neigh", "add", "192.0.2.9", "lladdr", "02:00:00:00:00:09", "dev", "one")
    ip(netns, "neigh", "add", "2001:db8::9", "lladdr", "02:00:00:00:00:09", "dev", "one")
    ip(netns, "route", "add", "198.51.100.0/24", "via", "192.0.2.9", "table", "77")
    ip(netns, "rule", "add", "from", "192.0.2.0/24", "table", "77", "priority", "100")
    number = str(namespaces.number_of(f"/run/netns/{netns}"))

    found = rows(ask=["all"], namespace=[number])

    by_kind = {what: [row for row in found if row["what"] == what] for what in {row["what"] for row in found}}
    assert ("one", "02:00:00:00:00:01", "veth") in [
        (row["interface"], row.get("mac"), row.get("type")) for row in by_kind["interfaces"]
    ]
    assert {"192.0.2.1/24", "2001:db8::1/64"} <= {row["local_address"] for row in by_kind["addresses"]}
    assert {(row["remote_address"], row["mac"]) for row in by_kind["neighbours"] if row["state"] == "PERMANENT"} == {
        ("192.0.2.9", "02:00:00:00:00:09"),
        ("2001:db8::9", "02:00:00:00:00:09"),
    }
    assert [(row["gateway"], row["interface"]) for row in by_kind["routes"] if row["table"] == "77"] == [
        ("192.0.2.9", "one")
    ]
    assert [(row["flags"], row["table"]) for row in by_kind["rules"] if row["metric"] == 100] == [
        (["from 192.0.2.0/24"], "77")
    ]
    assert rows(ask=["routes"], remote_address=["198.51.100.0/24"], namespace=[number])[0]["table"] == "77"


def test_addresses_that_are_answered_for_are_neighbours_of_their_own_state(rows: Rows, netns: str) -> None:
    ip(netns, "link", "add", "one", "type", "veth", "peer", "name", "two")
    ip(netns, "link", "set", "one", "up")
    proxied = ["2001:db8::99", *(f"192.0.2.{number}" for number in range(1, 250))]
    for address in proxied:
        ip(netns, "neigh", "add", "proxy", address, "dev", "one")
    number = str(namespaces.number_of(f"/run/netns/{netns}"))

    found = rows(ask=["neighbours"], namespace=[number], state=["^PROXY$"])

    assert sorted((row["remote_address"], row["interface"]) for row in found) == sorted((one, "one") for one in proxied)


def test_rules_and_routes_are_told_with_all_their_conditions(rows: Rows, netns: str) -> None:
    ip(netns, "link", "add", "one", "type", "veth", "peer", "name", "two")
    ip(netns, "link", "set", "one", "up")
    ip(netns, "link", "set", "two", "up")
    ip(netns, "addr", "add", "192.0.2.1/24", "dev", "one")
    ip(netns, "addr", "add", "2001:db8::1/64", "dev", "one", "nodad")
    rules = {
        100: ("fwmark 0x10/0xff", ["fwmark 0x10/0xff"], "77"),
        101: ("fwmark 0x0/0x1", ["fwmark 0x0/0x1"], "77"),
        102: ("fwmark 0x7", ["fwmark 0x7"], "77"),
        103: ("tos 0x10", ["tos 0x10"], "77"),
        104: ("ipproto tcp dport 22-80", ["ipproto 6", "dport 22:80"], "77"),
        105: ("l3mdev", ["l3mdev its table"], ""),
    }
    for priority, (words, _, table) in rules.items():
        ip(netns, "rule", "add", *words.split(), *(["table", table] if table else []), "priority", str(priority))
    ip(netns, "route", "add", "198.51.100.0/25", "dev", "one", "tos", "0x10")
    ip(netns, "route", "add", "198.51.100.128/25", "via", "203.0.113.1", "dev", "one", "onlink")
    ip(netns, "-6", "route", "add", "2001:db8:5::/64", "from", "2001:db8::/64", "via", "2001:db8::9", "dev", "one")
    number = str(namespaces.number_of(f"/run/netns/{netns}"))

    found = rows(ask=["rules", "routes"], namespace=[number])

    assert {
        row["metric"]: (row["flags"], row.get("table", ""))
        for row in found
        if row["what"] == "rules" and 100 <= row["metric"] < 200
    } == {priority: (flags, table) for priority, (_, flags, table) in rules.items()}
    usual = [row for row in found if row["what"] == "rules" and row.get("flags") != ["multicast routes only"]]
    listings = [["ip", "-n", netns, *family, "rule"] for family in ([], ["-6"])]
    told = "".join(subprocess.run(one, check=True, capture_output=True, text=True).stdout for one in listings)
    assert sorted(row["metric"] for row in usual) == sorted(int(one.partition(":")[0]) for one in told.splitlines())
    routes = {row["remote_address"]: row["flags"] for row in found if row["what"] == "routes" and row.get("flags")}
    assert routes == {
        "198.51.100.0/25": ["tos 0x10"],
        "198.51.100.128/25": ["onlink"],
        "2001:db8:5::/64": ["from 2001:db8::/64"],
    }


def test_routes_with_several_next_hops_name_each_and_rules_say_all_their_conditions(rows: Rows, netns: str) -> None:
    ip(netns, "link", "add", "one", "type", "veth", "peer", "name", "two")
    ip(netns, "link", "set", "one", "up")
    ip(netns, "addr", "add", "192.0.2.1/24", "dev", "one")
    ip(netns, "addr", "add", "2001:db8::1/64", "dev", "one", "nodad")
    ip(netns, "route", "add", "198.51.100.0/24", "nexthop", "via", "192.0.2.9", "nexthop", "via", "192.0.2.10")
    ip(netns, "route", "add", "198.51.101.0/24", "via", "inet6", "2001:db8::9", "dev", "one")
    ip(netns, "rule", "add", "not", "from", "192.0.2.0/24", "table", "77", "priority", "100")
    ip(netns, "rule", "add", "uidrange", "0-1000", "ipproto", "tcp", "dport", "443", "table", "77", "priority", "101")
    number = str(namespaces.number_of(f"/run/netns/{netns}"))

    routes = rows(ask=["routes"], remote_address=["198.51.100.0/23"], namespace=[number])
    rules = rows(ask=["rules"], table=["77"], namespace=[number])

    assert [(row["gateway"], row["interface"]) for row in routes] == [
        ("192.0.2.9", "one"),
        ("192.0.2.10", "one"),
        ("2001:db8::9", "one"),
    ]
    assert [row["flags"] for row in rules] == [
        ["not all of these", "from 192.0.2.0/24"],
        ["uidrange 0:1000", "ipproto 6", "dport 443:443"],
    ]

"""Rules of nftables and of iptables, made by the real programs in a namespace."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.testing.services import service_missing
from mig_netstat import NetstatModule, namespaces
from mig_netstat.firewall import MORE_ELEMENTS
from mig_netstat.rule_text import rule_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.domain.result import ModuleResult

    Rows = Callable[..., list[dict[str, Any]]]

NFT = """
table inet f {
  set bad { type ipv4_addr; flags interval; elements = { 1.2.3.0/24, 9.9.9.9 }; }
  set ports { type inet_service; elements = { 22, 80 }; }
  chain other { }
  chain in {
    type filter hook input priority 0; policy drop;
    ip saddr @bad counter drop
    tcp dport { 22, 80-90 } ct state established,related accept
    iifname "lo" ip6 saddr fe80::/10 udp sport != 53 log prefix "x " reject
    ip daddr != 10.0.0.1 limit rate 5/second jump other
    meta mark 7 tcp dport 1000-2000 goto other
    icmp type 8 accept
    ct mark & 0xff == 5 return
    tcp flags & (syn | ack) == syn drop
  }
}
table ip n {
  chain post {
    type nat hook postrouting priority 100;
    oifname "eth*" masquerade
    ip saddr 10.1.0.0/16 snat to 192.0.2.1
  }
  chain pre { type nat hook prerouting priority -100; tcp dport 8080 dnat to 10.1.2.3:80; }
}
"""
EXPECTED = [
    ("inet f in", "meta nfproto ip ip saddr @bad drop"),
    ("inet f in", "meta l4proto tcp tcp dport { 22, 80-90 } ct state established,related accept"),
    (
        "inet f in",
        'iifname "lo" meta nfproto ip6 ip6 saddr fe80::/10 meta l4proto udp udp sport != 53 log prefix "x " reject',
    ),
    ("inet f in", "meta nfproto ip ip daddr != 10.0.0.1 limit rate 5/second burst 5 jump other"),
    ("inet f in", "meta mark 7 meta l4proto tcp tcp dport >= 1000 tcp dport <= 2000 goto other"),
    ("inet f in", "meta nfproto ip meta l4proto icmp icmp type 8 accept"),
    ("inet f in", "ct mark & 0xff000000 5 return"),
    ("inet f in", "meta l4proto tcp @th,104,8 & 0x12 2 drop"),
    ("ip n post", 'oifname "eth*" masquerade'),
    ("ip n post", "ip saddr 10.1.0.0/16 snat to 192.0.2.1"),
    ("ip n pre", "meta l4proto tcp tcp dport 8080 dnat to 10.1.2.3:80"),
]


def made(netns: str, *command: str, text: str | None = None) -> None:
    if shutil.which(command[0]) is None:
        service_missing(f"{command[0]} is not installed")
    done = subprocess.run(
        ["ip", "netns", "exec", netns, *command], input=text, capture_output=True, text=True, check=False, timeout=30
    )
    if done.returncode != 0:
        service_missing(f"{command[0]}: {done.stderr[:300]}")


@pytest.fixture
def told(rows: Rows, netns: str) -> Callable[[str], list[dict[str, Any]]]:
    """The rows of a type about the namespace."""
    number = str(namespaces.number_of(f"/run/netns/{netns}"))
    return lambda kind: [row for row in rows(ask=["firewall"], namespace=[number]) if row["type"] == kind]


def test_what_nft_made_is_told_rule_by_rule(told: Callable[[str], list[dict[str, Any]]], netns: str) -> None:
    made(netns, "nft", "-f", "-", text=NFT)

    rules = [(row["table"], row["rule"]) for row in told("nftables rule")]
    assert rules == EXPECTED
    assert {row["table"]: (row["count"], row.get("flags")) for row in told("nftables")} == {
        "inet f other": (0, None),
        "inet f in": (8, ["filter", "hook input", "priority 0", "policy drop"]),
        "ip n post": (2, ["nat", "hook postrouting", "priority 100", "policy accept"]),
        "ip n pre": (1, ["nat", "hook prerouting", "priority -100", "policy accept"]),
    }
    assert {row["table"]: row["names"] for row in told("nftables set")} == {
        "inet f bad": ["1.2.3.0-1.2.3.255", "9.9.9.9"],
        "inet f ports": ["22", "80"],
    }


def test_a_set_that_the_kernel_tells_in_several_messages_is_told_whole_and_a_larger_one_is_booked(
    run: Callable[..., ModuleResult], netns: str
) -> None:
    number = str(namespaces.number_of(f"/run/netns/{netns}"))
    many = ", ".join(f"10.{one // 62500}.{one // 250 % 250}.{one % 250}" for one in range(2000))
    made(
        netns,
        "nft",
        "-f",
        "-",
        text=f"add table ip t\nadd set ip t a {{ type ipv4_addr; }}\nadd element ip t a {{ {many} }}\n",
    )
    more = ", ".join(f"11.{one // 62500}.{one // 250 % 250}.{one % 250}" for one in range(9000))

    whole = run(ask=["firewall"], namespace=[number], type=["set"])
    made(
        netns,
        "nft",
        "-f",
        "-",
        text=f"add table ip u\nadd set ip u b {{ type ipv4_addr; }}\nadd element ip u b {{ {more} }}\n",
    )
    cut = run(ask=["firewall"], namespace=[number], type=["set"])

    rows: list[Any] = list(NetstatModule().rows(whole))
    assert [len(row["names"]) for row in rows] == [2000]
    assert MORE_ELEMENTS.text not in [one.reason for one in whole.coverage.skipped]
    assert MORE_ELEMENTS.text in [one.reason for one in cut.coverage.skipped]


def test_what_iptables_made_is_told_too(told: Callable[[str], list[dict[str, Any]]], netns: str) -> None:
    made(netns, "iptables-nft", "-A", "INPUT", "-s", "10.0.0.0/8", "-p", "tcp", "--dport", "22", "-j", "ACCEPT")
    multiport = ("-p", "tcp", "-m", "multiport", "--dports", "80,90:99", "-m", "comment", "--comment", "web")
    made(netns, "iptables-nft", "-A", "INPUT", *multiport, "-j", "DROP")
    made(netns, "iptables-nft", "-A", "INPUT", "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT")
    made(netns, "iptables-nft", "-A", "INPUT", "-m", "addrtype", "--dst-type", "LOCAL", "-j", "RETURN")
    made(netns, "iptables-nft", "-A", "INPUT", "-m", "length", "--length", "5:7", "-j", "DROP")
    dnat = ("-p", "tcp", "--dport", "8080", "-j", "DNAT", "--to-destination", "10.1.2.3:80")
    made(netns, "iptables-nft", "-t", "nat", "-A", "PREROUTING", *dnat)

    assert [row["rule"] for row in told("nftables rule")] == [
        "meta l4proto tcp ip saddr 10.0.0.0/8 tcp dport 22 accept",
        'meta l4proto tcp tcp dport { 80, 90-99 } comment "web" drop',
        "ct state established,related accept",
        "fib daddr type local return",
        "[match length rev=0 info=0x050007] drop",
        "meta l4proto tcp tcp dport 8080 dnat to 10.1.2.3:80",
    ]


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("cmp", {"CMP_SREG": "NFT_REG_1", "CMP_OP": "NFT_CMP_EQ", "CMP_DATA": {"DATA_VALUE": b"x"}}),
        ("cmp", {}),
        ("immediate", {"IMMEDIATE_DATA": None}),
        ("match", {"MATCH_NAME": "multiport", "MATCH_REV": 1, "MATCH_INFO": b"\x01"}),
        ("match", {"MATCH_NAME": "conntrack", "MATCH_REV": 3, "MATCH_INFO": b""}),
        ("target", {"TARGET_NAME": "DNAT", "TARGET_REV": 2, "TARGET_INFO": b"\x01"}),
        ("nat", {"NAT_TYPE": None}),
        ("never-heard-of", {"A": b"\x01\x00", "B": None, "C": frozenset({"y", "x"})}),
        ("odd", None),
    ],
)
def test_a_step_that_is_not_understood_is_shown_and_not_left_out(name: str, attributes: Any) -> None:
    text = rule_text(
        [("immediate", {"IMMEDIATE_DATA": {"DATA_VERDICT": {"VERDICT_CODE": "NF_DROP"}}}), (name, attributes)], 2, {}
    )

    assert text.startswith("drop [")
    assert name in text

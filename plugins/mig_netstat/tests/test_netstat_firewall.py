"""Rules of nftables and of iptables, made by the real programs in a namespace."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.testing.services import service_missing
from mig_netstat import NetstatModule, firewall, namespaces
from mig_netstat.firewall import MORE_ELEMENTS, ODD_ELEMENTS
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
    ("inet f in", "ct mark & 0xff == 5 return"),
    ("inet f in", "meta l4proto tcp tcp flags & (syn|ack) == syn drop"),
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


FROM_IPTABLES = [
    ("-p icmp --icmp-type 3/4 -j ACCEPT", "meta l4proto icmp icmp type 3 code 4 accept"),
    ("-p icmp ! --icmp-type 8 -j ACCEPT", "meta l4proto icmp icmp type != 8 accept"),
    ("-m mac --mac-source 02:00:00:00:00:01 -j DROP", "ether saddr 02:00:00:00:00:01 drop"),
    ("-m state --state NEW -j DROP", "ct state new drop"),
    ("-m conntrack ! --ctstate INVALID -j ACCEPT", "ct state != invalid accept"),
    (
        "-m limit --limit 5/min -j LOG --log-prefix x --log-level 6",
        'limit rate 5/minute burst 5 log prefix "x" level 6',
    ),
    ("-p icmp --icmp-type any -j DROP", "meta l4proto icmp icmp type any drop"),
    ("-m addrtype --src-type BLACKHOLE -j DROP", "fib saddr type blackhole drop"),
    ("-p udp -j REJECT --reject-with icmp-host-prohibited", "meta l4proto udp reject with icmp host-prohibited"),
    ("-p tcp -j REJECT --reject-with tcp-reset", "meta l4proto tcp reject with tcp reset"),
]
FROM_IPTABLES_ELSEWHERE = [
    ("filter OUTPUT -m owner ! --uid-owner 0 --gid-owner 5-9 -j DROP", "meta skuid != 0 meta skgid 5-9 drop"),
    ("mangle OUTPUT -j MARK --set-xmark 0x1/0xff", "meta mark set 0x1/0xff"),
    ("nat PREROUTING -p tcp --dport 80 -j REDIRECT --to-ports 8080", "meta l4proto tcp tcp dport 80 redirect to :8080"),
    ("nat POSTROUTING -j MASQUERADE --random", "masquerade random"),
    ("nat POSTROUTING -j SNAT --to-source 192.0.2.1 --random", "snat to 192.0.2.1 random"),
]


def test_what_iptables_has_of_its_own_is_told_as_nftables_would_say_it(
    told: Callable[[str], list[dict[str, Any]]], netns: str
) -> None:
    for words, _ in FROM_IPTABLES:
        made(netns, "iptables-nft", "-A", "INPUT", *words.split())
    for words, _ in FROM_IPTABLES_ELSEWHERE:
        table, chain, *rest = words.split()
        made(netns, "iptables-nft", "-t", table, "-A", chain, *rest)

    rules = [(row["table"], row["rule"]) for row in told("nftables rule")]

    assert [rule for table, rule in rules if table.endswith(" INPUT")] == [text for _, text in FROM_IPTABLES]
    others = sorted(rule for table, rule in rules if not table.endswith(" INPUT"))
    assert others == sorted(text for _, text in FROM_IPTABLES_ELSEWHERE)


LOOKED_AT = [
    ("ip saddr . tcp dport @pair accept", "meta nfproto ip meta l4proto tcp ip saddr . tcp dport @pair accept"),
    (
        "ip saddr . tcp dport { 10.1.1.1 . 22, 10.1.1.2 . 23 } accept",
        "meta nfproto ip meta l4proto tcp ip saddr . tcp dport { 10.1.1.1 . 22, 10.1.1.2 . 23 } accept",
    ),
    ("ip saddr 192.0.2.1 fib daddr type local drop", "meta nfproto ip ip saddr 192.0.2.1 fib daddr type local drop"),
    ("ip saddr 192.0.2.1 numgen random mod 4 0 drop", "meta nfproto ip ip saddr 192.0.2.1 numgen random mod 4 0 drop"),
    (
        "ip saddr 192.0.2.1 jhash ip saddr mod 2 1 drop",
        "meta nfproto ip ip saddr 192.0.2.1 jhash ip saddr mod 2 1 drop",
    ),
    ("ip saddr 10.0.0.1 ip daddr 10.0.0.2 accept", "meta nfproto ip ip saddr 10.0.0.1 ip daddr 10.0.0.2 accept"),
    ("tcp sport 1 tcp dport 22 accept", "meta l4proto tcp tcp sport 1 tcp dport 22 accept"),
    ("tcp option maxseg size 500 drop", "tcp option maxseg size 500 drop"),
    ("ip protocol & 7 == 6 th sport 22 drop", "meta nfproto ip ip protocol & 0x7 == tcp th sport 22 drop"),
    (
        "ip saddr vmap { 0.0.0.0-127.255.255.255 : accept, 128.0.0.0/1 : drop }",
        "meta nfproto ip ip saddr vmap { 0.0.0.0-127.255.255.255 : accept, 128.0.0.0-255.255.255.255 : drop }",
    ),
    ("meta mark set 1", "meta mark set 1"),
    ("meta mark set meta mark & 0xff | 0x10", "meta mark set (meta mark & 0xef ^ 0x10)"),
    ("meta skuid { 0, 1000 } drop", "meta skuid { 0, 1000 } drop"),
    ("meta length > 1000 drop", "meta length > 1000 drop"),
    ("ct state { new, related } accept", "ct state { related, new } accept"),
    ("ct state != established drop", "ct state != established drop"),
    ("ct state & (new | related) == 0 drop", "ct state ! related,new drop"),
    ("ct original ip saddr 10.0.0.5 accept", "ct original ip saddr 10.0.0.5 accept"),
    ("tcp dport vmap { 22 : accept, 24-30 : jump other }",) * 2,
    (
        "update @seen { ip saddr timeout 60s limit rate over 10/second }",
        "meta nfproto ip update @seen { ip saddr timeout 60s limit rate over 10/second burst 5 }",
    ),
    ("quota over 10 mbytes drop", "quota over 10485760 bytes drop"),
    ("log group 2 snaplen 40", "log group 2 snaplen 40"),
    ("counter name web", 'counter name "web"'),
    ("ip ttl < 5 drop", "meta nfproto ip ip ttl < 5 drop"),
    ("ip saddr & 255.0.255.0 == 10.0.1.0 drop", "meta nfproto ip ip saddr & 255.0.255.0 == 10.0.1.0 drop"),
    ("icmp type 8 icmp code 0 accept", "meta nfproto ip meta l4proto icmp icmp type 8 icmp code 0 accept"),
    ('ip saddr 10.0.0.9 comment "why"', 'meta nfproto ip ip saddr 10.0.0.9 comment "why"'),
]
"""Rules as nft is given them, and as they are told: never with a field that the rule does not look at."""


def test_a_rule_is_told_with_all_that_it_looks_at_and_with_nothing_else(
    told: Callable[[str], list[dict[str, Any]]], netns: str
) -> None:
    rules = "".join(f"    {rule}\n" for rule, _ in LOOKED_AT)
    text = f"""table inet f {{
  counter web {{ }}
  set pair {{ type ipv4_addr . inet_service; elements = {{ 10.0.0.1 . 22 }}; }}
  set nets {{ type ipv4_addr . inet_service; flags interval; elements = {{ 10.0.0.0/24 . 1000-2000 }}; }}
  set marks {{ type mark; elements = {{ 1, 256 }}; }}
  set many {{ type mark; flags interval; elements = {{ 16-32 }}; }}
  set names {{ type ifname; flags interval; elements = {{ "eth*", "wg0" }}; }}
  set every {{ type ipv4_addr; flags interval; elements = {{ 0.0.0.0/0 }}; }}
  set top {{ type inet_service; flags interval; elements = {{ 65535 }}; }}
  set cards {{ type ether_addr; elements = {{ 02:00:00:00:00:01 }}; }}
  set seen {{ type ipv4_addr; size 100; flags dynamic,timeout; }}
  map fate {{ type ipv4_addr : verdict; elements = {{ 10.0.0.1 : accept, * : drop }}; }}
  map to {{ type ipv4_addr . inet_service : ipv4_addr . inet_service; elements = {{ 10.0.0.1 . 80 : 10.0.0.2 . 81 }}; }}
  chain other {{ }}
  chain in {{
    type filter hook input priority 0
{rules}  }}
}}
"""
    made(netns, "nft", "-f", "-", text=text)

    expected = [f"meta l4proto tcp {rule}" if rule.startswith("tcp dport vmap") else rule for _, rule in LOOKED_AT]
    assert [row["rule"] for row in told("nftables rule")] == expected
    assert {row["table"].rpartition(" ")[2]: sorted(row.get("names", [])) for row in told("nftables set")} == {
        "pair": ["10.0.0.1 . 22"],
        "nets": ["10.0.0.0-10.0.0.255 . 1000-2000"],
        "marks": ["1", "256"],
        "many": ["16-32"],
        "names": ['"eth*"', '"wg0"'],
        "every": ["0.0.0.0-255.255.255.255"],
        "top": ["65535"],
        "cards": ["02:00:00:00:00:01"],
        "seen": [],
        "fate": ["* : drop", "10.0.0.1 : accept"],
        "to": ["10.0.0.1 . 80 : 10.0.0.2 . 81"],
    }


OF_A_TIME = "flush ruleset\nadd table ip t\nadd chain ip t c\nadd rule ip t c tcp dport {{ {0}, {0}1 }} {1}\n"
BEFORE, AFTER = OF_A_TIME.format(2, "accept"), OF_A_TIME.format(3, "drop")


@pytest.mark.parametrize("changes", [1, 9])
def test_rules_of_one_time_are_never_told_with_sets_of_another(
    run: Callable[..., ModuleResult], netns: str, monkeypatch: pytest.MonkeyPatch, changes: int
) -> None:
    made(netns, "nft", "-f", "-", text=BEFORE)
    contents, texts = firewall._contents, [AFTER if one % 2 == 0 else BEFORE for one in range(changes)]
    number = namespaces.number_of(f"/run/netns/{netns}")

    def contents_after_a_change(sets: Any) -> Any:
        if texts and namespaces.number_of("/proc/thread-self/ns/net") == number:  # others are read as well
            made(netns, "nft", "-f", "-", text=texts.pop(0))
        return contents(sets)

    monkeypatch.setattr(firewall, "_contents", contents_after_a_change)
    result = run(ask=["firewall"], namespace=[str(number)], type=["rule"])

    rows: list[Any] = list(NetstatModule().rows(result))
    is_booked = firewall.CHANGED.text in [one.reason for one in result.coverage.skipped]
    assert is_booked == (changes > 1)
    if not is_booked:
        assert [row["rule"] for row in rows] == ["meta l4proto tcp tcp dport { 3, 31 } drop"]


def test_chains_of_arp_and_of_a_device_have_their_own_hooks_and_a_dormant_table_is_said_to_be(
    told: Callable[[str], list[dict[str, Any]]], netns: str
) -> None:
    text = """table arp a {
  chain in { type filter hook input priority 0; }
  chain out { type filter hook output priority 0; policy drop; }
}
table netdev n {
  chain out { type filter hook egress device lo priority 0; policy drop; }
  chain in { type filter hook ingress device lo priority -5; fwd to lo; }
}
table inet d {
  flags dormant
  chain in { type filter hook input priority 0; policy drop; }
}
"""
    made(netns, "nft", "-f", "-", text=text)

    assert {row["table"]: row["flags"] for row in told("nftables")} == {
        "arp a in": ["filter", "hook input", "priority 0", "policy accept"],
        "arp a out": ["filter", "hook output", "priority 0", "policy drop"],
        "netdev n out": ["filter", "hook egress", "priority 0", "device lo", "policy drop"],
        "netdev n in": ["filter", "hook ingress", "priority -5", "device lo", "policy accept"],
        "inet d in": ["filter", "hook input", "priority 0", "policy drop", "dormant"],
    }
    assert [row["rule"] for row in told("nftables rule")] == ["fwd to device 1"]


_DROP = bytes.fromhex("0c0002000800010000000000")
_LOAD = {1: bytes((0, 0, 0, 1)), 2: bytes((0, 0, 0, 1)), 3: bytes((0, 0, 0, 12)), 4: bytes((0, 0, 0, 4))}
_EQUAL = {1: bytes((0, 0, 0, 1)), 2: bytes(4), 3: bytes.fromhex("080001000a000001")}


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("cmp", _EQUAL),
        ("cmp", {}),
        ("immediate", {2: b""}),
        ("match", {1: b"multiport", 2: bytes((0, 0, 0, 1)), 3: b"\x01"}),
        ("match", {1: b"conntrack", 2: bytes((0, 0, 0, 3)), 3: b""}),
        ("target", {1: b"DNAT", 2: bytes((0, 0, 0, 2)), 3: b"\x01"}),
        ("nat", {1: b"\x07"}),
        ("meta", {1: bytes((0, 0, 0, 1)), 2: b"\xff"}),
        ("lookup", {1: b"gone", 2: bytes((0, 0, 0, 1))}),
        ("never-heard-of", {1: b"\x01\x00", 9: b""}),
    ],
)
def test_a_step_that_is_not_understood_is_shown_and_not_left_out(name: str, attributes: Any) -> None:
    text = rule_text([("immediate", {1: bytes(4), 2: _DROP}), (name, attributes)], 2, {})

    assert text.startswith("drop [")
    assert name in text


def test_what_a_step_that_is_not_understood_has_loaded_is_not_taken_for_what_was_there_before() -> None:
    steps = [("payload", _LOAD), ("cmp", _EQUAL), ("never-heard-of", {1: bytes((0, 0, 0, 1))}), ("cmp", _EQUAL)]

    text = rule_text(steps, 2, {})

    assert text.startswith("ip saddr 10.0.0.1 [never-heard-of ")
    assert text.count("ip saddr") == 1


def test_a_set_whose_elements_are_not_understood_is_booked_and_the_rest_is_told(
    told: Callable[[str], list[dict[str, Any]]],
    run: Callable[..., ModuleResult],
    netns: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def key_of_set(said: Any) -> tuple[Any, ...]:
        raise ValueError("a key of another length")

    monkeypatch.setattr("mig_netstat.firewall.key_of_set", key_of_set)
    made(
        netns,
        "nft",
        "-f",
        "-",
        text="table ip f { set s { type ipv4_addr; elements = { 10.0.0.1 }; }\nchain c { }; }\n",
    )
    number = str(namespaces.number_of(f"/run/netns/{netns}"))

    result = run(ask=["firewall"], namespace=[number])

    assert [row["table"] for row in told("nftables")] == ["ip f c"]
    assert ODD_ELEMENTS.text in [one.reason for one in result.coverage.skipped]

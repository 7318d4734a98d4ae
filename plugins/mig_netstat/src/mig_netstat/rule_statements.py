"""What rules of nftables do besides deciding: translate, log, limit, count, refuse, hand on. Source: nft(8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_netstat.nft_attributes import number_of, text_of
from mig_netstat.nft_values import bits_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mig_netstat.nft_attributes import Attributes
    from mig_netstat.rule_registers import Registers

_IMPLIED = 3
"""Flags of a translation that say no more than that it has addresses, or ports."""
_NAT_FLAGS = {4: "random", 8: "persistent", 16: "fully-random", 32: "port offset", 64: "netmap"}
_UNITS = {1: "second", 60: "minute", 3600: "hour", 86400: "day", 604800: "week"}
_LEVELS = ("emerg", "alert", "crit", "err", "warn", "notice", "info", "debug", "audit")
_WARN = 4
_LOG_FLAGS = {1: "tcp sequence", 2: "tcp options", 4: "ip options", 8: "skuid", 32: "ether"}
_QUEUE_FLAGS = {1: "bypass", 2: "fanout"}
_OBJECTS = {
    1: "counter name",
    2: "quota name",
    3: "ct helper set",
    4: "limit name",
    5: "ct count name",
    6: "tunnel name",
    7: "ct timeout set",
    8: "meta secmark set",
    9: "ct expectation set",
    10: "synproxy name",
}
_RESET, _EITHER = 1, 2
"""Kinds of a refusal beside ICMP's or ICMPv6's: TCP's, and one for both."""
_PORTS = {("ip", 3), ("ip6", 4)}
"""The code of a port that nothing listens on."""


def _nat(said: Attributes, registers: Registers) -> str:
    word = {0: "snat", 1: "dnat"}[number_of(said[1])]
    address, ports = (_ends(said, registers, *one) for one in ((3, 4, "address"), (5, 6, "port")))
    address = f"[{address}]" if ":" in address and ports else address
    return f"{word} to {':'.join(filter(None, (address, ports)))}{_flags(said.get(7, b''))}"


def _masquerade(said: Attributes, registers: Registers) -> str:
    return _to("masquerade", _ends(said, registers, 2, 3, "port"), said.get(1, b""))


def _redirect(said: Attributes, registers: Registers) -> str:
    return _to("redirect", _ends(said, registers, 1, 2, "port"), said.get(3, b""))


def _to(word: str, ports: str, flags: bytes) -> str:
    return f"{word}{f' to :{ports}' if ports else ''}{_flags(flags)}"


def _ends(said: Attributes, registers: Registers, low: int, high: int, kind: str) -> str:
    texts = (registers.value(number_of(said[one]), kind) for one in (low, high) if one in said)
    return "-".join(dict.fromkeys(filter(None, texts)))


def _flags(raw: bytes) -> str:
    rest = number_of(raw) & ~_IMPLIED
    return f" {bits_text(rest, _NAT_FLAGS)}" if rest else ""


def _log(said: Attributes, registers: Registers) -> str:
    del registers
    words = ["log"]
    if prefix := text_of(said.get(2, b"")):
        words.append(f'prefix "{prefix}"')
    if 1 in said:
        words.append(f"group {number_of(said[1])}")
    if snap := number_of(said.get(3, b"")):
        words.append(f"snaplen {snap}")
    if threshold := number_of(said.get(4, b"")):
        words.append(f"queue-threshold {threshold}")
    if 5 in said and number_of(said[5]) != _WARN:
        words.append(f"level {_LEVELS[number_of(said[5])]}")
    if flags := number_of(said.get(6, b"")):
        words.append(f"flags {bits_text(flags, _LOG_FLAGS)}")
    return " ".join(words)


def _limit(said: Attributes, registers: Registers) -> str:
    del registers
    over = "over " if number_of(said.get(5, b"")) & 1 else ""
    what = " bytes" if number_of(said.get(4, b"")) else ""
    burst = f" burst {number_of(said[3])}{what}" if number_of(said.get(3, b"")) else ""
    return f"limit rate {over}{number_of(said[1])}{what}/{_UNITS[number_of(said[2])]}{burst}"


def _quota(said: Attributes, registers: Registers) -> str:
    del registers
    return f"quota {'over ' if number_of(said.get(2, b'')) & 1 else ''}{number_of(said[1])} bytes"


def _connections(said: Attributes, registers: Registers) -> str:
    del registers
    return f"ct count {'over ' if number_of(said.get(2, b'')) & 1 else ''}{number_of(said[1])}"


def reject_text(said: Attributes, network: str) -> str:
    """A refusal. That nothing listens on the port goes without saying; ICMPv6 has another number for it."""
    kind, code = number_of(said[1]), number_of(said.get(2, b""))
    if kind == _RESET:
        return "reject with tcp reset"
    if kind == _EITHER:
        return "reject" if code == 1 else f"reject with icmpx {code}"
    return "reject" if (network, code) in _PORTS else f"reject with icmp {code}"


def _queue(said: Attributes, registers: Registers) -> str:
    flags = f" {bits_text(number_of(said[3]), _QUEUE_FLAGS)}" if number_of(said.get(3, b"")) else ""
    if 4 in said:
        return f"queue to {registers.value(number_of(said[4]), 'host')}{flags}"
    first, count = number_of(said[1]), number_of(said.get(2, b"")) or 1
    return f"queue num {first}{f'-{first + count - 1}' if count > 1 else ''}{flags}"


def _tproxy(said: Attributes, registers: Registers) -> str:
    address = registers.value(number_of(said[2]), "address") if 2 in said else ""
    port = registers.value(number_of(said[3]), "port") if 3 in said else ""
    address = f"[{address}]" if ":" in address else address
    return f"tproxy to {address}{f':{port}' if port else ''}"


def _duplicate(said: Attributes, registers: Registers) -> str:
    address = f" {registers.value(number_of(said[1]), 'address')}" if 1 in said else ""
    device = f" device {registers.value(number_of(said[2]), 'host')}" if 2 in said else ""
    return f"dup to{address}{device}"


def _forward(said: Attributes, registers: Registers) -> str:
    address = f" {registers.value(number_of(said[2]), 'address')}" if 2 in said else ""
    return f"fwd to{address} device {registers.value(number_of(said[1]), 'host')}"


def object_text(kind: int, name: str) -> str:
    """A named counter, limit or the like that a rule uses."""
    return f'{_OBJECTS[kind]} "{name}"'


def _offload(said: Attributes, registers: Registers) -> str:
    del registers
    return f"flow add @{text_of(said[1])}"


def _not_tracked(said: Attributes, registers: Registers) -> str:
    del said, registers
    return "notrack"


STATEMENTS: Mapping[str, Callable[[Attributes, Registers], str]] = {
    "nat": _nat,
    "masq": _masquerade,
    "redir": _redirect,
    "log": _log,
    "limit": _limit,
    "quota": _quota,
    "connlimit": _connections,
    "queue": _queue,
    "tproxy": _tproxy,
    "dup": _duplicate,
    "fwd": _forward,
    "flow_offload": _offload,
    "notrack": _not_tracked,
}
"""By the expression's name."""

"""The declared columns and options of ``netstat``: what mig, mig-api and the agent check, offer and explain."""

from __future__ import annotations

import ipaddress
import re

from mig_core.plugin.columns import Column, ColumnKind
from mig_core.plugin.parameters import Kind, Parameter

SOCKETS = "sockets"
WHAT = (
    SOCKETS, "interfaces", "addresses", "neighbours", "routes", "rules", "resolvers", "hosts", "firewall",
)  # fmt: skip
COLUMNS = (
    Column("what", ColumnKind.TEXT, "what the row is about: one of the words of --ask", always=True),
    Column("protocol", ColumnKind.TEXT, "tcp, udp, mptcp, raw, icmp, packet, unix_stream and so on"),
    Column("state", ColumnKind.TEXT, "state of the socket, interface or neighbour"),
    Column("local_address", ColumnKind.ADDRESS, "address at this end", masked=True),
    Column("local_port", ColumnKind.INTEGER, "port at this end"),
    Column("remote_address", ColumnKind.ADDRESS, "address at the other end, or a route's destination", masked=True),
    Column("remote_port", ColumnKind.INTEGER, "port at the other end"),
    Column("dual_stack", ColumnKind.BOOLEAN, "it listens on :: and takes IPv4 connections too, as if on 0.0.0.0"),
    Column("namespace", ColumnKind.TEXT, "network namespace: default for the agent's own, else like net:[4026532248]"),
    Column("processes", ColumnKind.LIST, "all that hold the socket: id, name, executable, container", masked=True),
    Column("uid", ColumnKind.INTEGER, "user id that made the socket"),
    Column("user", ColumnKind.TEXT, "user that made the socket"),
    Column("inode", ColumnKind.INTEGER, "the socket's inode"),
    Column("path", ColumnKind.PATH, "path or abstract name of a unix socket; file of a setting", masked=True),
    Column("peer", ColumnKind.INTEGER, "inode at the other end of a unix socket"),
    Column("receive_queue", ColumnKind.SIZE, "waiting to be read; of a listener, connections waiting to be accepted"),
    Column("send_queue", ColumnKind.SIZE, "waiting to be acknowledged; of a listener, how many may wait"),
    Column("timer", ColumnKind.DURATION, "time until the timer that runs"),
    Column("sent", ColumnKind.SIZE, "acknowledged by the other end", on_request=True),
    Column("received", ColumnKind.SIZE, "received from the other end", on_request=True),
    Column("interface", ColumnKind.TEXT, "network interface"),
    Column("mac", ColumnKind.TEXT, "hardware address", masked=True),
    Column("type", ColumnKind.TEXT, "kind of interface, route, rule, setting or firewall"),
    Column(
        "flags",
        ColumnKind.LIST,
        "flags of an interface; conditions of a rule or route, what packs it; hook, priority and policy of a chain",
    ),
    Column("gateway", ColumnKind.ADDRESS, "next hop of a route", masked=True),
    Column("table", ColumnKind.TEXT, "table of routes, or of the firewall"),
    Column("metric", ColumnKind.INTEGER, "metric of a route, priority of a rule"),
    Column("mtu", ColumnKind.INTEGER, "largest packet of an interface", unit="bytes"),
    Column("count", ColumnKind.INTEGER, "number of the firewall's rules in the chain"),
    Column("rule", ColumnKind.TEXT, "what a rule of the firewall says, much as nft writes it", masked=True),
    Column(
        "names",
        ColumnKind.LIST,
        "names in the hosts file, a resolver's settings, or elements of a set of the firewall",
        masked=True,
    ),
)
CLASSIC = {
    "lm": "localmac",
    "li": "localip",
    "nm": "neighbormac",
    "ni": "neighborip",
    "ci": "connectedip",
    "lp": "listeningport",
}
"""The original's options and their keys."""


def _check_mac(text: str) -> None:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"Invalid MAC regexp {text!r:.200}: {error}") from None
    if len(text) > 200 or re.search(r"[*+{(\\]", text):
        raise ValueError(f"Invalid MAC regexp {text!r:.200}: only literal text, ., [], ^, $, | and ? are taken")


def _check_network(text: str) -> None:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        family = 6 if ":" in text else 4
        raise ValueError(f"invalid IPv{family} {text!r:.80}. Must be an IP or a CIDR.") from None


def _check_port(text: str) -> None:
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"{text!r:.20} is not a valid port")
    if not 0 <= int(text[:6]) <= 65535:
        raise ValueError("port out of range. must be between 1 and 65535")


OPTIONS = (
    Parameter(
        name="ask",
        key="ask",
        many=True,
        choices=(*WHAT, "all"),
        metavar="WHAT",
        help="what rows are wanted about; sockets unless said otherwise; may be repeated",
    ),
    Parameter(
        name="lm",
        key="localmac",
        many=True,
        metavar="REGEX",
        check=_check_mac,
        help="is there an interface with a hardware address like this",
    ),
    Parameter(
        name="li",
        key="localip",
        many=True,
        metavar="CIDR",
        check=_check_network,
        help="has the endpoint an address in this network",
    ),
    Parameter(
        name="nm",
        key="neighbormac",
        many=True,
        metavar="REGEX",
        check=_check_mac,
        help="is there a neighbour with a hardware address like this",
    ),
    Parameter(
        name="ni",
        key="neighborip",
        many=True,
        metavar="CIDR",
        check=_check_network,
        help="is there a neighbour with an address in this network",
    ),
    Parameter(
        name="ci",
        key="connectedip",
        many=True,
        metavar="CIDR",
        check=_check_network,
        help="is there a connection with an address in this network",
    ),
    Parameter(
        name="lp",
        key="listeningport",
        many=True,
        metavar="PORT",
        check=_check_port,
        help="does anything listen on this port",
    ),
    Parameter(
        name="namespaces",
        key="namespaces",
        kind=Kind.BOOLEAN,
        cli_default=False,
        help="with the six questions above: look into every network namespace (rows always do)",
    ),
)

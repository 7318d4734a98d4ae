"""Addresses of agents: which texts count as one, the same for the database's ``inet[]`` and for Python.

Agents say of themselves texts like ``192.0.2.2/24`` or ``fe80::1%eth0/64``. Only the address itself matters to a
target; the prefix length is kept for people to see.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from mig_core.domain.addresses import IPAddress, IPNetwork, address_text

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ADDRESSES = 256
"""More addresses of one agent than this are not looked at."""


def addresses_of(environment: Mapping[str, object]) -> list[str]:
    """What an agent's ``environment.addresses`` holds of usable addresses, in a form PostgreSQL's inet accepts.

    Total: what is not an address is left out, an IPv6 zone (``%eth0``) is dropped, at most :data:`MAX_ADDRESSES` are
    looked at. The store fills the ``addresses`` column with this.
    """
    texts = environment.get("addresses")
    if not isinstance(texts, list | tuple):
        return []
    found = []
    for text in texts[:MAX_ADDRESSES]:
        address, slash, prefix = text.partition("/") if isinstance(text, str) and len(text) <= 100 else ("", "", "")
        parsed = read_address(address)
        if parsed is None:
            continue
        if slash and not (prefix.isascii() and prefix.isdigit() and int(prefix) <= parsed.max_prefixlen):
            continue
        text = address_text(parsed)
        found.append(f"{text}/{int(prefix)}" if slash else text)
    return found


def read_address(text: str) -> IPAddress | None:
    """The address in ``text``, without prefix length and without zone; None when it is not one."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def read_network(text: str) -> IPNetwork | None:
    """The network of a CIDR text (host bits are ignored, no ``/`` means the one address); None when it is not one."""
    address, slash, prefix = text.partition("/")
    if "%" in text or (slash and not (prefix.isascii() and prefix.isdigit())):
        return None
    try:
        return ipaddress.ip_network(f"{address}/{prefix}" if slash else address, strict=False)
    except ValueError:
        return None

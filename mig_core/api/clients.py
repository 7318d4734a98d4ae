"""Whose request this is: the address of the real client, also behind proxies, and the bucket it counts in.

``X-Forwarded-For`` is believed from the proxies that the settings name, and from nobody else: anybody can write it. It
is read from its end, where the trusted proxies write, up to the first address that is not one of theirs.
"""

from __future__ import annotations

import ipaddress
import logging
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

log = logging.getLogger(__name__)

UNIX = "unix"
"""Names, among the trusted proxies, whoever is at the other end of our Unix socket."""
MAX_HOPS = 32
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class TrustedProxies:
    """The proxies that may say for whom they ask.

    Args:
        names: addresses, networks, or ``unix``.

    Raises:
        ValueError: one of them is none of these.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._unix = UNIX in names
        self._networks = tuple(_network(one) for one in names if one != UNIX)
        self._told = False

    def trusts(self, peer: str) -> bool:
        """Whether the other end of a connection is one of them; an empty ``peer`` is a Unix socket's."""
        if not peer:
            return self._unix
        address = read_address(peer) if self._networks else None
        return address is not None and any(address in network for network in self._networks)

    def client(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """The real client's address, in one form for each; the proxy's own when it says nothing usable.

        Args:
            peer: the other end of the connection; empty for a Unix socket.
            headers: of the request, names in lower case, in their order.
        """
        if not self.trusts(peer):
            self._wonder(peer, headers)
            return _plain(peer)
        hops = ",".join(value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for")
        client = peer
        for hop in reversed(hops.split(",")[-MAX_HOPS:]):
            address = read_address(hop)
            if address is None:
                break
            client = str(address)
            if not self.trusts(client):
                break
        return _plain(client)

    def _wonder(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Tells an operator once that there may be a proxy the settings do not name."""
        if self._told or not any(name == b"x-forwarded-for" for name, _ in headers):
            return
        address = read_address(peer)
        if address is None or address.is_private:
            self._told = True
            log.warning(
                "%s sends X-Forwarded-For, which is not believed: if it is your proxy, name it in trusted_proxies",
                peer or "the peer on our Unix socket",
            )


def bucket_of(client: str) -> str:
    """What failures of a client are counted under: its address, or of IPv6 the network of 64 bits one party has."""
    address = read_address(client)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
    return client


@lru_cache(4096)
def read_address(text: str) -> _Address | None:
    """The address in ``192.0.2.1``, ``192.0.2.1:80``, ``2001:db8::1``, ``[2001:db8::1]:80``; IPv4 in IPv6 is IPv4."""
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _plain(peer: str) -> str:
    address = read_address(peer)
    return peer if address is None else str(address)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f"trusted_proxies: {text!r:.80} is neither an address, nor a network like 10.0.0.0/8, nor unix"
        ) from None

"""One text for one network address, whatever the interpreter.

``str(ipaddress.IPv6Address("::ffff:10.1.2.3"))`` is ``::ffff:a01:203`` up to Python 3.12 and ``::ffff:10.1.2.3`` from
3.13 on. PostgreSQL's ``inet``, glibc's ``inet_ntop`` and RFC 5952 (section 5) write the latter, and so does MIG: what
an agent says of itself, what a target is expanded to, and what the database holds can be compared as texts.
"""

from __future__ import annotations

import ipaddress

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_LAST_BITS = 0xFFFFFFFF


def address_text(address: IPAddress) -> str:
    """The address as PostgreSQL and glibc write it: RFC 5952, an IPv4 address inside an IPv6 one with dots."""
    number = int(address)
    if address.version == 4:
        return str(address)
    dotted = ipaddress.IPv4Address(number & _LAST_BITS)
    if number >> 32 == 0xFFFF:
        return f"::ffff:{dotted}"
    if number >> 32 == 0 and number > 0xFFFF:
        return f"::{dotted}"
    return str(address)


def network_text(network: IPNetwork) -> str:
    """The network, with its prefix length."""
    return f"{address_text(network.network_address)}/{network.prefixlen}"

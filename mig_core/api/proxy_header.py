"""The PROXY protocol, versions 1 and 2: what a proxy says of its client before the client's own bytes.

https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt. Read from a socket without taking a byte of what follows,
which may be a TLS handshake. A receiver must not guess whether a header is there: it is there on every connection of a
proxy that the settings name, and on no other.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Receive = Callable[[int], Awaitable[bytes]]

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
MOST_V1 = 107
"""Bytes of a line of version 1, its end included."""
MOST_V2 = 4096
"""Bytes behind the head of version 2 that are read; addresses need 36, the rest is of no use here."""
_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6 = 0x11, 0x21

Client = tuple[str, int] | None
"""Address and port; None: the proxy speaks for itself, or does not say."""


async def read_proxy_header(receive: Receive) -> Client:
    """The real client of a connection.

    Args:
        receive: gives at most so many bytes, at least one; none when the other end has gone.

    Raises:
        ValueError: what comes is no such header.
    """
    begin = await _exactly(receive, len(SIGNATURE))
    if begin == SIGNATURE:
        return await _version_2(receive)
    if not begin.startswith(b"PROXY "):
        raise ValueError("no PROXY protocol header")
    line = bytearray(begin)
    while not line.endswith(b"\r\n"):
        if len(line) >= MOST_V1:
            raise ValueError("the line of PROXY protocol version 1 does not end")
        line += await _exactly(receive, 1)
    return _version_1(bytes(line[:-2]))


def _version_1(line: bytes) -> Client:
    words = line.decode("ascii", "replace").split(" ")
    if words[1] == "UNKNOWN":
        return None
    if len(words) != 6 or words[1] not in ("TCP4", "TCP6"):
        raise ValueError("not a line of PROXY protocol version 1")
    kind = ipaddress.IPv4Address if words[1] == "TCP4" else ipaddress.IPv6Address
    source, _ = kind(words[2]), kind(words[3])
    ports = words[4:]
    if not all(port.isascii() and port.isdigit() and len(port) <= 5 and int(port) < 65536 for port in ports):
        raise ValueError("not a port")
    return str(source), int(ports[0])


async def _version_2(receive: Receive) -> Client:
    command, family, length = struct.unpack("!BBH", await _exactly(receive, 4))
    if command not in (_LOCAL, _PROXY) or length > MOST_V2:
        raise ValueError("not a head of PROXY protocol version 2")
    rest = await _exactly(receive, length)
    size = {_TCP4: 4, _TCP6: 16}.get(family)
    if command == _LOCAL or size is None:
        return None
    if len(rest) < 2 * size + 4:
        raise ValueError("PROXY protocol version 2 without addresses")
    (port,) = struct.unpack_from("!H", rest, 2 * size)
    return str(ipaddress.ip_address(rest[:size])), port


async def _exactly(receive: Receive, number: int) -> bytes:
    got = bytearray()
    while len(got) < number:
        some = await receive(number - len(got))
        if not some:
            raise ValueError("the connection ended before its PROXY protocol header did")
        got += some
    return bytes(got)

"""One try by ICMP: an echo request, and only its own reply counts. Sources: RFC 792, RFC 4443; icmp(7), raw(7), ip(7).

A ping socket needs no privilege where ``net.ipv4.ping_group_range`` allows it, a raw one needs CAP_NET_RAW. On either
the reply must come from the address asked, and carry the identifier, the sequence number and the random bytes of this
very request. That a router or the host refuses comes by the socket's error queue, with who said it.
"""

from __future__ import annotations

import os
import secrets
import select
import socket
import struct
import time
from typing import TYPE_CHECKING, NamedTuple

from mig_ping.outcome import answered, failure, nothing

if TYPE_CHECKING:
    from mig_endpoint.resolving import Address
    from mig_ping.outcome import Outcome

_HEADER = struct.Struct("!BBHHH")
_EXTENDED = struct.Struct("=IBBBBII")
"""``struct sock_extended_err`` of ``linux/errqueue.h``; the address of who said it comes behind."""
_TOKEN = 48
_IP_RECVERR, _IPV6_RECVERR = 11, 25
_LARGEST = 1 << 16
_LATE = 512
"""Looks after the limit: what a socket may hold that came in time, when this process got no turn until now."""


class _Family(NamedTuple):
    protocol: int
    request: int
    reply: int
    level: int
    errors: int


_FAMILIES = {
    socket.AF_INET: _Family(socket.IPPROTO_ICMP, 8, 0, socket.IPPROTO_IP, _IP_RECVERR),
    socket.AF_INET6: _Family(socket.IPPROTO_ICMPV6, 128, 129, socket.IPPROTO_IPV6, _IPV6_RECVERR),
}


class NotAllowed(Exception):
    """This process may open neither a ping socket nor a raw one."""


def attempt(address: Address, limit: float) -> Outcome:
    """Sends an echo request to the address and waits for its reply.

    Args:
        address: its port means nothing.
        limit: seconds.

    Raises:
        NotAllowed: the privilege is missing.
    """
    family = _FAMILIES[socket.AddressFamily(address.family)]
    try:
        connection, is_raw = _open(address.family, family.protocol)
    except PermissionError as error:
        raise NotAllowed from error
    except OSError as error:
        return failure(error)
    with connection:
        try:
            return _Echo(connection, address, family, is_raw=is_raw).wait(limit)
        except OSError as error:
            return failure(error)


def _open(family: int, protocol: int) -> tuple[socket.socket, bool]:
    try:
        return socket.socket(family, socket.SOCK_DGRAM, protocol), False
    except OSError:
        return socket.socket(family, socket.SOCK_RAW, protocol), True


class _Echo:
    def __init__(self, connection: socket.socket, address: Address, family: _Family, *, is_raw: bool) -> None:
        self._connection = connection
        self._family = family
        self._has_header = is_raw and address.family == socket.AF_INET
        connection.setblocking(False)
        connection.setsockopt(family.level, family.errors, 1)
        connection.connect(address.end)
        chosen = secrets.randbits(16) if is_raw else connection.getsockname()[1]
        self._identity = struct.pack("!HH", chosen, secrets.randbits(16))
        self._token = secrets.token_bytes(_TOKEN)
        packet = _HEADER.pack(family.request, 0, 0, 0, 0)[:4] + self._identity + self._token
        packet = packet[:2] + checksum(packet).to_bytes(2, "big") + packet[4:]  # of ICMPv6 the kernel makes its own
        self._started = time.monotonic()
        connection.send(packet)

    def wait(self, limit: float) -> Outcome:
        """Until the reply, an error, or the limit; what belongs to other requests is passed over."""
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        end = self._started + limit
        late = 0
        while late < _LATE:
            left = max(0.0, end - time.monotonic())
            late += not left
            if not poll.poll(left * 1000):
                break
            if (refusal := self._refusal()) is not None:
                return refusal
            if self._is_reply():
                return answered(time.monotonic() - self._started)
        return nothing(limit)

    def _is_reply(self) -> bool:
        try:
            packet = self._connection.recv(_LARGEST)
        except BlockingIOError:
            return False
        if self._has_header and packet:
            packet = packet[(packet[0] & 15) * 4 :]
        return packet[:2] == bytes([self._family.reply, 0]) and packet[4:] == self._identity + self._token

    def _refusal(self) -> Outcome | None:
        try:
            packet, extra, _, _ = self._connection.recvmsg(_LARGEST, 1024, socket.MSG_ERRQUEUE)
        except BlockingIOError:
            return None
        if packet[:1] != bytes([self._family.request]) or packet[4:8] != self._identity:
            self._connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # another's: recv would raise it
            return None
        for level, kind, data in extra:
            if (level, kind) == (self._family.level, self._family.errors) and len(data) >= _EXTENDED.size:
                number = _EXTENDED.unpack_from(data)[0]
                return failure(OSError(number, os.strerror(number)), _address_in(data[_EXTENDED.size :]))
        return None


def _address_in(raw: bytes) -> str:
    """The address in a ``struct sockaddr``; empty if there is none."""
    family = int.from_bytes(raw[:2], "little" if struct.pack("=H", 1)[0] else "big")
    if family == socket.AF_INET and len(raw) >= 8:
        return socket.inet_ntop(socket.AF_INET, raw[4:8])
    if family == socket.AF_INET6 and len(raw) >= 24:
        return socket.inet_ntop(socket.AF_INET6, raw[8:24])
    return ""


def checksum(packet: bytes) -> int:
    """The Internet checksum (RFC 1071) of a packet whose own field is 0."""
    padded = packet + b"\0" * (len(packet) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF

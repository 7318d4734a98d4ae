"""The kernel's sock_diag: sockets of a network namespace as netlink messages (sock_diag(7); ``linux/inet_diag.h``,
``linux/unix_diag.h``, ``net/ipv4/inet_diag.c`` of Linux 6.18).

Written here because pyroute2's DiagSocket (0.9) cannot ask for MPTCP, leaves out bound sockets, strips the NULs of
abstract names and takes an error of the kernel for an empty answer.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
from functools import lru_cache
from typing import TYPE_CHECKING

from mig_netstat.socket_record import BOUND, CLOSE, LISTEN, STATES, UNIX_KINDS, SocketRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

NETLINK_SOCK_DIAG = 4
MPTCP = 262
_BY_FAMILY = 20
_REQUEST_DUMP = 0x301
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
_INET_REQUEST = struct.Struct("=BBBBI48s")
_INET = struct.Struct("=BBBB2s2s16s16sI8sIIIII")
_UNIX_REQUEST = struct.Struct("=BBHIIII")
_UNIX = struct.Struct("=BBBBIII")
_ATTRIBUTE = struct.Struct("=HH")
_REQ_PROTOCOL = 3
_ALL_STATES = (1 << 14) - 1
"""Up to bit 13 (bound, inactive): it is not among those that a mask of named states has (Linux 6.8)."""
_EXT_INFO = 2
_ATTR_INFO, _ATTR_V6ONLY = 2, 11
_ACKED = 120
"""Where tcpi_bytes_acked and, behind it, tcpi_bytes_received lie in struct tcp_info (``linux/tcp.h``)."""
_UNIX_NAME, _UNIX_PEER, _UNIX_ICONS, _UNIX_QUEUE, _UNIX_UID = 0, 2, 3, 4, 7
_UNIX_SHOW = 1 | 2 | 4 | 8 | 16 | 64
_RECEIVE = 1 << 16
PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "udplite": 136, "mptcp": MPTCP}


class DiagFailed(OSError):
    """The kernel refused, or has no handler (ENOENT)."""


class Diag:
    """A connection to sock_diag, in the network namespace in which it is made, and for as long as it lives.

    Raises:
        OSError: there is none.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_SOCK_DIAG)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.settimeout(10)
        self._number = 0

    def close(self) -> None:
        """Closes it."""
        self._socket.close()

    def inet(self, protocol: str, *, counters: bool) -> Iterator[SocketRecord]:
        """All sockets of a protocol (a key of :data:`PROTOCOLS`), both families, all states.

        Args:
            protocol: which.
            counters: also how much was sent and received.

        Raises:
            OSError: they could not be asked for; DiagFailed if the kernel says so.
        """
        number = PROTOCOLS[protocol]
        extra = b""
        if number > 255:
            extra = _ATTRIBUTE.pack(8, _REQ_PROTOCOL) + struct.pack("=I", number)
        for family in (socket.AF_INET, socket.AF_INET6):
            # An IPv4 client of a dual-stack listener is in the answer for IPv6 only.
            asked = _INET_REQUEST.pack(
                family, min(number, 255) if number <= 255 else socket.IPPROTO_TCP, _EXT_INFO if counters else 0, 0,
                _ALL_STATES, bytes(48),
            )  # fmt: skip
            for body in self._dump(asked + extra):
                yield inet_record(protocol, body, counters=counters)

    def unix(self) -> Iterator[SocketRecord]:
        """All unix sockets; the other end also of those that wait to be accepted.

        Raises:
            OSError: they could not be asked for.
        """
        asked = _UNIX_REQUEST.pack(socket.AF_UNIX, 0, 0, 0xFFFFFFFF, 0, _UNIX_SHOW, 0) + struct.pack("=I", 0)
        waiting: dict[int, int] = {}
        found = [unix_record(body, waiting) for body in self._dump(asked)]
        for record in found:
            record.peer = record.peer or waiting.get(record.inode, 0)
        yield from found

    def _dump(self, asked: bytes) -> Iterator[bytes]:
        """The messages of an answer, without their headers."""
        self._number += 1
        message = _HEADER.pack(_HEADER.size + len(asked), _BY_FAMILY, _REQUEST_DUMP, self._number, 0) + asked
        self._socket.send(message)
        while True:
            data = self._socket.recv(_RECEIVE)
            place = 0
            while place + _HEADER.size <= len(data):
                length, kind, _, number, _ = _HEADER.unpack_from(data, place)
                if length < _HEADER.size:
                    raise DiagFailed(errno.EBADMSG, os.strerror(errno.EBADMSG))
                body = data[place + _HEADER.size : place + length]
                place += length + 3 & ~3
                if number != self._number:
                    continue
                if kind in (_ERROR, _DONE):
                    code = struct.unpack_from("=i", body)[0] if len(body) >= 4 else 0
                    if code:
                        raise DiagFailed(-code, os.strerror(-code))
                    return
                yield body


def inet_record(protocol: str, body: bytes, *, counters: bool) -> SocketRecord:
    """The socket in an ``inet_diag_msg`` and its attributes; ``counters``: also how much was sent and received."""
    family, state, timer, _, sport, dport, src, dst, interface, _, expires, rq, wq, uid, inode = _INET.unpack_from(body)
    local_port, remote_port = int.from_bytes(sport), int.from_bytes(dport)
    record = SocketRecord(
        protocol,
        STATES.get(state) or str(state) if state != CLOSE else BOUND if local_port else "CLOSE",
        address_text(family, src),
        local_port,
        address_text(family, dst) if remote_port or state not in (CLOSE, LISTEN) else "",
        remote_port or -1,
        inode,
        uid if inode else None,
        interface,
    )
    record.receive_queue, record.send_queue = rq, wq
    if timer:
        record.timer = expires / 1000
    any_address = family == socket.AF_INET6 and not any(src)
    if not any_address and not counters:
        return record
    for kind, value in attributes(body, _INET.size):
        if kind == _ATTR_V6ONLY:
            record.dual_stack = any_address and value == b"\0"
        elif kind == _ATTR_INFO and len(value) >= _ACKED + 16 and state != LISTEN:
            record.sent, record.received = struct.unpack_from("=QQ", value, _ACKED)
    return record


def unix_record(body: bytes, waiting: dict[int, int]) -> SocketRecord:
    """The socket in a ``unix_diag_msg`` and its attributes.

    Args:
        body: the message without its header.
        waiting: gets, for each client that was not accepted yet, the listener.
    """
    _, kind, state, _, inode, _, _ = _UNIX.unpack_from(body)
    record = SocketRecord(protocol=UNIX_KINDS.get(kind, f"unix_{kind}"), state=STATES.get(state, ""), inode=inode)
    values = dict(attributes(body, _UNIX.size))
    if name := values.get(_UNIX_NAME):
        record.path = unix_name(name)
    if len(peer := values.get(_UNIX_PEER, b"")) >= 4:
        record.peer = struct.unpack_from("=I", peer)[0]
    if len(queue := values.get(_UNIX_QUEUE, b"")) >= 8:
        record.receive_queue, record.send_queue = struct.unpack_from("=II", queue)
    if len(user := values.get(_UNIX_UID, b"")) >= 4:
        record.uid = struct.unpack_from("=I", user)[0]
    icons = values.get(_UNIX_ICONS, b"")
    for (client,) in struct.iter_unpack("=I", icons[: len(icons) & ~3]):
        waiting[client] = inode
    if state == CLOSE:
        record.state = BOUND if record.path else ""
    return record


def unix_name(raw: bytes) -> str:
    """A path, or ``@`` and an abstract name in which each NUL stands as ``@`` too (unix(7))."""
    if raw.startswith(b"\0"):
        return os.fsdecode(b"@" + raw[1:].replace(b"\0", b"@"))
    return os.fsdecode(raw.rstrip(b"\0"))


def attributes(body: bytes, place: int) -> Iterator[tuple[int, bytes]]:
    """The attributes behind the fixed part of a message."""
    while place + 4 <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, place)
        if length < 4:
            return
        yield kind & 0x3FFF, body[place + 4 : place + length]
        place += length + 3 & ~3


@lru_cache(maxsize=4096)
def address_text(family: int, raw: bytes) -> str:
    """The address; an IPv4 one that was mapped into IPv6 in its own form."""
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, raw[:4])
    if raw.startswith(b"\0" * 10 + b"\xff\xff"):
        return socket.inet_ntop(socket.AF_INET, raw[12:])
    return str(ipaddress.IPv6Address(raw)) if any(raw) else "::"

"""Neighbours for which this namespace answers (proxy ARP, NDP proxy), by rtnetlink(7): who has been told to answer for
another's address gets what is sent to it. They are in no dump but the one that asks for them alone, which pyroute2 has
no call for. Source: ``linux/neighbour.h``.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
from typing import TYPE_CHECKING, NamedTuple

from mig_netstat.nft_attributes import attributes

if TYPE_CHECKING:
    from collections.abc import Iterator

_GET_NEIGHBOURS, _REQUEST_DUMP, _PROXY = 30, 0x301, 0x08
_ERROR, _DONE = 2, 3
_MESSAGE = struct.Struct("=IHHII")
_NEIGHBOUR = struct.Struct("=B3xiHBB")
_ADDRESS = 1
_ROOM = 1 << 16
_PATIENCE = 5.0
"""Seconds for the kernel to answer."""


class Proxied(NamedTuple):
    """An address that is answered for."""

    interface: int
    address: str


def proxied() -> Iterator[Proxied]:
    """All of this thread's network namespace.

    Raises:
        OSError: the kernel could not be asked.
    """
    asked = _NEIGHBOUR.pack(socket.AF_UNSPEC, 0, 0, _PROXY, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as kernel:
        kernel.settimeout(_PATIENCE)
        kernel.bind((0, 0))
        kernel.send(_MESSAGE.pack(_MESSAGE.size + len(asked), _GET_NEIGHBOURS, _REQUEST_DUMP, 1, 0) + asked)
        while True:
            told = kernel.recv(_ROOM)
            place = 0
            while place + _MESSAGE.size <= len(told):
                length, kind, *_ = _MESSAGE.unpack_from(told, place)
                if kind == _DONE or length < _MESSAGE.size:
                    return
                body = told[place + _MESSAGE.size : place + length]
                if kind == _ERROR:
                    number = -struct.unpack_from("=i", body)[0]
                    raise OSError(number, os.strerror(number))
                _, interface, _, flags, _ = _NEIGHBOUR.unpack_from(body)
                raw = attributes(body[_NEIGHBOUR.size :]).get(_ADDRESS, b"")
                if flags & _PROXY and len(raw) in (4, 16):
                    yield Proxied(interface, str(ipaddress.ip_address(raw)))
                place += length + 3 & ~3

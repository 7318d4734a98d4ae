"""The wire form of audit's netlink messages: headers, the status structure, acknowledgements. Bytes only, no sockets.

Sources: ``linux/netlink.h`` (struct nlmsghdr, nlmsgerr), ``linux/audit.h`` (struct audit_status, AUDIT_*).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

NETLINK_AUDIT = 9
GROUP_READLOG = 1
"""AUDIT_NLGRP_READLOG: everyone with CAP_AUDIT_READ may listen."""

GET, SET = 1000, 1001
ADD_RULE, DEL_RULE, LIST_RULES = 1011, 1012, 1013
EOE, REPLACE = 1320, 1329
NLMSG_ERROR, NLMSG_DONE = 2, 3

ENABLED, PID, RATE_LIMIT, BACKLOG_LIMIT, BACKLOG_WAIT_TIME = 0x1, 0x4, 0x8, 0x10, 0x20
"""AUDIT_STATUS_*: which members of the status a SET changes."""

MAX_MESSAGE = 8970
"""MAX_AUDIT_MESSAGE_LENGTH of audit's own library: PATH_MAX twice and the context."""

_HEADER = struct.Struct("=IHHII")
HEADER_SIZE = _HEADER.size
_ERROR = struct.Struct("=i")
_STATUS = struct.Struct("=10I")
_REQUEST_ACK = 1 | 4
_REQUEST = 1


@dataclass(frozen=True, slots=True)
class Status:
    """The kernel's struct audit_status. ``enabled`` is 2 when locked until the next boot."""

    mask: int = 0
    enabled: int = 0
    failure: int = 0
    pid: int = 0
    rate_limit: int = 0
    backlog_limit: int = 0
    lost: int = 0
    backlog: int = 0
    features: int = 0
    backlog_wait_time: int = 0

    def pack(self) -> bytes:
        """The payload of a SET."""
        return _STATUS.pack(
            self.mask,
            self.enabled,
            self.failure,
            self.pid,
            self.rate_limit,
            self.backlog_limit,
            self.lost,
            self.backlog,
            self.features,
            self.backlog_wait_time,
        )


def read_status(payload: bytes) -> Status:
    """The status in a GET's answer; members that an older kernel does not have are 0."""
    return Status(*_STATUS.unpack(payload[: _STATUS.size].ljust(_STATUS.size, b"\0")))


@dataclass(frozen=True, slots=True)
class Message:
    """One netlink message without its header."""

    type: int
    sequence: int
    payload: bytes


def pack(kind: int, sequence: int, payload: bytes, *, acknowledge: bool = True) -> bytes:
    """A request to the kernel."""
    flags = _REQUEST_ACK if acknowledge else _REQUEST
    return _HEADER.pack(HEADER_SIZE + len(payload), kind, flags, sequence, 0) + payload


def unpack(datagram: bytes) -> Message | None:
    """The message in a datagram; None when it is shorter than a header.

    Audit sends one message in a datagram, and not always with a true length in its header: the datagram's counts.
    """
    if len(datagram) < HEADER_SIZE:
        return None
    _length, kind, _flags, sequence, _port = _HEADER.unpack_from(datagram)
    return Message(kind, sequence, datagram[HEADER_SIZE:])


def error_number(message: Message) -> int:
    """The errno in an NLMSG_ERROR message: 0 is an acknowledgement."""
    return -_ERROR.unpack_from(message.payload)[0] if len(message.payload) >= _ERROR.size else 0

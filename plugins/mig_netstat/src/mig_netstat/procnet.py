"""What /proc/net says about sockets: the source where sock_diag has no handler, or asking would load one.

Sources: proc_pid_net(5), ``net/ipv4/tcp_ipv4.c``, ``net/unix/af_unix.c``, ``net/packet/af_packet.c``,
``net/netlink/af_netlink.c`` of Linux 6.18. Pure: text in, sockets out; lines that do not look like one are counted.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING

from mig_netstat.diag import address_text
from mig_netstat.socket_record import BOUND, CLOSE, LISTEN, STATES, UNIX_KINDS, SocketRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_UNIX_LISTENS = 1 << 16
_HZ = 100.0


def inet(protocol: str, lines: list[bytes]) -> Iterator[SocketRecord | None]:
    """The sockets in ``tcp``, ``tcp6``, ``udp``, ``udp6``, ``raw``, ``icmp``, …; None for a line that is none."""
    for line in lines[1:]:
        fields = line.split()
        try:
            yield _inet(protocol, fields)
        except (ValueError, IndexError, struct.error):
            yield None


def _inet(protocol: str, fields: list[bytes]) -> SocketRecord:
    local, local_port = _end(fields[1])
    remote, remote_port = _end(fields[2])
    state, inode = int(fields[3], 16), int(fields[9])
    send, _, receive = fields[4].partition(b":")
    timer, _, when = fields[5].partition(b":")
    has_ports = protocol != "raw"
    is_connected = bool(remote_port) or state not in (CLOSE, LISTEN)
    return SocketRecord(
        protocol=protocol,
        state=(BOUND if local_port else "CLOSE") if state == CLOSE else STATES.get(state, str(state)),
        local=local,
        local_port=local_port if has_ports else -1,
        remote=remote if is_connected else "",
        remote_port=remote_port if is_connected and has_ports else -1,
        inode=inode,
        uid=int(fields[7]) if inode else None,
        send_queue=int(send, 16),
        receive_queue=int(receive, 16),
        timer=int(when, 16) / _HZ if int(timer, 16) else -1.0,
        dual_stack=None if local == "::" and has_ports and not is_connected else False,
    )


def _end(text: bytes) -> tuple[str, int]:
    """Address and port; the address is words of 32 bits, each in the machine's own order."""
    address, _, port = text.partition(b":")
    words = [int(address[place : place + 8], 16) for place in range(0, len(address), 8)]
    raw = struct.pack(f"={len(words)}I", *words)
    if len(raw) not in (4, 16):
        raise ValueError("not an address")
    return address_text(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw), int(port, 16)


def unix(lines: list[bytes]) -> Iterator[SocketRecord | None]:
    """The sockets in ``unix``; who is at the other end is not said there."""
    for line in lines[1:]:
        fields = line.split(None, 7)
        try:
            kind, inode = int(fields[4], 16), int(fields[6])
            listens = int(fields[3], 16) & _UNIX_LISTENS
        except (ValueError, IndexError):
            yield None
            continue
        path = os.fsdecode(fields[7]) if len(fields) > 7 else ""
        state = "LISTEN" if listens else "ESTABLISHED" if fields[5] == b"03" else BOUND if path else ""
        yield SocketRecord(protocol=UNIX_KINDS.get(kind, f"unix_{kind}"), state=state, inode=inode, path=path)


def packet(lines: list[bytes]) -> Iterator[SocketRecord | None]:
    """The sockets in ``packet``: whoever has one sees what passes an interface."""
    return _by_columns(lines, lambda fields: _other("packet", int(fields[8]), int(fields[7]), int(fields[4])))


def netlink(lines: list[bytes]) -> Iterator[SocketRecord | None]:
    """The sockets in ``netlink``; the kernel's own ones (port 0) are left out."""
    for record in _by_columns(
        lines, lambda fields: _other(f"netlink_{int(fields[1])}", int(fields[9]) if int(fields[2]) else 0, None, 0)
    ):
        if record is None or record.inode:
            yield record


def _other(protocol: str, inode: int, uid: int | None, interface: int) -> SocketRecord:
    return SocketRecord(protocol=protocol, inode=inode, uid=uid, interface=interface)


def _by_columns(lines: list[bytes], read: Callable[[list[bytes]], SocketRecord]) -> Iterator[SocketRecord | None]:
    for line in lines[1:]:
        try:
            yield read(line.split())
        except (ValueError, IndexError):
            yield None

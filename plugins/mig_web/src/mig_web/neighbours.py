"""Whose process is at the other end of a connection within this machine.

A cookie for 127.0.0.1 goes to every port there, and the address that begins a session stands in the command line of
the browser that opens it: other accounts of the machine may come to know either. The kernel says whose socket it is
(proc(5), ``/proc/net/tcp``: addresses and ports in hexadecimal, the account as ``uid``).
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Any

_TABLE = "/proc/net/tcp"
ROOT = 0


def is_own(client: Any, server: Any, *, table: str = _TABLE) -> bool:
    """Whether the connection comes from this account, or root's.

    Args:
        client: address and port of the other end, as ASGI has them.
        server: ours.
        table: where the kernel's list is. Where there is none (not Linux), nobody is turned away.
    """
    if not client or not server:
        return False
    try:
        wanted = (_place(client[0], client[1]), _place(server[0], server[1]))
        with open(table, encoding="ascii") as lines:
            next(lines, None)
            for line in lines:
                fields = line.split(None, 10)
                if (fields[1], fields[2]) == wanted:
                    account, inode = int(fields[7]), int(fields[9])
                    # A socket that its process has closed has no inode; Linux before 6.17 says then that it is root's.
                    return account in (os.geteuid(), ROOT) and not (account == ROOT and not inode)
    except FileNotFoundError:
        return True
    except (OSError, ValueError, IndexError):
        return False
    return False


def _place(address: str, port: int) -> str:
    """As the kernel writes it: the address as a number in the machine's byte order."""
    (number,) = struct.unpack("=I", socket.inet_aton(address))
    return f"{number:08X}:{port:04X}"

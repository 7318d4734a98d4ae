"""The sockets under urllib3's connection pools, so that another thread can end what waits in a blocking read.

urllib3 has no way to interrupt a read from outside. So each connection reports when it stands, and whoever wants an end
shuts down the socket under it.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import urllib3


def observe_connections(manager: urllib3.PoolManager, opened: Callable[[socket.socket], None]) -> None:
    """Has ``opened`` called with the socket of each connection of ``manager`` as soon as it stands, TLS and proxy too.

    Args:
        manager: has made no connection yet.
        opened: called by the thread that makes the connection.
    """
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    def report(connection: HTTPConnection) -> None:
        raw: Any = connection.sock
        while raw is not None and not isinstance(raw, socket.socket):
            raw = getattr(raw, "socket", None)  # TLS inside TLS: what is under it
        if raw is not None:
            opened(raw)

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            report(self)

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            report(self)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    manager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}


def shut_down(opened: socket.socket) -> None:
    """Ends what any thread waits for on the socket: its reads and writes fail at once. Never raises."""
    with contextlib.suppress(OSError):
        # Not SSLSocket.shutdown: that takes the TLS object away from under the thread that is reading.
        socket.socket.shutdown(opened, socket.SHUT_RDWR)

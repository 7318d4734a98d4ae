"""HTTP straight to mig-api, by the standard library: what urllib3 would cost is longer than a question's own work.

Connections are kept and used again, at most :data:`KEPT` of them. Used by :mod:`.transport`, which goes through urllib3
where there is a proxy; both fail with the same errors in the same words.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
import weakref
from http.client import HTTPConnection, HTTPException, HTTPSConnection, IncompleteRead
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from mig_core.client.ways import ConnectionFailed

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from http.client import HTTPResponse

KEPT = 4
REPEATED = 2
"""How often a request that changes nothing is sent again when its connection broke."""
PAUSE = 0.2
"""Seconds before the second repetition; the first one comes at once."""
_TARGET = "%/:?#[]@!$&'()*+,;=-._~"
"""What stays as it is in the target of a request."""


class Direct:
    """A :class:`mig_core.client.ways.Way`.

    Args:
        url: ``http`` or ``https``, with the host.
        tls: for ``https``: what certificates are believed.
        connect_timeout: seconds until a connection must stand.
        sleep: waits between repetitions.
    """

    def __init__(
        self,
        url: str,
        tls: ssl.SSLContext | None,
        *,
        connect_timeout: float,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        address = urlsplit(url)
        self._host = address.hostname or ""
        self._port = address.port
        self._tls = tls
        self._connect_timeout = connect_timeout
        self._sleep = sleep
        self._idle: list[HTTPConnection] = []
        self._failed: ConnectionFailed | None = None
        """Why no connection could be opened ahead; the next request says so."""
        weakref.finalize(self, _close_all, self._idle)

    def open(
        self, method: str, url: str, *, body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> DirectAnswer:
        """See the protocol."""
        parts = urlsplit(url)
        target = quote(f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}", safe=_TARGET)
        left = REPEATED if method == "GET" else 0
        while True:
            connection = self._connected(timeout)
            try:
                connection.request(method, target, body=body, headers={"User-Agent": "mig", **headers})
                return DirectAnswer(connection.getresponse(), connection, self, timeout)
            except (OSError, HTTPException) as error:
                connection.close()
                if not left:
                    raise ConnectionFailed(_broken(error, self.name, timeout)) from error
            if left < REPEATED:
                self._sleep(PAUSE)
            left -= 1

    def connect(self) -> None:
        """See the protocol."""
        try:
            self._idle.append(self._new())
        except ConnectionFailed as error:
            self._failed = error

    def close(self) -> None:
        """See the protocol."""
        _close_all(self._idle)

    def give_back(self, connection: HTTPConnection) -> None:
        """Keeps a connection for the next request, or closes it."""
        if connection.sock is not None and len(self._idle) < KEPT:
            self._idle.append(connection)
        else:
            connection.close()

    def _connected(self, timeout: float) -> HTTPConnection:
        """A connection that stands: one that was used before, or a new one."""
        while self._idle:
            with contextlib.suppress(IndexError):
                connection = self._idle.pop()
                if connection.sock is not None and not _readable(connection.sock):
                    connection.sock.settimeout(timeout)
                    return connection
                connection.close()
        failed, self._failed = self._failed, None
        if failed is not None:  # tried a moment ago
            raise failed
        connection = self._new()
        connection.sock.settimeout(timeout)
        return connection

    def _new(self) -> HTTPConnection:
        if self._tls is None:
            connection = HTTPConnection(self._host, self._port, timeout=self._connect_timeout)
        else:
            connection = HTTPSConnection(self._host, self._port, timeout=self._connect_timeout, context=self._tls)
        try:
            connection.connect()
        except (OSError, HTTPException, ValueError) as error:
            connection.close()
            raise ConnectionFailed(self._not_connected(error, connection)) from error
        return connection

    def _not_connected(self, error: Exception, connection: HTTPConnection) -> str:
        who = f"{type(connection).__name__}(host={connection.host!r}, port={connection.port})"
        if isinstance(error, TimeoutError):
            return f"{who}: Connection to {connection.host} timed out. (connect timeout={self._connect_timeout})"
        if isinstance(error, socket.gaierror):
            return f"{who}: Failed to resolve {connection.host!r} ({error})"
        if "SSL" in type(error).__name__:
            return str(error)
        return f"{who}: Failed to establish a new connection: {error}"

    @property
    def name(self) -> str:
        """As errors name it."""
        kind = "HTTPConnectionPool" if self._tls is None else "HTTPSConnectionPool"
        return f"{kind}(host={self._host!r}, port={self._port or (80 if self._tls is None else 443)})"


class DirectAnswer:
    """A :class:`mig_core.client.ways.Answer`."""

    def __init__(
        self,
        response: HTTPResponse,
        connection: HTTPConnection,
        way: Direct,
        timeout: float,
    ) -> None:
        self.status = response.status
        self.headers: Any = response.headers  # finds names in any case; not declared a Mapping
        self._response = response
        self._connection = connection
        self._way = way
        self._timeout = timeout
        self._left = response.length
        """Bytes that are still to come; None: the body ends where it says so itself."""

    def read1(self, most: int) -> bytes:
        """See the protocol."""
        if self._left == 0:
            return b""
        try:
            piece = self._response.read1(most if self._left is None else min(most, self._left))
            if self._left is not None:
                if not piece:
                    raise IncompleteRead(b"", self._left)
                self._left -= len(piece)
        except (OSError, HTTPException, ValueError) as error:
            raise ConnectionFailed(_broken(error, self._way.name, self._timeout)) from error
        if not piece:
            self._left = 0
        return piece

    def read(self, most: int) -> bytes:
        """See the protocol."""
        pieces = bytearray()
        while len(pieces) < most and (piece := self.read1(most - len(pieces))):
            pieces += piece
        return bytes(pieces)

    def release(self) -> None:
        """See the protocol."""
        self._response.close()
        if self._left == 0:
            self._way.give_back(self._connection)
        else:
            self._connection.close()

    def close(self) -> None:
        """See the protocol."""
        self._response.close()
        self._connection.close()


def _close_all(connections: list[HTTPConnection]) -> None:
    while connections:
        with contextlib.suppress(IndexError):  # another thread took it
            connections.pop().close()


def _readable(opened: socket.socket) -> bool:
    """Whether a connection on which nothing is due has something to say: that it is at its end."""
    poll = select.poll()
    poll.register(opened, select.POLLIN)
    return bool(poll.poll(0))


def _broken(error: Exception, pool_name: str, timeout: float) -> str:
    if isinstance(error, TimeoutError):
        return f"{pool_name}: Read timed out. (read timeout={timeout})"
    if isinstance(error, IncompleteRead):
        return f"('Connection broken: {error!r}', {error!r})"
    return f"('Connection aborted.', {error!r})"

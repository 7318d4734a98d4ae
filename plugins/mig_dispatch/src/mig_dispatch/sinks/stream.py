"""Bytes to the end of one TCP or TLS connection that never answers.

A batch counts as taken when the receiver's machine has acknowledged all its bytes (Linux tells, ``SIOCOUTQ``) and has
not reset the connection. What a receiver has not read yet when it dies later is lost, and no sender can know.
"""

from __future__ import annotations

import socket
import ssl
import sys
import time
from enum import Enum
from typing import TYPE_CHECKING

from mig_dispatch.sinks.deadline import Deadline
from mig_dispatch.sinks.tls import in_words, make_context

if TYPE_CHECKING:
    from mig_dispatch.targets import StreamTarget

_POLL_SECONDS = 0.002


class Stream:
    """The connection, made when it is wanted. One thread, but for ``deadline``."""

    def __init__(self, target: StreamTarget, timeout: float) -> None:
        self._target = target
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self.deadline = Deadline()

    def close(self) -> None:
        """Closes the connection; the next batch makes a new one."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self.deadline.use(None)

    def send(self, content: bytes) -> str:
        """Sends and waits until it is acknowledged. Gives what went wrong; then the connection is closed."""
        trouble = self._exchange(content)
        if trouble:
            self.close()
        return trouble

    def _exchange(self, content: bytes) -> str:
        until = time.monotonic() + self._timeout
        self.deadline.begin(self._timeout)
        try:
            if self._socket is not None and _state(self._socket) is not _Peer.THERE:
                self.close()
            connection = self._socket or self._connect()
            connection.settimeout(self._timeout)
            connection.sendall(content)
            while _unacknowledged(connection) > 0:
                if _state(connection) is _Peer.GONE:  # then nothing more is acknowledged, and the count stays
                    return "the receiver went away before it had taken all"
                if time.monotonic() > until:
                    return f"the receiver did not take all within {self._timeout:g} s"
                time.sleep(_POLL_SECONDS)
            if self.deadline.passed or self.deadline.stopped:
                return "broken off"
            if _state(connection) is _Peer.GONE:
                return "the receiver went away before it had read all"
        except OSError as error:
            if self.deadline.passed:
                return f"nothing was taken within {self._timeout:g} s"
            return in_words(error)
        finally:
            self.deadline.end()
        return ""

    def _connect(self) -> socket.socket:
        target = self._target
        context = make_context(target.tls) if target.secure else None
        connection = socket.create_connection((target.address, target.port), self._timeout)
        self.deadline.use(connection)
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is not None:
                secure = context.wrap_socket(connection, server_hostname=target.address, do_handshake_on_connect=False)
                self.deadline.use(secure)
                connection = secure
                secure.do_handshake()
        except BaseException:
            connection.close()
            raise
        self._socket = connection
        return connection


class _Peer(Enum):
    """How the other side stands. A machine whose program leaves bytes unread resets the connection."""

    THERE = "open"
    CLOSED = "closed after it had read everything"
    GONE = "reset"


def _state(connection: socket.socket) -> _Peer:
    """How the peer stands now; what it may have said is thrown away."""
    connection.settimeout(0)
    try:
        while connection.recv(4096):
            pass
    except (BlockingIOError, ssl.SSLWantReadError):
        return _Peer.THERE
    except OSError:
        return _Peer.GONE
    return _Peer.CLOSED


def _unacknowledged(connection: socket.socket) -> int:
    """Bytes the peer's machine has not acknowledged; 0 where the system does not tell."""
    if sys.platform != "linux":
        return 0
    import fcntl
    import struct
    import termios

    return int(struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))[0])

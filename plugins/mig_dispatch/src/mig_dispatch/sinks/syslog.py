"""Syslog: RFC 5424 messages with octet counting, over TCP (RFC 6587) or TLS (RFC 5425).

The protocol has no acknowledgement. A batch counts as delivered when the receiver's machine has acknowledged all its
bytes (Linux tells, ``SIOCOUTQ``) and has not reset the connection. What a receiver has not read yet when it dies later
is lost, and no sender can know.
"""

from __future__ import annotations

import re
import socket
import ssl
import sys
import time
from enum import Enum
from typing import TYPE_CHECKING

from mig_dispatch.sinks.base import Verdict
from mig_dispatch.sinks.deadline import Deadline
from mig_dispatch.sinks.tls import in_words, make_context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_dispatch.record import Alert, RecordMaker
    from mig_dispatch.settings import SyslogTarget

_NOT_PRINTABLE = re.compile(r"[^!-~]")
_MAX_SEQUENCE = 2147483647
_POLL_SECONDS = 0.002


class SyslogSink:
    """A receiver at the end of one TCP or TLS connection."""

    def __init__(self, target: SyslogTarget, timeout: float, maker: RecordMaker) -> None:
        self._target = target
        self._timeout = timeout
        self._maker = maker
        self._priority = target.facility * 8 + target.severity
        self._hostname = _field(maker.hostname, 255)
        self._app_name = _field(target.app_name, 48)
        self._socket: socket.socket | None = None
        self._deadline = Deadline()

    def deliver(self, alerts: Sequence[Alert]) -> Verdict:
        """Sends the batch as a whole; after trouble, all of it is sent again."""
        messages = [self.message(alert) for alert in alerts]
        trouble = self._send(b"".join(b"%d %s" % (len(message), message) for message in messages))
        if trouble:
            self.close()
            return Verdict(0, {}, trouble)
        return Verdict(len(alerts))

    def message(self, alert: Alert) -> bytes:
        """The message for one alert: its record, cut where it must be, under its time and its module's name."""
        sequence = (alert.number - 1) % _MAX_SEQUENCE + 1
        header = (
            f"<{self._priority}>1 {alert.received or '-'} {self._hostname} {self._app_name} - "
            f'{_field(alert.module, 32)} [meta sequenceId="{sequence}"] '
        )
        head = header.encode("ascii", "replace")
        return head + self._maker.fitted(alert, self._target.max_message_bytes - len(head))

    def watch(self, now: float) -> None:
        """Breaks off an exchange that takes too long."""
        self._deadline.watch(now)

    def interrupt(self) -> None:
        """Breaks off whatever is under way."""
        self._deadline.interrupt()

    def close(self) -> None:
        """Closes the connection; the next batch makes a new one."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._deadline.use(None)

    def _send(self, content: bytes) -> str:
        """Sends and waits until it is acknowledged. Gives what went wrong."""
        until = time.monotonic() + self._timeout
        self._deadline.begin(self._timeout)
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
            if self._deadline.passed or self._deadline.stopped:
                return "broken off"
            if _state(connection) is _Peer.GONE:
                return "the receiver went away before it had read all"
        except OSError as error:
            if self._deadline.passed:
                return f"nothing was taken within {self._timeout:g} s"
            return in_words(error)
        finally:
            self._deadline.end()
        return ""

    def _connect(self) -> socket.socket:
        target = self._target
        context = make_context(target.tls) if target.secure else None
        connection = socket.create_connection((target.address, target.port), self._timeout)
        self._deadline.use(connection)
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is not None:
                secure = context.wrap_socket(connection, server_hostname=target.address, do_handshake_on_connect=False)
                self._deadline.use(secure)
                connection = secure
                secure.do_handshake()
        except BaseException:
            connection.close()
            raise
        self._socket = connection
        return connection


def _field(text: str, longest: int) -> str:
    """A header field: printable ASCII without spaces; ``-`` when nothing is left."""
    return _NOT_PRINTABLE.sub("", text)[:longest] or "-"


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

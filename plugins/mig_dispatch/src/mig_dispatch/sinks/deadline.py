"""Breaking off an exchange that takes too long in all, however lively its peer keeps it.

A socket's time-out starts anew with each byte; a peer that sends one a second holds a connection for ever. So each
exchange has a deadline, and another thread shuts the socket down when it passes.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from mig_core.plugin.network import shut_down

if TYPE_CHECKING:
    import socket


class Deadline:
    """The one socket of a sink and the time it has. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._until = float("inf")
        self.passed = False
        """Whether the present exchange was broken off."""
        self.stopped = False
        """Whether everything is to end."""

    def begin(self, seconds: float) -> None:
        """An exchange begins."""
        with self._lock:
            self._until = time.monotonic() + seconds
            self.passed = False

    def end(self) -> None:
        """It has ended; the socket may idle."""
        with self._lock:
            self._until = float("inf")

    def use(self, opened: socket.socket | None) -> None:
        """From now on it is about this socket."""
        with self._lock:
            self._socket = opened
            stopped = self.stopped
        if stopped:
            self._shut_down()

    def watch(self, now: float) -> None:
        """Shuts the socket down if the exchange should have ended by ``now``."""
        with self._lock:
            if now < self._until:
                return
            self.passed = True
        self._shut_down()

    def interrupt(self) -> None:
        """Shuts down this socket and all later ones."""
        with self._lock:
            self.stopped = True
        self._shut_down()

    def _shut_down(self) -> None:
        with self._lock:
            opened = self._socket
        if opened is not None:
            shut_down(opened)

"""Many processes and many sockets, for as long as a benchmark of the live modules lasts."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SLEEP = "86399"
"""Seconds, and what tells these processes from others."""
LOOPBACK = "127.91.0.1"
"""Where the sockets are, and nobody else's."""
CONNECTIONS, BOUND = 8, 3
SOCKETS = 1 + 2 * CONNECTIONS + BOUND
"""That each process of :func:`talkers` has: a listener, both ends of connections to it, and UDP sockets."""


@contextlib.contextmanager
def sleepers(count: int) -> Iterator[None]:
    """Processes that do nothing."""
    ids = [os.posix_spawn("/bin/sleep", ["sleep", SLEEP], os.environ) for _ in range(count)]
    with _ended(ids):
        yield


@contextlib.contextmanager
def talkers(count: int) -> Iterator[None]:
    """Processes with :data:`SOCKETS` sockets each, on loopback."""
    ready, tell = os.pipe()
    ids = []
    for _ in range(count):
        if not (pid := os.fork()):
            _talk(tell)
        ids.append(pid)
    with _ended(ids):
        os.close(tell)
        while count > 0:
            if not (told := os.read(ready, count)):
                raise RuntimeError("a process could not open its sockets")
            count -= len(told)
        os.close(ready)
        yield


def _talk(tell: int) -> None:
    try:
        listener = socket.create_server((LOOPBACK, 0), backlog=CONNECTIONS)
        kept = [listener]
        for _ in range(CONNECTIONS):
            kept += [
                socket.create_connection(listener.getsockname(), source_address=(LOOPBACK, 0)),
                listener.accept()[0],
            ]
        for one in kept:  # killed, it leaves nothing in TIME_WAIT for the next race to list
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for _ in range(BOUND):
            kept.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            kept[-1].bind((LOOPBACK, 0))
        os.write(tell, b"x")
        os.close(tell)
        signal.pause()
    finally:
        os._exit(1)


@contextlib.contextmanager
def _ended(ids: list[int]) -> Iterator[None]:
    try:
        yield
    finally:
        for pid in ids:
            os.kill(pid, signal.SIGKILL)
        for pid in ids:
            os.waitpid(pid, 0)

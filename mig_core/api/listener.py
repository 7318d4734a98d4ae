"""Accepting connections: bounded before anything is read, and paused with a word in the log when descriptors run out.

asyncio's own server accepts whatever comes, says nothing of TLS handshakes that never end, and writes a traceback for
each connection it has no descriptor for.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from mig_core.api.proxy_header import read_proxy_header

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable

    from mig_core.api.connections import Connection, Connections

log = logging.getLogger(__name__)

AT_ONCE = 32
"""Connections accepted before others have their turn, so that the heads of those accepted are read in between."""
PAUSE = 0.05
"""Seconds until room is looked for again."""
NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
QUIET = 60.0
"""Seconds between two lines about the same want."""


class Listener:
    """One listening socket; what :class:`uvicorn.Server` calls a server.

    Args:
        listening: bound and listening.
        connections: keeps the bounds.
        make_protocol: the protocol of one connection.
        context: for TLS.
        proxy_protocol: whether trusted proxies say before all else for whom they speak.
    """

    def __init__(
        self,
        listening: socket.socket,
        connections: Connections,
        make_protocol: Callable[[Connection], asyncio.Protocol],
        context: ssl.SSLContext | None,
        *,
        proxy_protocol: bool = False,
    ) -> None:
        self._listening = listening
        self._connections = connections
        self._make_protocol = make_protocol
        self._context = context
        self._proxy_protocol = proxy_protocol
        self._loop = asyncio.get_running_loop()
        self._beginning: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._sweep_due = self._loop.time()
        self._closed = False
        self._told = -QUIET
        self._parked: dict[str, deque[tuple[socket.socket, float]]] = {}
        """Accepted connections whose address has its share already, and until when they may wait."""
        self._parking = 0
        connections.on_room.append(self._room)
        listening.setblocking(False)
        self._resume()
        self._sweep()

    def close(self) -> None:
        """Accepts no more, and ends handshakes."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._listening.fileno())
        for timer in (self._timer, self._sweeper):
            if timer is not None:
                timer.cancel()
        for task in self._beginning:
            task.cancel()
        for address in tuple(self._parked):
            self._unpark(address)

    async def wait_closed(self) -> None:
        """Nothing is left to wait for."""

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            if not self._connections.has_room():
                self._pause("all connections are in use")
                return
            try:
                accepted, name = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in NO_DESCRIPTORS:
                    raise
                self._pause(f"{error.strerror}")
                return
            self._begin(accepted, name[0] if isinstance(name, tuple) else "")
        if self._parking > self._most_parked() // 2:
            # Who waits in the kernel's queue holds no descriptor of ours; the others have their turn meanwhile.
            self._pause("")

    def _most_parked(self) -> int:
        limits = self._connections.limits
        free = limits.all - self._connections.counts.total() - limits.guests
        return max(limits.guests // 4, min(limits.parked, free))

    def _begin(self, accepted: socket.socket, peer: str) -> None:
        accepted.setblocking(False)
        address = self._connections.address_of(peer)
        connection = None
        if address not in self._parked:
            # Those before it are soon known, if they are honest: it waits a moment before it pushes one of them out.
            connection = self._connections.opened(address, accepted.close, push=not self._most_parked())
        if connection is not None:
            connection.announced = self._proxy_protocol and self._connections.trusts(peer)
            self._serve(accepted, connection)
        elif self._parking < self._most_parked():
            # A fleet behind one address may come back at once: it is served in turn, not turned away.
            self._parking += 1
            until = self._loop.time() + self._connections.limits.head_seconds
            self._parked.setdefault(address, deque()).append((accepted, until))
        else:
            self._connections.cut["one address's share"] += 1
            accepted.close()

    def _unpark(self, address: str) -> None:
        """Serves those of the address that waited longest, as far as its share goes."""
        waiting = self._parked.get(address)
        while waiting:
            accepted, until = waiting[0]
            connection = None
            if until > self._loop.time() and not self._closed:
                waited = self._loop.time() - (until - self._connections.limits.head_seconds)
                push = waited >= self._connections.limits.grace_seconds
                connection = self._connections.opened(address, accepted.close, push=push)
                if connection is None:
                    return
            waiting.popleft()
            self._parking -= 1
            if not waiting:
                del self._parked[address]
            if connection is not None:
                self._serve(accepted, connection)
            else:
                self._connections.cut["one address's share"] += 1
                accepted.close()

    def _serve(self, accepted: socket.socket, connection: Connection) -> None:
        task = self._loop.create_task(self._connect(accepted, connection))
        # Until the protocol stands (with TLS that takes as long as the other end likes), the task is what to end.
        connection.replace_cut(partial(_cancel, task))
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)

    async def _connect(self, accepted: socket.socket, connection: Connection) -> None:
        try:
            if connection.announced:
                await self._read_client(accepted, connection)
            await self._loop.connect_accepted_socket(
                partial(self._make_protocol, connection),
                accepted,
                ssl=self._context,
                ssl_handshake_timeout=None if self._context is None else self._connections.limits.head_seconds,
            )
        except (OSError, ValueError, asyncio.CancelledError) as error:
            log.debug("a connection of %s came to nothing: %s", connection.address, error)
            connection.close()
            accepted.close()

    async def _read_client(self, accepted: socket.socket, connection: Connection) -> None:
        """For whom a proxy speaks, by the PROXY protocol.

        Raises:
            ValueError: it does not say so, or its client has too many connections already.
        """
        client = await read_proxy_header(partial(self._loop.sock_recv, accepted))
        if client is not None:
            connection.client = client
            self._connections.move(connection, client[0])

    def _pause(self, why: str) -> None:
        now = self._loop.time()
        if why and now - self._told >= QUIET:
            self._told = now
            counts = ", ".join(f"{number} {who.value}" for who, number in sorted(self._connections.counts.items()))
            log.warning("no further connection is accepted for now: %s (%s)", why, counts)
        self._loop.remove_reader(self._listening.fileno())
        self._timer = self._loop.call_later(PAUSE, self._resume)

    def _resume(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._listening.fileno(), self._accept)

    def _room(self, address: str) -> None:
        if address in self._parked:
            self._loop.call_soon(self._unpark, address)

    def _sweep(self) -> None:
        if not self._closed:
            now = self._loop.time()
            self._connections.lag = max(now - self._sweep_due, self._connections.lag / 2)
            self._sweep_due = now + 1.0
            self._connections.sweep()
            for address in tuple(self._parked):
                self._unpark(address)
            self._sweeper = self._loop.call_later(1.0, self._sweep)


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()

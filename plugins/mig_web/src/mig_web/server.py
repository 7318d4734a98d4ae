"""Listening on 127.0.0.1, and serving until Ctrl-C. The only file that imports uvicorn.

One event loop. What waits for the platform or for GnuPG does so in threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import socket
from typing import TYPE_CHECKING

import uvicorn

from mig_core.errors import ConfigurationError
from mig_web.app import create_app
from mig_web.gate import Gate
from mig_web.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_core.client.connection import Connection

GRACE = 1
"""Seconds that answers may still take once the server stops."""
MOST_CONNECTIONS = 200
"""A browser has a few; what is beyond gets 503."""


def listen(port: int, *, or_any: bool) -> socket.socket:
    """A socket on 127.0.0.1 that listens.

    Args:
        port: 0: any that is free.
        or_any: whether any free one will do where this is taken.

    Raises:
        ConfigurationError: the port cannot be had.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        if or_any:
            return listen(0, or_any=False)
        raise ConfigurationError(
            "--port", "", f"127.0.0.1:{port}: {error.strerror}", next_step="leave --port out, or give another"
        ) from error
    return listening


def serve(connection: Connection, listening: socket.socket, ready: Callable[[str], None]) -> None:
    """Serves until SIGINT or SIGTERM.

    Args:
        ready: called once requests are answered, with the address to open, which has the token.
    """
    gate = Gate(listening.getsockname()[1], lambda: secrets.token_urlsafe(32))
    site = Site(connection)
    config = uvicorn.Config(
        create_app(site, gate),
        access_log=False,
        lifespan="off",
        limit_concurrency=MOST_CONNECTIONS,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
        ws="none",
    )
    server = _Server(config, lambda: ready(gate.first_address), site.stop)
    with contextlib.closing(site):
        asyncio.run(server.serve(sockets=[listening]))


class _Server(uvicorn.Server):
    """uvicorn that tells when it is ready, and ends streams before it waits for them."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready
        self._stop = stop

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM stop the server. Not raised again afterwards, as uvicorn would: stopping is a success."""
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGTERM, signal.SIGINT)
        for number in numbers:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to answer."""
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends streams, then connections."""
        self._stop()
        await super().shutdown(sockets)

"""uvicorn as ``mig-api`` runs it: its own way of accepting connections, and an end at once.

Made and served by :mod:`.main`.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from typing import TYPE_CHECKING, cast

import uvicorn

from mig_core.api.listener import Listener
from mig_core.api.listening import BACKLOG, hand_on
from mig_core.api.relay_protocol import RelayHttpProtocol
from mig_core.errors import ConfigurationError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from mig_core.api.app import MigApp
    from mig_core.api.connections import Connection, Connections
    from mig_core.api.polls import Waiters
    from mig_core.config.server import ApiSettings

KEEP_ALIVE = 75
"""Seconds an idle connection is kept: longer than any poll."""
GRACE = 1
"""Seconds that answers may still take once the server stops."""


class Server(uvicorn.Server):
    """uvicorn, stopping at once: everybody who waits is answered before it counts open connections."""

    proxy_protocol = False
    """See :class:`mig_core.api.listener.Listener`."""

    def __init__(
        self,
        app: MigApp,
        config: uvicorn.Config,
        waiters: Waiters,
        connections: Connections,
        started: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._app = app
        self._waiters = waiters
        self._connections = connections
        self._on_started = started
        self.hangup = asyncio.Event()
        """Set by SIGHUP."""
        self.again = False
        """Whether it ends only to begin again."""
        self.addresses: Sequence[str] = ()
        """Of its sockets, as the settings write them."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Ends for good, whatever was meant before."""
        self.again = False
        super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT stop the server. Not raised again afterwards, as uvicorn would: stopping is a success."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGTERM, signal.SIGINT)
        for number in numbers:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        loop.add_signal_handler(signal.SIGHUP, self.hangup.set)
        try:
            yield
        finally:
            for number in (*numbers, signal.SIGHUP):
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to answer: with our own way of accepting connections instead of asyncio's."""
        await self.lifespan.startup()
        listeners = [
            Listener(one, self._connections, self._make_protocol, self.config.ssl, proxy_protocol=self.proxy_protocol)
            for one in sockets or ()
        ]
        self.servers = cast("list[asyncio.base_events.Server]", listeners)  # it closes them, and waits for that
        self.started = True
        self._on_started()

    def _make_protocol(self, connection: Connection) -> RelayHttpProtocol:
        app = self._app
        return RelayHttpProtocol(
            connection, self.config, self.server_state, self.lifespan.state, app.hub, app.metrics, app.intake
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends waits, then connections."""
        self._waiters.stop()
        if self.again:
            hand_on(zip(self.addresses, sockets or (), strict=True))
        await super().shutdown(sockets)


def uvicorn_config(app: object, settings: ApiSettings) -> uvicorn.Config:
    """What serves ``app``.

    Raises:
        ConfigurationError: certificate or key cannot be used.
    """
    tls = settings.tls
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]  # falcon's App is an ASGI application; uvicorn's alias is narrower
        http=RelayHttpProtocol,
        # Who the client is, mig_core.api.clients finds out; uvicorn would believe whatever loopback says.
        proxy_headers=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        backlog=BACKLOG,
        ws="none",
        ssl_certfile=None if tls.certificate_file is None else str(tls.certificate_file),
        ssl_keyfile=None if tls.key_file is None else str(tls.key_file),
    )
    try:
        config.load()
    except OSError as error:
        raise ConfigurationError(
            "api", "tls", f"certificate or key cannot be used: {error}", next_step="both in PEM form, and readable"
        ) from error
    return config

"""HTTP for the ``https`` relay: bounded answers, and an end from another thread. The only file that touches urllib3.

A poll waits for minutes inside a blocking read, so each connection's socket is noted when it is made, and
:meth:`HttpsTransport.close` shuts it down.
"""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import threading
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from weakref import WeakSet

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError

from mig_core.domain.certificates import explained
from mig_core.errors import ConfigurationError, RelayError, RelayUnavailable
from mig_core.network.connections import observe_connections, shut_down
from mig_core.network.proxies import environment_proxy
from mig_core.relay.tls import TlsOptions

if TYPE_CHECKING:
    from collections.abc import Callable

_CONNECT_SECONDS = 10.0
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
"""A machine that is gone says nothing, and a poll would wait for it to its end: the kernel asks after 15 s of silence,
and gives up after 30."""


class HttpsTransport:
    """Exchanges with one API, by its own login. Thread-safe.

    Args:
        api: base URL, ``https://`` or ``http://``.
        credential: sent as bearer token, if there is one; never in an URL, never to another site (redirects are not
            followed).
        proxy: URL of an HTTP proxy; empty: the environment's, if any.

    Raises:
        ConfigurationError: a URL or a TLS file cannot be used.
    """

    def __init__(self, api: str, credential: str, *, tls: TlsOptions | None = None, proxy: str = "") -> None:
        parts = urlsplit(api)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment:
            raise ConfigurationError("", "platform.api", f"must be like https://mig.example.net, got {api!r:.80}")
        self._base = api.rstrip("/")
        self._shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._headers = {
            **({"Authorization": f"Bearer {credential}"} if credential else {}),
            "Content-Type": "application/json",
            "Accept": "application/json, application/problem+json",
        }
        self.date = ""
        """What the other side's clock said last, as in its answer's head."""
        self._lock = threading.Lock()
        self._closed = False
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._manager = self._make_manager(parts.scheme, tls, proxy or environment_proxy(api, os.environ))

    def __str__(self) -> str:
        return self._shown

    def exchange(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None,
        seconds: float,
        largest: int,
        media: str = "",
        on_head: Callable[[int, str], None] = lambda status, media: None,
    ) -> tuple[int, bytes]:
        """Sends a request; gives status and content of the answer.

        Args:
            seconds: how long the answer may let wait, each time anything is read.
            largest: more bytes than this are not read.
            media: of the body, if it is not JSON.
            on_head: called with the status and the content's media type as soon as they are known; the content may
                come much later. It may raise a :class:`~mig_core.errors.RelayError`: then the content is not read.

        Raises:
            RelayUnavailable: no answer, or a larger one.
        """
        headers = {**self._headers, "Content-Type": media} if media else self._headers
        try:
            response = self._manager.request(
                method,
                self._base + path,
                body=body,
                headers=headers,
                timeout=urllib3.Timeout(connect=min(_CONNECT_SECONDS, seconds), read=seconds),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            try:
                self.date = response.headers.get("Date", "")
                try:
                    media = response.headers.get("Content-Type", "")
                    on_head(response.status, media.partition(";")[0].strip().lower())
                except RelayError:
                    response.close()
                    raise
                content = response.read(largest + 1, decode_content=False)
                if len(content) > largest:
                    response.close()
                    raise RelayUnavailable(f"{self}: the answer is larger than {largest} bytes")
                response.drain_conn()
                return response.status, content
            finally:
                response.release_conn()
        except (HTTPError, HTTPException, OSError, ValueError, AttributeError) as error:
            # The last two: a socket or pool that close() took away in the middle.
            raise RelayUnavailable(f"{self}: {explained(error)}") from error

    def rest(self) -> None:
        """Closes connections that nobody uses now: one is enough while nothing happens."""
        # Its keys() is the one way through this mapping that other threads do not disturb.
        for key in tuple(self._manager.pools.keys()):
            pool = self._manager.pools.get(key)
            unused = getattr(pool, "pool", None)
            with contextlib.suppress(queue.Empty):
                while unused is not None and (connection := unused.get_nowait()) is not None:
                    connection.close()

    def close(self) -> None:
        """Ends what other threads are waiting for, and all connections. What they do then fails at once."""
        with self._lock:
            self._closed = True
            sockets = list(self._sockets)
        for one in sockets:
            shut_down(one)
        self._manager.clear()

    def _opened(self, opened: socket.socket) -> None:
        """Called when a connection stands."""
        with self._lock:
            self._sockets.add(opened)
            closed = self._closed
        if closed:
            shut_down(opened)

    def _make_manager(self, scheme: str, tls: TlsOptions | None, proxy: str) -> urllib3.PoolManager:
        kept = [*HTTPConnection.default_socket_options, *_KEEPALIVE]
        options: dict[str, Any] = {"maxsize": 4, "num_pools": 2, "socket_options": kept}
        if scheme == "https":
            options["ssl_context"] = (tls or TlsOptions()).context()
        try:
            manager = urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)
        except (HTTPError, ValueError) as error:
            raise ConfigurationError("", "platform.proxy", f"cannot be used: {error!s:.200}") from error
        observe_connections(manager, self._opened)
        return manager

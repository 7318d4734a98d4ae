"""HTTP as ``mig-api`` speaks it: uvicorn's protocol on httptools, with bounds to what a peer may send and how long.

httptools costs less processor time than h11 (docs/performance.md), but keeps whatever a peer sends as one header, or as
header after header, so that an endless one would fill the memory; and uvicorn waits for the end of a head for ever.
Bodies are bounded where they are read.

Nothing else is spoken here, so a wish to go on in another protocol (``Upgrade``) is ignored, as RFC 9110, 7.8 allows.
httptools ends a request with such a wish behind its head, whatever body it has: what follows would be taken for the
next request. So it is given that head again, without the wish.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mig_core.api.connections import SCOPE_KEY

if TYPE_CHECKING:
    import asyncio

    from uvicorn.config import Config
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
    from uvicorn.server import ServerState

    from mig_core.api.connections import Connection

MAX_HEAD_BYTES = 64 << 10
"""What a request's line and headers may have, as with h11; so may the trailers behind a body in chunks. Not exact: the
piece of data in which they begin (at most 256 KiB) is not counted."""


_VERSIONS = ("1.0", "1.1")


class BoundedHttpProtocol(HttpToolsProtocol):
    """Refuses who sends too much without anything coming of it: the end of a head, some body, the end of a request.

    Args:
        connection: is told what happens; it says when a head takes too long.
    """

    _came_on = False
    _in_head = False
    _fruitless = 0
    """Bytes since the parser last came on."""
    _upgrading = False
    """Whether the parser is in a request that it ends behind its head."""

    def __init__(
        self, connection: Connection, config: Config, server_state: ServerState, app_state: dict[str, Any]
    ) -> None:
        super().__init__(config, server_state, app_state)
        self._connection = connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """The connection stands, TLS and all."""
        super().connection_made(transport)
        if self._connection.client is not None:
            self.client = self._connection.client
        self._connection.replace_cut(transport.abort)
        if self._connection.closed:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        self._connection.close()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes in what the peer sent."""
        self._came_on = False
        self._read(data)
        self._fruitless = 0 if self._came_on else self._fruitless + len(data)
        if self._fruitless > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("Request head too large.")
        if not self.is_answering():
            # Something came, but no whole head: from now on, or since then, we wait for it.
            self._connection.awaits_head()

    def _read(self, data: bytes) -> None:
        """Has the parser read it. As uvicorn does, but for requests that wish for another protocol."""
        self._unset_keepalive_if_required()
        rest = memoryview(data)
        try:
            while True:
                try:
                    self.parser.feed_data(rest)
                    return
                except httptools.HttpParserUpgrade as upgrade:
                    rest = rest[upgrade.args[0] :]
                    self._upgrading = False
                    self.parser.feed_data(self._head_without_upgrade())
        except httptools.HttpParserError:
            self.logger.warning("Invalid HTTP request received.")
            self.send_400_response("Invalid HTTP request received.")

    def _head_without_upgrade(self) -> bytes:
        """The head of the present request, without the wish for another protocol."""
        lines = [
            b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode("ascii"))
        ]
        for name, value in self.headers:
            if name == b"connection":
                options = [one.strip() for one in value.split(b",")]
                value = b", ".join(one for one in options if one.lower() != b"upgrade")
            if name != b"upgrade" and (value or name != b"connection"):
                lines.append(b"%b: %b" % (name, value))
        return b"\r\n".join((*lines, b"", b""))

    def is_answering(self) -> bool:
        """Whether a request is here whose answer is not complete."""
        cycle: RequestResponseCycle | None = self.cycle  # uvicorn's type leaves the beginning out
        return cycle is not None and not cycle.response_complete

    def on_message_begin(self) -> None:
        """A request begins."""
        self._came_on = True
        self._in_head = True
        super().on_message_begin()
        cast("dict[str, object]", self.scope)[SCOPE_KEY] = self._connection  # servers may add members of their own

    def on_headers_complete(self) -> None:
        """Its head is complete. Versions that this is not are a 400: the parser also knows 0.9 and 2.0."""
        version = self.parser.get_http_version()
        if version not in _VERSIONS:
            raise ValueError(f"HTTP/{version} is not spoken here")
        self._came_on = True
        self._upgrading = self.parser.should_upgrade()
        if self._upgrading and self.parser.get_method() == b"CONNECT":
            raise ValueError("no tunnel begins here")
        if not self._upgrading:
            self._in_head = False
            self._connection.has_head()
            self.begin_request()

    def begin_request(self) -> None:
        """Gives the request, of which the head is here, to whoever answers it."""
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of its body."""
        self._came_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        self._came_on = True
        if not self._upgrading:
            self._connection.has_request()
            self.end_request()

    def end_request(self) -> None:
        """The request that was given is complete."""
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The answer is given."""
        self._connection.has_response()
        if self._in_head:
            # A part of the next request came along with this one.
            self._connection.awaits_head()
        super().on_response_complete()

"""HTTP as ``mig-api`` speaks it: uvicorn's protocol on httptools, with a bound to what a peer may send as headers.

httptools costs less processor time than h11 (docs/performance.md), but keeps whatever a peer sends as one header, or as
header after header, so that an endless one would fill the memory. Bodies are bounded where they are read.
"""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 << 10
"""What a request's line and headers may have, as with h11; so may the trailers behind a body in chunks. Not exact: the
piece of data in which they begin (at most 256 KiB) is not counted."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """Refuses who sends too much without anything coming of it: the end of a head, some body, the end of a request."""

    _came_on = False
    _fruitless = 0
    """Bytes since the parser last came on."""

    def data_received(self, data: bytes) -> None:
        """Takes in what the peer sent."""
        self._came_on = False
        super().data_received(data)
        self._fruitless = 0 if self._came_on else self._fruitless + len(data)
        if self._fruitless > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("Request head too large.")

    def on_message_begin(self) -> None:
        """A request begins."""
        self._came_on = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is complete."""
        self._came_on = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of its body."""
        self._came_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        self._came_on = True
        super().on_message_complete()

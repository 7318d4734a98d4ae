"""pika's connection, but frames that are written at one moment leave together.

pika hands each frame to the kernel by itself, and a message is three of them: three system calls here, and three times
that RabbitMQ's reader of this connection is woken. (Used by ``amqp_connection`` only.)
"""

from __future__ import annotations

from typing import Any

from pika.adapters.asyncio_connection import AsyncioConnection

_MOST = 64 << 10
"""Bytes after which nothing more is waited for."""


class GatheringConnection(AsyncioConnection):  # type: ignore[misc]  # pika has no types
    """An AsyncioConnection that writes once a turn of the event loop, in the order of the frames."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._gathered: list[bytes] = []
        self._size = 0
        super().__init__(*arguments, **named)

    def _adapter_emit_data(self, data: bytes) -> None:
        """What pika's adapters are there for: takes a frame, and sends it as soon as possible."""
        if not self._gathered:
            self.ioloop.call_soon(self._let_go)
        self._gathered.append(data)
        self._size += len(data)
        if self._size >= _MOST:
            self._let_go()

    def _let_go(self) -> None:
        gathered, self._gathered, self._size = self._gathered, [], 0
        if gathered and self._transport is not None:  # else: the connection is gone, and what it was told with it
            self._transport.write(b"".join(gathered))

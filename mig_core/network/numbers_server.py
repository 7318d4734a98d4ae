"""Gives Prometheus one text at one address, by asyncio, for programs that serve nothing else. Off unless asked for.

It says numbers to whoever connects, so the address belongs to loopback, a Unix socket or a network of operators.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from mig_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

log = logging.getLogger(__name__)

_SECONDS = 5.0
"""For a request to come, and for its answer to go."""
_MOST_AT_ONCE = 8
_MOST_BYTES = 8 << 10


@contextlib.asynccontextmanager
async def serving_numbers(address: str, text: Callable[[], Awaitable[bytes]], media: str) -> AsyncIterator[str]:
    """Answers ``GET /metrics`` inside; gives the address with the port that was taken.

    Args:
        address: ``address:port``, or ``unix:/path`` (for owner and group only).
        text: what is answered; made anew each time.
        media: its type.

    Raises:
        ConfigurationError: it cannot be listened at.
    """
    room = asyncio.Semaphore(_MOST_AT_ONCE)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with room, asyncio.timeout(_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                method, _, rest = head.partition(b"\r\n")[0].partition(b" ")
                path = rest.partition(b" ")[0].partition(b"?")[0]
                writer.write(await _reply(method, path, text, media))
                await writer.drain()
        writer.close()

    try:
        if address.startswith("unix:"):
            place = Path(address.removeprefix("unix:"))
            if place.is_socket():
                place.unlink()
            before = os.umask(0o117)
            try:
                server = await asyncio.start_unix_server(answer, place, limit=_MOST_BYTES)
            finally:
                os.umask(before)
        else:
            host, _, port = address.rpartition(":")
            server = await asyncio.start_server(
                answer, host.removeprefix("[").removesuffix("]"), int(port), limit=_MOST_BYTES
            )
    except (OSError, ValueError, OverflowError) as error:
        raise ConfigurationError(
            "", "metrics_listen", f"cannot listen on {address}: {error}", next_step="address:port, or unix:/path"
        ) from error
    name = server.sockets[0].getsockname()
    shown = address if isinstance(name, str) else "{}:{}".format(*name[:2])
    log.info("metrics are at %s", shown)
    try:
        yield shown
    finally:
        server.close()
        if address.startswith("unix:"):
            Path(address.removeprefix("unix:")).unlink(missing_ok=True)


async def _reply(method: bytes, path: bytes, text: Callable[[], Awaitable[bytes]], media: str) -> bytes:
    status, body, kind = "200 OK", b"", media
    if (method, path) != (b"GET", b"/metrics"):
        status, body, kind = "404 Not Found", b"GET /metrics\n", "text/plain"
    else:
        try:
            body = await text()
        except Exception:
            log.exception("the metrics could not be made")
            status, body, kind = "500 Internal Server Error", b"see the log\n", "text/plain"
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode("ascii") + body

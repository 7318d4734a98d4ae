"""A small HTTP/1.1 client for one keep-alive connection, on asyncio streams: a thousand of them fit into one process.

Good for talking to our own API and nothing else: it understands ``Content-Length``, and an answer in one chunk.
"""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import urlsplit

_LARGEST_ANSWER = 4 << 20


class HttpError(Exception):
    """The connection broke, or the answer could not be understood."""


class HttpConnection:
    """Connects at the first request and again after a break. One request at a time.

    Args:
        api: base URL, ``http://address:port``.
        credential: bearer token; empty: none.
    """

    def __init__(self, api: str, credential: str = "") -> None:
        parts = urlsplit(api)
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or 80
        self._headers = f"Host: {parts.netloc}\r\nAccept: application/json\r\n"
        if credential:
            self._headers += f"Authorization: Bearer {credential}\r\n"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._streams is not None

    async def exchange(
        self, method: str, path: str, body: bytes | None = None, media: str = "application/json"
    ) -> tuple[int, bytes]:
        """Status and content of the answer.

        Raises:
            HttpError: no answer, or one that cannot be understood.
        """
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(self._host, self._port)
            reader, writer = self._streams
            head = f"{method} {path} HTTP/1.1\r\n{self._headers}"
            if body is not None:
                head += f"Content-Type: {media}\r\nContent-Length: {len(body)}\r\n"
            writer.write(head.encode("ascii") + b"\r\n" + (body or b""))
            await writer.drain()
            return await self._answer(reader)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            self.close()
            raise HttpError(f"{method} {path}: {error!r}") from error

    def close(self) -> None:
        """Closes the connection, if there is one."""
        streams, self._streams = self._streams, None
        if streams is not None:
            with contextlib.suppress(OSError):
                streams[1].close()

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[int, bytes]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split(" ", 2)[1])
        length = 0
        keep = True
        chunked = False
        for line in head[1:]:
            name, _, value = line.partition(":")
            if name.lower() == "content-length":
                length = int(value)
            elif name.lower() == "connection":
                keep = value.strip().lower() != "close"
            elif name.lower() == "transfer-encoding":
                chunked = True
        if chunked:
            length = int(await reader.readuntil(b"\r\n"), 16)
        if not 0 <= length <= _LARGEST_ANSWER:
            raise ValueError(f"an answer of {length} bytes")
        content = await reader.readexactly(length)
        if chunked and await reader.readexactly(7) != b"\r\n0\r\n\r\n":
            raise ValueError("an answer in several chunks")
        if not keep:
            self.close()
        return status, content

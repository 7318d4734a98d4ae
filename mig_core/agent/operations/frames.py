"""What travels between the agent and a module's process: one request down, frames of results up.

A frame is one byte for its kind, four for its length (big endian), then that many bytes of JSON. The reader bounds the
length before it reads: a module's process has read hostile files and is not trusted.
"""

from __future__ import annotations

import struct
from enum import Enum
from typing import TYPE_CHECKING

from mig_core.errors import InvalidDocument

if TYPE_CHECKING:
    import socket

_HEAD = struct.Struct(">cI")
MAX_REQUEST_BYTES = 4 << 20


class FrameKind(Enum):
    """What a frame says."""

    REQUEST = b"Q"
    PARTIAL = b"P"
    """What was found so far; replaces the partial before."""
    FINAL = b"R"
    """The result (of whatever was requested)."""
    PARAMETERS = b"E"
    """The parameters, or the settings of a persistent module, are not usable."""
    MEMORY = b"M"
    """The memory limit was hit."""
    BROKEN = b"X"
    """The module raised something, or broke its contract; the text says what."""


def send_frame(connection: socket.socket, kind: FrameKind, *body: bytes) -> None:
    """Sends one frame; its body may come in parts, so that a large one need not be copied.

    Raises:
        OSError: the other side is gone.
    """
    connection.sendall(_HEAD.pack(kind.value, sum(map(len, body))))
    for part in body:
        connection.sendall(part)


def receive_frame(connection: socket.socket, *, max_bytes: int) -> tuple[FrameKind, bytes] | None:
    """The next frame, or None when the other side has closed (perhaps in the middle of a frame).

    Raises:
        TimeoutError: the socket's timeout passed.
        InvalidDocument: an unknown kind, or longer than ``max_bytes``.
        OSError: the connection broke.
    """
    head = _receive(connection, _HEAD.size)
    if head is None:
        return None
    mark, length = _HEAD.unpack(head)
    try:
        kind = FrameKind(mark)
    except ValueError:
        raise InvalidDocument("module's answer", f"begins with {bytes(mark)!r}") from None
    if length > max_bytes:
        raise InvalidDocument("module's answer", f"is {length} bytes, at most {max_bytes} are accepted")
    body = _receive(connection, length)
    return None if body is None else (kind, body)


def _receive(connection: socket.socket, length: int) -> bytes | None:
    parts = []
    while length:
        part = connection.recv(min(length, 1 << 18))
        if not part:
            return None
        parts.append(part)
        length -= len(part)
    return b"".join(parts)

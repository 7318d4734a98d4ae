"""Large messages of an agent over the ``https`` relay: compressed, and in pieces that fit through what is on the way.

Pieces are sent in order, and each is confirmed by itself: a connection that breaks costs one piece. When something on
the way says that a piece is too large (413), smaller ones are tried, and remembered for the messages after it.
"""

from __future__ import annotations

import hashlib
import logging
import zlib
from collections import OrderedDict
from typing import Protocol

from mig_core.domain.document import load, members
from mig_core.domain.messages import MAX_PIECE_BYTES, MAX_PIECES
from mig_core.domain.result import claimed_command
from mig_core.errors import InvalidDocument, RelayError, RelayRefused, RelayUnavailable

log = logging.getLogger(__name__)

SMALL_BYTES = 256 << 10
"""Messages up to this size travel whole and as they are."""
SMALLEST_PIECE = 8 << 10
_REMEMBERED = 8
_OCTETS = "application/octet-stream"
_LEVEL = 3
"""Of zlib: signed results are base64 of JSON, and become half as large at any level."""


class MessageTooLarge(RelayRefused):
    """Something on the way says that a request is too large."""


class Exchange(Protocol):
    """A request that is tried again while the API is not there."""

    def __call__(self, method: str, path: str, body: bytes, *, media: str = "") -> bytes:
        """The answer's content.

        Raises:
            RelayError
        """
        ...


class Uploads:
    """What one agent knows of its uploads. One message at a time is best, but nothing breaks if there are two."""

    def __init__(self) -> None:
        self._piece_bytes = MAX_PIECE_BYTES
        self._done: OrderedDict[str, int] = OrderedDict()
        """Upload -> pieces that were confirmed, of those that broke off."""

    def may_be_smaller(self, error: RelayRefused, size: int) -> bool:
        """Whether a message that was refused whole fits in pieces, perhaps. Then pieces become no larger than that."""
        if not isinstance(error, MessageTooLarge) or size <= SMALLEST_PIECE:
            return False
        self._piece_bytes = min(self._piece_bytes, max(SMALLEST_PIECE, size // 2))
        return True

    def send(self, message: bytes, exchange: Exchange) -> None:
        """Returns when the API has the whole message.

        Raises:
            RelayError: as :meth:`mig_core.relay.base.AgentRelay.publish`. What was confirmed need not be sent again.
        """
        digest = hashlib.sha256(message).hexdigest()[:32]
        command = claimed_command(message)
        stream = zlib.compress(message, _LEVEL)
        while True:
            size = max(self._piece_bytes, -(-len(stream) // MAX_PIECES))
            try:
                self._send_pieces(digest, command or "", [*_cut(stream, size)], exchange)
                return
            except MessageTooLarge as error:
                smaller = size // 2
                if smaller < SMALLEST_PIECE or -(-len(stream) // smaller) > MAX_PIECES:
                    raise
                log.info("%s; now in pieces of %d bytes", error, smaller)
                self._piece_bytes = min(self._piece_bytes, smaller)

    def _send_pieces(self, digest: str, command: str, pieces: list[memoryview], exchange: Exchange) -> None:
        upload = f"{digest} {len(pieces)}"
        first = min(self._done.pop(upload, 0), len(pieces) - 1)
        query = f"?pieces={len(pieces)}" + (f"&command={command}" if command else "")
        number = first
        try:
            # What the API has forgotten in between is sent once more.
            for begin in dict.fromkeys((first, 0)):
                for number in range(begin, len(pieces)):
                    path = f"uploads/{digest}/{number}{query}"
                    answer = exchange("PUT", path, bytes(pieces[number]), media=_OCTETS)
                if _is_complete(answer):
                    return
        except RelayError:
            self._done[upload] = number
            while len(self._done) > _REMEMBERED:
                self._done.popitem(last=False)
            raise
        raise RelayUnavailable(f"a message in {len(pieces)} pieces arrived and was not put together")


def _cut(stream: bytes, size: int) -> list[memoryview]:
    view = memoryview(stream)
    return [view[start : start + size] for start in range(0, len(view), size)]


def _is_complete(answer: bytes) -> bool:
    try:
        fields = members(load(answer, subject="relay", max_bytes=4096), subject="relay")
        return fields.boolean("complete")
    except InvalidDocument as error:
        raise RelayUnavailable(f"a piece was not answered as expected: {error}") from error

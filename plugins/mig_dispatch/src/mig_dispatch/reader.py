"""Reading the spool, in order, past damage, and never further than what is durable."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from mig_dispatch import files, framing

if TYPE_CHECKING:
    from mig_dispatch.segments import Segment

_CHUNK = 1 << 18


class Readable(Protocol):
    """What is read: :class:`mig_dispatch.spool.Spool`."""

    @property
    def next(self) -> int:
        """The number the next record will get. All before it are durable."""
        ...

    def extent(self, number: int) -> tuple[Segment, int, int]:
        """The segment of record ``number``, its durable size, and where the one after it begins (0: none)."""
        ...


class Reader:
    """Reads records in order. Not thread-safe: one for each sink."""

    def __init__(self, readable: Readable, number: int) -> None:
        self.position = number
        """The number of the record that comes next."""
        self._readable = readable
        self._descriptor = -1
        self._first = 0
        self._extent = 0
        self._buffer = b""
        self._start = 0
        self._offset = 0

    def read(self, most: int, most_bytes: int) -> list[framing.Frame]:
        """Up to ``most`` records, about ``most_bytes`` together; at least one, if there is any and it is whole.

        ``position`` moves behind them, and over damaged ones: a number that is missing was damaged.

        Raises:
            OSError: a segment cannot be read.
        """
        found: list[framing.Frame] = []
        size = 0
        limit = self._readable.next
        while self.position < limit and len(found) < most and size < most_bytes:
            frame = self._frame(self._extent)
            if frame is None:
                segment, extent, after = self._readable.extent(self.position)
                if not self._open(segment, extent):
                    self.position = max(self.position, after or limit)
            elif frame.number >= self.position:
                self.position = frame.number + 1
                found.append(frame)
                size += len(frame.payload)
        return found

    def close(self) -> None:
        """Closes the file it has open, if any."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._first, self._extent = -1, 0, 0
        self._buffer, self._start, self._offset = b"", 0, 0

    def _open(self, segment: Segment, extent: int) -> bool:
        """Goes on in ``segment`` up to ``extent``; False when that is where it is already."""
        if self._first == segment.first and self._extent == extent:
            return False
        if self._first != segment.first:
            self.close()
            self._descriptor = files.open_private(segment.path, os.O_RDONLY)
            self._first = segment.first
            self._buffer, self._start, self._offset = b"", 0, 0
        self._extent = extent
        return True

    def _frame(self, extent: int) -> framing.Frame | None:
        """The next whole record of the open segment, past any damage; None at its end."""
        frame = framing.decode(self._buffer, self._offset)
        if frame is None:
            at = self._start + self._offset
            if at >= extent:
                return None
            wanted = min(extent - at, _CHUNK)
            self._fill(at, wanted)
            claimed = framing.size_at(self._buffer, 0)
            if wanted < claimed <= extent - at:
                self._fill(at, claimed)
            frame = framing.decode(self._buffer, 0)
            if frame is None:  # damage: look for the next mark in everything that is left
                self._fill(at, extent - at)
                frame = framing.find(self._buffer, 0)
        self._offset = len(self._buffer) if frame is None else frame.end
        return frame

    def _fill(self, at: int, wanted: int) -> None:
        parts = []
        position = at
        while wanted > 0 and (part := os.pread(self._descriptor, wanted, position)):
            parts.append(part)
            position += len(part)
            wanted -= len(part)
        self._buffer, self._start, self._offset = b"".join(parts), at, 0

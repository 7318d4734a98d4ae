"""What the scan of a process's memory feeds, passed on to ``pieces`` with its addresses.

The protocol is :class:`mig_endpoint.processes.scan.Window`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_endpoint.buffers import page_aligned

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_yara.pieces import Pieces

CHUNK = 1 << 20
_ZEROS = bytes(CHUNK)


class Window:
    """One for each run."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self._room = memoryview(page_aligned(CHUNK))
        self.address: Callable[[], int] = lambda: 0
        """Where that lies which comes next; whoever scans sets it."""

    def begin(self, wanted: set[int], /) -> None:
        """Nothing is ever found early: a rule may ask for what is not there."""

    def room(self) -> memoryview:
        """Where the next bytes go."""
        return self._room

    def commit(self, count: int, /) -> bool:
        """Takes bytes that were put into the room. Never enough."""
        self._pieces.feed(self.address(), self._room[:count])
        return False

    def fill(self, count: int, /) -> bool:
        """Takes zeros: of a long run no more than a pattern can tell from it."""
        start, few = self.address(), self._pieces.overlap
        if count <= 2 * few:
            self._pieces.feed(start, bytes(count))
            return False
        self._pieces.feed(start, bytes(few))
        self._pieces.gap()
        self._pieces.feed(start + count - few, bytes(few))
        return False

    def holds_zeros(self, count: int, /) -> bool:
        """Whether the first bytes in the room are all zero; cheap where they are not."""
        room = self._room
        if room[0] or room[count - 1] or room[count // 2]:
            return False
        return bytes(room[:count]) == _ZEROS[:count]

    def end_text(self) -> bool:
        """What comes next does not go on from here."""
        self._pieces.gap()
        return False

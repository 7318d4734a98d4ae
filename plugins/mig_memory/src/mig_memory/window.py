"""A window that slides over memory, so that nothing is missed or invented at the borders between reads.

A *text* is a longest piece of memory without a gap: neighbouring mappings belong to one text, an unreadable page ends
it. ``scan`` feeds a text piece by piece; the window searches whenever it is full, and keeps as much of what it has
searched as a match may reach back. One byte more is kept on either side, so that ``^``, ``$`` and ``\\b`` see what is
really there: a border between reads is never taken for the beginning or the end of a text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_endpoint.buffers import ALIGNMENT, page_aligned

if TYPE_CHECKING:
    from mig_memory.patterns import Battery

CHUNK = 1 << 20
"""Bytes read at a time: larger ones leave the processor's cache."""
_SMALLEST_READ = 64 << 10
_ZEROS = bytes(CHUNK)


class Window:
    """Finds the patterns of a battery in texts that are fed piece by piece. One for each thread."""

    def __init__(self, battery: Battery, *, chunk: int = CHUNK, smallest_read: int = _SMALLEST_READ) -> None:
        """A window with room for ``chunk`` bytes beside what it has to keep."""
        self._battery = battery
        self._overlap = battery.overlap
        self._smallest = min(smallest_read, chunk)
        self._buffer = memoryview(page_aligned(self._overlap + 2 + ALIGNMENT + chunk))
        self._filled = 0
        self._searched = 0
        self._first = 0
        self.wanted: set[int] = set()
        """Patterns (by index in the battery) that are still looked for; the scan takes out what is found."""

    @property
    def zeros(self) -> int:
        """How many zeros stand for any longer run of them: no pattern can tell the difference."""
        return self._battery.zeros + -self._battery.zeros % ALIGNMENT

    def begin(self, wanted: set[int]) -> None:
        """Forgets everything; a new process is looked at."""
        self.wanted = wanted
        self._filled = self._searched = self._first = 0

    def room(self) -> memoryview:
        """Where the next bytes of the text go."""
        return self._buffer[self._filled :]

    def commit(self, count: int) -> bool:
        """Takes ``count`` bytes that were put into the room. Whether everything has been found."""
        self._filled += count
        if len(self._buffer) - self._filled < self._smallest:
            self._search(self._filled - 1)
            self._slide()
        return not self.wanted

    def fill(self, count: int) -> bool:
        """Takes zeros, of which no more than :attr:`zeros` make a difference. Whether everything has been found."""
        count = min(count, self.zeros)
        while count and self.wanted:
            room = self.room()
            step = min(count, len(room))
            room[:step] = bytes(step)
            count -= step
            self.commit(step)
        return not self.wanted

    def holds_zeros(self, count: int) -> bool:
        """Whether the first ``count`` bytes in the room are all zero; cheap where they are not."""
        room = self.room()
        if count > len(_ZEROS) or room[0] or room[count - 1] or room[count // 2]:
            return False
        return bytes(room[:count]) == _ZEROS[:count]

    def end_text(self) -> bool:
        """The text ends here. Whether everything has been found."""
        if self._filled > self._searched and self.wanted:
            self._search(self._filled)
        self._filled = self._searched = self._first = 0
        return not self.wanted

    def _search(self, end: int) -> None:
        found = self._battery.search(self._buffer[: self._filled], self._searched, self._first, end, self.wanted)
        self.wanted.difference_update(found)
        self._searched = end

    def _slide(self) -> None:
        """Moves what may still be part of a match to the front, with one byte before it for anchors to look at.

        A few bytes more, so that what is read next is aligned.
        """
        drop = self._searched - self._overlap - 1
        drop -= (drop - self._filled) % ALIGNMENT
        if drop <= 0:
            return
        kept = self._filled - drop
        self._buffer[:kept] = self._buffer[drop : self._filled]
        self._filled, self._searched, self._first = kept, self._searched - drop, 1

"""Reads the memory of one process and lets a window look at it.

Between ``pages``, which says where something is, and ``window``, which finds what is wanted there. Reading goes through
``/proc/PID/mem`` with preadv(2), straight into the window's buffer.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mig_endpoint.processes import mappings, pages
from mig_endpoint.processes.pages import PAGE, Holds
from mig_memory.plan import plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_endpoint.processes.mappings import Range
    from mig_endpoint.processes.pages import Part
    from mig_endpoint.processes.process import Process
    from mig_memory.search import Extent
    from mig_memory.window import Window

_WORTH_A_LOOK = 64 << 10
"""How many bytes must have been read to see whether they are all zero and need not be searched."""
_MOST_FAILURES = 256
"""Unreadable pages in a row after which the rest of a range is given up."""


@dataclass(slots=True)
class Seen:
    """What was read of a process, and what was not."""

    bytes: int = 0
    unreadable: list[tuple[int, int]] = field(default_factory=list)
    """Ranges of addresses that could not be read."""
    as_on_disk: int = 0
    """Bytes left out because a file has them too (``nofiles``)."""
    devices: int = 0
    """Mappings of devices, which are never read."""
    ended: bool = False
    """The process ended meanwhile."""
    expired: bool = False
    """Time ran out."""

    def failed(self, start: int, end: int) -> None:
        """Books a range that could not be read; pages in a row are one range."""
        if self.unreadable and self.unreadable[-1][1] == start:
            start = self.unreadable.pop()[0]
        self.unreadable.append((start, end))


class Scan:
    """One process's memory, open for reading."""

    def __init__(self, process: Process, window: Window, expired: Callable[[], bool]) -> None:
        """Opens the memory.

        Raises:
            OSError: it cannot be opened; PermissionError without the privilege.
        """
        self._process = process
        self._window = window
        self._expired = expired
        self.seen = Seen()
        self._memory = process.open("mem")
        try:
            self._pagemap = process.open("pagemap")
        except OSError:
            self._pagemap = -1

    def close(self) -> None:
        """Closes what was opened."""
        os.close(self._memory)
        if self._pagemap >= 0:
            os.close(self._pagemap)

    def search(self, extent: Extent, wanted: set[int]) -> None:
        """Looks for the ``wanted`` patterns of the window in an extent, and takes out of ``wanted`` what it finds.

        Stops when nothing is wanted any more, when time runs out, and when the process has ended.
        """
        self._window.begin(wanted)
        mapped = self._process.mappings
        self.seen.devices = sum(one.is_device for one in mapped)
        for text in mappings.texts(plan(mapped, extent)):
            for one in text:
                if self._range(one, extent):
                    return
            if self._window.end_text():
                return

    def _range(self, one: Range, extent: Extent) -> bool:
        """Reads a range. Whether to stop."""
        for part in pages.parts(one, self._pagemap, self._process.folder, nofiles=extent.nofiles):
            if self._expired():
                self.seen.expired = True
                return True
            if part.holds is Holds.DATA:
                stop = self._read(part, one)
            elif part.holds is Holds.ZEROS:
                stop = self._window.fill(part.end - part.start)
            else:
                if part.holds is Holds.FILE:
                    self.seen.as_on_disk += part.end - part.start
                stop = self._window.end_text()
            if stop:
                return True
        return False

    def _read(self, part: Part, one: Range) -> bool:
        position, failures = part.start, 0
        while position < part.end:
            room = self._window.room()
            try:
                count = os.preadv(self._memory, [room[: part.end - position]], position)
            except ProcessLookupError:
                count = 0
            except OSError:
                count = -1
            if count > 0:
                failures = 0
                position += count
                self.seen.bytes += count
                zeros = count >= _WORTH_A_LOOK and self._window.holds_zeros(count)
                if self._window.fill(count) if zeros else self._window.commit(count):
                    return True
            elif count == 0:
                self.seen.ended = True
                return True
            else:
                failures += 1
                position = self._skip(position, part, one, failures)
                if self._window.end_text():
                    return True
            if self._expired():
                self.seen.expired = position < part.end
                return self.seen.expired
        return False

    def _skip(self, position: int, part: Part, one: Range, failures: int) -> int:
        """Books an unreadable page, or more than one. Where to go on."""
        if failures == 1 and one.mapping.has_file:
            file_end = pages.end_of_file(one.mapping, self._process.folder)
            if file_end is not None and position >= file_end:
                return part.end  # there is nothing behind the end of a file
        after = min(part.end, (position // PAGE + 1) * PAGE)
        if failures >= _MOST_FAILURES:
            after = part.end
        self.seen.failed(position, after)
        return after

"""Reads the memory of one process and lets a window look at it.

Between :mod:`mig_endpoint.processes.memory`, which says where something is and reads it, and a module's
:class:`Window`, which finds what is wanted there. Reading goes straight into the window's buffer.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Protocol

from mig_core.records import dataclass, field
from mig_endpoint.processes import reasons
from mig_endpoint.processes.mappings import texts
from mig_endpoint.processes.memory import Holds, Memory
from mig_endpoint.processes.origins import Kind
from mig_endpoint.processes.pages import PAGE
from mig_endpoint.processes.plan import plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.plugin.coverage import Reason
    from mig_endpoint.processes.mappings import Range
    from mig_endpoint.processes.memory import Part
    from mig_endpoint.processes.origins import Origins
    from mig_endpoint.processes.plan import Extent
    from mig_endpoint.processes.process import Process

_WORTH_A_LOOK = 64 << 10
"""How many bytes must have been read to see whether they are all zero and need not be searched."""
_FILE_FAILURES = 16
"""Unreadable pages of a file in a row after which the rest of the part is given up: a bad disk takes its time with
each.
"""


@dataclass(slots=True)
class Seen:
    """What was read of a process, and what was not."""

    bytes: int = 0
    unreadable: list[tuple[int, int]] = field(default_factory=list)
    """Ranges of addresses that could not be read."""
    left: Counter[Reason] = field(default_factory=Counter)
    """Bytes that were left, by reason."""
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


class Window(Protocol):
    """What looks at the memory: it is fed piece by piece. A *text* is a longest piece without a gap.

    What returns a bool says whether everything that was wanted has been found.
    """

    def begin(self, wanted: set[int], /) -> None:
        """Forgets everything: a new process, or another part of it, is looked at."""

    def room(self) -> memoryview:
        """Where the next bytes of the text go."""

    def commit(self, count: int, /) -> bool:
        """Takes bytes that were put into the room."""

    def fill(self, count: int, /) -> bool:
        """Takes zeros."""

    def holds_zeros(self, count: int, /) -> bool:
        """Whether the first bytes in the room are all zero."""

    def end_text(self) -> bool:
        """The text ends here."""


class Scan:
    """One process's memory, open for reading."""

    def __init__(self, process: Process, origins: Origins, window: Window, expired: Callable[[], bool]) -> None:
        """Opens the memory.

        Raises:
            OSError: it cannot be opened; PermissionError without the privilege.
        """
        self._process = process
        self._window = window
        self._expired = expired
        self.seen = Seen()
        self.address = 0
        """Where that lies which the window is given next."""
        self._memory = Memory(process, origins)

    def close(self) -> None:
        """Closes what was opened."""
        self._memory.close()

    def search(self, extent: Extent, wanted: set[int]) -> None:
        """Looks for the ``wanted`` patterns of the window in an extent, and takes out of ``wanted`` what it finds.

        Stops when nothing is wanted any more, when time runs out, and when the process has ended.
        """
        self._window.begin(wanted)
        mapped = self._process.mappings
        looked_at = [one for one in mapped if self._memory.origin(one).kind is not Kind.DEVICE]
        self.seen.devices = len(mapped) - len(looked_at)
        for text in texts(plan(looked_at, extent)):
            for one in text:
                if self._range(one, extent):
                    return
            if self._window.end_text():
                return

    def _range(self, one: Range, extent: Extent) -> bool:
        """Reads a range. Whether to stop."""
        for part in self._memory.parts(one, nofiles=extent.nofiles):
            if self._expired():
                self.seen.expired = True
                return True
            if part.holds is Holds.DATA:
                stop = self._read(part, one)
            elif part.holds is Holds.ZEROS:
                self.address = part.start
                stop = self._window.fill(part.end - part.start)
            else:
                if part.reason is not None:
                    self.seen.left[part.reason] += part.end - part.start
                stop = self._window.end_text()
            if stop:
                return True
        return False

    def _read(self, part: Part, one: Range) -> bool:
        position, failures = part.start, 0
        while position < part.end:
            room = self._window.room()
            try:
                count = self._memory.read(part, position, room)
            except TimeoutError:  # a file system that does not answer
                self.seen.left[reasons.REMOTE] += part.end - position
                return self._window.end_text()
            except OSError:
                count = -1
            if count > 0:
                failures = 0
                self.address = position
                position += count
                self.seen.bytes += count
                zeros = count >= _WORTH_A_LOOK and self._window.holds_zeros(count)
                if self._window.fill(count) if zeros else self._window.commit(count):
                    return True
            elif count == 0 and part.file >= 0:
                return self._window.end_text()  # the file has become shorter
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
        after = min(part.end, (position // PAGE + 1) * PAGE)
        if self._memory.origin(one.mapping).kind is Kind.KERNEL:
            self.seen.left[reasons.KERNEL] += after - position
            return after
        if part.file >= 0 and failures >= _FILE_FAILURES:
            after = part.end
        self.seen.failed(position, after)
        return after

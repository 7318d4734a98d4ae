"""The disk under the module: a bounded queue of records that all sinks share.

One writer appends batches, each durable when :meth:`Spool.append` returns; any number of readers follow at
their own pace. Records have numbers that grow by one, for ever. When the bound is reached, append waits; what makes
room is a receipt that moves on (``bounds`` moves those of sinks that harm others). Thread-safe; one process at a time
(a lock sees to it).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from bisect import bisect_right
from typing import TYPE_CHECKING

from mig_core.errors import MigError
from mig_dispatch import files, framing, segments

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mig_dispatch.segments import Segment

LEAST_BYTES = 8 << 20
"""The smallest bound: below it, two of the largest records might not fit."""
_LARGEST_SEGMENT = 8 << 20
_WAIT_SECONDS = 0.5


class Spool:
    """The records on disk.

    Args:
        folder: private; made if missing.
        max_bytes: how much all segments together may hold; at least ``LEAST_BYTES``.
        new_id: makes the spool's name, on first use.
        segment_bytes: where a segment ends, unless an eighth of the bound, or 8 MB, come first.

    Raises:
        MigError: another process has it.
        OSError: it cannot be read or made.
    """

    def __init__(
        self, folder: Path, *, max_bytes: int, new_id: Callable[[], str], segment_bytes: int | None = None
    ) -> None:
        if max_bytes < LEAST_BYTES:
            raise ValueError(f"a spool needs at least {LEAST_BYTES} bytes")
        self.folder = folder
        self.max_bytes = max_bytes
        self._segment_bytes = min(segment_bytes or max_bytes, _LARGEST_SEGMENT, max_bytes // 8)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock_descriptor = self._take_lock()
        self._writing = threading.Lock()
        self._changed = threading.Condition()
        self._closed = False
        self._descriptor = -1
        self.id = self._identity(new_id)
        self._segments = segments.listed(folder) or [segments.create(folder, 1)]
        recovered = segments.recover(self._segments[-1])
        self.torn = recovered.torn
        """Bytes of an interrupted write that were cut off when it was opened."""
        self._next = recovered.next
        self._descriptor = files.open_private(self._segments[-1].path, os.O_RDWR)
        self.waiting = False
        """Whether append waits for room."""

    @property
    def next(self) -> int:
        """The number the next record will get. All before it are durable."""
        with self._changed:
            return self._next

    @property
    def first(self) -> int:
        """The number of the oldest record that may still be here."""
        with self._changed:
            return self._segments[0].first

    @property
    def size(self) -> int:
        """How many bytes are on disk now."""
        with self._changed:
            return self._size()

    def append(self, payloads: Sequence[bytes], stopping: threading.Event) -> bool:
        """Makes the payloads durable, in order; waits for room. Gives whether it did.

        It gives up when ``stopping`` is set, or the spool closed, before there is room. A batch larger than half of the
        bound is taken in parts; when it gives up between them, the first parts are there all the same.

        Raises:
            OSError: the disk refuses; nothing of the last part was kept.
            ValueError: a payload is larger than any record may be.
        """
        with self._writing:
            for part in _parts(payloads, self.max_bytes // 2):
                size = sum(map(len, part)) + framing.HEADER_BYTES * len(part)
                if not self._wait_for_room(size, stopping):
                    return False
                for piece in _parts(part, self._segment_bytes):
                    self._write(piece)
        return True

    def wait_beyond(self, number: int, seconds: float) -> bool:
        """Waits until record ``number`` is there, or ``seconds`` have passed; gives whether it is."""
        with self._changed:
            self._changed.wait_for(lambda: self._next > number or self._closed, seconds)
            return self._next > number

    def wake(self) -> None:
        """Lets everyone who waits look again."""
        with self._changed:
            self._changed.notify_all()

    def releasable(self, number: int) -> bool:
        """Whether :meth:`release` would free anything."""
        with self._changed:
            return len(self._segments) > 1 and self._segments[1].first <= number

    def release(self, number: int) -> None:
        """Nobody will read records before ``number`` again: frees what only holds such."""
        with self._changed:
            while len(self._segments) > 1 and self._segments[1].first <= number:
                self._segments[0].path.unlink(missing_ok=True)
                del self._segments[0]
            self._changed.notify_all()

    def extent(self, number: int) -> tuple[Segment, int, int]:
        """For readers: the segment of record ``number``, its durable size, and where the one after it begins (0: none).

        A number older than everything here gives the oldest segment.
        """
        with self._changed:
            place = self._place(number)
            after = self._segments[place + 1].first if place + 1 < len(self._segments) else 0
            return self._segments[place], self._segments[place].size, after

    def bytes_from(self, number: int) -> int:
        """How many bytes the records from ``number`` on have, counted in whole segments."""
        with self._changed:
            return sum(one.size for one in self._segments[self._place(number) :])

    def newest(self, most_bytes: int) -> int:
        """From which record on at most so many bytes lie, counted in whole segments; the last one is always there."""
        with self._changed:
            place, size = len(self._segments) - 1, self._segments[-1].size
            while place and size + self._segments[place - 1].size <= most_bytes:
                place -= 1
                size += self._segments[place].size
            return self._segments[place].first

    def second(self) -> int:
        """From which record on somebody must be for the oldest segment to be freed; 0 when there is only one."""
        with self._changed:
            return self._segments[1].first if len(self._segments) > 1 else 0

    def close(self) -> None:
        """Gives the spool back. Appending afterwards is refused."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        with self._writing:
            for descriptor in (self._descriptor, self._lock_descriptor):
                if descriptor >= 0:
                    os.close(descriptor)
            self._descriptor = self._lock_descriptor = -1

    def _wait_for_room(self, size: int, stopping: threading.Event) -> bool:
        with self._changed:
            try:
                while self._size() + size > self.max_bytes:
                    self.waiting = True
                    if stopping.is_set() or self._closed:
                        return False
                    self._changed.wait(_WAIT_SECONDS)
                return not self._closed
            finally:
                self.waiting = False

    def _place(self, number: int) -> int:
        """The index of the segment of record ``number``; 0 when it is older than all."""
        return max(0, bisect_right(self._segments, number, key=lambda one: one.first) - 1)

    def _size(self) -> int:
        return sum(one.size for one in self._segments)

    def _write(self, payloads: Sequence[bytes]) -> None:
        batch = self._next
        content = b"".join(
            framing.encode(number, batch, payload) for number, payload in enumerate(payloads, start=batch)
        )
        active = self._segments[-1]
        if active.size and active.size + len(content) > self._segment_bytes:
            active = self._rotate()
        try:
            files.write_at(self._descriptor, content, active.size)
            os.fsync(self._descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, active.size)
            raise
        with self._changed:
            active.size += len(content)
            self._next += len(payloads)
            self._changed.notify_all()

    def _rotate(self) -> Segment:
        new = segments.create(self.folder, self._next)
        descriptor = files.open_private(new.path, os.O_RDWR)
        os.close(self._descriptor)
        self._descriptor = descriptor
        with self._changed:
            self._segments.append(new)
        return new

    def _take_lock(self) -> int:
        descriptor = files.open_private(self.folder / "lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise MigError(
                f"spool {self.folder}: another process uses it", next_step="stop the other mig-agent"
            ) from error
        return descriptor

    def _identity(self, new_id: Callable[[], str]) -> str:
        descriptor = files.open_private(self.folder / "id", os.O_RDWR | os.O_CREAT)
        try:
            found = os.pread(descriptor, 100, 0)
            if found.endswith(b"\n"):
                return found.decode("ascii", "replace").strip()
            identity = new_id()
            files.write_at(descriptor, identity.encode("ascii") + b"\n", 0)
            os.fsync(descriptor)
            return identity
        finally:
            os.close(descriptor)


def _parts(payloads: Sequence[bytes], most_bytes: int) -> list[Sequence[bytes]]:
    """The payloads in groups of about ``most_bytes``, none of them empty."""
    parts: list[Sequence[bytes]] = []
    start = size = 0
    for index, payload in enumerate(payloads):
        length = len(payload) + framing.HEADER_BYTES
        if index > start and size + length > most_bytes:
            parts.append(payloads[start:index])
            start, size = index, 0
        size += length
    if start < len(payloads):
        parts.append(payloads[start:])
    return parts

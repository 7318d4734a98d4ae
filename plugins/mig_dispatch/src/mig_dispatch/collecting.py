"""From the spool to a sink's batch: what it is meant to get, and what of it is alike. One thread."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from mig_dispatch import record
from mig_dispatch.batches import Batch
from mig_dispatch.reader import Reader
from mig_dispatch.selection import Choice, Likeness

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mig_dispatch.record import Alert
    from mig_dispatch.settings import SinkSettings
    from mig_dispatch.spool import Spool


class Collector:
    """The batch a sink's thread has in hand, and how the next one comes to be.

    Without ``aggregate`` a batch is what one read gives. With it, a batch is one stretch of the clock: it is complete
    when the next has begun, by the alerts or by ``now``. A crash in between costs nothing: the records are in the
    spool, and are put together again.
    """

    def __init__(self, settings: SinkSettings, spool: Spool, number: int, now: Callable[[], datetime]) -> None:
        self.batch = Batch()
        self._settings = settings
        self._spool = spool
        self._now = now
        self._reader = Reader(spool, number)
        self._ahead: deque[Alert] = deque()
        self._complete = False
        self._choice = Choice(settings.where, now)
        self._likeness = Likeness(settings.aggregate, settings.aggregate_by) if settings.aggregate else None
        self._stretch = -1
        self._whole = settings.where is None and self._likeness is None
        """Whether each record is an alert for this sink."""

    @property
    def position(self) -> int:
        """The number of the record that comes after the batch; what is missing before it was damaged."""
        return self._ahead[0].number if self._ahead else self._reader.position

    def collect(self, most_bytes: int) -> bool:
        """Reads on; gives whether the batch is complete and something of it is not settled.

        Raises:
            OSError: the spool cannot be read.
        """
        if self.batch.empty:
            self.batch, self._complete = Batch(), False
        if self._whole and not self._complete and (alert := self._next(most_bytes)) is not None:
            self.batch.take_all([alert, *self._ahead])
            self._ahead.clear()
            self._complete = True
        while not self._complete and (alert := self._next(most_bytes)) is not None:
            if self._likeness is None:
                self._add(alert, b"")
                self._complete = not self._ahead
                continue
            stretch = self._likeness.stretch_of(alert)
            if self.batch.full or (not self.batch.empty and stretch != self._stretch):
                self._ahead.appendleft(alert)
                self._complete = True
            else:
                self._stretch = stretch
                self._add(alert, self._likeness.key(alert))
        if self._likeness is not None and not self.batch.empty and not self._complete:
            self._complete = self._likeness.stretch(self._now()) != self._stretch
        return self._complete

    def restart(self, number: int) -> None:
        """Forgets what it has in hand, and goes on with record ``number``."""
        self.close()
        self._reader = Reader(self._spool, number)
        self._ahead.clear()
        self.batch, self._complete = Batch(), False

    def wait(self, seconds: float) -> None:
        """Waits for more records, at most so long."""
        self._spool.wait_beyond(self._reader.position, seconds)

    def close(self) -> None:
        """Closes its file."""
        self._reader.close()

    def _add(self, alert: Alert, key: bytes) -> None:
        if self._choice.wants(alert):
            self.batch.take(alert, key)
        else:
            self.batch.leave_out(alert)

    def _next(self, most_bytes: int) -> Alert | None:
        if not self._ahead:
            frames = self._reader.read(self._settings.batch, most_bytes)
            self._ahead.extend(record.unpack(one.number, one.payload) for one in frames)
        return self._ahead.popleft() if self._ahead else None

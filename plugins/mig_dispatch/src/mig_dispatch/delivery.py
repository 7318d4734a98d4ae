"""One sink's delivery: a thread that reads the spool, hands batches to the sink, and keeps the sink's receipt.

A sink that is slow, hung or gone keeps its own thread busy and nobody else's. What it did not settle is tried again,
in order, after a pause that doubles up to a limit and is never the same for two endpoints.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from mig_core.domain.times import format_time
from mig_core.plugin.printing import excerpt
from mig_dispatch.batches import Settlement
from mig_dispatch.collecting import Collector
from mig_dispatch.deadletters import DeadLetter
from mig_dispatch.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mig_core.plugin.network import Backoff
    from mig_dispatch.deadletters import DeadLetters
    from mig_dispatch.receipts import Receipts
    from mig_dispatch.settings import SinkSettings
    from mig_dispatch.sinks.base import Sink, Verdict
    from mig_dispatch.spool import Spool

logger = logging.getLogger(__name__)

BATCH_BYTES = 1 << 20
_IDLE_SECONDS = 1.0
_REPEAT_LOG_SECONDS = 300.0


class Delivery(threading.Thread):
    """The thread.

    Args:
        backoff: the pauses after failures.
        now: the wall clock, for what people read.
        log: for the agent's log.
        idle: seconds to wait for more when there is nothing to deliver.
    """

    def __init__(
        self,
        settings: SinkSettings,
        sink: Sink,
        spool: Spool,
        receipts: Receipts,
        dead_letters: DeadLetters,
        *,
        stopping: threading.Event,
        backoff: Backoff,
        now: Callable[[], datetime],
        log: Callable[[int, str], None],
        idle: float = _IDLE_SECONDS,
    ) -> None:
        super().__init__(name=f"sink-{settings.name}", daemon=True)
        self.settings = settings
        self.sink = sink
        self.progress = Progress()
        self._receipts = receipts
        self._dead_letters = dead_letters
        self._stopping = stopping
        self._backoff = backoff
        self._now = now
        self._log = log
        self._idle = idle
        self._logged_at: float | None = None
        self._bounds = threading.Lock()
        self._drop_before = (0, "")
        self._woken = threading.Event()
        self._collector = Collector(settings, spool, receipts.of(settings.name).next, now)

    @property
    def oldest(self) -> str:
        """When the alert came that the sink has been given and has not taken; empty when there is none."""
        return self._collector.batch.oldest

    def drop_before(self, number: int, why: str) -> None:
        """Has the alerts before record ``number`` dropped for this sink, unless it is beyond. From any thread.

        The thread itself does it, when the exchange that is under way has ended.
        """
        if number <= self._receipts.of(self.settings.name).next:
            return
        with self._bounds:
            if number > self._drop_before[0]:
                self._drop_before = (number, why)
        self._woken.set()

    def wake(self) -> None:
        """Ends a pause: something has happened."""
        self._woken.set()

    def run(self) -> None:
        """Delivers until ``stopping``. No trouble ends it."""
        try:
            while not self._stopping.is_set():
                try:
                    self.step()
                except Exception as error:  # whatever a sink or disk does, the alerts stay and are tried again
                    logger.debug("sink %s", self.settings.name, exc_info=True)
                    self._failed(excerpt(f"{type(error).__name__}: {error}"))
        finally:
            self.sink.close()
            self._collector.close()

    def step(self) -> None:
        """One turn: reads on, or delivers what is at hand, or waits for more."""
        self._heed_bounds()
        if self._collector.collect(BATCH_BYTES):
            self._expire()
        elif self._collector.batch.empty and self._collector.position > self._receipts.of(self.settings.name).next:
            self._receipt()  # nothing but damage
            return
        else:
            self._collector.wait(self._idle)
            return
        alerts = self._collector.batch.ready(self.settings.batch, BATCH_BYTES)
        if not alerts:
            self._receipt()  # none of them is for this sink
            return
        verdict = self.sink.deliver(alerts)
        if verdict.settled and not self._record(verdict):
            return
        if verdict.trouble:
            if verdict.settled:
                self._backoff.reset()
            self._failed(verdict.trouble, verdict.retry_after)
        else:
            self._succeeded()

    def _record(self, verdict: Verdict) -> bool:
        """Keeps what was refused, then the receipt, however often the disk must be asked; False when stopped."""
        at = format_time(self._now())
        letters = [
            DeadLetter(alert, why, at) for alert, why in self._collector.batch.heed(verdict.settled, verdict.refused)
        ]
        while True:
            try:
                if letters:
                    self._dead_letters.add(letters)
                    self._refused(letters)
                    letters = []
                self._receipt()
                return True
            except OSError as error:
                if self._stopping.is_set():
                    return False
                self._failed(excerpt(f"receipt or dead letters: {error}"))

    def _receipt(self) -> None:
        """Writes down what is settled at the front, and what the disk did not give back on the way there."""
        name, batch = self.settings.name, self._collector.batch
        front = batch.front()
        if front is None and not batch.empty:
            return
        known = front or Settlement(0)
        following = self._collector.position if batch.is_all(known) else known.following
        damaged = following - self._receipts.of(name).next - known.records
        if not damaged and not known.records:
            return
        self._receipts.settle(
            name, following=following, dead=known.dead, damaged=damaged, merged=known.merged, unwanted=known.unwanted
        )
        batch.settle(known)
        if damaged:
            self._log(logging.ERROR, f"sink {name}: {damaged} alerts could not be read from the spool and are lost")

    def _heed_bounds(self) -> None:
        with self._bounds:
            number, why = self._drop_before
        self._drop(number, why)
        self._expire()

    def _expire(self) -> None:
        """Drops what has waited longer than the sink allows, by the clock of this endpoint."""
        if not self.settings.wait_for:
            return
        limit = format_time(self._now() - timedelta(seconds=self.settings.wait_for))
        self._drop(self._collector.batch.late(limit), f"they waited longer than {self.settings.wait_for:g} s")

    def _drop(self, number: int, why: str) -> None:
        following = self._receipts.of(self.settings.name).next
        if number <= following:
            return
        known = self._collector.batch.front(number) or Settlement(0)
        dropped = number - following - known.records
        self._receipts.settle(
            self.settings.name,
            following=number,
            dead=known.dead,
            dropped=dropped,
            merged=known.merged,
            unwanted=known.unwanted,
        )
        self._collector.restart(number)
        if dropped:
            self._log(logging.WARNING, f"sink {self.settings.name}: {dropped} alerts are dropped: {why}")

    def _succeeded(self) -> None:
        self.progress = replace(self.progress, last_success=format_time(self._now()))
        if self._logged_at is not None:
            self._log(logging.INFO, f"sink {self.settings.name}: delivers again")
        self._backoff.reset()
        self._logged_at = None

    def _failed(self, trouble: str, retry_after: float = 0.0) -> None:
        if self._stopping.is_set():
            return  # we broke it off ourselves
        self.progress = replace(
            self.progress,
            failures=self.progress.failures + 1,
            last_error=trouble,
            last_error_at=format_time(self._now()),
        )
        now = time.monotonic()
        if self._logged_at is None or now - self._logged_at > _REPEAT_LOG_SECONDS:
            self._logged_at = now
            self._log(logging.WARNING, f"sink {self.settings.name}: {trouble}; the alerts wait in the spool")
        self._wait(self.pause(retry_after))

    def _wait(self, seconds: float) -> None:
        """A pause; ends early when the bounds want something."""
        self._woken.clear()
        until = time.monotonic() + seconds
        while not self._stopping.is_set() and (left := until - time.monotonic()) > 0:
            if self._woken.wait(min(left, _IDLE_SECONDS)):
                return

    def pause(self, retry_after: float) -> float:
        """Seconds to wait after a failure: longer each time, and as long as the receiver asks, within our own bound."""
        return max(self._backoff.next(), min(retry_after, self.settings.retry_max))

    def _refused(self, letters: list[DeadLetter]) -> None:
        self.progress = self.progress.with_refused(letters)
        self._log(
            logging.WARNING,
            f"sink {self.settings.name}: refused {len(letters)} alerts for good, kept in {self._dead_letters.path}: "
            f"{letters[0].reason}",
        )

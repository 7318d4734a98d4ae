"""One sink's delivery: a thread that reads the spool, hands batches to the sink, and keeps the sink's receipt.

A sink that is slow, hung or gone keeps its own thread busy and nobody else's. What it did not settle is tried again,
in order, after a pause that doubles up to a limit and is never the same for two endpoints.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from mig_core.domain.times import format_time
from mig_core.plugin.printing import excerpt
from mig_dispatch import record
from mig_dispatch.deadletters import DeadLetter
from mig_dispatch.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mig_core.plugin.network import Backoff
    from mig_dispatch.deadletters import DeadLetters
    from mig_dispatch.receipts import Receipts
    from mig_dispatch.record import Alert
    from mig_dispatch.settings import SinkSettings
    from mig_dispatch.sinks.base import Sink, Verdict
    from mig_dispatch.spool import Spool

logger = logging.getLogger(__name__)

BATCH_BYTES = 1 << 20
_IDLE_SECONDS = 1.0
_REPEAT_LOG_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Progress:
    """What the sink's latest attempts were like. Times are RFC 3339; empty: never since the module started."""

    failures: int = 0
    """Attempts that settled less than they should have, since the module started."""
    last_error: str = ""
    last_error_at: str = ""
    last_success: str = ""


class Delivery(threading.Thread):
    """The thread.

    Args:
        backoff: the pauses after failures.
        now: the wall clock, for what people read.
        log: for the agent's log.
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
    ) -> None:
        super().__init__(name=f"sink-{settings.name}", daemon=True)
        self.settings = settings
        self.sink = sink
        self.progress = Progress()
        self._spool = spool
        self._receipts = receipts
        self._dead_letters = dead_letters
        self._stopping = stopping
        self._backoff = backoff
        self._now = now
        self._log = log
        self._logged_at: float | None = None
        self._bounds = threading.Lock()
        self._drop_before = (0, "")
        self._woken = threading.Event()
        self._reader = Reader(spool, receipts.of(settings.name).next)
        self._batch: list[Alert] = []

    @property
    def oldest(self) -> str:
        """When the alert came that the sink has been given and has not taken; empty when there is none."""
        batch = self._batch
        return batch[0].received if batch else ""

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
                    self._step()
                except Exception as error:  # whatever a sink or disk does, the alerts stay and are tried again
                    logger.debug("sink %s", self.settings.name, exc_info=True)
                    self._failed(excerpt(f"{type(error).__name__}: {error}"))
        finally:
            self.sink.close()
            self._reader.close()

    def _step(self) -> None:
        self._heed_bounds()
        if not self._batch:
            frames = self._reader.read(self.settings.batch, BATCH_BYTES)
            self._batch = [record.unpack(one.number, one.payload) for one in frames]
            self._expire()
        if not self._batch:
            if self._reader.position > self._receipts.of(self.settings.name).next:
                self._settle(0, 0)  # nothing but damage
            else:
                self._spool.wait_beyond(self._reader.position, _IDLE_SECONDS)
            return
        verdict = self.sink.deliver(self._batch)
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
        letters = [DeadLetter(self._batch[place], reason, at) for place, reason in sorted(verdict.refused.items())]
        while True:
            try:
                if letters:
                    self._dead_letters.add(letters)
                    self._refused(letters)
                    letters = []
                self._settle(verdict.settled, len(verdict.refused))
                return True
            except OSError as error:
                if self._stopping.is_set():
                    return False
                self._failed(excerpt(f"receipt or dead letters: {error}"))

    def _settle(self, settled: int, dead: int) -> None:
        name = self.settings.name
        whole = settled == len(self._batch)
        following = self._reader.position if whole else self._batch[settled - 1].number + 1
        damaged = following - self._receipts.of(name).next - settled
        self._receipts.settle(name, following=following, dead=dead, damaged=damaged)
        del self._batch[:settled]
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
        late = [one.number for one in itertools.takewhile(lambda one: "" < one.received < limit, self._batch)]
        if late:
            self._drop(late[-1] + 1, f"they waited longer than {self.settings.wait_for:g} s")

    def _drop(self, number: int, why: str) -> None:
        following = self._receipts.of(self.settings.name).next
        if number <= following:
            return
        self._receipts.settle(self.settings.name, following=number, dropped=number - following)
        self._batch = [one for one in self._batch if one.number >= number]
        if not self._batch:
            self._reader.skip_to(number)
        self._log(logging.WARNING, f"sink {self.settings.name}: {number - following} alerts are dropped: {why}")

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
        self._log(
            logging.WARNING,
            f"sink {self.settings.name}: refused {len(letters)} alerts for good, kept in {self._dead_letters.path}: "
            f"{letters[0].reason}",
        )

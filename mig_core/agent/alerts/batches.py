"""The sink's side of alerts, in its own process: hands them over in batches and says when they are safe.

Nothing here is bounded by itself: the agent sends at most a window of alerts before the first is accepted.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from typing import TYPE_CHECKING

from mig_core.network.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mig_core.plugin.persistent import Incoming

log = logging.getLogger(__name__)

BATCH = 1000
"""Most alerts handed over at once."""


class AlertBatches:
    """Between the thread that reads and the one that stores. Thread-safe.

    Args:
        accept: told the number up to which all are safe.
        stopping: no batch begins when it is set.
    """

    def __init__(self, accept: Callable[[int], object], stopping: threading.Event) -> None:
        self._accept = accept
        self._stopping = stopping
        self._changed = threading.Condition()
        self._waiting: deque[Incoming] = deque()
        self._thread: threading.Thread | None = None

    def put(self, incoming: Incoming) -> None:
        """An alert has come."""
        with self._changed:
            self._waiting.append(incoming)
            self._changed.notify()

    def start(self, handler: Callable[[Sequence[Incoming]], None]) -> None:
        """Begins to hand over, in a thread of its own."""
        if self._thread is not None:
            raise RuntimeError("alerts are taken already")
        self._thread = threading.Thread(target=self._hand_over, args=(handler,), name="alerts", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """``stopping`` has been set."""
        with self._changed:
            self._changed.notify_all()

    def finish(self, seconds: float) -> None:
        """Waits for the batch that is being stored, at most so long."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _hand_over(self, handler: Callable[[Sequence[Incoming]], None]) -> None:
        backoff = Backoff(0.1, 5.0)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopping.is_set())
                batch = tuple(itertools.islice(self._waiting, BATCH))
            if self._stopping.is_set():
                return
            try:
                handler(batch)
            except Exception as error:  # documented: they come again, whatever it was
                if self._stopping.is_set():
                    return
                log.error(
                    "%d alerts could not be stored, trying again: %s: %s", len(batch), type(error).__name__, error
                )
                self._stopping.wait(backoff.next())
                continue
            backoff.reset()
            with self._changed:
                for _ in batch:
                    self._waiting.popleft()
            self._accept(batch[-1].id)

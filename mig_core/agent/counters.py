"""The agent's counters, as heartbeats report them."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Counters:
    """Counts since the agent started. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._gauges: dict[str, Callable[[], int]] = {}

    def count(self, name: str, amount: int = 1) -> None:
        """Adds to a counter."""
        with self._lock:
            self._counts[name] += amount

    def gauge(self, name: str, read: Callable[[], int]) -> None:
        """Adds a number that is read when it is reported."""
        self._gauges[name] = read

    def snapshot(self) -> dict[str, int]:
        """All of them now."""
        with self._lock:
            counts = dict(self._counts)
        return {**counts, **{name: read() for name, read in self._gauges.items()}}

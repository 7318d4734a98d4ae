"""What a scheduler counts of its own work, for Prometheus. What the database knows, mig-api tells."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, TypeVar

from mig_core.exposition import Exposition, Samples, counter, gauge

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from prometheus_client import Metric

    from mig_core.domain.messages import Inbound

T = TypeVar("T")


class SchedulerMetrics:
    """Counts of one scheduler. Used in one event loop.

    Args:
        clock: seconds since 1970.
        monotonic: seconds that never run backwards.
    """

    def __init__(
        self, *, clock: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._exposition = Exposition("scheduler")
        self._rounds: defaultdict[tuple[str, ...], float] = defaultdict(float)
        self._seconds: defaultdict[tuple[str, ...], float] = defaultdict(float)
        self._last: Samples = {}
        self._messages: defaultdict[tuple[str, ...], float] = defaultdict(float)
        self._troubles: dict[str, Callable[[], str]] = {}

    def timed(self, name: str, work: Callable[[], Awaitable[T]]) -> Callable[[], Awaitable[T]]:
        """``work``, whose rounds are counted under a name: how many, how long, how they ended, and when last."""

        async def counted() -> T:
            began, outcome = self._monotonic(), "failed"
            try:
                result = await work()
                outcome = "done"
                self._last[(name,)] = self._clock()
                return result
            finally:
                self._rounds[name, outcome] += 1
                self._seconds[(name,)] += self._monotonic() - began

        return counted

    def took_in(self, relay: str, messages: Sequence[Inbound]) -> None:
        """Counts what a relay brought."""
        for one in messages:
            self._messages[relay, one.kind.value] += 1

    def watch(self, relay: str, trouble: Callable[[], str]) -> None:
        """Tells of a relay's trouble, which ``trouble`` says; empty: none."""
        self._troubles[relay] = trouble

    async def text(self) -> bytes:
        """Everything."""
        return self._exposition.text(self._families())

    def _families(self) -> Iterator[Metric]:
        yield counter("mig_scheduler_rounds", "rounds of work", dict(self._rounds), ["work", "outcome"])
        yield counter("mig_scheduler_round_seconds", "seconds that rounds took in all", dict(self._seconds), ["work"])
        last = "when a round last came to its end, in seconds since 1970"
        yield gauge("mig_scheduler_last_round_timestamp_seconds", last, dict(self._last), ["work"])
        messages = dict(self._messages)
        yield counter("mig_scheduler_messages", "messages of agents taken in", messages, ["relay", "kind"])
        troubles: Samples = {(relay,): float(bool(trouble())) for relay, trouble in self._troubles.items()}
        yield gauge("mig_scheduler_relay_in_trouble", "1: the relay carries no messages now", troubles, ["relay"])

"""Slows down guessing: a small token bucket per client address, in this process."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from mig_core.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_ADDRESSES = 10_000
"""Addresses remembered; the longest unseen one is forgotten first."""


class Limiter:
    """Buckets of ``burst`` tokens that refill at ``per_second``.

    Args:
        burst: Tokens of a full bucket.
        per_second: Tokens that come back each second.
        monotonic: Seconds that never run backwards.
    """

    def __init__(self, *, burst: float, per_second: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._per_second = per_second
        self._monotonic = monotonic
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def check(self, address: str) -> None:
        """Returns when the address may try.

        Raises:
            ApiError: 429, its bucket is empty.
        """
        if self._tokens(address) < 1.0:
            seconds = max(1, round(1.0 / self._per_second))
            raise ApiError(429, "too many attempts from this address", next_step=f"wait {seconds} s and try again")

    def spend(self, address: str) -> None:
        """Takes one token: after a failure, or for something that costs."""
        self._buckets[address] = (max(0.0, self._tokens(address) - 1.0), self._monotonic())
        self._buckets.move_to_end(address)
        while len(self._buckets) > MAX_ADDRESSES:
            self._buckets.popitem(last=False)

    def _tokens(self, address: str) -> float:
        tokens, seen = self._buckets.get(address, (self._burst, 0.0))
        return min(self._burst, tokens + (self._monotonic() - seen) * self._per_second)

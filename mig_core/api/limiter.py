"""Slows down guessing: small token buckets, in this process, by whatever failures are to be counted by."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from mig_core.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_KEYS = 10_000
"""Buckets remembered; the longest unseen one is forgotten first."""


class Limiter:
    """Buckets of ``burst`` tokens that refill at ``per_second``.

    Args:
        what: What there were too many of, for the error.
        burst: Tokens of a full bucket.
        per_second: Tokens that come back each second.
        shared_by: Processes that have a part of the bucket each.
        monotonic: Seconds that never run backwards.
    """

    def __init__(
        self,
        *,
        burst: float,
        per_second: float,
        what: str = "attempts from this address",
        shared_by: int = 1,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what = what
        self._burst = max(1.0, burst / shared_by)
        self._per_second = per_second / shared_by
        self._monotonic = monotonic
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def check(self, key: str) -> None:
        """Returns when there may be another try.

        Raises:
            ApiError: 429, the bucket is empty.
        """
        if self._tokens(key) < 1.0:
            seconds = max(1, round(1.0 / self._per_second))
            raise ApiError(429, f"too many {self._what}", next_step=f"wait {seconds} s and try again")

    def spend(self, key: str) -> None:
        """Takes one token: after a failure, or for something that costs."""
        self._buckets[key] = (max(0.0, self._tokens(key) - 1.0), self._monotonic())
        self._buckets.move_to_end(key)
        while len(self._buckets) > MAX_KEYS:
            self._buckets.popitem(last=False)

    def _tokens(self, key: str) -> float:
        tokens, seen = self._buckets.get(key, (self._burst, 0.0))
        return min(self._burst, tokens + (self._monotonic() - seen) * self._per_second)


class LoginFailures:
    """Failed logins, counted for each account and client, so that a stranger locks out neither a colleague behind the
    same address nor, by naming an account, its owner elsewhere; and for each client in all, because they cost."""

    def __init__(self, *, shared_by: int = 1, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._accounts = Limiter(
            burst=20,
            per_second=0.5,
            what="failed logins to this account from this address",
            shared_by=shared_by,
            monotonic=monotonic,
        )
        self._clients = Limiter(
            burst=200,
            per_second=5,
            what="failed logins from this address",
            shared_by=shared_by,
            monotonic=monotonic,
        )

    def check(self, account: str, client: str) -> None:
        """Returns when this client may try this account.

        Raises:
            ApiError: 429
        """
        self._accounts.check(f"{account} {client}")
        self._clients.check(client)

    def spend(self, account: str, client: str) -> None:
        """Counts a failure."""
        self._accounts.spend(f"{account} {client}")
        self._clients.spend(client)

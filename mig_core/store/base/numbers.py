"""Counters and sums, for the dashboard and for metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mig_core.store.rows import Watched


class Numbers(Protocol):
    """Counters and sums."""

    async def count(self, increments: Mapping[str, int]) -> None:
        """Adds to named counters that outlive processes, like ``result.forged``."""
        ...

    async def counters(self) -> Mapping[str, int]:
        """All counters."""
        ...

    async def watched(self, now: datetime) -> Watched:
        """What operators watch besides the dashboard: waiting, latencies, spools, size."""
        ...

    async def fold(self) -> None:
        """Makes sums of single latencies; for schedulers, now and then."""
        ...

    async def relay_is(self, relay: str, problem: str, now: datetime) -> None:
        """A scheduler says how a relay is; empty ``problem``: well. To be said again while the problem lasts."""
        ...

    async def relay_problem(self, relay: str, now: datetime) -> str:
        """What keeps a relay from carrying messages, as schedulers said lately; empty: nothing."""
        ...

    async def keep_history(self, now: datetime) -> None:
        """Keeps how many agents are in which state, once every five minutes; for schedulers, now and then."""
        ...

    async def history(self, since: datetime) -> Sequence[tuple[datetime, Mapping[str, int]]]:
        """How many agents were in which state, the earliest first; at most the last eight days are kept."""
        ...

    async def dashboard(self, now: datetime) -> Mapping[str, Mapping[str, int]]:
        """Sums by name: ``agents`` and ``actions`` by state, ``commands`` of the last 24 hours by state, ``versions``.

        The last are those of agents online. ``alarms`` has what somebody should look into, and is empty otherwise.
        """
        ...

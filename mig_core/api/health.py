"""For whoever operates mig-api: is it well, what does it count, what does it offer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mig_core.api import metrics as prometheus
from mig_core.api.dashboard import sums_of
from mig_core.api.exchange import Access, Bound, Call, Reply, Route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from mig_core.api.metrics import Metrics
    from mig_core.domain.document import JSON
    from mig_core.store.base import Store


class HealthResources:
    """Health and numbers. Both are open: they hold counts and no names.

    Args:
        openapi: Makes the OpenAPI document.
        unusable: counts the files that mig-api watches and cannot use.
    """

    def __init__(
        self,
        store: Store,
        metrics: Metrics,
        openapi: Callable[[], JSON],
        unusable: Callable[[], int],
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._unusable = unusable
        self._store = store
        self._metrics = metrics
        self._openapi = openapi
        self._clock = clock

    def routes(self) -> Iterable[Bound]:
        """What this file answers."""
        yield Bound(
            Route("GET", "/healthz", "Whether mig-api can do its work", Access.ANYONE, response="Health", plain=True),
            self.health,
        )
        yield Bound(
            Route(
                "GET",
                "/metrics",
                "Numbers for Prometheus",
                Access.ANYONE,
                media=prometheus.MEDIA_TYPE,
                response="Text",
                plain=True,
            ),
            self.metrics,
        )
        yield Bound(
            Route("GET", "/openapi.json", "This description", Access.ANYONE, response="AnyObject"), self.describe
        )

    async def health(self, call: Call) -> Reply:
        """GET /healthz"""
        trouble = await self._store.trouble()
        return Reply({"status": trouble or "ok"}, status=503 if trouble else 200)

    async def metrics(self, call: Call) -> Reply:
        """GET /metrics"""
        numbers = self._store.numbers
        dashboard = await sums_of(numbers, self._unusable, self._clock())
        watched = await numbers.watched(self._clock())
        return Reply(data=self._metrics.text(dashboard, await numbers.counters(), watched))

    async def describe(self, call: Call) -> Reply:
        """GET /openapi.json"""
        return Reply(await asyncio.to_thread(self._openapi))

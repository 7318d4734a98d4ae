"""Numbers for the console's first page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.api.exchange import Bound, Call, Reply, Route
from mig_core.store.rows import Permission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from mig_core.domain.document import JSON
    from mig_core.store.base import Numbers


class DashboardResources:
    """Sums and counters."""

    def __init__(self, numbers: Numbers, *, clock: Callable[[], datetime]) -> None:
        self._numbers = numbers
        self._clock = clock

    def routes(self) -> Iterable[Bound]:
        """What this file answers."""
        yield Bound(
            Route(
                "GET",
                "/dashboard",
                "Agents, actions, commands and versions in numbers",
                Permission.READ,
                response="Dashboard",
            ),
            self.show,
        )

    async def show(self, call: Call) -> Reply:
        """GET /dashboard"""
        sums = await self._numbers.dashboard(self._clock())
        document: dict[str, JSON] = {
            key: dict(sums.get(key, {})) for key in ("alarms", "agents", "actions", "commands", "versions")
        }
        document["counters"] = dict(await self._numbers.counters())
        return Reply(document)

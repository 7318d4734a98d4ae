"""Numbers for the console's first page."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from mig_core.api.exchange import Bound, Call, Parameter, Reply, Route
from mig_core.domain.times import format_time
from mig_core.store.rows import Permission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from mig_core.domain.document import JSON
    from mig_core.store.base import Numbers


async def sums_of(numbers: Numbers, unusable: Callable[[], int], now: datetime) -> Mapping[str, Mapping[str, int]]:
    """The store's sums, with the alarm of this process: how many of the files it watches cannot be used."""
    sums = await numbers.dashboard(now)
    count = unusable()
    return {**sums, "alarms": {**sums.get("alarms", {}), "files_that_cannot_be_used": count}} if count else sums


class DashboardResources:
    """Sums and counters.

    Args:
        unusable: counts the files that mig-api watches and cannot use.
    """

    def __init__(self, numbers: Numbers, unusable: Callable[[], int], *, clock: Callable[[], datetime]) -> None:
        self._numbers = numbers
        self._unusable = unusable
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

        yield Bound(
            Route(
                "GET",
                "/dashboard/history",
                "How many agents were in which state, every five minutes of the last `hours` (24; at most 192)",
                Permission.READ,
                query=(Parameter("hours", "how far back"),),
                response="FleetHistory",
            ),
            self.history,
        )

    async def history(self, call: Call) -> Reply:
        """GET /dashboard/history"""
        hours = call.whole_number("hours", default=24, minimum=1, maximum=192)
        found = await self._numbers.history(self._clock() - timedelta(hours=hours))
        return Reply({"items": [{"time": format_time(at), "agents": dict(agents)} for at, agents in found]})

    async def show(self, call: Call) -> Reply:
        """GET /dashboard"""
        sums = await sums_of(self._numbers, self._unusable, self._clock())
        document: dict[str, JSON] = {
            key: dict(sums.get(key, {})) for key in ("alarms", "agents", "actions", "commands", "versions")
        }
        document["counters"] = dict(await self._numbers.counters())
        return Reply(document)

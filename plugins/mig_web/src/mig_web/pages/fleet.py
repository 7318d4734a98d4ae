"""Fleet: agents by target, and the fleet in numbers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from mig_core.domain.times import parse_time
from mig_core.errors import ApiError, TargetError
from mig_web.listing import Pager
from mig_web.pages.exchange import address, query

if TYPE_CHECKING:
    from collections.abc import Iterable

    from falcon.asgi import Request, Response

    from mig_web.pages.exchange import Page
    from mig_web.site import Site

AGENTS_A_PAGE = 100
_KNOWN = "status IN ('online', 'idle', 'offline')"
STATES = ("online", "idle", "offline", "pending", "retired")
_SINCE = ("5 minutes", "1 hour", "3 hours", "6 hours", "12 hours", "1 day", "7 days")
"""How long ago agents were last heard of; the last class is everything before."""


def routes(page: Page) -> Iterable[tuple[str, object]]:
    """Addresses of this file."""
    yield "/", Fleet(page)
    yield "/fleet/agents", FleetAgents(page)
    yield "/fleet/heartbeats", Heartbeats(page)
    yield "/fleet/history", History(page)


class Fleet:
    """``/``: numbers, the search, and the first agents."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def on_get(self, request: Request, response: Response) -> None:
        """The page; what is chosen stands in its address."""
        site = self._page.site
        numbers, listed = await asyncio.gather(site.call(site.client.dashboard), agents_of(site, request))
        self._page.show(response, "fleet.html", numbers=numbers, states=STATES, **listed)


class FleetAgents:
    """``/fleet/agents``: the list alone, while somebody types."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def on_get(self, request: Request, response: Response) -> None:
        """The list as a part of the page."""
        listed = await agents_of(self._page.site, request)
        if not listed["problem"]:
            response.set_header("HX-Push-Url", listed["address"])
        self._page.show(response, "fleet_agents.html", **listed)


class Heartbeats:
    """``/fleet/heartbeats``: how many agents were last heard of when; the platform counts."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def on_get(self, request: Request, response: Response) -> None:
        """Bars, as a part of the page."""
        site = self._page.site
        targets = [_KNOWN, *(f"{_KNOWN} AND heartbeat_at > NOW() - interval '{one}'" for one in _SINCE)]
        counted = await asyncio.gather(*(site.call(site.client.evaluate, one, 1) for one in targets))
        whole, *within = (int(one["count"]) for one in counted)
        bars = [
            (f"within {one}", count - before) for one, count, before in zip(_SINCE, within, [0, *within], strict=False)
        ]
        bars.append(("before that, or never", whole - within[-1]))
        self._page.show(response, "fleet_heartbeats.html", bars=bars, whole=whole)


class History:
    """``/fleet/history``: how many agents were in which state over the last day, as the platform noted it."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def on_get(self, request: Request, response: Response) -> None:
        """Numbers for a plot, as a part of the page."""
        site = self._page.site
        noted = await site.call(_history, site)
        series = [
            {"label": state, "colour": f"--h-{state}", "values": [one["agents"].get(state, 0) for one in noted]}
            for state in ("online", "idle", "offline")
        ]
        plot = {
            "x": [int(parse_time(one["time"]).timestamp()) for one in noted],
            "series": series,
            "most": max((value for one in series for value in one["values"]), default=0),
        }
        self._page.show(response, "fleet_history.html", plot=plot)


async def agents_of(site: Site, request: Request) -> dict[str, Any]:
    """A page of agents for a template; a target that cannot be read is a ``problem`` with its position."""
    target, state = query(request, "target"), query(request, "state")
    cursor = query(request, "cursor")
    chosen = {"target": target, "state": state}
    context: dict[str, Any] = {**chosen, "agents": [], "problem": [], "count": None, "trust": {}}
    following = ""
    try:
        expanded = site.target(target) if target.strip() else ""
        context["trust"], listed = await asyncio.gather(
            site.call(_trust, site),
            site.call(
                site.client.agent_page,
                target=expanded,
                states=[state] if state in STATES else [],
                cursor=cursor,
                limit=AGENTS_A_PAGE,
            ),
        )
        context["agents"], following = listed["items"], listed["cursor"]
        if expanded and not cursor:
            context["count"] = (await site.call(site.client.evaluate, expanded, 1))["count"]
    except TargetError as error:
        context["problem"] = error.diagnostics().lines()
    pager = Pager("/", chosen, cursor, following)
    return {**context, "pager": pager, "address": address("/", **chosen)}


def _history(site: Site) -> list[dict[str, Any]]:
    """What the platform noted; nothing where an earlier platform does not."""
    try:
        return site.client.fleet_history()
    except ApiError as error:
        if error.status == 404:
            return []
        raise


def _trust(site: Site) -> dict[str, Any]:
    """Digests of the platform's copies of ACL and keys; nothing where an earlier platform does not tell them."""
    try:
        return site.client.trust()
    except ApiError as error:
        if error.status == 404:
            return {}
        raise

"""Agent: what the platform knows of one endpoint, and everything it was ever asked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mig_web.listing import Pager
from mig_web.pages.exchange import go, query

if TYPE_CHECKING:
    from collections.abc import Iterable

    from falcon.asgi import Request, Response

    from mig_web.pages.exchange import Page

ANSWERS_A_PAGE = 50
LONG = ("environment", "tags", "modules", "failures", "statistics", "persistent", "spool", "events")
"""Members of an agent's document that have a place of their own on the page."""


def routes(page: Page) -> Iterable[tuple[str, object]]:
    """Addresses of this file."""
    yield "/agents/{agent}", Agent(page)
    yield "/agents/{agent}/approve", Approve(page)


class Agent:
    """``/agents/AGENT``: by its id, or its name where only one agent calls itself so."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def on_get(self, request: Request, response: Response, agent: str) -> None:
        """The page; older answers follow by ``cursor``."""
        site = self._page.site
        identifier = await site.call(site.client.agent_id, agent)
        cursor = query(request, "cursor")
        found, history = await asyncio.gather(
            site.call(site.client.agent, identifier),
            site.call(site.client.history_page, identifier, cursor=cursor, limit=ANSWERS_A_PAGE),
        )
        self._page.show(
            response,
            "agent.html",
            agent=found,
            facts={name: value for name, value in found.items() if name not in LONG and value not in (None, "")},
            history=history["items"],
            pager=Pager(f"/agents/{identifier}", {}, cursor, history["cursor"]),
        )


class Approve:
    """``/agents/AGENT/approve``: admits one that waits."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def on_post(self, request: Request, response: Response, agent: str) -> None:
        """Admits it, and shows it."""
        site = self._page.site
        await site.call(site.client.approve_agent, agent)
        go(response, f"/agents/{agent}")

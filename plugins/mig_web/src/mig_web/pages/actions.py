"""Actions: the list of questions, latest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_web.listing import Pager
from mig_web.pages.exchange import query

if TYPE_CHECKING:
    from collections.abc import Iterable

    from falcon.asgi import Request, Response

    from mig_web.pages.exchange import Page

STATES = ("pending", "scheduled", "inflight", "completed", "cancelled", "expired")
ACTIONS_A_PAGE = 50


def routes(page: Page) -> Iterable[tuple[str, object]]:
    """Addresses of this file."""
    yield "/actions", Actions(page)


class Actions:
    """``/actions``"""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def on_get(self, request: Request, response: Response) -> None:
        """By state, by a part of the name, or one's own."""
        site = self._page.site
        name, state, mine = query(request, "name"), query(request, "state"), query(request, "mine") == "1"
        cursor = query(request, "cursor")
        listed = await site.call(
            site.client.action_page,
            states=[state] if state in STATES else [],
            name=name,
            creator=site.connection.settings.fingerprint if mine else "",
            cursor=cursor,
            limit=ACTIONS_A_PAGE,
        )
        parameters = {"name": name, "state": state, "mine": "1" if mine else ""}
        self._page.show(
            response,
            "actions.html",
            actions=listed["items"],
            states=STATES,
            pager=Pager("/actions", parameters, cursor, listed["cursor"]),
            name=name,
            state=state,
            mine=mine,
            own=site.connection.settings.fingerprint,
        )

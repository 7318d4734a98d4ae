"""What is done to an action: cancelling it, and adding it to a case."""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import falcon

from mig_core.client.cases.collect import OVER, collect
from mig_core.client.cases.folder import cases, cases_folder, new_case, open_case
from mig_core.domain import envelope as envelopes
from mig_core.domain.action import Cancel
from mig_core.domain.envelope import Envelope
from mig_core.domain.ids import ActionId
from mig_web.pages.exchange import form_of, go, query

if TYPE_CHECKING:
    from collections.abc import Iterable

    from falcon.asgi import Request, Response

    from mig_web.pages.exchange import Page

MOST_CANCELS = 20


def routes(page: Page) -> Iterable[tuple[str, object]]:
    """Addresses of this file."""
    yield "/actions/{action}/cancel", CancelAction(page)
    yield "/actions/{action}/case", AddToCase(page)


class CancelAction:
    """``/actions/{action}/cancel``: exactly what will be signed, then signed and sent."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._shown: dict[str, tuple[str, bytes]] = {}
        """What forms have shown, each under a name of its own: these bytes and no others are signed."""

    async def on_get(self, request: Request, response: Response, action: str) -> None:
        """Shows the cancel."""
        site = self._page.site
        document = await site.call(lambda: site.client.action(site.client.action_id(action)))
        payload = Cancel(ActionId(document["id"]), query(request, "reason"), datetime.now(UTC)).to_payload()
        while len(self._shown) >= MOST_CANCELS:
            del self._shown[next(iter(self._shown))]
        name = secrets.token_hex(8)
        self._shown[name] = document["id"], payload
        self._page.show(response, "cancel.html", action=document, payload=payload.decode("utf-8"), shown=name)

    async def on_post(self, request: Request, response: Response, action: str) -> None:
        """Signs what was shown, and sends it."""
        site = self._page.site
        name = ((await form_of(request)).get("shown") or [""])[-1]
        shown_for, payload = self._shown.get(name, ("", b""))
        if shown_for != action:
            raise falcon.HTTPNotFound(title="Gone", description="this was sent, or is of an earlier run: look again")

        def sign_and_send() -> dict[str, Any]:
            return site.client.cancel(action, site.sign(Envelope(envelopes.CANCEL, payload)))

        await site.call(sign_and_send)
        self._shown.pop(name, None)
        go(response, f"/actions/{action}")


class AddToCase:
    """``/actions/{action}/case``: fetches the question with all signed answers into a case on this machine."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def on_post(self, request: Request, response: Response, action: str) -> None:
        """``name``: a case, begun where there is none of that name."""
        site = self._page.site
        name = ((await form_of(request)).get("name") or [""])[-1].strip()

        def add() -> tuple[str, dict[str, Any]]:
            folder = cases_folder(os.environ)
            known = {one.name for one in cases(folder)}
            case = open_case(folder, name) if name in known else new_case(folder, name, datetime.now(UTC))
            case, document = collect(site.client, case, action)
            return str(case.folder), document

        folder, document = await site.call(add)
        self._page.show(
            response, "case_added.html", name=name, folder=folder, action=document, over=document["state"] in OVER
        )

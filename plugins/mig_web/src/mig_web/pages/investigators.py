"""Investigators: who may do what at the platform, changed by those who may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_web.pages.exchange import form_of, go

if TYPE_CHECKING:
    from collections.abc import Iterable

    from falcon.asgi import Request, Response

    from mig_web.pages.exchange import Page

PERMISSIONS = {
    "read": "see questions, answers and agents",
    "ask": "send signed questions, cancel, and sign what others sent",
    "propose": "propose questions for somebody else to sign",
    "agents": "admit and retire agents",
    "investigators": "change what stands here",
    "log": "read the platform's log",
}


def routes(page: Page) -> Iterable[tuple[str, object]]:
    """Addresses of this file."""
    yield "/investigators", Investigators(page)
    yield "/investigators/{fingerprint}", Investigator(page)


class Investigators:
    """``/investigators``: all of them."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def on_get(self, request: Request, response: Response) -> None:
        """The list; forms for whoever may change it."""
        site = self._page.site
        found = await site.call(site.client.investigators)
        own = site.connection.settings.fingerprint
        may = any(one["fingerprint"] == own and "investigators" in one["permissions"] for one in found)
        self._page.show(response, "investigators.html", investigators=found, own=own, may=may, permissions=PERMISSIONS)

    async def on_post(self, request: Request, response: Response) -> None:
        """Adds one, by name and public key."""
        site = self._page.site
        form = await form_of(request)
        name, key = form.get("name", [""])[-1].strip(), form.get("key", [""])[-1].strip() + "\n"
        await site.call(site.client.add_investigator, name, key.encode(), form.get("permission", []))
        go(response, "/investigators")


class Investigator:
    """``/investigators/FINGERPRINT``: changes one."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def on_post(self, request: Request, response: Response, fingerprint: str) -> None:
        """Takes the permissions, and whether they may log in, as the form has them."""
        site = self._page.site
        form = await form_of(request)
        await site.call(
            site.client.change_investigator,
            fingerprint,
            active="active" in form,
            permissions=form.get("permission", []),
        )
        go(response, "/investigators")

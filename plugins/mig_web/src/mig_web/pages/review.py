"""Review: a question that is composed, exactly as it will be signed; then it is signed and asked, or not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import falcon

from mig_web.drafts import ready_of
from mig_web.pages.exchange import address, go
from mig_web.signing import signing_view

if TYPE_CHECKING:
    from collections.abc import Iterable

    from falcon.asgi import Request, Response

    from mig_web.pages.exchange import Page
    from mig_web.question import Ready


def routes(page: Page) -> Iterable[tuple[str, object]]:
    """Addresses of this file."""
    yield "/ask/ready/{name}", Review(page)
    yield "/ask/ready/{name}/question.json", SavedQuestion(page)


class Review:
    """``/ask/ready/{name}``: what is to be signed; a POST signs it, or makes it anew."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def on_get(self, request: Request, response: Response, name: str) -> None:
        """Everything about it, asked of the platform now."""
        ready = _ready(self._page, name)
        view = await signing_view(self._page.site, ready.envelope)
        window = ready.action.expire_after - ready.action.valid_from
        left = ready.action.expire_after - datetime.now(UTC)
        self._page.show(
            response,
            "review.html",
            name=name,
            ready=ready,
            view=view,
            stale=left < window / 2,
            many=view.count > self._page.site.connection.settings.confirm_above,
        )

    async def on_post(self, request: Request, response: Response, name: str) -> None:
        """``do``: ``sign`` signs these very bytes and asks them; ``anew`` gives them a new id and window."""
        site = self._page.site
        ready = _ready(self._page, name)
        form = await request.get_media()
        if form.get("do") == "anew":
            go(response, f"/ask/ready/{site.keep(await site.call(ready_of, site, ready.draft))}")
            return
        if form.get("do") != "sign":
            raise falcon.HTTPBadRequest(title="Nothing", description="nothing was signed")

        def sign_and_send() -> str:
            signed = site.sign(ready.envelope)
            return str(site.client.create_action(signed)["id"])

        del site.ready[name]  # a second click signs nothing
        try:
            action = await site.call(sign_and_send)
        except BaseException:
            site.ready[name] = ready
            raise
        go(response, address(f"/actions/{action}", where=ready.draft.where))


class SavedQuestion:
    """``/ask/ready/{name}/question.json``: the question as a file for ``mig ask``."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def on_get(self, request: Request, response: Response, name: str) -> None:
        """It is not signed; whoever asks it signs it anew."""
        response.data = _ready(self._page, name).envelope.payload
        response.content_type = falcon.MEDIA_JSON
        response.downloadable_as = "question.json"


def _ready(page: Page, name: str) -> Ready:
    ready = page.site.ready.get(name)
    if ready is None:
        raise falcon.HTTPNotFound(
            title="Gone", description="this question was signed, or is of an earlier run: ask it anew"
        )
    return ready

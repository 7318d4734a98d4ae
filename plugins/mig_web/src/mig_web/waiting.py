"""A platform that says nothing is told: no page lets a browser wait without a word.

What a page needs is asked for in a task of its own. Is it not there after :data:`PATIENCE` seconds, the browser gets a
page that says so and for how long; the task goes on, and the browser fetches what it made as soon as it is there. So a
question that takes the platform long is asked once, however long it takes. Whether the platform says nothing at all, or
is only slow with this, is found out by asking it how it is (``/healthz``), one request at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import falcon
import falcon.asgi

from mig_core.errors import MigError
from mig_web.pages.exchange import query

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from falcon.asgi import Request, Response

    from mig_web.pages.exchange import Page
    from mig_web.site import Site

PATIENCE = 3.0
"""Seconds that a browser waits for a page, and that the platform may be silent before it is said."""
FRESH = 5.0
"""Seconds for which a page that nobody fetched yet still shows the present."""
MOST_VISITS = 20
"""Pages that are waited for; the oldest gives way."""
HEALTH_SECONDS = 5.0
PAUSE = 1.0
"""Seconds between two questions how the platform is."""
A_MOMENT = 0.5
"""Seconds that a browser which asks how things stand waits for the platform's word."""


class Visit:
    """A page that is being made, though its browser was sent to wait."""

    def __init__(self, work: Callable[[Response], Coroutine[Any, Any, None]], monotonic: Callable[[], float]) -> None:
        self.begun = monotonic()
        self.ended = 0.0
        self._monotonic = monotonic
        self._made = falcon.asgi.Response()
        self.task = asyncio.create_task(self._make(work))
        # Taken, so that the error of one which nobody fetches is not told as forgotten.
        self.task.add_done_callback(_take_error)

    def give(self, response: Response) -> None:
        """Answers with what was made, or raises why it could not be made."""
        self.task.result()
        response.status = self._made.status
        response.text = self._made.text
        response.set_headers(self._made.headers)

    async def _make(self, work: Callable[[Response], Coroutine[Any, Any, None]]) -> None:
        try:
            await work(self._made)
        finally:
            self.ended = self._monotonic()


def _take_error(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()


class WaitingRoom:
    """The pages that browsers wait for, by address.

    Args:
        patience: seconds that a browser waits for a page.
    """

    def __init__(
        self, page: Page, *, patience: float = PATIENCE, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.page = page
        self._patience = patience
        self.health = Health(page.site)
        self._monotonic = monotonic
        self._visits: dict[str, Visit] = {}
        self._changed = float("-inf")
        """When a form was answered last."""

    async def process_response(self, request: Request, _response: Response, _resource: object, succeeded: bool) -> None:
        """Called by falcon before an answer leaves: what a form has changed is on no page that was begun before."""
        if succeeded and request.method == "POST":
            self._changed = self._monotonic()

    def before(self, path: str, resource: Any) -> object:
        """The resource, with this room before it where it is a page; files, streams and forms have none."""
        is_file = path.rpartition("/")[2].rpartition(".")[1] == "." or path.endswith("/events")
        return resource if is_file or not hasattr(resource, "on_get") else _Patiently(self, resource)

    def still(self, where: str) -> Visit | None:
        """What is being made for an address, or was a moment ago."""
        visit = self._visits.get(where)
        if visit is None:
            return None
        if visit.begun <= self._changed or (visit.task.done() and self._monotonic() - visit.ended > FRESH):
            self._visits.pop(where).task.cancel()
            return None
        return visit

    async def visit(
        self, where: str, response: Response, work: Callable[[Response], Coroutine[Any, Any, None]]
    ) -> None:
        """Answers with the page, or with one that says that it takes its time."""
        visit = self.still(where)
        if visit is None:
            visit = Visit(work, self._monotonic)
            await asyncio.wait({visit.task}, timeout=self._patience)
        if visit.task.done():
            self._visits.pop(where, None)
            visit.give(response)
            return
        self._visits[where] = visit
        while len(self._visits) > MOST_VISITS:
            self._visits.pop(next(iter(self._visits))).task.cancel()
        silent = await self.health.silent()
        response.set_header("Retry-After", "1")
        text = self.words(silent, visit)
        self.page.show(response, "waiting.html", status=falcon.HTTP_503, text=text, where=where)

    def words(self, silent: float, visit: Visit | None) -> str:
        """How it stands, for a person; empty where there is nothing to say."""
        if silent >= PATIENCE:
            return (
                f"The platform has not answered for {silent:.0f} s. mig web goes on asking it; what a page shows"
                " meanwhile is from before."
            )
        if visit is not None:
            return (
                f"Not there yet after {self._monotonic() - visit.begun:.0f} s: the platform has much to read, or GnuPG"
                " waits for you."
            )
        return ""


class HowItStands:
    """``/waiting``: whether the platform is silent, for how long, and whether the page at ``of`` can be fetched."""

    def __init__(self, room: WaitingRoom) -> None:
        self._room = room

    async def on_get(self, request: Request, response: Response) -> None:
        """``silent``: whether it is said; ``text``: what is said; ``ready``: whether to load the page again."""
        silent = await self._room.health.silent()
        visit = self._room.still(query(request, "of"))
        ready = silent < PATIENCE if visit is None else visit.task.done()
        response.media = {"silent": silent >= PATIENCE, "text": self._room.words(silent, visit), "ready": ready}


class Health:
    """Asks the platform how it is while it says nothing to others, one request at a time."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._asking: asyncio.Task[None] | None = None

    async def silent(self) -> float:
        """Seconds without a word of the platform's, though it was asked a moment ago."""
        if self._site.client.silent >= PATIENCE - PAUSE:
            if self._asking is None or self._asking.done():
                self._asking = asyncio.create_task(self._ask())
            await asyncio.wait({self._asking}, timeout=A_MOMENT)
        return self._site.client.silent

    async def _ask(self) -> None:
        with contextlib.suppress(MigError):
            await self._site.call(lambda: self._site.client.health(seconds=HEALTH_SECONDS))
            return
        await asyncio.sleep(PAUSE)


class _Patiently:
    """A page, for a browser that does not wait without a word. Parts of pages are waited for by the page itself."""

    def __init__(self, room: WaitingRoom, resource: Any) -> None:
        self._room = room
        self._resource = resource
        if hasattr(resource, "on_post"):
            self.on_post = resource.on_post

    async def on_get(self, request: Request, response: Response, **parameters: str) -> None:
        """The page's own, or one that says what is waited for."""
        if request.get_header("HX-Request"):
            await self._resource.on_get(request, response, **parameters)
            return
        await self._room.visit(
            request.relative_uri, response, lambda made: self._resource.on_get(request, made, **parameters)
        )

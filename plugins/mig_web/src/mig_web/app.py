"""The routes of all pages, and what is answered when something goes wrong."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import falcon
import falcon.asgi

from mig_core.errors import ApiError, ApiUnavailable, MigError
from mig_web.assets import Assets
from mig_web.gate import Gate, Stranger
from mig_web.pages.exchange import Page
from mig_web.templates import Templates
from mig_web.waiting import HowItStands, WaitingRoom

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from falcon.asgi import Request, Response

    from mig_web.site import Site

log = logging.getLogger(__name__)

NAVIGATION = (
    ("/", "Fleet"),
    ("/ask", "Ask"),
    ("/actions", "Actions"),
    ("/inbox", "Inbox"),
    ("/cases", "Cases"),
    ("/investigators", "Investigators"),
)
"""Addresses and words of the menu."""


def create_app(site: Site, gate: Gate) -> falcon.asgi.App[Request, Response]:
    """All of it, to be served."""
    app: falcon.asgi.App[Request, Response] = falcon.asgi.App(middleware=[gate])
    app.req_options.strip_url_path_trailing_slash = True
    app.req_options.keep_blank_qs_values = True
    app.req_options.auto_parse_qs_csv = False
    templates = Templates(navigation=NAVIGATION, form_secret=gate.form_secret, api=site.connection.settings.api)
    page = Page(site, templates)
    app.add_route("/static/{name:path}", Assets())
    room = WaitingRoom(page)
    app.add_middleware(room)
    app.add_route("/waiting", HowItStands(room))
    for path, resource in _routes(page):
        app.add_route(path, room.before(path, resource))
    problems = _Problems(page)
    app.add_error_handler(Exception, problems.unexpected)
    app.add_error_handler(falcon.HTTPError, problems.refused)
    app.add_error_handler(MigError, problems.known)
    app.add_error_handler(Stranger, problems.stranger)
    app.add_sink(problems.nowhere)
    return app


def _routes(page: Page) -> Iterable[tuple[str, object]]:
    """Every page's own."""
    from mig_web.pages import action, actions, agents, answers, ask, cases, changes, fleet, inbox, investigators, review

    for one in (fleet, ask, review, actions, action, answers, changes, inbox, agents, cases, investigators):
        yield from one.routes(page)


class _Problems:
    """Errors, as pages and as parts of pages."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def nowhere(self, req: Request, resp: Response | None, **_: Any) -> None:
        """An address that there is not."""
        if resp is not None:  # it is None for websockets, which are refused before
            self._show(req, resp, falcon.HTTP_404, ["There is no such page."])

    async def known(self, request: Request, response: Response, error: MigError, _: Any) -> None:
        """What MIG raises on purpose says itself what to do."""
        status = 502 if isinstance(error, ApiUnavailable) else error.status if isinstance(error, ApiError) else 400
        lines = error.diagnostics().lines()
        again = isinstance(error, ApiUnavailable) and request.method == "GET"
        code = falcon.code_to_http_status(status if 400 <= status < 600 else 502)
        self._show(request, response, code, lines, again=again)

    async def refused(self, request: Request, response: Response, error: falcon.HTTPError, _: Any) -> None:
        """What falcon, or the gate, refuses."""
        response.set_headers(error.headers or {})
        self._show(request, response, str(error.status), [error.description or error.title or "refused"])

    async def stranger(self, request: Request, response: Response, error: Stranger, _: Any) -> None:
        """No session: where to go is all there is to see."""
        response.status = falcon.HTTP_403
        response.content_type = falcon.MEDIA_HTML
        response.text = self._page.templates.html("door.html", {"where": error.where, "problem": error.description})

    async def unexpected(self, request: Request, response: Response, error: Exception, _: Any) -> None:
        """A defect of ours: told in the log, not on the page."""
        log.error("%s %s: a defect", request.method, request.path, exc_info=error)
        self._show(request, response, falcon.HTTP_500, ["A fault of mig web; the terminal it runs in tells more."])

    def _show(
        self, request: Request, response: Response, status: str, lines: list[str], *, again: bool = False
    ) -> None:
        """As a page or a part of one. ``again``: it is worth asking for it again, which the page does."""
        template = "problem_part.html" if request.get_header("HX-Request") else "problem.html"
        self._page.show(response, template, status=status, lines=lines, again=again)

"""Action: how a question stands, live; its coverage; and what became of it at one agent."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import falcon
from falcon.asgi import SSEvent

from mig_core.client.explanation import explain
from mig_web.following import LATE, MOST_SHORTFALLS
from mig_web.pages.exchange import query
from mig_web.rows import wanted_of
from mig_web.statebar import parts_of, unaccounted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from falcon.asgi import Request, Response

    from mig_web.following import Following
    from mig_web.pages.exchange import Page

OVER = ("completed", "cancelled", "expired")
PAUSE = 0.25
"""Seconds between two parts that are sent to a browser."""
QUIET = 15
"""Seconds after which something is sent where nothing happens: a browser that has gone is noticed."""


def routes(page: Page) -> Iterable[tuple[str, object]]:
    """Addresses of this file."""
    yield "/actions/{action}", Action(page)
    yield "/actions/{action}/events", ActionEvents(page)
    yield "/actions/{action}/coverage", Coverage(page)
    yield "/actions/{action}/agents/{agent}", Why(page)
    yield "/actions/{action}/agents/{agent}/answer.json", WholeAnswer(page)


class Action:
    """``/actions/{action}``"""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def on_get(self, request: Request, response: Response, action: str) -> None:
        """The page as it stands; what follows comes by itself while the action is under way."""
        site = self._page.site
        document = await site.call(lambda: site.client.action(site.client.action_id(action)))
        self._page.show(
            response,
            "action.html",
            action=document,
            over=document["state"] in OVER,
            own=document["creator"] == site.connection.settings.fingerprint,
            wanted=wanted_of(request),
            rows_address=f"/actions/{document['id']}/rows?{request.query_string}",
            stack_address=f"/actions/{document['id']}/stack?{request.query_string}",
            cases=await asyncio.to_thread(_case_names),
            **live_context(document, []),
        )


class ActionEvents:
    """``/actions/{action}/events``: parts of the page as they change, a few a second, however many agents answer."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def on_get(self, request: Request, response: Response, action: str) -> None:
        """Server-sent events: ``part``, ``silence`` while the platform says nothing, then ``end``, or ``trouble``."""
        identifier = await self._page.site.call(self._page.site.client.action_id, action)
        response.sse = self._events(self._page.site.followings.of(identifier))

    async def _events(self, following: Following) -> AsyncIterator[SSEvent | None]:
        seen, silent, told = -1, 0.0, ""
        while not self._page.site.stopping:
            following.touch()
            if following.trouble:
                yield SSEvent(event="trouble", json={"text": following.trouble, "again": following.again})
                return
            if (text := _unheard(following)) != told:
                told, silent = text, 0.0
                yield SSEvent(event="silence", json=text)
            if following.version != seen and following.action:
                seen, silent, ended = following.version, 0.0, following.ended
                context = live_context(following.action, list(following.recent))
                html = self._page.templates.html("action_live.html", {"action": following.action, **context})
                yield SSEvent(event="part", json={"html": html, "answered": following.looked_through > 0})
                if ended:
                    yield SSEvent(event="end", text="over")
                    return
            elif silent >= QUIET:
                silent = 0.0
                yield None
            silent += PAUSE
            await asyncio.sleep(PAUSE)


class Coverage:
    """``/actions/{action}/coverage``: what was not looked at, and where."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def on_get(self, request: Request, response: Response, action: str) -> None:
        """The panel; it says how many answers it is made of, and comes again until those are all."""
        site = self._page.site
        following = site.followings.of(await site.call(site.client.action_id, action))
        document = following.action or await site.call(site.client.action, action)
        counts = document["counts"]
        self._page.show(
            response,
            "coverage.html",
            action=document,
            shortfalls=following.shortfalls(),
            examined=dict(following.examined),
            looked_through=following.looked_through,
            answered=sum(counts.values()) - counts.get("queued", 0) - counts.get("sent", 0),
            waiting=counts.get("queued", 0) + counts.get("sent", 0),
            ended=following.ended,
            trouble=following.trouble,
            again=following.again,
            most=MOST_SHORTFALLS,
        )


class Why:
    """``/actions/{action}/agents/{agent}``: what became of it there, and why, and the whole answer."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def on_get(self, request: Request, response: Response, action: str, agent: str) -> None:
        """As ``mig why`` says it; then the answer as its module prints it."""
        site = self._page.site

        def look() -> dict[str, Any]:
            client = site.client
            document = client.action(client.action_id(action))
            command = client.command(document["id"], client.agent_id(agent))
            modules = [str(one["module"]) for one in document["operations"]]
            return {
                "action": document,
                "command": command,
                "lines": list(explain(client, command)),
                "answers": _printed(site.modules, modules, command),
            }

        self._page.show(response, "why.html", part=bool(request.get_header("HX-Request")), **await site.call(look))


class WholeAnswer:
    """``…/answer.json``: everything that the agent answered, as the platform has it."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def on_get(self, request: Request, response: Response, action: str, agent: str) -> None:
        """A file to be kept, never shown as a page: it is an endpoint's."""
        site = self._page.site
        command = await site.call(lambda: site.client.command(site.client.action_id(action), agent, proof=True))
        response.media = command
        response.content_type = falcon.MEDIA_JSON
        name = re.sub(r"[^A-Za-z0-9._-]", "_", query(request, "name"))[:100]
        response.downloadable_as = f"{name or 'answer'}.json"


def live_context(action: dict[str, Any], recent: list[dict[str, Any]]) -> dict[str, Any]:
    """For the part that changes while answers come."""
    return {"parts": parts_of(action), "unaccounted": unaccounted(action), "recent": recent}


def _unheard(following: Following) -> str:
    """What is said while the platform says nothing: what stands on the page is from before."""
    if following.ended or following.unheard < LATE:
        return ""
    return (
        f"The platform has said nothing of this question for {following.unheard:.0f} s. mig web goes on asking; what"
        " stands here is from before."
    )


def _printed(modules: dict[str, Any], names: list[str], command: dict[str, Any]) -> list[tuple[str, str]]:
    """Each operation's answer as its module prints it, or as JSON where that is not installed here."""
    import json

    from mig_core.domain.document import members
    from mig_core.domain.result import read_module_result
    from mig_core.errors import InvalidDocument

    printed = []
    for name, result in zip(names, command["results"] or (), strict=False):
        module = modules.get(name)
        try:
            read = None if module is None else read_module_result(members(result, subject="result"))
        except InvalidDocument:
            read = None
        if module is None or read is None:
            printed.append((name, json.dumps(result, indent=2)))
        else:
            printed.append((name, "\n".join(module.lines(read, found_only=False))))
    return printed


def _case_names() -> list[str]:
    import os

    from mig_core.client.cases.folder import cases, cases_folder

    return [one.name for one in cases(cases_folder(os.environ))]

"""Answers of an action as rows and as stacks, made by the platform; and as files."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from typing import TYPE_CHECKING, Any

from mig_core.client.csv_answers import csv_cell
from mig_core.domain.reading.reading import RowsWish, StackWish
from mig_core.errors import ConditionError, InvalidDocument, MigError
from mig_web.listing import Pager
from mig_web.pages.exchange import address, query
from mig_web.rows import chosen_of, cursor_there, equal_to, wanted_of, wanted_there

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from falcon.asgi import Request, Response

    from mig_core.domain.reading.reading import Choice
    from mig_web.pages.exchange import Page
    from mig_web.rows import Wanted
    from mig_web.site import Site

ROWS_A_PAGE = 100
VALUES = 50
EXPORT_PAGE = 5000
PIECE = 1 << 16
NO_ROWS = "The modules of this question declare no rows, or are installed neither here nor there"


def routes(page: Page) -> Iterable[tuple[str, object]]:
    """Addresses of this file."""
    yield "/actions/{action}/rows", Rows(page)
    yield "/actions/{action}/stack", StackPanel(page)
    yield "/actions/{action}/rows.csv", RowsFile(page)
    yield "/actions/{action}/answers.jsonl", AnswersFile(page)


class Rows:
    """``/actions/{action}/rows``: a page of rows as a part of the action's page."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def on_get(self, request: Request, response: Response, action: str) -> None:
        """Condition, filters and order stand in the address, of which the browser keeps the action page's form."""
        site, wanted, cursor = self._page.site, wanted_of(request), query(request, "cursor")
        there = wanted_there(request)
        wanted.stack, wanted.rare = there.stack, there.rare
        identifier = await site.call(site.client.action_id, action)
        context = await site.call(_rows, site, identifier, wanted, cursor)
        here = f"/actions/{identifier}"
        if not context["problem"]:
            response.set_header("HX-Replace-Url", address(here, **wanted.parameters(), cursor=cursor))
            if request.get_header("HX-Trigger") == "rows-form":
                response.set_header("HX-Trigger-After-Settle", "mig:rows")
        self._page.show(
            response,
            "rows.html",
            wanted=wanted,
            here=here,
            pager=Pager(here, wanted.parameters(), cursor, context.pop("following")),
            sorted_by=lambda name: address(
                here, **{**wanted.parameters(), "sort": name if wanted.sort != name else f"-{name}"}
            ),
            export=address(f"{here}/rows.csv", **wanted.parameters()),
            **context,
        )


class StackPanel:
    """``/actions/{action}/stack``: values of columns with bars, as a part of the action's page."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def on_get(self, request: Request, response: Response, action: str) -> None:
        """The most frequent values, or with ``rare`` those that the fewest endpoints have."""
        site, own, wanted = self._page.site, wanted_of(request), wanted_there(request)
        wanted.stack, wanted.rare = own.stack, own.rare
        identifier = await site.call(site.client.action_id, action)
        if request.get_header("HX-Trigger") != "stack":  # the panel itself, as the page loads
            whole = {**wanted.parameters(), "cursor": cursor_there(request)}
            response.set_header("HX-Replace-Url", address(f"/actions/{identifier}", **whole))
        context = await site.call(_stack, site, identifier, wanted)
        self._page.show(response, "stack.html", wanted=wanted, here=f"/actions/{identifier}", **context)


class RowsFile:
    """``/actions/{action}/rows.csv``: all rows that fit, as a file."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def on_get(self, request: Request, response: Response, action: str) -> None:
        """Page by page from the platform, in pieces."""
        site, wanted = self._page.site, wanted_of(request)
        document = await site.call(lambda: site.client.action(site.client.action_id(action)))
        chosen, shapes = await site.call(chosen_of, site.client, document, wanted)
        if not any(shapes):  # a file without rows would say that nothing was found
            raise MigError(NO_ROWS, next_step="take all answers as JSON lines")
        pages = site.client.rows(document["id"], RowsWish(chosen, sort=wanted.sorting(), limit=EXPORT_PAGE))
        response.content_type = "text/csv; charset=utf-8"
        response.downloadable_as = f"rows-{document['id'][:13]}.csv"
        response.stream = _pieces(_csv_lines(pages))


class AnswersFile:
    """``/actions/{action}/answers.jsonl``: every answer with what its agent signed, a line each."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def on_get(self, request: Request, response: Response, action: str) -> None:
        """In pieces: answers may be large."""
        site = self._page.site
        identifier = await site.call(site.client.action_id, action)
        commands = site.client.commands(identifier, proofs=True)
        response.content_type = "application/x-ndjson"
        response.downloadable_as = f"answers-{identifier[:13]}.jsonl"
        response.stream = _pieces(json.dumps(one) + "\n" for one in commands)


def _rows(site: Site, action: str, wanted: Wanted, cursor: str) -> dict[str, Any]:
    document = site.client.action(action)
    context: dict[str, Any] = {"columns": [], "rows": [], "account": None, "following": "", "problem": []}
    context |= {"action": document, "several": len(document["operations"]) > 1}
    try:
        chosen, shapes = chosen_of(site.client, document, wanted)
        if not any(shapes):
            context["problem"] = [f"{NO_ROWS}."]
            return context
        wish = RowsWish(chosen, sort=wanted.sorting(), limit=ROWS_A_PAGE, cursor=cursor)
        found = next(site.client.rows(action, wish))
    except (ConditionError, InvalidDocument) as error:
        context["problem"] = error.diagnostics().lines()
        return context
    return context | {
        "columns": found["columns"],
        "rows": found["items"],
        "following": found["cursor"],
        "account": found.get("account"),
    }


def _stack(site: Site, action: str, wanted: Wanted) -> dict[str, Any]:
    document = site.client.action(action)
    chosen, _ = chosen_of(site.client, document, type(wanted)())
    columns = [one.name for one in chosen.fields()]
    context: dict[str, Any] = {"columns": columns, "entries": [], "values": 0, "account": None, "problem": []}
    picked = tuple(one for one in (part.strip() for part in wanted.stack.split(",")) if one in columns)
    if not picked:
        return context | {"picked": ""}
    context["picked"] = ",".join(picked)
    try:
        chosen, _ = chosen_of(site.client, document, wanted)
    except ConditionError as error:
        return context | {"problem": error.diagnostics().lines()}
    found = next(site.client.stack(action, StackWish(chosen, picked, rare=wanted.rare, limit=VALUES)))
    entries = [
        {**one, "text": _value_text(one["value"]), "address": _narrowed(action, chosen, wanted, one["value"])}
        for one in found["items"]
    ]
    return context | {"entries": entries, "values": found["values"], "account": found["account"]}


def _narrowed(action: str, chosen: Choice, wanted: Wanted, value: dict[str, Any]) -> str:
    """Address of the rows that have a value; empty where no condition can say it."""
    fields = {one.name: one for one in chosen.fields()}
    conditions = [equal_to(fields.get(name), name, cell) for name, cell in value.items()]
    if not conditions or not all(conditions):
        return ""
    before = [f"({wanted.where})"] if wanted.where else []
    return address(f"/actions/{action}", **{**wanted.parameters(), "where": " AND ".join([*before, *conditions])})


def _value_text(value: dict[str, Any]) -> str:
    cells = [
        "?" if cell is None else ", ".join(cell) if isinstance(cell, list) else str(cell) for cell in value.values()
    ]
    return " · ".join(cells) or "(no value)"


def _csv_lines(pages: Iterator[dict[str, Any]]) -> Iterator[str]:
    columns: list[str] = []
    for number, page in enumerate(pages):
        sink = io.StringIO()
        writer = csv.writer(sink)
        if not number:
            columns = page["columns"]
            writer.writerow(["agent", "module", *columns])
        for one in page["items"]:
            row = one["row"]
            cells = [csv_cell(row[column]) if column in row else "" for column in columns]
            writer.writerow([csv_cell(one["agentname"]), one["module"], *cells])
        yield sink.getvalue()


async def _pieces(texts: Iterator[str]) -> AsyncIterator[bytes]:
    """Texts as bytes, made in a thread, some at a time."""

    def some() -> bytes:
        pieces, size = [], 0
        for text in texts:
            pieces.append(text.encode("utf-8", "backslashreplace"))
            size += len(pieces[-1])
            if size >= PIECE:
                break
        return b"".join(pieces)

    while piece := await asyncio.to_thread(some):
        yield piece

"""Cases of this machine: read, collected into, noted in, exported, and files of others verified."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from mig_core.client.cases.collect import OVER, collect, is_over, question_of
from mig_core.client.cases.export import export_case
from mig_core.client.cases.folder import cases, cases_folder, new_case, open_case
from mig_core.client.cases.verify import CaseFile
from mig_core.errors import MigError
from mig_web.pages.exchange import form_of, go

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from falcon.asgi import Request, Response

    from mig_core.client.cases.folder import Case
    from mig_core.client.cases.verify import Finding
    from mig_web.pages.exchange import Page
    from mig_web.site import Site

PIECE = 1 << 18
"""Bytes."""
MOST_FINDINGS = 1000
"""Lines of a check that are shown; what is not good comes first."""


def routes(page: Page) -> Iterable[tuple[str, object]]:
    """Addresses of this file."""
    yield "/cases", Cases(page)
    yield "/cases/{name}", OneCase(page)
    yield "/cases/{name}/note", Note(page)
    yield "/cases/{name}/questions", Questions(page)
    yield "/cases/{name}/export", Export(page)
    yield "/verify", Verify(page)


class _CasePage:
    def __init__(self, page: Page) -> None:
        self._page = page


class Cases(_CasePage):
    """``/cases``: all of them."""

    async def on_get(self, request: Request, response: Response) -> None:
        """The list."""
        found = await asyncio.to_thread(lambda: list(cases(_folder())))
        self._page.show(response, "cases.html", cases=found, folder=str(_folder()))

    async def on_post(self, request: Request, response: Response) -> None:
        """Begins one."""
        name = _text(await form_of(request), "name")
        await asyncio.to_thread(new_case, _folder(), name, datetime.now(UTC))
        go(response, f"/cases/{name}")


class OneCase(_CasePage):
    """``/cases/NAME``: notes, and how each question stands."""

    async def on_get(self, request: Request, response: Response, name: str) -> None:
        """The page."""
        case, questions = await asyncio.to_thread(_read, name)
        self._page.show(response, "case.html", case=case, questions=questions, over=OVER)


class Note(_CasePage):
    """``/cases/NAME/note``: writes something down."""

    async def on_post(self, request: Request, response: Response, name: str) -> None:
        """Keeps it, with the time."""
        text = _text(await form_of(request), "text")
        await asyncio.to_thread(lambda: open_case(_folder(), name).with_note(text, datetime.now(UTC)))
        go(response, f"/cases/{name}")


class Questions(_CasePage):
    """``/cases/NAME/questions``: fetches a question with its signed answers, or what came to it since."""

    async def on_post(self, request: Request, response: Response, name: str) -> None:
        """Fetches; a large fleet's answers take their time."""
        site = self._page.site
        action = _text(await form_of(request), "action")
        case = await asyncio.to_thread(open_case, _folder(), name)
        await site.call(collect, site.client, case, action)
        go(response, f"/cases/{name}")


class Export(_CasePage):
    """``/cases/NAME/export``: one signed file of it, for others and for later."""

    async def on_post(self, request: Request, response: Response, name: str) -> None:
        """The file, as a download. Questions that had not ended are fetched once more before."""
        case = await asyncio.to_thread(open_case, _folder(), name)
        if not case.actions:
            raise MigError(f"case {case.name} has no questions yet", next_step="add one first")
        file = await self._page.site.call(_exported, self._page.site, case)
        response.content_type = "application/zip"
        response.downloadable_as = f"{case.name}.zip"
        response.set_stream(_pieces(file), os.fstat(file.fileno()).st_size)


class Verify(_CasePage):
    """``/verify``: checks a case file that lies on this machine. Neither platform nor network is needed."""

    async def on_get(self, request: Request, response: Response) -> None:
        """Asks which file."""
        self._page.show(response, "verify.html", path="", findings=[], counts={}, left_out=0)

    async def on_post(self, request: Request, response: Response) -> None:
        """What was found out, the worst first."""
        path = _text(await form_of(request), "path")
        if not path.startswith(("/", "~")):
            raise MigError(f"{path!r} is no absolute path", next_step="write it as /home/… or ~/…")
        findings = await asyncio.to_thread(_findings, path)
        self._page.show(
            response,
            "verify.html",
            path=path,
            findings=findings[:MOST_FINDINGS],
            left_out=max(0, len(findings) - MOST_FINDINGS),
            counts=Counter(one.verdict for one in findings),
        )


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    """A file, piece by piece; closed at the end."""
    with file:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece


def _exported(site: Site, case: Case) -> IO[bytes]:
    """The case as a file that has no name any more."""
    for action in case.actions:
        if not is_over(case, action):
            case, _ = collect(site.client, case, action)
    with tempfile.TemporaryDirectory(prefix="mig-web-") as folder:
        place = Path(folder) / "case.zip"
        with site.signing:
            export_case(case, place, site.connection.signer, datetime.now(UTC))
        return place.open("rb")


def _findings(path: str) -> list[Finding]:
    try:
        file = Path(path).expanduser()
    except RuntimeError as error:
        raise MigError(f"{path!r:.300}: there is no such account", next_step="write the whole path") from error
    with CaseFile(file) as opened:
        return sorted(opened.findings(), key=lambda one: one.verdict == "good")


def _read(name: str) -> tuple[Case, list[dict[str, Any]]]:
    case = open_case(_folder(), name)
    return case, [question_of(case, action) for action in case.actions]


def _folder() -> Path:
    return cases_folder(os.environ)


def _text(form: Mapping[str, Sequence[str]], name: str) -> str:
    return (form.get(name) or [""])[-1].strip()

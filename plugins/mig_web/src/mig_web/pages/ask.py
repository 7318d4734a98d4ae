"""Ask: choose a module or a pack, fill in its form, say whom; several operations make one question."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import falcon

from mig_core.client.action_file import read_action_file
from mig_core.domain.action import MAX_OPERATIONS, Operation
from mig_core.errors import InvalidDocument, MigError, ParameterError, TargetError
from mig_web.drafts import draft_of, expiry_text, packs, ready_of
from mig_web.forms import fields_of, operation_of
from mig_web.pages.exchange import form_of, go, query
from mig_web.question import Draft

if TYPE_CHECKING:
    from collections.abc import Iterable

    from falcon.asgi import Request, Response

    from mig_core.plugin.module import Module
    from mig_web.forms import Form
    from mig_web.pages.exchange import Page

SHOWN_AGENTS = 10


def routes(page: Page) -> Iterable[tuple[str, object]]:
    """Addresses of this file."""
    yield "/ask", Ask(page)
    yield "/ask/target", AskTarget(page)


class Ask:
    """``/ask``: what can be asked; ``?module=`` and ``?pack=`` are forms, ``?action=`` one that was asked before."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def on_get(self, request: Request, response: Response) -> None:
        """Nothing is kept: a form is sent along from step to step."""
        site = self._page.site
        module, pack, action = query(request, "module"), query(request, "pack"), query(request, "action")
        draft = Draft(target=query(request, "target"))
        if pack:
            draft = await site.call(_pack_draft, pack, draft.target)
        elif action:
            draft = await site.call(_repeated, self._page, action, draft.target)
        if module or pack or action:
            await self._form(response, draft, module, {})
            return
        modules = await site.call(lambda: site.modules)
        ready = await site.call(packs)
        self._page.show(response, "ask.html", modules=modules, packs=ready.get("packs", {}), target=draft.target)

    async def on_post(self, request: Request, response: Response) -> None:
        """A step on: ``do`` is the button."""
        form = await form_of(request)
        do, name = (form.get("do") or ["review"])[-1], (form.get("module") or [""])[-1]
        if do == "file":
            await self._file(response, form)
            return
        draft = draft_of(form)
        if do.startswith("remove "):
            kept = [one for at, one in enumerate(draft.operations) if str(at) != do.removeprefix("remove ")]
            draft.operations = tuple(kept)
            await self._form(response, draft, name, form)
            return
        try:
            if name:
                module = await self._module(name)
                operation = operation_of(module, form)
                _check(module, operation)
                draft.operations = (*draft.operations, operation)
            if do == "add":
                await self._form(response, draft, (form.get("next_module") or [""])[-1], {})
                return
            ready = await self._page.site.call(ready_of, self._page.site, draft)
        except MigError as error:
            if name and draft_of(form).operations != draft.operations:  # the form goes back as it was
                draft = draft_of(form)
            await self._form(response, draft, name, form, error)
            return
        go(response, f"/ask/ready/{self._page.site.keep(ready)}")

    async def _file(self, response: Response, form: Form) -> None:
        text = (form.get("file") or [""])[-1]
        try:
            site = self._page.site
            action = read_action_file(text.encode(), subject="file", expiry=site.connection.settings.expiry)
        except InvalidDocument as error:
            self._page.show(response, "problem.html", status=falcon.HTTP_400, lines=error.diagnostics().lines())
            return
        draft = Draft(action.operations, action.target, "", action.name, action.description, action.threat)
        await self._form(response, draft, "", {})

    async def _form(
        self, response: Response, draft: Draft, name: str, form: Form, error: MigError | None = None
    ) -> None:
        site = self._page.site
        modules = await site.call(lambda: site.modules)
        module = await self._module(name) if name else None
        fault = error if isinstance(error, ParameterError) else None
        fields = fields_of(module, form, fault) if module else []
        self._page.show(
            response,
            "ask_form.html",
            status=falcon.HTTP_400 if error else falcon.HTTP_200,
            draft=draft,
            module=module,
            modules=modules,
            fields=fields,
            problem=error.diagnostics().lines() if error else [],
            default_target=site.connection.settings.target,
            default_expiry=expiry_text(site),
            most=MAX_OPERATIONS,
            summary=json.dumps,
        )

    async def _module(self, name: str) -> Module[Any]:
        site = self._page.site
        modules = await site.call(lambda: site.modules)
        if name not in modules:
            raise falcon.HTTPNotFound(title="No module", description=f"module {name[:40]} is not installed here")
        return modules[name]


class AskTarget:
    """``/ask/target``: who is meant, while somebody types."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def on_get(self, request: Request, response: Response) -> None:
        """A count and a sample as a part of the page, or where the target cannot be read."""
        site = self._page.site
        context: dict[str, Any] = {"problem": [], "count": 0, "agents": []}
        try:
            expanded = site.target(query(request, "target"))
            context |= await site.call(site.client.evaluate, expanded, SHOWN_AGENTS)
        except TargetError as error:
            context["problem"] = error.diagnostics().lines()
        self._page.show(response, "ask_target.html", **context)


def _check(module: Module[Any], operation: Operation) -> None:
    """Raises ParameterError, naming the module too."""
    try:
        module.parse_parameters(operation.parameters)
    except ParameterError as error:
        raise ParameterError(error.path, error.problem, module=operation.module, next_step=error.next_step) from None


def _pack_draft(name: str, target: str) -> Draft:
    found = packs(name)
    if not found:
        raise InvalidDocument("pack", f"there is none of the name {name!r:.60}")
    operations = tuple(Operation(one["module"], one["parameters"]) for one in found["operations"])
    if problem := found.get("unasked"):
        raise InvalidDocument("pack", f"{name}: {problem}", next_step=f"ask it with: mig pack run {name} -t TARGET")
    own = str(found.get("target") or "")
    both = f"({target}) AND ({own})" if target and own else target or own
    described = str(found.get("question") or "")
    if found.get("indicators"):
        described += f" Which rows are a sign of its list: mig pack run {name}"
    return Draft(operations, both, name=f"pack {name}", description=described, where=str(found.get("where") or ""))


def _repeated(page: Page, action: str, target: str) -> Draft:
    """What was asked before, out of the bytes that were signed."""
    from mig_core.domain import envelope as envelopes
    from mig_core.domain.action import read_action
    from mig_core.domain.envelope import envelope_from_json

    client = page.site.client
    document = client.action(client.action_id(action))
    former = read_action(envelope_from_json(document["envelope"], expected_type=envelopes.ACTION).payload)
    return Draft(
        former.operations,
        target or former.target,
        name=former.name,
        description=former.description,
        threat=former.threat,
    )

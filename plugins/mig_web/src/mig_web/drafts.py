"""Drafts of forms, and questions composed of drafts."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from mig_core.client.compose import compose_action
from mig_core.domain import envelope as envelopes
from mig_core.domain.action import MAX_OPERATIONS, Operation, read_action, read_operations
from mig_core.domain.document import load, members
from mig_core.domain.envelope import MAX_ACTION_BYTES, Envelope
from mig_core.domain.times import format_duration, parse_duration
from mig_core.errors import InvalidDocument, PluginError
from mig_web.forms import words_of
from mig_web.question import Draft, Ready

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from mig_web.site import Site


def draft_of(form: Mapping[str, Sequence[str]]) -> Draft:
    """The draft in a form.

    Raises:
        InvalidDocument: its operations are none; names the JSON path.
    """

    def text(name: str) -> str:
        return (form.get(name) or [""])[-1].replace("\r\n", "\n").strip()

    operations: tuple[Operation, ...] = ()
    if text("operations"):
        raw = b'{"operations":' + text("operations").encode("utf-8", "replace") + b"}"
        operations = read_operations(members(load(raw, subject="operations", max_bytes=MAX_ACTION_BYTES), subject=""))
    return Draft(operations, *(text(name) for name in ("target", "expiry", "name", "description", "threat", "where")))


def ready_of(site: Site, draft: Draft) -> Ready:
    """Composes the question that a draft describes. Imports modules: in a thread.

    Raises:
        InvalidDocument: it is none.
        ParameterError: a module would refuse its operation.
        TargetError: the target cannot be read.
    """
    if not draft.operations:
        raise InvalidDocument("action", "asks nothing", path="operations", next_step="choose a module")
    if len(draft.operations) > MAX_OPERATIONS:
        raise InvalidDocument("action", f"has more than {MAX_OPERATIONS} operations", path="operations")
    remarks = tuple(remark for one in draft.operations for remark in _remarks(site, one))
    composed = compose_action(
        draft.operations,
        name=draft.name,
        target=site.target(draft.target),
        expiry=_expiry(site, draft.expiry),
        description=draft.description,
        threat=draft.threat,
    )
    # Read back as every agent will: what would be refused there is refused here, before anybody signs it.
    action = read_action(composed.to_payload())
    envelope = Envelope(envelopes.ACTION, composed.to_payload())
    return Ready(draft, action, envelope, remarks, command_line(site, draft))


def command_line(site: Site, draft: Draft) -> str:
    """``mig MODULE …`` where words can say it, else ``mig ask FILE``."""
    words = ["mig"]
    module = site.modules.get(draft.operations[0].module) if len(draft.operations) == 1 else None
    said = None if module is None or draft.description or draft.threat else words_of(module, draft.operations[0])
    # What would be shown escaped would, copied, ask something else.
    if said is None or not "".join([*said, draft.name, draft.target]).isprintable():
        words += ["ask", "question.json"]
        said = []
    else:
        words.append(draft.operations[0].module)
        if draft.name:
            words += ["--action-name", draft.name]
    if (draft.target or words[1] == "ask") and draft.target.isprintable():  # the file has it too
        words += ["-t", draft.target or site.connection.settings.target]
    if draft.expiry:
        words += ["-e", draft.expiry]
    return shlex.join([*words, *said])


def _remarks(site: Site, one: Operation) -> list[str]:
    module = site.modules.get(one.module)
    if module is None:
        return [f"Module {one.module} is not installed here: only the endpoints check its question."]
    return list(module.remarks(module.parse_parameters(one.parameters)))


def _expiry(site: Site, text: str) -> timedelta:
    if not text:
        return site.connection.settings.expiry
    try:
        return parse_duration(text)
    except ValueError as error:
        raise InvalidDocument("action", str(error), path="expiry", next_step="like 60s, 10m or 2h") from None


def expiry_text(site: Site) -> str:
    """What is meant where no expiry is given."""
    return format_duration(site.connection.settings.expiry)


def packs(name: str = "") -> dict[str, Any]:
    """Ready questions, where a plugin brings such a tool (entry point ``mig.assistant``); else nothing."""
    from mig_core.plugin.manager import assistant_tools

    try:
        tool = assistant_tools().get("packs")
    except PluginError:
        return {}
    found = None if tool is None else tool(name) if name else tool()
    return found if isinstance(found, dict) else {}

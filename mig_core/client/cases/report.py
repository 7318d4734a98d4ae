"""The report of a case: Markdown for people. What endpoints sent cannot look like a part of the report."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from mig_core.client.cases.collect import OVER, answers_of, question_of
from mig_core.domain.times import format_time
from mig_core.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mig_core.client.cases.folder import Case

_SHOWN = 50
_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]<>()#+-!|~&"})


def report_of(case: Case, now: datetime) -> str:
    """The report."""
    return "\n".join(_lines(case, now)) + "\n"


def _lines(case: Case, now: datetime) -> Iterator[str]:
    yield f"# Case {_text(case.name)}"
    yield ""
    yield f"Begun {case.created}, exported {format_time(now)}."
    yield "`mig case verify FILE` checks every signature in this file."
    if case.notes:
        yield from ("", "## Notes", "")
        for note in case.notes:
            yield f"* {note.time}: {_text(note.text)}"
    for action in case.actions:
        yield ""
        yield from _question(case, action)


def _question(case: Case, action: str) -> Iterator[str]:
    document = question_of(case, action)
    yield f"## {_text(str(document['name']))}"
    yield ""
    yield f"* id: `{action}`, {_text(str(document['state']))}, created {document['created']}"
    if document["state"] not in OVER:
        yield "* **It had not ended when it was collected: answers may be missing.**"
    yield f"* signed by: {', '.join(f'`{one}`' for one in document['signers'])}"
    yield f"* target: {_text(str(document['target']))}"
    asked = json.dumps(document["operations"], ensure_ascii=True)
    yield from ("", "```json", asked.replace("`", "\\u0060"), "```", "")
    yield from _answers(case, action, document)


def _answers(case: Case, action: str, document: dict[str, Any]) -> Iterator[str]:
    states: Counter[str] = Counter()
    found: list[str] = []
    partial: list[str] = []
    silent: list[str] = []
    for command in answers_of(case, action):
        states[str(command["state"])] += 1
        name = str(command["agentname"])
        if command["found"]:
            found.append(name)
        if command["state"] != "success":
            silent.append(f"{name} ({command['state']})")
        elif command["complete"] is False:
            partial.append(name)
    sums = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "nobody"
    yield f"{document['targeted']} agents were asked: {sums}. Found something: {len(found)}."
    missing = int(document["targeted"]) - sum(states.values())
    if missing:
        yield f"**{missing} that were asked are not in this file.**"
    for title, names in (("Found", found), ("Not everything was looked at", partial), ("No answer", silent)):
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            yield ""
            yield f"{title}: {', '.join(_text(one) for one in names[:_SHOWN])}{more}"


def _text(text: str) -> str:
    return visible(text).translate(_SPECIAL)

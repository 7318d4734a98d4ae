"""``mig cases``, ``mig case …`` and ``mig timeline``: questions with their signed answers, kept and given to others."""

from __future__ import annotations

import os
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mig_core.cli import exit_codes, tables
from mig_core.cli.terminal import GREEN, RED, YELLOW, data, note
from mig_core.client.connection import connect
from mig_core.errors import ApiError, MigError
from mig_core.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mig_core.client.cases.folder import Case
    from mig_core.client.connection import Connection

app = typer.Typer(add_completion=False, rich_markup_mode=None)
timeline_app = typer.Typer(add_completion=False, rich_markup_mode=None)
case_app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="One case, by its name.")

_OUT_OF_REACH = (0, 404)
"""HTTP statuses that say that a platform cannot be reached, or has forgotten an action."""
_COLOURS = {"good": GREEN, "WRONG": RED, "missing": YELLOW, "unknown": YELLOW}


@app.command("cases")
def cases(json: tables.JsonOption = False) -> None:
    """List the cases on this machine."""
    from mig_core.client.cases.folder import cases as all_cases

    found = list(all_cases(_folder()))
    if json:
        tables.document([one.to_json() for one in found])
        return
    tables.table(
        ("name", "begun", "questions", "notes"),
        ((one.name, tables.moment(one.created), len(one.actions), len(one.notes)) for one in found),
    )


@case_app.command("new")
def new(name: str) -> None:
    """Begin a case."""
    from mig_core.client.cases.folder import new_case

    case = new_case(_folder(), name, datetime.now(UTC))
    note(f"case {case.name} begins in {case.folder}")


@case_app.command("add")
def add(name: str, actions: list[str]) -> None:
    """Fetch questions with all signed answers into the case; again: what came since."""
    from mig_core.client.cases.collect import OVER, collect

    case, client = _open(name), connect().client
    for action in actions:
        case, document = collect(client, case, action)
        answered = sum(count for state, count in document["counts"].items() if state not in ("queued", "sent"))
        note(f"{document['id']} {visible(document['name'])}: {answered} of {document['targeted']} answered")
        if document["state"] not in OVER:
            note(f"  it has not ended; later: mig case add {case.name} {document['id']}", YELLOW)


@case_app.command("note")
def write_note(name: str, text: str) -> None:
    """Write something down, with the time."""
    _open(name).with_note(text, datetime.now(UTC))


@case_app.command("show")
def show(name: str, json: tables.JsonOption = False) -> None:
    """Notes, and how each question stands."""
    from mig_core.client.cases.collect import question_of

    case = _open(name)
    if json:
        tables.document(case.to_json())
        return
    tables.facts([("name", case.name), ("begun", case.created), ("folder", str(case.folder))])
    for one in case.notes:
        data(f"{tables.moment(one.time)}  {visible(one.text)}")
    if case.actions:
        tables.table(
            ("id", "state", "asked", "found", "name"),
            (
                (one["id"], one["state"], one["targeted"], one["found"], one["name"])
                for one in (question_of(case, action) for action in case.actions)
            ),
        )


@case_app.command("export")
def export(name: str, file: Path) -> None:
    """Make one file of it, for others and for later: signed questions and answers, keys, rows, a report."""
    from mig_core.client.cases.collect import collect, is_over
    from mig_core.client.cases.export import export_case

    case = _open(name)
    connection = connect()
    for action in case.actions:
        if not is_over(case, action):
            try:
                case, _ = collect(connection.client, case, action)
            except ApiError as error:
                if error.status not in _OUT_OF_REACH:
                    raise
                note(f"{action} had not ended, and is exported as it was collected: {visible(str(error))}", YELLOW)
    if not case.actions:
        raise MigError(f"case {case.name} has no questions yet", next_step=f"mig case add {case.name} ACTION")
    try:
        digests = export_case(case, file, connection.signer, datetime.now(UTC))
    except FileExistsError:
        raise MigError(f"{file} is there already", next_step="choose another name; nothing was changed") from None
    note(f"{file}: {len(digests)} parts; check it anywhere with: mig case verify {file}")


@case_app.command("verify")
def verify(
    file: Path, quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only what is not good")] = False
) -> int:
    """Check a case file line by line: no platform and no network is needed."""
    from mig_core.client.cases.verify import CaseFile

    counts: dict[str, int] = {}
    with CaseFile(file) as opened:
        for finding in opened.findings():
            counts[finding.verdict] = counts.get(finding.verdict, 0) + 1
            if not quiet or finding.verdict != "good":
                data(f"{finding.verdict:<7}  {visible(finding.subject)}: {visible(finding.text)}")
    for verdict, count in counts.items():
        note(f"{count} {verdict}", _COLOURS.get(verdict, ""))
    return exit_codes.ERROR if counts.get("WRONG") else exit_codes.ALL_ANSWERED


@timeline_app.command("timeline")
def timeline(
    subject: Annotated[str, typer.Argument(metavar="CASE|ACTION", help="A case on this machine, or an action")],
    csv: Annotated[bool, typer.Option("--csv", help="CSV instead of JSON lines")] = False,
) -> None:
    """Write every row that has a time, as Timesketch imports it."""
    from mig_core.client import timeline as timelines
    from mig_core.client.answer_rows import AnswerReader

    reader = AnswerReader()
    sources = list(_sources(subject))
    states: Counter[str] = Counter()
    events = (
        event
        for action, commands in sources
        for event in timelines.timeline(reader, action, _counted(commands, states))
    )
    if csv:
        columns = timelines.columns_of(reader, (action for action, _ in sources))
        count = timelines.write_csv(events, columns, sys.stdout)
    else:
        count = timelines.write_jsonl(events, sys.stdout)
    note(f"{count} events")
    for state, agents in sorted(states.items()):
        note(f"answers that may lack events: {agents} {state}", YELLOW)
    missing = sorted(
        {one["module"] for action, _ in sources for one in action["operations"] if reader.module(one["module"]) is None}
    )
    if missing:
        note(f"left out, because nobody here knows their columns: {', '.join(map(visible, missing))}", YELLOW)


def _counted(commands: Iterable[dict[str, Any]], states: Counter[str]) -> Iterator[dict[str, Any]]:
    """The commands; those that nobody answered well, or not completely, are counted on the way."""
    for command in commands:
        if command["state"] != "success":
            states[str(command["state"])] += 1
        elif command["complete"] is False:
            states["not complete"] += 1
        yield command


def _sources(subject: str) -> Iterator[tuple[dict[str, Any], Iterator[dict[str, Any]]]]:
    from mig_core.client.cases import layout
    from mig_core.client.cases.collect import answers_of, question_of
    from mig_core.client.cases.folder import open_case

    if layout.NAME.fullmatch(subject) and (_folder() / subject / layout.CASE).is_file():
        case = open_case(_folder(), subject)
        for action in case.actions:
            yield question_of(case, action), answers_of(case, action)
        return
    connection: Connection = connect()
    document = connection.client.action(connection.client.action_id(subject))
    yield document, connection.client.commands(str(document["id"]))


def _open(name: str) -> Case:
    from mig_core.client.cases.folder import open_case

    return open_case(_folder(), name)


def _folder() -> Path:
    from mig_core.client.cases.folder import cases_folder

    return cases_folder(os.environ)

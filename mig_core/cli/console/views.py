"""What the console prints. Text from endpoints is made printable by :mod:`mig_core.cli.tables` and the terminal."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from mig_core.cli import tables
from mig_core.cli.answers import AnswerPrinter
from mig_core.cli.formats import Format, Show
from mig_core.cli.terminal import data, flush, note
from mig_core.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Document = dict[str, Any]


def show_help(rows: Iterable[tuple[str, str]]) -> None:
    """Usage and meaning of each command."""
    tables.table(("command", "what it does"), rows)


def show_dashboard(numbers: Document) -> None:
    """A line for each group of numbers."""
    for group, counts in numbers.items():
        line = ", ".join(f"{count} {visible(str(key))}" for key, count in sorted(counts.items()))
        data(f"{visible(str(group))}: {line or 'none'}")
    flush()


def show_agents(rows: Sequence[Document]) -> None:
    """A line an agent."""
    if not rows:
        note("no agents")
        return
    tables.table(
        ("name", "id", "state", "version", "ident", "heartbeat"),
        (
            (
                one["name"],
                one["id"],
                tables.agent_state(one),
                one["version"],
                one["environment"].get("ident", ""),
                tables.moment(one["heartbeat"]),
            )
            for one in rows
        ),
    )


def show_actions(rows: Sequence[Document]) -> None:
    """A line an action."""
    if not rows:
        note("no actions")
        return
    tables.table(
        ("created", "id", "state", "asked", "found", "name"),
        (
            (tables.moment(one["created"]), one["id"], one["state"], one["targeted"], one["found"], one["name"])
            for one in rows
        ),
    )


def show_document(found: Document) -> None:
    """Everything that is known of one thing."""
    tables.facts(found.items())


def show_results(action: Document, commands: Iterable[Document], show: Show) -> None:
    """The answers there are now."""
    printer = AnswerPrinter([one["module"] for one in action["operations"]], show, Format.TEXT)
    waiting = 0
    for command in commands:
        if command["finished"]:
            printer.print(command)
        else:
            waiting += 1
    printer.finish(None)
    if waiting:
        note(f"{waiting} have not answered yet")


def show_history(lines: Sequence[str], count: int) -> None:
    """The last lines, numbered from the first."""
    first = max(0, len(lines) - count)
    for number, line in enumerate(islice(lines, first, None), start=first + 1):
        data(f"{number:5}  {visible(line)}")
    flush()

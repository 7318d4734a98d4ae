"""``mig-console``: the program. On a terminal it has a prompt with history and completion, else it reads lines."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mig_core.cli import exit_codes
from mig_core.cli.console.session import COMMANDS, ConsoleSession
from mig_core.cli.program import run
from mig_core.cli.terminal import note, note_error
from mig_core.client.connection import connect
from mig_core.errors import MigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help", "-help"]},
)


@app.command()
def console(
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Begin without the dashboard")] = False,
    version: Annotated[bool, typer.Option("-V", "--version", help="Show the version and end")] = False,
) -> int:
    """Look around on the platform: type help. Without a terminal, lines are read from standard input."""
    if version:
        from importlib.metadata import version as installed_version

        typer.echo(f"mig-console {installed_version('mig-core')}")
        return exit_codes.ALL_ANSWERED
    connection = connect()
    with connection.client as client:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            session = ConsoleSession(client, connection.settings.macros)
            return _serve(session, sys.stdin)
        from mig_core.cli.console.prompt import Prompt

        prompt = Prompt(history_path(os.environ), sorted(COMMANDS))
        session = ConsoleSession(
            client, connection.settings.macros, history=prompt.history, completions=prompt.remember
        )
        note("mig-console: type help; exit or Ctrl-D ends it")
        if not quiet:
            _obey(session, "dashboard")
        _serve(session, prompt.lines(lambda: session.where))
        return exit_codes.ALL_ANSWERED


def history_path(environment: Mapping[str, str]) -> Path:
    """Where typed lines are kept: ``$XDG_STATE_HOME/mig/console-history``, else below ``~/.local/state``."""
    given = environment.get("XDG_STATE_HOME", "")
    folder = Path(given) if given.startswith("/") else Path.home() / ".local" / "state"
    return folder / "mig" / "console-history"


def _serve(session: ConsoleSession, lines: Iterable[str]) -> int:
    """Obeys line by line; returns the status of the worst: a script wants to know."""
    worst = exit_codes.ALL_ANSWERED
    for line in lines:
        worst = max(worst, _obey(session, line))
        if session.ended:
            break
    return worst


def _obey(session: ConsoleSession, line: str) -> int:
    try:
        session.obey(line)
    except MigError as error:
        note_error(error)
        return exit_codes.ERROR
    except KeyboardInterrupt:
        note("interrupted")
        return exit_codes.INTERRUPTED
    return exit_codes.ALL_ANSWERED


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit status."""
    return run(app, sys.argv[1:] if arguments is None else arguments, name="mig-console")

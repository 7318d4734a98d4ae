"""``mig ask FILE`` (the original's ``mig -i FILE``): asks an action that somebody wrote down."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated, Any

import typer

from mig_core.cli import ask_options
from mig_core.cli.module_options import ModuleCommand

app = typer.Typer(add_completion=False, rich_markup_mode=None)


def _ask(**arguments: Any) -> int:
    from mig_core.cli.ask import ask_action
    from mig_core.client.action_file import load_action_file
    from mig_core.client.connection import connect

    options = ask_options.chosen(arguments)
    connection = connect()
    settings = connection.settings
    target = options.target("", settings.macros) if options.targets else None
    action = load_action_file(arguments["file"], target=target, expiry=options.expiry or settings.expiry)
    return ask_action(action, options, connection)


_FILE = inspect.Parameter(
    "file",
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    annotation=Annotated[
        Path, typer.Argument(help="An action of version 3, or an unsigned one of the original's version 2")
    ],
)
_PARAMETERS = [_FILE, *ask_options.option_parameters()]
_ask.__signature__ = inspect.Signature(_PARAMETERS)  # type: ignore[attr-defined]  # what typer reads
_ask.__annotations__ = {one.name: one.annotation for one in _PARAMETERS}
_ask.__doc__ = "Ask the action in a file."
app.command("ask", cls=ModuleCommand)(_ask)

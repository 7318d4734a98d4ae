"""Running one command line of a typer app: every program of ours fails in the same way, with the same exit status.

Used by ``mig``, ``mig-admin`` and ``mig-console``; imports nothing that they would not import anyway.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer
from typer.exceptions import TyperException

from mig_core.cli import exit_codes
from mig_core.cli.terminal import note_error
from mig_core.errors import MigError, Refused, RelayDenied

if TYPE_CHECKING:
    from collections.abc import Sequence


def run(app: typer.Typer, arguments: Sequence[str], *, name: str) -> int:
    """Runs the command and says on standard error why it failed; returns the exit status.

    What was written is flushed, so that a reader who went away (``| head``) is noticed here and is an ERROR without a
    traceback. A ``SystemExit`` passes.

    Args:
        app: its commands return an exit status, or None for ALL_ANSWERED.
        arguments: the words after the program's name.
        name: the program's, for help and in front of errors.
    """
    try:
        status = _obey(app, arguments, name)
        if sys.stdout is not None:  # it is closed from the beginning: mig ... >&-
            sys.stdout.flush()
    except BrokenPipeError:
        _let_go()
        return exit_codes.ERROR
    return status


def _obey(app: typer.Typer, arguments: Sequence[str], name: str) -> int:
    try:
        status = typer.main.get_command(app)(list(arguments), prog_name=name, standalone_mode=False)
    except MigError as error:
        note_error(error, f"{name}: ")
        return exit_codes.REFUSED if isinstance(error, Refused | RelayDenied) else exit_codes.ERROR
    except TyperException as error:
        error.show()  # type: ignore[attr-defined]  # every usage error has it; typer does not declare it
        return exit_codes.USAGE
    except (KeyboardInterrupt, typer.Abort):
        return exit_codes.INTERRUPTED
    return status if isinstance(status, int) else exit_codes.ALL_ANSWERED


def _let_go() -> None:
    """Leaves alone the streams that nobody reads: the interpreter would try to flush them when it ends."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        try:
            if stream is not None:
                stream.flush()
        except BrokenPipeError:
            setattr(sys, name, None)

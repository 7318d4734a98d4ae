"""Running one command line of a typer app: every program of ours fails in the same way, with the same exit status.

Used by ``mig``, ``mig-admin`` and ``mig-console``; imports nothing that they would not import anyway.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO, cast

from mig_core.cli import exit_codes
from mig_core.cli.terminal import RED, note, note_alone, note_error
from mig_core.errors import ApiError, MigError, ParameterError, Refused, RelayDenied, TargetError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import typer


def run(app: typer.Typer, arguments: Sequence[str], *, name: str) -> int:
    """Runs the command, as :func:`obey` does.

    Args:
        app: its commands return an exit status, or None for ALL_ANSWERED.
        arguments: the words after the program's name.
        name: the program's, for help and in front of errors.
    """

    def command() -> object:
        from typer.main import get_command

        return get_command(app)(list(arguments), prog_name=name, standalone_mode=False)

    return obey(command, name=name)


def obey(command: Callable[[], object], *, name: str) -> int:
    """Runs it and says on standard error why it failed; returns the exit status.

    What was written is flushed, so that a reader who went away (``| head``) is noticed here and is an ERROR without a
    word, and a full disk one with a line. A ``SystemExit`` passes.

    Args:
        command: returns an exit status; anything else is ALL_ANSWERED.
        name: the program's, in front of errors.
    """
    if sys.stdin is None:  # mig ... <&-: nobody is there to be asked
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115  as long as the program
    if sys.stderr is None:  # mig ... 2>&-
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  as long as the program
    if sys.stdout is None:  # mig ... >&-
        note_alone(f"{name}: standard output is closed", RED)
        return exit_codes.ERROR
    try:
        with contextlib.redirect_stdout(cast("TextIO", _Output(sys.stdout))):
            status = _status(command, name)
            sys.stdout.flush()
    except BrokenPipeError:
        _let_go()
        return exit_codes.ERROR
    except _OutputFailed as error:
        _let_go()
        note_alone(f"{name}: standard output cannot be written: {error}", RED)
        return exit_codes.ERROR
    return status


def _status(command: Callable[[], object], name: str) -> int:
    try:
        status = command()
    except MigError as error:
        note_error(error, f"{name}: ")
        return status_of(error)
    except OSError as error:
        if error.filename is None:  # of no file that anybody named: a defect
            raise
        note(f"{name}: {os.fsdecode(error.filename)}: {error.strerror}", RED)
        return exit_codes.ERROR
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except Exception as error:
        said = _typers(error)
        if said is None:
            raise
        return said
    return status if isinstance(status, int) else exit_codes.ALL_ANSWERED


def _typers(error: Exception) -> int | None:
    """The exit status of what typer raises, once it is shown; None: it is none of typer's."""
    if "typer" not in sys.modules:
        return None
    from typer import Abort
    from typer.exceptions import TyperException

    if isinstance(error, TyperException):
        error.show()  # type: ignore[attr-defined]  # every usage error has it; typer does not declare it
        return exit_codes.USAGE
    return exit_codes.INTERRUPTED if isinstance(error, Abort) else None


class _OutputFailed(Exception):
    """Standard output cannot be written, and its reader has not just gone away: a full disk."""


class _Output:
    """Standard output whose faults are told from those of other files; as text, or (``buffer``) as bytes."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    @property
    def buffer(self) -> _Output:
        return _Output(self._stream.buffer)

    def write(self, text: Any) -> Any:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _OutputFailed(error.strerror or str(error)) from error

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _OutputFailed(error.strerror or str(error)) from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def status_of(error: MigError) -> int:
    """The exit status an error ends a program with."""
    match error:
        case Refused() | RelayDenied() | ApiError(status=403):
            return exit_codes.REFUSED
        case ParameterError() | TargetError() | ApiError(status=400, field="target" | "where"):
            # What was typed can be no question: options that the module refuses, a target that is none.
            return exit_codes.USAGE
        case _:
            return exit_codes.ERROR


def _let_go() -> None:
    """Leaves alone the streams that cannot be written: the interpreter would try to flush them when it ends."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            setattr(sys, name, None)

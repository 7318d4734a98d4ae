"""How every program of ours fails: what is said, the exit status, and what happens when nobody reads."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import typer

from mig_core.cli import admin, exit_codes, main
from mig_core.cli.console import main as console
from mig_core.cli.program import run
from mig_core.errors import (
    ApiError,
    MigError,
    ParameterError,
    Refused,
    RelayDenied,
    RelayUnavailable,
    TargetError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAMS = {"mig": main.main, "mig-admin": admin.main, "mig-console": console.main}
WRITES = """
import sys
import typer
from mig_core.cli.program import run
from mig_core.cli.terminal import data, note
from mig_core.errors import MigError

app = typer.Typer()

@app.command()
def write(lines: int, fail: bool = False, raw: bool = False):
    for number in range(lines):
        if raw:
            sys.stdout.buffer.write(b"line")
        else:
            data(f"line {number}")
    if fail:
        raise MigError("it failed", next_step="try again")

sys.exit(run(app, sys.argv[1:], name="prog"))
"""


def app_that(raises: BaseException | None = None, returns: object = None) -> typer.Typer:
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

    @app.command()
    def command() -> object:
        if raises is not None:
            raise raises
        return returns

    return app


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (MigError("no"), exit_codes.ERROR),
        (RelayUnavailable("no"), exit_codes.ERROR),
        (RelayDenied("no"), exit_codes.REFUSED),
        (Refused("acl", "no"), exit_codes.REFUSED),
        (ApiError(403, "no"), exit_codes.REFUSED),
        (ApiError(404, "no"), exit_codes.ERROR),
        (ApiError(400, "no", field="target"), exit_codes.USAGE),
        (TargetError("x", 0, "no"), exit_codes.USAGE),
        (ParameterError("path", "no"), exit_codes.USAGE),
        (KeyboardInterrupt(), exit_codes.INTERRUPTED),
        (typer.Abort(), exit_codes.INTERRUPTED),
        (EOFError(), exit_codes.INTERRUPTED),
        (typer.Exit(7), 7),
    ],
)
def test_what_a_command_raises_decides_the_exit_status(raised: BaseException, status: int) -> None:
    assert run(app_that(raises=raised), [], name="prog") == status


@pytest.mark.parametrize(("returned", "status"), [(None, exit_codes.ALL_ANSWERED), (3, 3), ("text", 0)])
def test_what_a_command_returns_is_the_exit_status(returned: object, status: int) -> None:
    assert run(app_that(returns=returned), [], name="prog") == status


def test_an_error_begins_with_the_program_and_cannot_drive_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    run(app_that(raises=MigError("bad \x1b[31m name", next_step="rename it")), [], name="prog")

    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "prog: bad \\x1b[31m name\n  rename it\n"


def test_a_file_that_cannot_be_used_is_named_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(app_that(raises=FileNotFoundError(2, "No such file", "/a/b")), [], name="prog") == exit_codes.ERROR
    assert capsys.readouterr().err == "prog: /a/b: No such file\n"


def test_another_error_is_a_defect_and_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run(app_that(raises=ZeroDivisionError()), [], name="prog")


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_every_program_names_itself_and_says_which_option_is_wrong(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    program: Callable[[list[str]], int] = PROGRAMS[name]

    assert program(["--no-such-option"]) == exit_codes.USAGE
    printed = capsys.readouterr().err
    assert f"Usage: {name} " in printed and "--no-such-option" in printed


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_every_program_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert PROGRAMS[name](["--help"]) == exit_codes.ALL_ANSWERED
    assert f"Usage: {name} " in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["1"], ["100000"], ["1", "--fail"]])
def test_a_reader_who_went_away_is_an_error_without_a_word(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)

    ran = subprocess.run(
        [sys.executable, "-c", WRITES, *arguments], stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60
    )

    os.close(writing)
    assert (ran.returncode, ran.stderr) == (exit_codes.ERROR, "")


def test_the_interpreter_says_nothing_when_neither_stream_is_read() -> None:
    reading, writing = os.pipe()
    os.close(reading)

    ran = subprocess.run([sys.executable, "-c", WRITES, "1", "--fail"], stdout=writing, stderr=writing, timeout=60)

    os.close(writing)
    assert ran.returncode == exit_codes.ERROR


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["1"], ["100000"], ["--help"], ["1", "--raw"], ["100000", "--raw"]])
def test_a_full_standard_output_is_one_line_of_error(arguments: list[str], unbuffered: str) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        ran = subprocess.run(
            [sys.executable, "-c", WRITES, *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )

    assert ran.stderr == "prog: standard output cannot be written: No space left on device\n"
    assert ran.returncode == exit_codes.ERROR


def test_a_closed_standard_output_is_one_line_of_error() -> None:
    ran = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-c", WRITES, "1"],
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )

    assert (ran.returncode, ran.stderr) == (exit_codes.ERROR, "prog: standard output is closed\n")


def test_with_a_closed_standard_input_nobody_is_at_a_terminal() -> None:
    asks = "import sys; from mig_core.cli.program import obey; sys.exit(obey(lambda: 7 + sys.stdin.isatty(), name='x'))"
    ran = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "-c", asks],
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )

    assert (ran.returncode, ran.stderr) == (7, "")


def test_a_closed_standard_error_keeps_the_data_and_the_status() -> None:
    ran = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-c", WRITES, "1", "--fail"],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
    )

    assert (ran.returncode, ran.stdout) == (exit_codes.ERROR, "line 0\n")

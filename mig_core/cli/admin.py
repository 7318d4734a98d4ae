"""``mig-admin``: what operators do by hand on the database."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mig_core.cli import tables
from mig_core.cli.program import run
from mig_core.cli.terminal import data, note
from mig_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Operate MIG's database. The owner's URL comes from --url or MIG_OWNER_URL.",
)
db = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="The database.")
app.add_typer(db, name="db")
set_aside = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Messages of agents that could not be recorded."
)
app.add_typer(set_aside, name="set-aside")

platform_log = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="The platform log.")
app.add_typer(platform_log, name="log")

UrlOption = Annotated[str, typer.Option("--url", help="libpq URL of the role that owns the database")]


@db.command("upgrade")
def upgrade(url: UrlOption = "") -> None:
    """Bring the schema to this program's version."""
    from mig_core.store.migrate import upgrade as apply

    applied = apply(_owner(url))
    note(f"applied: {', '.join(map(str, applied))}" if applied else "nothing to do")


@db.command("create-login")
def create_login(
    name: str,
    group: Annotated[str, typer.Option("--group", help="mig_api or mig_scheduler")],
    password_file: Annotated[
        Path | None, typer.Option("--password-file", help="Read the password here; none: one is made and printed")
    ] = None,
    url: UrlOption = "",
) -> None:
    """Make the login of an API or scheduler, or change its password."""
    from mig_core.store.roles import create_login as make

    password = _password(password_file) if password_file else secrets.token_urlsafe(32)
    make(_owner(url), name, password, group=group)
    if password_file is None:
        data(password)


@set_aside.command("list")
def list_set_aside(url: UrlOption = "") -> None:
    """List messages of agents that could not be recorded."""
    from mig_core.store.set_aside import shelved

    tables.table(
        ("number", "set aside", "relay", "kind", "agent", "bytes", "kept", "reason"),
        (
            (one.number, f"{one.at:%Y-%m-%d %H:%M:%S}", one.relay, one.kind, one.agent, one.size, one.kept, one.reason)
            for one in shelved(_owner(url))
        ),
    )


@set_aside.command("show")
def show_set_aside(number: int, url: UrlOption = "") -> None:
    """Write a message to standard output, as it came."""
    from mig_core.store.set_aside import shelved_body

    sys.stdout.buffer.write(shelved_body(_owner(url), number))


@set_aside.command("retry")
def retry_set_aside(
    numbers: Annotated[list[int] | None, typer.Argument(help="none: all")] = None, url: UrlOption = ""
) -> None:
    """Let schedulers try messages again, after what was wrong has been mended."""
    from mig_core.store.set_aside import take_again

    note(f"{take_again(_owner(url), numbers or ())} messages are tried again")


@set_aside.command("drop")
def drop_set_aside(
    numbers: Annotated[list[int] | None, typer.Argument(help="none: all")] = None, url: UrlOption = ""
) -> None:
    """Delete messages for good; the alarm ends with the last one."""
    from mig_core.store.set_aside import drop

    note(f"{drop(_owner(url), numbers or ())} messages are deleted")


@platform_log.command("forget")
def forget_log(
    before: Annotated[str, typer.Option("--before", help="Months that ended before this day, like 2026-01-01")],
    url: UrlOption = "",
) -> None:
    """Drop whole months of the platform log; that it was done stands in the log."""
    from datetime import UTC, datetime

    from mig_core.store.platform_log import forget_log as forget

    try:
        moment = datetime.strptime(before, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise ConfigurationError(
            "--before", "", f"is no day: {before!r:.40}", next_step="write it like 2026-01-01"
        ) from error
    note(f"{forget(_owner(url), moment)} months are gone")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line; returns its exit status."""
    return run(app, sys.argv[1:] if arguments is None else arguments, name="mig-admin")


def _owner(url: str) -> str:
    found = url or os.environ.get("MIG_OWNER_URL", "")
    if not found:
        raise ConfigurationError("--url", "", "is missing", next_step="give --url, or set MIG_OWNER_URL")
    return found


def _password(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise ConfigurationError(str(file), "", "is not UTF-8 text") from error

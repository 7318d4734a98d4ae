"""``mig doctor``: tries everything that asking a question needs, and names the one thing that is wrong."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mig_core.cli import exit_codes, tables
from mig_core.soundness import Wrong, document, examine, leave, look_at_clock, look_at_room, seconds_left, tell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from mig_core.client.connection import Connection

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("doctor")
def doctor(
    within: Annotated[float | None, typer.Option("--within", help="Seconds for all of it")] = None,
    json: tables.JsonOption = False,
) -> int:
    """Try settings, key, platform, login, clocks and disk at once, and name the one thing that is wrong."""
    from mig_core.client.connection import connect
    from mig_core.client.session import default_folder

    connection = connect()
    seconds = seconds_left(within)
    seen = examine(
        {
            "key": lambda: _key(connection),
            "platform": lambda: _platform(connection, seconds),
            "login": lambda: _login(connection),
            "disk": lambda: look_at_room(default_folder(os.environ)),
            "modules": _modules,
        },
        seconds=seconds,
    )
    if json:
        tables.document(document(seen))
        well = not any(one.wrongs for one in seen)
    else:
        well = tell("mig", seen, sys.stdout)
    sys.stdout.flush()
    return leave(exit_codes.ALL_ANSWERED if well else exit_codes.ERROR, seen)


def _key(connection: Connection) -> Iterator[str | Wrong]:
    """Whether GnuPG has the key, and it can sign."""
    from mig_core.pgp.gnupg import secret_keys

    wanted = connection.settings.fingerprint.replace(" ", "").upper()
    found = [one for one in secret_keys(connection.settings.gnupg_home) if one.fingerprint == wanted]
    if not found:
        yield Wrong(
            f"GnuPG has no secret key {wanted} that can sign now",
            "gpg --list-secret-keys shows whether it has expired; mig config init chooses another",
        )
        return
    ends = found[0].expires
    yield f"{wanted} ({found[0].algorithm}) " + (f"ends on {ends:%Y-%m-%d}" if ends else "does not end")


def _platform(connection: Connection, seconds: float) -> Iterator[str | Wrong]:
    """Whether mig-api answers, with what certificate, and what time it has there."""
    client = connection.client
    status, said = client.health(seconds=seconds)
    if status == 200:
        yield f"{connection.settings.api} answers"
    else:
        yield Wrong(f"{connection.settings.api} cannot work now: {said}", "its operators: mig-api --check")
    yield _clock(client.clock_ahead)


def _clock(ahead: timedelta) -> str | Wrong:
    clock = look_at_clock(ahead, "the platform's clock")
    return Wrong(f"this machine's clock {clock.problem}", clock.next_step) if isinstance(clock, Wrong) else clock


def _login(connection: Connection) -> Iterator[str | Wrong]:
    """Logs in as any command does, but never asks for a passphrase; and what the platform says of itself."""
    from mig_core.client.client import MigClient
    from mig_core.errors import SignatureInvalid
    from mig_core.pgp.gnupg import GnupgSigner

    settings = connection.settings
    client = MigClient(settings, signer=lambda: GnupgSigner(settings.fingerprint, settings.gnupg_home, may_ask=False))
    try:
        me = client.investigator(settings.fingerprint)
        yield f"{me['name']} may {', '.join(me['permissions']) or 'nothing'}"
        if "read" in me["permissions"]:
            yield from _numbers(client.dashboard())
    except SignatureInvalid as error:
        if "is locked" not in error.problem:
            raise
        yield "not tried: the key is locked, and its passphrase will be asked for when it signs"
    finally:
        client.close()


def _numbers(numbers: dict[str, Any]) -> Iterator[str | Wrong]:
    agents = numbers["agents"]
    online = agents.get("online", 0)
    known = sum(count for state, count in agents.items() if state not in ("pending", "retired"))
    yield f"{online} of {known} agents are online"
    for alarm, count in sorted(numbers.get("alarms", {}).items()):
        yield Wrong(f"the platform has an alarm: {alarm} ({count})", "its operators: docs/operations.md, Alarms")


def _modules() -> Iterator[str | Wrong]:
    """Which modules can be asked about from here."""
    from mig_core.plugin.manager import PluginManager

    manager = PluginManager()
    names = sorted(manager.names())
    yield (
        f"questions of {', '.join(names)}"
        if names
        else Wrong("no module is installed here: nothing can be asked", "pip install mig-plugin-file")
    )

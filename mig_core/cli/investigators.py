"""``mig investigators`` and ``mig investigator bootstrap|add|show|enable|disable|permit|remove``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mig_core.cli import exit_codes, tables
from mig_core.cli.terminal import confirm, note
from mig_core.client.connection import connect

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(add_completion=False, rich_markup_mode=None)
investigator_app = typer.Typer(
    add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="One investigator, by fingerprint."
)

PermissionsOption = Annotated[
    str, typer.Option("--permissions", help="Comma-separated: read, ask, agents, investigators, propose, log")
]


@app.command("investigators")
def investigators(json: tables.JsonOption = False) -> None:
    """List investigators."""
    rows = connect().client.investigators()
    if json:
        tables.document(rows)
        return
    tables.table(
        ("name", "fingerprint", "active", "permissions"),
        (
            (one["name"], one["fingerprint"], "yes" if one["active"] else "no", " ".join(one["permissions"]))
            for one in rows
        ),
    )


@investigator_app.command("bootstrap")
def bootstrap(
    name: str,
    secret_file: Annotated[
        Path, typer.Option("--secret-file", help="The one-time secret that mig-api wrote at its first start")
    ],
) -> None:
    """Register yourself as a fresh platform's first investigator."""
    connection = connect()
    secret = secret_file.read_text(encoding="ascii", errors="replace").strip()
    found = connection.client.bootstrap(secret, name, connection.signer.public_key())
    note(f"{found['name']} ({found['fingerprint']}) is the first investigator")


@investigator_app.command("add")
def add(name: str, key_file: Path, permissions: PermissionsOption = "read,ask") -> None:
    """Register an investigator by their public key (an armored file)."""
    found = connect().client.add_investigator(name, key_file.read_bytes(), _words(permissions))
    note(f"{found['name']} ({found['fingerprint']}) is registered")
    note("agents obey only once the key is among their trusted keys and in their ACL")


@investigator_app.command("show")
def show(fingerprint: str, json: tables.JsonOption = False) -> None:
    """One investigator."""
    found = connect().client.investigator(fingerprint)
    if json:
        tables.document(found)
    else:
        tables.facts(found.items())


@investigator_app.command("disable")
def disable(fingerprint: str) -> None:
    """End all sessions of an investigator, and let no new one begin."""
    _changed(connect().client.change_investigator(fingerprint, active=False))


@investigator_app.command("enable")
def enable(fingerprint: str) -> None:
    """Let a disabled investigator in again."""
    _changed(connect().client.change_investigator(fingerprint, active=True))


@investigator_app.command("permit")
def permit(fingerprint: str, permissions: PermissionsOption) -> None:
    """Replace an investigator's permissions."""
    _changed(connect().client.change_investigator(fingerprint, permissions=_words(permissions)))


@investigator_app.command("remove")
def remove(
    fingerprint: str,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask")] = False,
) -> int:
    """Remove an investigator: sessions end at once, the list forgets them, and what they asked keeps their name."""
    client = connect().client
    found = client.investigator(fingerprint)
    note(f"{found['name']} ({found['fingerprint']}), permissions: {', '.join(found['permissions']) or 'none'}")
    if not yes and not (sys.stdin.isatty() and confirm("Remove?")):
        note("nobody was removed; --yes removes without asking")
        return exit_codes.ERROR
    client.remove_investigator(fingerprint)
    note(f"{found['name']} is removed")
    note("agents obey this key until it is gone from their trusted keys or their ACL: mig agents --keyring-differs")
    return exit_codes.ALL_ANSWERED


def _words(text: str) -> Sequence[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _changed(found: dict[str, Any]) -> None:
    state = "active" if found["active"] else "disabled"
    note(f"{found['name']} is {state}; permissions: {', '.join(found['permissions']) or 'none'}")

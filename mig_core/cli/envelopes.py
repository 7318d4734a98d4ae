"""``mig sign FILE`` and ``mig send FILE``: signing where no platform is, and sending what was signed elsewhere.

Two people and a USB stick: ``mig MODULE … -s > question.json`` on one machine, ``mig sign question.json`` on another,
``mig send question.json`` where the platform is.
"""

from __future__ import annotations

import json as jsons
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mig_core.cli import exit_codes
from mig_core.cli.formats import Format, Show
from mig_core.cli.results import CsvOption, JsonlOption, JsonOption, ShowOption, one_format
from mig_core.cli.signing_view import show_content
from mig_core.cli.terminal import GREEN, YELLOW, confirm, data, note
from mig_core.cli.waiting import waiting_of
from mig_core.client.connection import connect
from mig_core.domain import envelope as envelopes
from mig_core.domain.action import read_action
from mig_core.domain.envelope import MAX_ACTION_BYTES, MAX_SIGNATURES, read_envelope
from mig_core.errors import InvalidDocument, SignatureInvalid
from mig_core.text import visible

if TYPE_CHECKING:
    from mig_core.client.connection import Connection
    from mig_core.domain.envelope import Envelope

sign_app = typer.Typer(add_completion=False, rich_markup_mode=None)
send_app = typer.Typer(add_completion=False, rich_markup_mode=None)


@sign_app.command("sign")
def sign(
    file: Annotated[Path, typer.Argument(help="What mig MODULE -s printed, perhaps signed by others already")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where to write it (default: FILE)")] = None,
) -> int:
    """Add your signature to a signed action in a file; no platform is asked."""
    envelope = _read(file)
    connection = connect()
    signer = connection.signer.fingerprint
    if any(one.keyid == signer for one in envelope.signatures):
        raise InvalidDocument(file.name, f"has your signature ({signer}) already")
    if len(envelope.signatures) >= MAX_SIGNATURES:
        raise InvalidDocument(file.name, f"has {MAX_SIGNATURES} signatures, more are not possible")
    content = read_action(envelope.payload)
    _say_signatures(envelope, connection)
    show_content(envelope)
    note(f"target: {content.target}")
    if not yes and not (sys.stdin.isatty() and confirm("Sign it?")):
        note("nothing was signed; --yes signs without asking")
        return exit_codes.ERROR
    signed = envelope.with_signature(connection.signer.sign(envelope).signatures[-1])
    _write(output or file, signed)
    note(f"signed; {output or file} has {len(signed.signatures)} signatures; next: mig send {output or file}", GREEN)
    return exit_codes.ALL_ANSWERED


@send_app.command("send")
def send(
    file: Annotated[Path, typer.Argument(help="What mig MODULE -s printed, or mig sign wrote")],
    show: ShowOption = Show.FOUND,
    json: JsonOption = False,
    jsonl: JsonlOption = False,
    csv: CsvOption = False,
    detach: Annotated[bool, typer.Option("--detach", help="Print the action's id and do not wait")] = False,
    wait: Annotated[str, typer.Option("--wait", help="Until found:1, 95% or 20 answers")] = "",
    no_wait_offline: Annotated[bool, typer.Option("--no-wait-offline", help="Not for agents that are offline")] = False,
    exit_found: Annotated[bool, typer.Option("--exit-found", help="Exit status like grep's")] = False,
) -> int:
    """Send a signed action as it is, and wait for its answers."""
    from mig_core.cli.ask import send_envelope
    from mig_core.cli.following import Following

    output = one_format(Format.TEXT, json=json, jsonl=jsonl, csv=csv)
    waiting = waiting_of(wait, offline=not no_wait_offline)
    following = Following(show, output, waiting, exit_found=exit_found)
    return send_envelope(_read(file), following, connect(), detach=detach)


def _read(file: Path) -> Envelope:
    try:
        raw = sys.stdin.buffer.read(2 * MAX_ACTION_BYTES) if str(file) == "-" else _bytes(file)
    except OSError as error:
        raise InvalidDocument(str(file), f"cannot be read: {error.strerror}") from error
    return read_envelope(raw, expected_type=envelopes.ACTION, max_bytes=MAX_ACTION_BYTES)


def _bytes(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(2 * MAX_ACTION_BYTES)


def _write(file: Path, envelope: Envelope) -> None:
    """Beside the file and then in its place, so that a full disk leaves the old one."""
    text = jsons.dumps(envelope.to_json(), indent=2)
    if str(file) == "-":
        data(text)
        return
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        fresh.write_text(text + "\n", encoding="utf-8")
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)


def _say_signatures(envelope: Envelope, connection: Connection) -> None:
    """Who has signed it already, as far as this GnuPG knows.

    Raises:
        SignatureInvalid: a signature by a known key is not good.
    """
    from mig_core.cli.known_keys import known_keyring

    with tempfile.TemporaryDirectory(prefix="mig-sign-") as folder:
        keyring = known_keyring(
            connection.settings.gnupg_home, (one.keyid for one in envelope.signatures), Path(folder)
        )
        known = {key.fingerprint for key in keyring.keys()}  # noqa: SIM118  a keyring is no dictionary
        for one in envelope.signatures:
            if one.keyid not in known:
                note(f"signed by {visible(one.keyid)}: not checked, your GnuPG lacks the key", YELLOW)
                continue
            try:
                keyring.verify(envelope.signed_bytes(), one)
            except SignatureInvalid as error:
                raise SignatureInvalid(one.keyid, f"the signature in the file is not good: {error}") from error
            note(f"signed by {one.keyid}: checked", GREEN)

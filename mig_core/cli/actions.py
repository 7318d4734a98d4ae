"""``mig actions`` and ``mig action show|follow|results|repeat|cancel|approve``."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from mig_core.cli import exit_codes, tables
from mig_core.cli.formats import Format, Show
from mig_core.cli.module_options import ModuleCommand
from mig_core.cli.repeat import repeat
from mig_core.cli.results import (
    ActionArgument,
    CsvOption,
    FormatOption,
    JsonlOption,
    JsonOption,
    ShowOption,
    one_format,
    results,
)
from mig_core.cli.signing_view import show_content
from mig_core.cli.terminal import YELLOW, confirm, note
from mig_core.client.connection import connect

app = typer.Typer(add_completion=False, rich_markup_mode=None)
action_app = typer.Typer(
    add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="One action, by its id."
)


@app.command("actions")
def actions(
    state: Annotated[str | None, typer.Option("--state", help="Only these states, like pending,inflight")] = None,
    name: Annotated[str, typer.Option("--name", help="Only actions whose name contains this")] = "",
    limit: Annotated[int, typer.Option("--limit", help="At most so many")] = 20,
    json: tables.JsonOption = False,
) -> None:
    """List actions, latest first."""
    rows = list(connect().client.actions(states=state.split(",") if state else (), name=name, limit=limit))
    if json:
        tables.document(rows)
        return
    tables.table(
        ("created", "id", "state", "asked", "found", "name"),
        (
            (tables.moment(one["created"]), one["id"], _state(one), one["targeted"], one["found"], one["name"])
            for one in rows
        ),
    )


def _state(action: dict[str, Any]) -> str:
    """Its state; a cancelled action is under way until the last agent that has it has answered."""
    under_way = action["cancelled"] and action["state"] == "inflight"
    return f"{action['state']}, cancelled" if under_way else str(action["state"])


@action_app.command("show")
def show(action: ActionArgument, json: tables.JsonOption = False) -> None:
    """What is asked, by whom, and where it stands."""
    client = connect().client
    found = client.action(client.action_id(action))
    if json:
        tables.document(found)
    else:
        tables.facts((key, value) for key, value in found.items() if key != "envelope")


@action_app.command("follow")
def follow(
    action: ActionArgument,
    show: ShowOption = Show.FOUND,
    output: FormatOption = Format.TEXT,
    json: JsonOption = False,
    jsonl: JsonlOption = False,
    csv: CsvOption = False,
    wait: Annotated[str, typer.Option("--wait", help="Until found:1, 95% or 20 answers")] = "",
    no_wait_offline: Annotated[bool, typer.Option("--no-wait-offline", help="Not for agents that are offline")] = False,
) -> int:
    """Watch answers arrive, from the first one on."""
    from mig_core.cli.following import Following
    from mig_core.cli.following import follow as watch
    from mig_core.cli.waiting import waiting_of

    chosen = one_format(output, json=json, jsonl=jsonl, csv=csv)
    waiting = waiting_of(wait, offline=not no_wait_offline)
    client = connect().client
    return watch(client, client.action(client.action_id(action)), Following(show, chosen, waiting))


action_app.command("results")(results)
action_app.command("repeat", cls=ModuleCommand)(repeat)


@action_app.command("cancel")
def cancel(
    action: ActionArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why; agents keep it in their ledger")] = "",
) -> None:
    """Sign and send a cancel: agents stop, or never begin."""
    from mig_core.domain import envelope as envelopes
    from mig_core.domain.action import Cancel
    from mig_core.domain.envelope import Envelope
    from mig_core.domain.ids import ActionId

    connection = connect()
    found = connection.client.action(connection.client.action_id(action))
    payload = Cancel(ActionId(found["id"]), reason, datetime.now(UTC)).to_payload()
    envelope = connection.signer.sign(Envelope(envelopes.CANCEL, payload))
    after = connection.client.cancel(found["id"], envelope)
    note(f"cancelled; {after['targeted']} agents had been asked, state: {after['state']}")


@action_app.command("approve")
def approve(
    action: ActionArgument, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask")] = False
) -> int:
    """Show exactly what is to be signed, and add a signature."""
    from mig_core.domain import envelope as envelopes
    from mig_core.domain.action import read_action
    from mig_core.domain.envelope import envelope_from_json

    connection = connect()
    found = connection.client.action(connection.client.action_id(action))
    envelope = envelope_from_json(found["envelope"], expected_type=envelopes.ACTION)
    # What is shown comes out of the very bytes that get signed, never from the server's description of them.
    content = read_action(envelope.payload)
    if content.id != found["id"]:
        note("the envelope is of another action than was asked for; nothing was signed", YELLOW)
        return exit_codes.REFUSED
    show_content(envelope, connection.client.evaluate(content.target))
    if not yes and not (sys.stdin.isatty() and confirm("Sign it?")):
        note("nothing was signed; --yes signs without asking")
        return exit_codes.ERROR
    signature = connection.signer.sign(envelope).signatures[-1]
    after = connection.client.add_signature(found["id"], signature)
    note(f"signed; the action is now {after['state']}")
    for need in after["needed"]:
        note(f"  module {need['module']} still needs weight {need['minimum']}, has {need['have']}")
    return exit_codes.ALL_ANSWERED

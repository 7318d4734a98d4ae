"""``mig proposals`` and ``mig proposal show|sign|reject``: questions that others propose, and an investigator signs."""

from __future__ import annotations

import json as jsons
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mig_core.cli import exit_codes, tables
from mig_core.cli.terminal import YELLOW, confirm, data, note
from mig_core.client.connection import connect
from mig_core.text import visible

if TYPE_CHECKING:
    from mig_core.domain.proposal import Proposal

app = typer.Typer(add_completion=False, rich_markup_mode=None)
proposal_app = typer.Typer(
    add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="One proposal, by its id."
)


@app.command("proposals")
def proposals(
    state: Annotated[str, typer.Option("--state", help="Only these states: open, signed, rejected, or all")] = "open",
    limit: Annotated[int, typer.Option("--limit", help="At most so many")] = 50,
    json: tables.JsonOption = False,
) -> None:
    """List what was proposed, latest first."""
    rows = list(connect().client.proposals(states=() if state == "all" else state.split(","), limit=limit))
    if json:
        tables.document(rows)
        return
    tables.table(
        ("created", "id", "state", "by", "name", "reason"),
        (
            (
                tables.moment(one["created"]),
                one["id"],
                one["state"],
                _who(one),
                one["proposal"]["name"],
                one["proposal"]["reason"],
            )
            for one in rows
        ),
    )


@proposal_app.command("show")
def show(proposal: str, json: tables.JsonOption = False) -> None:
    """What is proposed, by whom and why, and what became of it."""
    found = connect().client.proposal(proposal)
    if json:
        tables.document(found)
        return
    tables.facts((key, value) for key, value in found.items() if key != "proposal")
    tables.facts((key, value) for key, value in found["proposal"].items() if key != "operations")
    data(jsons.dumps(found["proposal"]["operations"], indent=2, ensure_ascii=True))


@proposal_app.command("sign")
def sign(proposal: str, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask")] = False) -> int:
    """Show exactly what is to be signed and who would be asked; sign it with your key, and ask it."""
    from mig_core.client.compose import compose_proposal
    from mig_core.domain import envelope as envelopes
    from mig_core.domain.envelope import Envelope

    connection = connect()
    found = connection.client.proposal(proposal)
    if found["state"] != "open":
        note(f"it was {found['state']} already, by {visible(found['decidedby'])}", YELLOW)
        return exit_codes.REFUSED
    proposed = _read(found)
    action = compose_proposal(proposed)
    unsigned = Envelope(envelopes.ACTION, action.to_payload())
    evaluated = connection.client.evaluate(action.target)
    note(f"proposed by {visible(_who(found))}: {visible(proposed.reason)}")
    data(jsons.dumps(jsons.loads(unsigned.payload), indent=2, ensure_ascii=True))
    names = ", ".join(visible(one["name"]) for one in evaluated["agents"])
    note(f"would be asked: {evaluated['count']} agents{f': {names}' if names else ''}")
    for line in connection.client.weights(unsigned, connection.signer.fingerprint):
        note(line)
    if not yes and not (sys.stdin.isatty() and confirm("Sign it?")):
        note("nothing was signed; --yes signs without asking")
        return exit_codes.ERROR
    # The window begins now, not while somebody was reading.
    envelope = connection.signer.sign(Envelope(envelopes.ACTION, compose_proposal(proposed).to_payload()))
    created = connection.client.create_action(envelope)
    connection.client.proposal_signed(found["id"], created["id"])
    note(f"signed; its answers: mig action follow {created['id']}")
    data(created["id"])
    return exit_codes.ALL_ANSWERED


@proposal_app.command("reject")
def reject(
    proposal: str, reason: Annotated[str, typer.Option("--reason", help="Why, for whoever proposed it")] = ""
) -> None:
    """Say no; whoever proposed it can read why."""
    after = connect().client.reject_proposal(proposal, reason)
    note(f"proposal {after['id']} is rejected")


def _who(found: dict[str, Any]) -> str:
    """The investigator whose session it was, and who that says is behind it."""
    author = found["proposal"]["author"]
    return f"{found['proposername']} for {author}" if author else str(found["proposername"])


def _read(found: dict[str, Any]) -> Proposal:
    from mig_core.domain.document import dump
    from mig_core.domain.proposal import read_proposal

    return read_proposal(dump(found["proposal"]))

"""``mig enrolment add|list|revoke|pending``: what admits agents, and who waits to be admitted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from mig_core.cli import tables
from mig_core.cli.terminal import data, note
from mig_core.client.connection import connect
from mig_core.domain.times import format_time, parse_duration

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Secrets that admit agents, and agents that wait for approval.",
)


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="What it is listed by, like berlin-2027")],
    expires: Annotated[
        str, typer.Option("--expires", help="Admits nobody after so long, like 30d; never without")
    ] = "",
    uses: Annotated[int | None, typer.Option("--uses", min=1, help="Admits so many agents; any number without")] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", help="A tag for its agents, key=value; their own settings win")
    ] = None,
    relay: Annotated[
        str,
        typer.Option("--relay", help="Where its agents listen unless their settings say it: amqps://broker:5671/mig"),
    ] = "",
    json: tables.JsonOption = False,
) -> None:
    """Make a secret that admits agents, and print it; it is shown this once."""
    until = format_time(datetime.now(UTC) + _duration(expires)) if expires else ""
    made = connect().client.add_enrolment_secret(name, expires=until, uses=uses, tags=_tags(tag or ()), relay=relay)
    if json:
        tables.document(made)
        return
    data(made["secret"])
    note(f"enrolment secret {made['name']}; it is not shown again: put it into the agents' enrolment_secret_file")


@app.command("list")
def list_secrets(json: tables.JsonOption = False) -> None:
    """List secrets that admit agents, or did; never the secrets themselves."""
    rows = connect().client.enrolment_secrets()
    if json:
        tables.document(rows)
        return
    tables.table(
        ("name", "state", "expires", "uses left", "used", "last used", "relay", "tags"),
        (
            (
                one["name"],
                one["state"],
                tables.moment(one["expires"]),
                "" if one["usesleft"] is None else one["usesleft"],
                "not counted" if one["used"] is None else one["used"],
                tables.moment(one["lastused"]),
                one["relay"],
                " ".join(f"{key}={value}" for key, value in sorted(one["tags"].items())),
            )
            for one in rows
        ),
    )


@app.command("revoke")
def revoke(name: str) -> None:
    """Let a secret admit nobody any more, at once; agents that it admitted stay."""
    found = connect().client.revoke_enrolment_secret(name)
    named = found["name"]
    note(f"{named} admits nobody any more; it admitted {found['used']} agents: mig agents --enrolled-with {named}")


@app.command("pending")
def pending(json: tables.JsonOption = False) -> None:
    """List agents that wait for approval; who asks no more is forgotten after a day."""
    rows = list(connect().client.agents(states=("pending",)))
    if json:
        tables.document(rows)
        return
    tables.table(
        ("asked first", "id", "name", "relay", "os", "ident"),
        (
            (
                tables.moment(one["enrolled"]),
                one["id"],
                one["name"],
                one["relay"],
                one["environment"].get("os", ""),
                one["environment"].get("ident", ""),
            )
            for one in rows
        ),
    )
    if rows:
        note("compare an id with what `mig-agent id` prints there, then: mig agent approve ID")


def _duration(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(f"--expires {error}") from None


def _tags(pairs: Sequence[str]) -> dict[str, str]:
    tags = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key.strip() or not equals:
            raise typer.BadParameter(f"--tag must be like site=berlin, got {pair!r:.60}")
        tags[key.strip()] = value.strip()
    return tags

"""``mig agent retire`` and ``mig agent renew-token``: one agent, or all that a target means; both ask before."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mig_core.cli import exit_codes, tables
from mig_core.cli.completion import complete_agent, complete_target
from mig_core.cli.terminal import YELLOW, confirm, data, note
from mig_core.client.connection import connect
from mig_core.domain.target import parse_target
from mig_core.domain.times import format_time, parse_duration, parse_time

if TYPE_CHECKING:
    from mig_core.client.connection import Connection

SAMPLE = 10
STATES = ("online", "idle", "offline")

OneAgent = Annotated[
    str | None, typer.Argument(help="Its exact name, its id, or the beginning of it", autocompletion=complete_agent)
]
AllAgents = Annotated[
    str | None, typer.Option("--target", "-t", help="All that this target means", autocompletion=complete_target)
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask")]


def retire(
    agent: OneAgent = None,
    target: AllAgents = None,
    not_seen: Annotated[
        str | None, typer.Option("--not-seen", help="Only those of which nothing was heard for so long, like 90d")
    ] = None,
    pending: Annotated[bool, typer.Option("--pending", help="Those that wait for approval instead")] = False,
    yes: YesOption = False,
) -> int:
    """Take agents out for good; their keys are refused from now on."""
    if agent is not None and (target or not_seen or pending):
        raise typer.BadParameter("name one agent, or give --target, --not-seen or --pending, not both")
    if agent is None and not (target or not_seen or pending):
        raise typer.BadParameter("which? name one agent, or give --target, --not-seen or --pending")
    silent = _before(not_seen)
    connection = connect()
    found = _meant(connection, agent, target, silent, pending=pending)
    if not found:
        note("no agent is meant; nobody is retired")
        return exit_codes.ALL_ANSWERED
    if not _agreed(found, "Retire {} agents for good?", yes=yes):
        note("nobody was retired; --yes retires without asking")
        return exit_codes.ERROR
    # Who came back while somebody was reading stays.
    retired = connection.client.retire_silent(
        [one["id"] for one in found], "" if silent is None else format_time(silent)
    )
    for identifier in retired:
        data(identifier)
    note(f"{len(retired)} agents are retired")
    if len(retired) < len(found):
        note(f"{len(found) - len(retired)} were retired already, or came back in time", YELLOW)
    return exit_codes.ALL_ANSWERED


def renew_token(
    agent: OneAgent = None,
    target: AllAgents = None,
    yes: YesOption = False,
) -> int:
    """Make relay tokens worthless: each agent enrols again, by its key, and is given another."""
    if (agent is None) == (not target):
        raise typer.BadParameter("name one agent, or give --target")
    connection = connect()
    found = _meant(connection, agent, target, None, pending=False)
    if not found:
        note("no agent is meant; no token is renewed")
        return exit_codes.ALL_ANSWERED
    if not _agreed(found, "Renew the tokens of {} agents?", yes=yes):
        note("no token was renewed; --yes renews without asking")
        return exit_codes.ERROR
    renewed = connection.client.renew_tokens([one["id"] for one in found])
    for identifier in renewed:
        data(identifier)
    note(f"{len(renewed)} agents enrol again; at a broker an open connection lasts: see docs/rotation.md")
    return exit_codes.ALL_ANSWERED


def _agreed(found: list[dict[str, Any]], question: str, *, yes: bool) -> bool:
    """Shows how many and the first of them, and asks."""
    for one in found[:SAMPLE]:
        note(f"{one['name']}  {one['id']}  {tables.agent_state(one)}, last heard of {tables.moment(_heard(one))}")
    if len(found) > SAMPLE:
        note(f"… and {len(found) - SAMPLE} more")
    online = sum(one["state"] == "online" for one in found)
    if online:
        note(f"{online} of them are online", YELLOW)
    return yes or (sys.stdin.isatty() and confirm(question.format(len(found))))


def _before(not_seen: str | None) -> datetime | None:
    if not_seen is None:
        return None
    try:
        return datetime.now(UTC) - parse_duration(not_seen)
    except ValueError as error:
        raise typer.BadParameter(f"--not-seen {error}") from None


def _meant(
    connection: Connection, agent: str | None, target: str | None, silent: datetime | None, *, pending: bool
) -> list[dict[str, Any]]:
    client = connection.client
    if agent is not None:
        return [client.agent(client.agent_id(agent))]
    text = parse_target(target, macros=connection.settings.macros).expanded if target else ""
    rows = client.agents(target=text, states=("pending",) if pending else STATES)
    return [one for one in rows if silent is None or parse_time(_heard(one)) <= silent]


def _heard(agent: dict[str, Any]) -> str:
    return str(agent["heartbeat"] or agent["enrolled"])

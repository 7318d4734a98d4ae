"""``mig agents`` and ``mig agent show|approve|retire``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mig_core.cli import tables
from mig_core.cli.completion import complete_target
from mig_core.cli.results import AgentArgument
from mig_core.cli.retire import renew_token, retire
from mig_core.cli.terminal import data, note
from mig_core.client.connection import connect
from mig_core.client.versions import version_condition, version_key
from mig_core.domain.target import parse_target
from mig_core.errors import ConfigurationError
from mig_core.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

app = typer.Typer(add_completion=False, rich_markup_mode=None)
agent_app = typer.Typer(
    add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="One agent, by its id or its exact name."
)

_HEAD = ("name", "id", "state", "version", "relay", "os", "ident", "heartbeat", "tags")


@app.command("agents")
def agents(
    target: Annotated[
        str | None,
        typer.Option("--target", "-t", help="Only agents that match this target", autocompletion=complete_target),
    ] = None,
    state: Annotated[str | None, typer.Option("--state", help="Only these states, like online,idle")] = None,
    version: Annotated[
        str | None,
        typer.Option("--version", help="Only these versions, in the order of releases: '<0.2', '>=0.1,<0.3'"),
    ] = None,
    acl_differs: Annotated[
        bool, typer.Option("--acl-differs", help="Only those that believe another ACL than the platform's copy")
    ] = False,
    keyring_differs: Annotated[
        bool, typer.Option("--keyring-differs", help="Only those that believe other keys than the platform's copy")
    ] = False,
    enrolled_with: Annotated[
        str | None, typer.Option("--enrolled-with", help="Only those that this enrolment secret admitted")
    ] = None,
    json: tables.JsonOption = False,
) -> None:
    """List agents by name."""
    wanted = _of_version(version) if version else None
    connection = connect()
    text = parse_target(target, macros=connection.settings.macros).expanded if target else ""
    rows = list(connection.client.agents(target=text, states=state.split(",") if state else ()))
    if wanted:
        unread = sum(version_key(one["version"]) is None for one in rows)
        if unread:
            note(f"{unread} more agents say no version that can be compared; they are not listed")
        rows = [one for one in rows if wanted(one)]
    for name, asked in (("acl", acl_differs), ("keyring", keyring_differs)):
        if asked:
            rows = differing(rows, name, connection.client.trust())
    if enrolled_with is not None:
        rows = [one for one in rows if one["enrolledwith"] == enrolled_with]
    if json:
        tables.document(rows)
        return
    tables.table(
        _HEAD,
        (
            (
                one["name"],
                one["id"],
                tables.agent_state(one),
                one["version"],
                one["relay"],
                one["environment"].get("os", ""),
                one["environment"].get("ident", ""),
                tables.moment(one["heartbeat"]),
                " ".join(f"{key}={value}" for key, value in sorted(one["tags"].items())),
            )
            for one in rows
        ),
    )


def differing(rows: list[dict[str, Any]], name: str, trust: Mapping[str, str]) -> list[dict[str, Any]]:
    """Agents whose heartbeats tell another ``acl`` or ``keyring`` than the reference, or none at all.

    The reference is the platform's copy, or, where it has none, what most of the agents have.
    """
    told = [str(one["environment"].get(name, "")) for one in rows]
    reference = trust[name]
    if not reference:
        counts = Counter(one for one in told if one)
        if not counts:
            note(f"no agent tells its {name}")
            return rows
        reference, number = counts.most_common(1)[0]
        setting = {"acl": "acl", "keyring": "keys"}[name]
        note(f"mig-api has no copy to compare with (its setting {setting}): compared with what {number} agents have")
    note(f"{name} {reference}: {told.count(reference)} of {len(rows)} agents have it, {told.count('')} do not tell")
    return [one for one, its in zip(rows, told, strict=True) if its != reference]


def _of_version(condition: str) -> Callable[[Mapping[str, Any]], bool]:
    try:
        test = version_condition(condition)
    except ConfigurationError as error:
        raise typer.BadParameter(f"{error}, {error.next_step}") from None

    def wanted(agent: Mapping[str, Any]) -> bool:
        key = version_key(agent["version"])
        return key is not None and test(key)

    return wanted


@agent_app.command("show")
def show(agent: AgentArgument, json: tables.JsonOption = False) -> None:
    """Everything the platform knows of an agent."""
    client = connect().client
    found = client.agent(client.agent_id(agent))
    if json:
        tables.document(found)
        return
    events, same = found.pop("events", []), found.pop("samemachine", [])
    tables.facts(found.items())
    for one in same:
        # What both say of their machine; it proves nothing.
        word = "successor" if one["later"] else "predecessor"
        data(
            f"{word}: {visible(one['name'])} {one['id']} {one['state']}, enrolled {tables.moment(one['enrolled'])},"
            " says it runs on the same machine"
        )
    for one in events:
        data(f"{tables.moment(one['time'])}  {one['event']}: {visible(one['detail'])}")


@agent_app.command("approve")
def approve(agent: AgentArgument) -> None:
    """Admit an agent that waits for approval."""
    client = connect().client
    found = client.approve_agent(client.agent_id(agent))
    note(f"{found['name']} is admitted")


agent_app.command("retire")(retire)
agent_app.command("renew-token")(renew_token)

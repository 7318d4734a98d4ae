"""``mig why ACTION AGENT``: what became of one command, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from mig_core.cli import tables
from mig_core.cli.results import ActionArgument, AgentArgument
from mig_core.cli.terminal import data
from mig_core.client.connection import connect
from mig_core.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_MEANING = {
    "queued": "it waits to be handed to the agent's relay; a scheduler must be running",
    "sent": "the relay has it; the agent has not answered yet",
    "success": "the agent ran every operation",
    "failed": "a module could not do its work",
    "refused": "the agent said no",
    "timeout": "the module's time ran out; what it had found is kept",
    "killed": "the module was ended for its use of memory or processor, or because it took the agent down twice",
    "cancelled": "an investigator cancelled the action before the answer",
    "expired": "no answer came before the action's window ended",
}


@app.command("why")
def why(action: ActionArgument, agent: AgentArgument, json: tables.JsonOption = False) -> None:
    """Explain what became of one action on one agent (its id or its exact name)."""
    client = connect().client
    action = client.action_id(action)
    identifier = client.agent_id(agent)
    command = client.command(action, identifier)
    if json:
        tables.document(command)
        return
    state = command["state"]
    data(f"{visible(command['agentname'])}: {state}: {_MEANING.get(state, '')}")
    if command["reason"]:
        data(f"reason: {visible(command['reason'])}")
    for name, key in (("queued", "queued"), ("handed to the relay", "sent"), ("ended", "finished")):
        if command[key]:
            data(f"{name}: {tables.moment(command[key])}")
    for number, result in enumerate(command["results"] or (), start=1):
        _operation(number, result)
    if command.get("waiting"):
        data(f"now: {visible(command['waiting'])}")
    if state in ("sent", "cancelled", "expired") and (cancelled := tables.cancelled(client.action(action))):
        data(f"the action was {cancelled}")
    if state in ("sent", "expired"):
        about = client.agent(identifier)
        data(f"the agent is {about['state']}; its last heartbeat: {tables.moment(about['heartbeat']) or 'none'}")
        for line in _on_the_endpoint(about.get("spool") or {}, command["id"]):
            data(visible(line))


def _on_the_endpoint(spool: dict[str, Any], command: str) -> Iterator[str]:
    """What the agent's last heartbeat says of its answer, and of its way to the relay."""
    lost = [one for one in _lines(spool.get("lost")) if one.get("command") == command]
    troubled = [one for one in _lines(spool.get("troubled")) if one.get("command") == command]
    for one in lost:
        yield f"the agent had answered and gave the answer up: {one.get('reason')}"
    for one in troubled:
        yield (
            f"the agent has answered, since {tables.moment(str(one.get('since')))} the answer waits there"
            f" ({one.get('bytes')} bytes, {one.get('tries')} attempts): {one.get('problem')}"
        )
    if not lost and not troubled and spool.get("answers"):
        oldest = tables.moment(str(spool.get("oldest") or ""))
        full = "; it is full, and nothing further is begun" if spool.get("full") is True else ""
        yield f"{spool['answers']} answers wait on the endpoint for its relay, the oldest since {oldest}{full}"


def _lines(value: object) -> list[dict[str, Any]]:
    """Lines of a report by an agent, who may write there what it likes."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _operation(number: int, result: dict[str, Any]) -> None:
    coverage = result.get("coverage") or {}
    examined = ", ".join(f"{count} {kind}" for kind, count in (coverage.get("examined") or {}).items())
    verdict = "found" if result["foundanything"] else "not found"
    data(f"operation {number}: {verdict}; looked at: {visible(examined) or 'unknown'}")
    for skipped in coverage.get("skipped") or ():
        examples = ", ".join(skipped.get("examples") or ())
        suffix = f": {visible(examples)}" if examples else ""
        data(f"  not looked at: {visible(skipped['reason'])} ({skipped['count']}){suffix}")
    for error in result.get("errors") or ():
        data(f"  error: {visible(str(error))}")

"""``mig why ACTION AGENT``: what became of one command, and why."""

from __future__ import annotations

import typer

from mig_core.cli import tables
from mig_core.cli.results import ActionArgument, AgentArgument
from mig_core.cli.terminal import data
from mig_core.client.connection import connect

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("why")
def why(action: ActionArgument, agent: AgentArgument, json: tables.JsonOption = False) -> None:
    """Explain what became of one action on one agent (its id or its exact name)."""
    from mig_core.client.explanation import explain

    client = connect().client
    action = client.action_id(action)
    command = client.command(action, client.agent_id(agent))
    if json:
        tables.document(command)
        return
    for line in explain(client, command):
        data(line)

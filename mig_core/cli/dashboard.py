"""``mig dashboard``: the platform in numbers."""

from __future__ import annotations

import typer

from mig_core.cli import tables
from mig_core.client.connection import connect

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("dashboard")
def dashboard(json: tables.JsonOption = False) -> None:
    """Numbers of agents, actions and commands, and what was refused."""
    numbers = connect().client.dashboard()
    if json:
        tables.document(numbers)
        return
    tables.table(
        ("what", "which", "count"),
        ((group, key, count) for group, rows in numbers.items() for key, count in sorted(rows.items())),
    )

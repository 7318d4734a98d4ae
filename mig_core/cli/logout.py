"""``mig logout``: ends the session that commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from mig_core.cli.terminal import note
from mig_core.client.connection import connect

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("logout")
def logout(
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="All your sessions, on other machines too (logs in to do so)")
    ] = False,
) -> None:
    """End your session: the next command asks for your key again."""
    there_was = connect().client.log_out(everywhere=everywhere)
    if everywhere:
        note("all your sessions have ended")
    else:
        note("the session has ended" if there_was else "there was no session here")

"""``mig web``: serves the page and opens a browser."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)

DEFAULT_PORT = 1665


@app.command("web")
def web(
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help=f"Of 127.0.0.1 (default: {DEFAULT_PORT}, else any that is free)"),
    ] = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="Only print the address; open no browser")] = False,
) -> int:
    """Serve MIG's page on this machine, for your browser. Keys stay here."""
    import logging

    from mig_core.cli import exit_codes
    from mig_core.cli.terminal import YELLOW, data, note
    from mig_core.client.connection import connect
    from mig_core.logs import start_logging
    from mig_web.server import listen, serve

    start_logging("web", "WARNING")
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # more connections than it keeps are no news
    connection = connect()
    listening = listen(DEFAULT_PORT if port is None else port, or_any=port is None)
    actual = listening.getsockname()[1]
    if port is None and actual != DEFAULT_PORT:
        note(f"port {DEFAULT_PORT} is taken: links from others open here once it is free", YELLOW)

    def ready(address: str) -> None:
        data(address)
        note("The address opens once; Ctrl-C ends the page and every session.")
        if not no_open:
            import webbrowser

            webbrowser.open(address)

    serve(connection, listening, ready)
    return exit_codes.ALL_ANSWERED

"""``mig demo``: puts the platform together, asks the questions, and stays until Ctrl-C."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
import tempfile
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mig_core.cli import exit_codes
from mig_core.cli.demo.platform import Platform
from mig_core.cli.demo.processes import program
from mig_core.cli.demo.site import ENDPOINTS, Site
from mig_core.cli.demo.story import ask, questions
from mig_core.cli.terminal import GREEN, note
from mig_core.errors import MigError
from mig_core.plugin.manager import COMMANDS, installed

app = typer.Typer(add_completion=False, rich_markup_mode=None)


class Relay(StrEnum):
    """What carries commands and answers."""

    HTTPS = "https"
    AMQP = "amqp"


@app.command("demo")
def demo(
    relay: Annotated[
        Relay, typer.Option("--relay", help="https: served by the API; amqp: a private RabbitMQ")
    ] = Relay.HTTPS,
    state: Annotated[
        Path | None, typer.Option("--state", help="Where it lives, to be used again (default: a new folder)")
    ] = None,
    exit_: Annotated[bool, typer.Option("--exit", help="End after the questions, even on a terminal")] = False,
) -> int:
    """Run platform and agents on this machine, and ask some questions."""
    stays = sys.stdin.isatty() and sys.stdout.isatty() and not exit_
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(exit_codes.INTERRUPTED))
    with contextlib.ExitStack() as stack:
        if state is None:
            root = Path(tempfile.mkdtemp(prefix="mig-demo-"))
            stack.callback(shutil.rmtree, root, ignore_errors=True)
        else:
            root = state.absolute()
        site = Site(root, relay.value)
        try:
            started = time.monotonic()
            platform = stack.enter_context(Platform(site, sessions=site.client_state / "mig"))
            for line in platform.sources:
                note(line)
            platform.start_agents(ENDPOINTS)
            note(f"platform and {len(ENDPOINTS)} agents are up after {time.monotonic() - started:.1f} s", GREEN)
            for question in questions():
                ask(site, question)
            if stays:
                _stay(platform)
        except KeyboardInterrupt:
            if not stays:
                raise
        note("stopping")
    return exit_codes.ALL_ANSWERED


def _stay(platform: Platform) -> None:
    site = platform.site
    note("")
    note("It stays until Ctrl-C. From another shell:", GREEN)
    note(f"  export MIG_CONFIG={site.client_settings}")
    note(f"  {program('mig')} agents")
    note(f"  {program('mig')} file -t all -path /etc -name '^hosts$'")
    if any(one.name == "web" for one in installed(COMMANDS)):
        note(f"  {program('mig')} web    # the same in your browser")
    note(f"What the parts say: {site.root / 'log'}")
    while True:
        try:
            platform.processes.check()
        except MigError:
            note("one of the parts has ended; stopping the others")
            raise
        time.sleep(0.5)

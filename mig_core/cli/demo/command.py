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
from typing import TYPE_CHECKING, Annotated

import typer
import urllib3

from mig_core.cli import exit_codes
from mig_core.cli.demo.processes import Processes, program
from mig_core.cli.demo.site import ENDPOINTS, INVESTIGATOR, Site
from mig_core.cli.demo.story import ask, questions
from mig_core.cli.terminal import GREEN, note
from mig_core.errors import MigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.client.client import MigClient
    from mig_core.pgp.base import Signer

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
            processes = stack.enter_context(_platform(site))
            note(f"platform and {len(ENDPOINTS)} agents are up after {time.monotonic() - started:.1f} s", GREEN)
            for question in questions():
                ask(site, question)
            if stays:
                _stay(site, processes)
        except KeyboardInterrupt:
            if not stays:
                raise
        note("stopping")
    return exit_codes.ALL_ANSWERED


@contextlib.contextmanager
def _platform(site: Site) -> Iterator[Processes]:
    from mig_core.pgp.gnupg import stop_agent
    from mig_core.relay.private_rabbitmq import PrivateRabbitMQ
    from mig_core.store import migrate, roles
    from mig_core.store.embedded import EmbeddedPostgres

    with contextlib.ExitStack() as stack:
        site.folder()
        signer = _signer(site)
        stack.callback(stop_agent, site.gnupg_home)
        site.make_endpoints()

        postgres = stack.enter_context(EmbeddedPostgres(site.folder("postgres")))
        note(str(postgres.source))
        owner = postgres.url()
        migrate.upgrade(owner)
        for name, group in (("mig_demo_api", roles.API), ("mig_demo_scheduler", roles.SCHEDULER)):
            roles.create_login(owner, name, None, group=group)

        rabbitmq = None
        if site.relay == Relay.AMQP:
            rabbitmq = PrivateRabbitMQ(site.folder("rabbitmq"), auth_url=f"{site.api_url}/api/v1/relay/rabbitmq")
            stack.enter_context(rabbitmq)
            note(rabbitmq.source)
        site.write_platform_settings(
            owner_url=owner,
            api_url=postgres.url("mig_demo_api"),
            scheduler_url=postgres.url("mig_demo_scheduler"),
            amqp_url=rabbitmq.scheduler_url if rabbitmq else "",
        )

        processes = Processes(site.folder("log"))
        stack.callback(processes.stop)
        processes.start("api", [program("mig-api"), "--config", str(site.root / "api.toml")], cwd=site.root)
        processes.wait_for("mig-api", lambda: _healthy(site), seconds=30)
        client = _client(site, signer)
        if site.bootstrap_secret.exists():
            secret = site.bootstrap_secret.read_text(encoding="ascii").strip()
            client.bootstrap(secret, INVESTIGATOR, signer.public_key())

        scheduler = [program("mig-scheduler"), "--config", str(site.root / "scheduler.toml")]
        processes.start("scheduler", scheduler, cwd=site.root)
        agents_relay = f"amqp://127.0.0.1:{rabbitmq.port}/mig" if rabbitmq else ""
        for name in ENDPOINTS:
            settings = site.write_agent_settings(name, agents_relay)
            argv = [program("mig-agent"), "--config", str(settings)]
            processes.start(name, argv, cwd=site.endpoint_folder(name))
        processes.wait_for("the agents", lambda: _online(client) == len(ENDPOINTS), seconds=60)
        yield processes


def _signer(site: Site) -> Signer:
    """The demonstration's investigator; the key is made at the first start."""
    from mig_core.pgp.gnupg import GnupgSigner, generate_key, secret_keys

    home = site.folder("investigator", "gnupg")
    keys = secret_keys(home)
    key = keys[0] if keys else generate_key(home, INVESTIGATOR, "investigator@demo.invalid")
    signer = GnupgSigner(key.fingerprint, home)
    site.write_investigator(key.fingerprint, signer.public_key())
    return signer


def _client(site: Site, signer: Signer) -> MigClient:
    from mig_core.client.client import MigClient
    from mig_core.config.client import ClientSettings

    settings = ClientSettings(api=site.api_url, fingerprint=signer.fingerprint, gnupg_home=site.gnupg_home)
    return MigClient(settings, signer=lambda: signer)


def _healthy(site: Site) -> bool:
    try:
        return urllib3.request("GET", f"{site.api_url}/healthz", timeout=2, retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def _online(client: MigClient) -> int:
    return client.evaluate("status = 'online'")["count"]


def _stay(site: Site, processes: Processes) -> None:
    note("\nIt stays until Ctrl-C. From another shell:", GREEN)
    note(f"  export MIG_CONFIG={site.client_settings}")
    note(f"  {program('mig')} agents")
    note(f"  {program('mig')} file -t all -path /etc -name '^hosts$'")
    note(f"What the parts say: {site.root / 'log'}")
    while True:
        try:
            processes.check()
        except MigError:
            note("one of the parts has ended; stopping the others")
            raise
        time.sleep(0.5)

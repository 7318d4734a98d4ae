"""A whole platform on this machine, part by part: for ``mig demo``, the tests from end to end, and benchmarks."""

from __future__ import annotations

import contextlib
from functools import cached_property
from typing import TYPE_CHECKING, Self

import urllib3

from mig_core.cli.demo.processes import Processes, program
from mig_core.cli.demo.site import INVESTIGATOR
from mig_core.client.client import MigClient
from mig_core.config.client import ClientSettings
from mig_core.pgp.gnupg import GnupgSigner, generate_key, secret_keys, stop_agent
from mig_core.relay.private_rabbitmq import PrivateRabbitMQ
from mig_core.store import migrate, roles
from mig_core.store.embedded.server import EmbeddedPostgres

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType

    from mig_core.cli.demo.site import Site
    from mig_core.domain.ids import Fingerprint
    from mig_core.pgp.base import Signer

_API_LOGIN = "mig_demo_api"
_SCHEDULER_LOGIN = "mig_demo_scheduler"


class Platform:
    """PostgreSQL, the relay, API and scheduler of one site, up while the context is; agents are started one by one.

    Args:
        sessions: Where the investigator's client keeps its session; None: where ``mig`` does.

    Attributes:
        site: Where its files are.
        processes: Our own programs, by name: ``api``, ``scheduler``, and the agents'.
        postgres: The database server.
        rabbitmq: The broker, or None with the ``https`` relay.
    """

    def __init__(self, site: Site, *, durable: bool = True, sessions: Path | None = None) -> None:
        self.site = site
        self._sessions = sessions
        self.postgres = EmbeddedPostgres(site.folder("postgres"), durable=durable)
        auth_url = f"{site.api_url}/api/v1/relay/rabbitmq"
        self.rabbitmq = PrivateRabbitMQ(site.folder("rabbitmq"), auth_url=auth_url) if site.relay == "amqp" else None
        self.processes = Processes(site.folder("log"))
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def sources(self) -> Iterable[str]:
        """Which servers are used, a line each."""
        return [str(self.postgres.source), *([self.rabbitmq.source] if self.rabbitmq else [])]

    @cached_property
    def signer(self) -> Signer:
        """The investigator; the key is made at the first start."""
        home = self.site.folder("investigator", "gnupg")
        keys = secret_keys(home)
        key = keys[0] if keys else generate_key(home, INVESTIGATOR, "investigator@demo.invalid")
        return GnupgSigner(key.fingerprint, home)

    @cached_property
    def client(self) -> MigClient:
        """The investigator's client."""
        fingerprint: Fingerprint = self.signer.fingerprint
        settings = ClientSettings(api=self.site.api_url, fingerprint=fingerprint, gnupg_home=self.site.gnupg_home)
        return MigClient(settings, signer=lambda: self.signer, state=self._sessions)

    def start_api(self) -> None:
        """Starts mig-api and waits until it answers."""
        self._start_program("api", "mig-api", "api.toml")
        self.processes.wait_for("mig-api", self._healthy, seconds=30)

    def start_scheduler(self, name: str = "scheduler") -> None:
        """Starts a mig-scheduler; there may be several, under names of their own."""
        self._start_program(name, "mig-scheduler", "scheduler.toml")

    def start_agent(self, name: str, more: str = "") -> subprocess.Popen[bytes]:
        """Starts one agent, with further tables of settings in TOML; does not wait for it."""
        relay = f"amqp://127.0.0.1:{self.rabbitmq.port}/mig" if self.rabbitmq else ""
        settings = self.site.write_agent_settings(name, relay, more)
        argv = [program("mig-agent"), "--config", str(settings)]
        return self.processes.start(name, argv, cwd=self.site.endpoint_folder(name))

    def start_agents(self, names: Iterable[str]) -> None:
        """Starts agents and waits until all of them are heard."""
        wanted = list(names)
        for name in wanted:
            self.start_agent(name)
        self.wait_for_agents(wanted)

    def wait_for_agents(self, names: Iterable[str]) -> None:
        """Returns when each of them is online by a heartbeat of the process that it runs as now.

        What a process before it said counts for nothing (one that was killed is online for a while), and neither does
        an enrolment: who has only enrolled is not connected yet.
        """
        wanted = {name: self.processes.pid(name) for name in names}
        self.processes.wait_for("the agents", lambda: wanted.items() <= self._heard().items(), seconds=60)

    def _heard(self) -> dict[str, int]:
        """Agents that are online, with the process that the last heartbeat is from."""
        listed = self.client.agents(states=["online"])
        # There is a clock to compare ours with once there was a heartbeat.
        return {str(one["name"]): int(one["pid"]) for one in listed if one["clockahead"] is not None}

    def online(self) -> int:
        """How many agents are online."""
        return int(self.client.evaluate("status = 'online'")["count"])

    def _start(self, stack: contextlib.ExitStack) -> None:
        site, signer = self.site, self.signer
        stack.callback(stop_agent, site.gnupg_home)
        site.write_investigator(signer.fingerprint, signer.public_key())
        site.make_endpoints()
        stack.enter_context(self.postgres)
        owner = self.postgres.url()
        migrate.upgrade(owner)
        roles.create_login(owner, _API_LOGIN, None, group=roles.API)
        roles.create_login(owner, _SCHEDULER_LOGIN, None, group=roles.SCHEDULER)
        if self.rabbitmq:
            stack.enter_context(self.rabbitmq)
        site.write_platform_settings(
            owner_url=owner,
            api_url=self.postgres.url(_API_LOGIN),
            scheduler_url=self.postgres.url(_SCHEDULER_LOGIN),
            amqp_url=self.rabbitmq.scheduler_url if self.rabbitmq else "",
        )
        stack.callback(self.processes.stop)
        self.start_api()
        if site.bootstrap_secret.exists():
            secret = site.bootstrap_secret.read_text(encoding="ascii").strip()
            self.client.bootstrap(secret, INVESTIGATOR, signer.public_key())
        self.start_scheduler()

    def _start_program(self, name: str, program_name: str, settings: str) -> None:
        argv = [program(program_name), "--config", str(self.site.root / settings)]
        self.processes.start(name, argv, cwd=self.site.root)

    def _healthy(self) -> bool:
        try:
            return urllib3.request("GET", f"{self.site.api_url}/healthz", timeout=2, retries=False).status == 200
        except urllib3.exceptions.HTTPError:
            return False

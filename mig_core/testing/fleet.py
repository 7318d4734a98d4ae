"""Whole platforms with real parts: PostgreSQL, both relays, gpg, and our programs as processes of their own.

Fixtures: ``fleet_relay`` (``https``, then ``amqp``) and ``fleet``, a platform with the demonstration's four agents. A
fleet takes its time to start, so there is one a relay for the whole run: tests leave it as they found it, actions in
its books aside. Tests that break parts of one put it together themselves, with :func:`running_fleet`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.cli.demo.platform import Platform
from mig_core.cli.demo.processes import program
from mig_core.cli.demo.site import ENDPOINTS, Site
from mig_core.relay.private_rabbitmq import PrivateRabbitMQ
from mig_core.testing.eventually import eventually
from mig_core.testing.services import service_missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PROGRAMS = ("api", "scheduler", *ENDPOINTS)
"""The processes that a fleet has while nobody breaks it."""


def run_mig(environment: dict[str, str], *words: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Runs ``mig`` to its end, as the investigator whose environment it is."""
    return subprocess.run(
        [program("mig"), *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@dataclass
class Fleet:
    """A platform with the demonstration's agents, and ``mig`` as its investigator types it."""

    platform: Platform

    def mig(self, *words: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Runs ``mig`` to its end."""
        return run_mig(self.environment(), *words, timeout=timeout)

    def ask(self, *words: str, timeout: float = 60) -> dict[str, dict[str, Any]]:
        """Asks with ``--show all --json``; returns the answers by agent name."""
        ran = self.mig(*words, "--show", "all", "--json", timeout=timeout)
        assert ran.stdout, ran.stderr
        return {one["agentname"]: one for one in json.loads(ran.stdout)["answers"]}

    def detach(self, *words: str) -> str:
        """Asks without waiting; returns the action's id."""
        ran = self.mig(*words, "--detach")
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    def action(self, identifier: str) -> dict[str, Any]:
        """The API's document of an action."""
        document: dict[str, Any] = json.loads(self.mig("action", "show", identifier, "--json").stdout)
        return document

    def environment(self) -> dict[str, str]:
        """What makes ``mig`` be this fleet's investigator."""
        return {**os.environ, "MIG_CONFIG": str(self.platform.site.client_settings)}

    def ended(self, identifier: str, *, seconds: float = 60) -> dict[str, Any]:
        """Waits until an action has ended; returns its document."""
        return eventually(lambda: _if_ended(self.action(identifier)), seconds=seconds, pause=0.1)

    def make_whole(self, *, doubtful: bool) -> None:
        """Starts what was left stopped and ends what was left running, for whoever uses the fleet next.

        Args:
            doubtful: a test failed somewhere: what it asked is cancelled, and all agents are waited for.
        """
        platform, servers = self.platform, (self.platform.postgres, self.platform.rabbitmq)
        for server in servers:
            if server is not None and server.pid is None:
                server.start()
        watched = platform.processes.watched()
        for name in watched.keys() - set(PROGRAMS):
            platform.processes.end(name, signal.SIGTERM)
        stopped = [name for name in PROGRAMS if not watched.get(name)]
        if "api" in stopped:
            platform.start_api()
        if "scheduler" in stopped:
            platform.start_scheduler()
        for name in stopped:
            if name in ENDPOINTS:
                platform.start_agent(name)
        if not (stopped or doubtful):
            return
        eventually(lambda: self.mig("agents").returncode == 0)
        for action in json.loads(self.mig("actions", "--state", "inflight", "--json").stdout):
            self.mig("action", "cancel", action["id"])
        platform.wait_for_agents(ENDPOINTS)


def _if_ended(action: dict[str, Any]) -> dict[str, Any] | None:
    return action if action["state"] in ("completed", "cancelled", "expired") else None


@contextlib.contextmanager
def running_fleet(folder: Path, relay: str, prepare: Callable[[Platform], object] = lambda _: None) -> Iterator[Fleet]:
    """A platform and the demonstration's four agents, online, with their files in ``folder``.

    Args:
        prepare: called once the platform is up, before the agents start.
    """
    # Durable: some tests kill parts of it, and what was committed must still be there.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIG_SCHEDULER_PERIODIC_INTERVAL", "1s")  # what expires is not to be waited for
        patch.setenv("MIG_SCHEDULER_EXPIRY_GRACE", "2s")
        with Platform(Site(folder, relay)) as platform:
            prepare(platform)
            platform.start_agents(ENDPOINTS)
            yield Fleet(platform)


@pytest.fixture(scope="session", params=["https", "amqp"])
def fleet_relay(request: pytest.FixtureRequest) -> str:
    """Both relays, one after the other."""
    if request.param == "amqp" and not PrivateRabbitMQ.available():
        service_missing("RabbitMQ is not installed")
    return str(request.param)


@pytest.fixture(scope="session")
def fleet(fleet_relay: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A platform and the demonstration's four agents, for all tests."""
    with running_fleet(tmp_path_factory.mktemp("site"), fleet_relay) as running:
        yield running

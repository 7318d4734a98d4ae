"""Faults over both relays, after which every target is accounted for; docs/assurance.md says what keeps the others."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING

import psycopg
import pytest
import urllib3

from mig_core.cli.demo.site import ENDPOINTS
from mig_core.testing.fleet import Fleet, eventually, running_fleet

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL = ("file", "-t", "all", "-path", "etc", "-name", "^hostname$")


@pytest.fixture(scope="module")
def fleet(fleet_relay: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One for this file alone: what fails here must not fail elsewhere, too."""
    with running_fleet(tmp_path_factory.mktemp("site"), fleet_relay) as running:
        yield running


@contextlib.contextmanager
def read_only(fleet: Fleet) -> Iterator[None]:
    """As after a failover: new sessions only read, and the old ones are gone."""
    with psycopg.connect(fleet.platform.postgres.url(), autocommit=True) as owner:
        owner.execute("ALTER DATABASE mig SET default_transaction_read_only = on")
        owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'mig' AND pid <> pg_backend_pid()"
        )
        try:
            yield
        finally:
            owner.execute("SET default_transaction_read_only = off")
            owner.execute("ALTER DATABASE mig RESET default_transaction_read_only")


def health(fleet: Fleet) -> int:
    return urllib3.request("GET", f"{fleet.platform.site.api_url}/healthz", timeout=10, retries=False).status


def test_a_database_that_turns_read_only_loses_no_answer(fleet: Fleet) -> None:
    action = fleet.detach(*SMALL, "-e", "120s")

    with read_only(fleet):
        assert eventually(lambda: health(fleet) == 503, seconds=20)
        refused = fleet.mig(*SMALL, "--detach")

    assert refused.returncode == 1, refused.stderr
    assert eventually(lambda: health(fleet) == 200, seconds=30)
    assert fleet.ended(action, seconds=90)["counts"] == {"success": len(ENDPOINTS)}


def test_everything_of_ours_killed_at_once_loses_no_answer(fleet: Fleet) -> None:
    action = fleet.detach(*SMALL, "-e", "120s")
    for name in ("scheduler", "api", *ENDPOINTS):
        fleet.platform.processes.end(name, signal.SIGKILL)

    fleet.platform.start_api()
    fleet.platform.start_scheduler()
    for name in ENDPOINTS:
        fleet.platform.start_agent(name)

    ended = fleet.ended(action, seconds=90)
    assert sum(ended["counts"].values()) == ended["targeted"] == len(ENDPOINTS)
    assert ended["counts"] == {"success": len(ENDPOINTS)}

"""Faults over both relays, after which every target is accounted for.

The fault matrix is the table in docs/assurance.md. Its tests are marked ``fault``; those that need a whole platform of
their own, and no more than that, are here, all on one fleet a relay. The last is the one that leaves traces.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import psycopg
import pytest
import urllib3

from mig_core.cli.demo.processes import program
from mig_core.cli.demo.site import ENDPOINTS, HOLDER
from mig_core.relay.private_rabbitmq import SERVER
from mig_core.relay.private_rabbitmq_files import broker_environment
from mig_core.store import set_aside
from mig_core.testing.eventually import eventually
from mig_core.testing.fleet import Fleet, running_fleet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.testing.small_disk import SmallDisk

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


@pytest.mark.fault("read-only database")
def test_a_database_that_turns_read_only_loses_no_answer(fleet: Fleet) -> None:
    action = fleet.detach(*SMALL, "-e", "120s")

    with read_only(fleet):
        assert eventually(lambda: health(fleet) == 503)
        refused = fleet.mig(*SMALL, "--detach")

    assert refused.returncode == 1, refused.stderr
    assert eventually(lambda: health(fleet) == 200)
    assert fleet.ended(action, seconds=90)["counts"] == {"success": len(ENDPOINTS)}


@pytest.mark.fault("kill -9")
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


@contextlib.contextmanager
def refused_heartbeats(fleet: Fleet, agent: str) -> Iterator[None]:
    """The database takes no heartbeat of one agent: it is too much for it, each time."""
    with psycopg.connect(fleet.platform.postgres.url(), autocommit=True) as owner:
        owner.execute(
            f"""
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
              $$ BEGIN RAISE EXCEPTION 'index row size 2800 exceeds maximum' USING ERRCODE = '54000'; END $$;
            CREATE TRIGGER refusing BEFORE UPDATE ON agents FOR EACH ROW
              WHEN (NEW.name = '{agent}' AND NEW.heartbeat_at IS DISTINCT FROM OLD.heartbeat_at)
              EXECUTE FUNCTION refuse();
            """.encode()
        )
        try:
            yield
        finally:
            owner.execute("DROP TRIGGER refusing ON agents")
            owner.execute("DROP FUNCTION refuse")


@pytest.mark.fault("poison message")
def test_a_message_the_database_will_never_take_holds_nobody_up(fleet: Fleet) -> None:
    fleet.platform.processes.end(HOLDER, signal.SIGTERM)

    with refused_heartbeats(fleet, HOLDER):
        fleet.platform.start_agent(HOLDER)
        eventually(lambda: "messages_set_aside" in _alarms(fleet), seconds=60)
        answers = fleet.ask(*SMALL, "-e", "60s")

    assert {name: answer["state"] for name, answer in answers.items()} == dict.fromkeys(ENDPOINTS, "success")
    owner_url = fleet.platform.postgres.url()
    assert {one.relay for one in set_aside.shelved(owner_url)} == {fleet.platform.site.relay}
    set_aside.drop(owner_url, [])


def _alarms(fleet: Fleet) -> dict[str, int]:
    alarms: dict[str, int] = json.loads(fleet.mig("dashboard", "--json").stdout)["alarms"]
    return alarms


@contextlib.contextmanager
def state_on(fleet: Fleet, disk: SmallDisk) -> Iterator[None]:
    """One agent's state lies on a disk of its own."""
    state = fleet.platform.site.folder("agents", HOLDER)
    moved = state.with_name("moved")
    fleet.platform.processes.end(HOLDER, signal.SIGTERM)
    shutil.copytree(state, disk.path / "state")
    (disk.path / "state").chmod(0o700)
    state.rename(moved)
    state.symlink_to(disk.path / "state")
    try:
        yield
    finally:
        fleet.platform.processes.end(HOLDER, signal.SIGTERM)
        state.unlink()
        shutil.copytree(disk.path / "state", state)
        state.chmod(0o700)
        shutil.rmtree(moved)
        fleet.platform.start_agents([HOLDER])


@pytest.mark.fault("full disk")
def test_an_agent_whose_disk_is_full_answers_when_there_is_room(fleet: Fleet, small_disk: SmallDisk) -> None:
    log = fleet.platform.site.root / "log" / f"{HOLDER}.log"
    with state_on(fleet, small_disk):
        fleet.platform.start_agent(HOLDER)
        assert set(fleet.ask("file", "-t", f"name = '{HOLDER}'", *SMALL[3:], "-e", "60s")) == {HOLDER}  # it is up
        small_disk.fill()
        action = fleet.detach(*SMALL, "-e", "120s")
        eventually(lambda: fleet.action(action)["counts"].get("success") == len(ENDPOINTS) - 1)
        eventually(lambda: "could not be noted on disk" in log.read_text(encoding="utf-8", errors="replace"))

        small_disk.free()

        assert fleet.ended(action, seconds=90)["counts"] == {"success": len(ENDPOINTS)}


@contextlib.contextmanager
def memory_alarm(fleet: Fleet) -> Iterator[None]:
    """The broker is short of memory."""
    rabbitmq = fleet.platform.rabbitmq
    assert rabbitmq is not None
    ports = json.loads((rabbitmq.state_dir / "ports.json").read_text())
    command = [str(SERVER.with_name("rabbitmqctl")), "-q", "set_vm_memory_high_watermark"]
    environment = broker_environment(rabbitmq.state_dir, ports)
    subprocess.run([*command, "0.0001"], env=environment, check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run([*command, "0.4"], env=environment, check=True, capture_output=True)


@pytest.mark.fault("alarm")
def test_a_question_waits_while_the_broker_is_in_an_alarm_and_why_says_so(fleet: Fleet) -> None:
    if fleet.platform.rabbitmq is None:
        return  # the https relay has no broker

    with memory_alarm(fleet):
        action = fleet.detach(*SMALL, "-e", "120s")
        said = eventually(lambda: _said_in_an_alarm(fleet, action))

    assert "takes no messages now" in said
    assert fleet.ended(action, seconds=90)["counts"] == {"success": len(ENDPOINTS)}


def _said_in_an_alarm(fleet: Fleet, action: str) -> str:
    said = fleet.mig("why", action, HOLDER).stdout
    return said if "takes no messages" in said else ""


@pytest.mark.fault("revoked key")
def test_an_endpoint_that_knows_a_key_as_revoked_refuses_its_questions(fleet: Fleet) -> None:
    site, signer = fleet.platform.site, fleet.platform.signer
    certificate = site.gnupg_home / "openpgp-revocs.d" / f"{signer.fingerprint}.rev"
    armed = certificate.read_text(encoding="ascii").replace(":-----BEGIN", "-----BEGIN")
    # Only it is to know: the others have keys of their own.
    keys = shutil.copytree(site.root / "keys", site.root / "keys-of-one")
    (keys / "revoked.rev").write_text(armed, encoding="ascii")
    fleet.platform.processes.end(HOLDER, signal.SIGTERM)
    settings = site.folder("agents") / f"{HOLDER}.toml"
    settings.write_text(
        settings.read_text(encoding="utf-8").replace(f'"{site.root / "keys"}"', f'"{keys}"'), encoding="utf-8"
    )
    argv = [program("mig-agent"), "--config", str(settings)]
    fleet.platform.processes.start(HOLDER, argv, cwd=site.endpoint_folder(HOLDER))

    answers = fleet.ask(*SMALL, "-e", "60s")

    assert answers.pop(HOLDER)["state"] == "refused"
    assert {name: answer["state"] for name, answer in answers.items()} == dict.fromkeys(
        set(ENDPOINTS) - {HOLDER}, "success"
    )

"""A machine whose disk was copied, on both relays: one of the two is served, and everybody is told."""

from __future__ import annotations

import csv
import io
import json
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.cli.demo.processes import program
from mig_core.cli.demo.site import ENDPOINTS, HOLDER
from mig_core.testing.eventually import eventually
from mig_core.testing.fleet import Fleet, running_fleet

if TYPE_CHECKING:
    from collections.abc import Iterator

CLONE = "clone"
ASKED = ("file", "-t", f"name = '{HOLDER}'", "-path", "etc", "-name", "^hostname$")


@pytest.fixture(scope="module")
def fleet(fleet_relay: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One for this file alone."""
    with running_fleet(tmp_path_factory.mktemp("site"), fleet_relay) as running:
        yield running


def shown(fleet: Fleet) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(fleet.mig("agent", "show", HOLDER, "--json").stdout)
    return document


@pytest.fixture
def clone(fleet: Fleet) -> Iterator[None]:
    """The holder of the file a second time: settings and state copied, the machine-id too."""
    site, processes = fleet.platform.site, fleet.platform.processes
    processes.end(HOLDER, signal.SIGTERM)
    agents = site.root / "agents"
    shutil.copytree(agents / HOLDER, agents / CLONE)
    settings = (agents / f"{HOLDER}.toml").read_text(encoding="utf-8")
    settings = settings.replace('heartbeat_interval = "30s"', 'heartbeat_interval = "1s"')
    (agents / f"{HOLDER}.toml").write_text(settings, encoding="utf-8")
    (agents / f"{CLONE}.toml").write_text(settings.replace(f"agents/{HOLDER}", f"agents/{CLONE}"), encoding="utf-8")
    for name in (HOLDER, CLONE):
        argv = [program("mig-agent"), "--config", str(agents / f"{name}.toml")]
        processes.start(name, argv, cwd=site.endpoint_folder(HOLDER))
    yield
    processes.end(CLONE, signal.SIGTERM)


@pytest.mark.fault("clone")
@pytest.mark.usefixtures("clone")
def test_a_clone_is_found_and_told_and_only_one_of_the_two_is_served(fleet: Fleet) -> None:
    found = eventually(lambda: shown(fleet) if shown(fleet)["twosessions"] else None, seconds=90)

    assert "two_sessions" in [one["event"] for one in found["events"]]
    assert "online, two sessions" in fleet.mig("agents").stdout
    dashboard = json.loads(fleet.mig("dashboard", "--json").stdout)
    assert dashboard["alarms"]["agents_in_two_sessions"] == 1
    told = eventually(lambda: shown(fleet)["failures"].get("relay"), seconds=90)
    assert "its state directory is in use twice" in told

    counted = {name: answers(fleet, name) for name in (HOLDER, CLONE)}
    for _ in range(4):
        assert fleet.ask(*ASKED)[HOLDER]["state"] == "success"

    served = [answers(fleet, name) - before for name, before in counted.items()]
    assert sorted(served) == [0, 4]


def answers(fleet: Fleet, name: str) -> int:
    """How many commands this one of the two has begun."""
    text = (fleet.platform.site.root / "log" / f"{name}.log").read_text(encoding="utf-8", errors="replace")
    return text.count(" begins")


def test_when_the_clone_is_gone_its_original_is_served_again(fleet: Fleet) -> None:
    answers = fleet.ask("file", "-t", "all", "-path", "etc", "-name", "^m", "-e", "180s", timeout=200)

    assert set(answers) == set(ENDPOINTS)
    assert {one["state"] for one in answers.values()} == {"success"}


@pytest.fixture
def impostor(fleet: Fleet) -> Iterator[str]:
    """A sound agent of its own that calls itself what another is called; its id."""
    site, processes = fleet.platform.site, fleet.platform.processes
    agents = site.root / "agents"
    settings = (agents / f"{HOLDER}.toml").read_text(encoding="utf-8")
    (agents / "impostor.toml").write_text(settings.replace(f"agents/{HOLDER}", "agents/impostor"), encoding="utf-8")
    argv = [program("mig-agent"), "--config", str(agents / "impostor.toml")]
    processes.start("impostor", argv, cwd=site.endpoint_folder("impostor"))
    eventually(lambda: fleet.platform.online() == len(ENDPOINTS) + 1, seconds=60)
    ran = subprocess.run([*argv, "id"], capture_output=True, text=True, check=True)
    identifier = ran.stdout.strip()
    yield identifier
    processes.end("impostor", signal.SIGTERM)
    fleet.mig("agent", "retire", identifier, "--yes")


def test_two_agents_of_one_name_never_look_alike(fleet: Fleet, impostor: str) -> None:
    both = {HOLDER, f"{HOLDER}~{impostor}"}
    question = ("file", "-t", f"name = '{HOLDER}'", "-path", "/etc", "-name", "^hostname$", "--show", "all")

    assert set(fleet.ask(*question[:-2])) == both
    text = fleet.mig(*question).stdout
    assert {line.split()[0] for line in text.splitlines() if "hostname" in line} == both
    table = list(csv.DictReader(io.StringIO(fleet.mig(*question, "--csv").stdout)))
    assert {row["agent"] for row in table} == both
    listed = fleet.mig("agents", "-t", f"name = '{HOLDER}'").stdout.splitlines()[1:]
    assert {line.split()[0] for line in listed} == both
    action = fleet.detach(*question[:-2])
    fleet.ended(action)
    why = fleet.mig("why", action, f"{HOLDER}~{impostor}").stdout
    assert why.startswith(f"{HOLDER}~{impostor}: success")
    assert fleet.mig("why", action, HOLDER).stdout.startswith(f"{HOLDER}: success")

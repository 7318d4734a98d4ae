"""An upgrade as an operator does it, platform first, from the release before this one; and what can be gone back to."""

from __future__ import annotations

import contextlib
import json
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mig_core.agent.operations.environment import installed_version
from mig_core.cli.demo.platform import Platform
from mig_core.cli.demo.processes import Processes, program
from mig_core.cli.demo.site import Site
from mig_core.store.migrate import migrations
from mig_core.testing.eventually import eventually
from mig_core.testing.fleet import Fleet
from mig_core.testing.previous_release import make_release, running_previous_platform, version_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.testing.previous_release import PreviousPlatform

WHEELS = Path(__file__).parent / "wheels"
PREVIOUS = version_of(WHEELS)
QUESTION = ("file", "-t", "all", "-path", "etc", "-name", "^hostname$")
WAITING = ("file", "-t", "migagenthost1", "-path", "etc", "-name", "^motd$", "-e", "10m", "--detach")
AWAY, STAYED, NEWCOMER, OURS = "migagenthost1", "migagenthost2", "migagenthost3", "migworkstation"


@dataclass
class Upgrade:
    """One site, with the previous release's platform and this one's programs."""

    previous: PreviousPlatform
    site: Site
    ours: Processes
    waiting: str
    """The action that was asked of the agent that was away."""
    before: set[str]
    """All actions that the previous release's platform knew."""

    @property
    def fleet(self) -> Fleet:
        """This release's investigator at the site."""
        return Fleet(Platform(self.site))

    def agents(self) -> dict[str, dict[str, object]]:
        """All agents of the platform by name, with this release's ``mig``."""
        listed: list[dict[str, object]] = json.loads(self.fleet.mig("agents", "--json").stdout)
        return {str(one["name"]): one for one in listed}

    def start(self, name: str, program_name: str, settings: Path, cwd: Path) -> None:
        """Starts a program of this release with settings that stand there already."""
        self.ours.start(
            name,
            [program(program_name), "--config", str(settings)],
            cwd=cwd,
            environment={"MIG_SCHEDULER_PERIODIC_INTERVAL": "1s"},
        )

    def start_agent(self, name: str) -> None:
        """Starts an agent of this release, with the settings and the state that the previous one left where it did."""
        settings = self.site.root / "agents" / f"{name}.toml"
        if not settings.exists():
            text = (self.site.root / "agents" / f"{STAYED}.toml").read_text(encoding="utf-8")
            settings.write_text(text.replace(STAYED, name), encoding="utf-8")
        self.start(name, "mig-agent", settings, self.site.endpoint_folder(name))

    def version_at(self, name: str, version: str) -> dict[str, object]:
        """Waits until the platform has heard from an agent in a version."""

        def heard() -> dict[str, object] | None:
            found = self.agents().get(name, {})
            return found if (found.get("version"), found.get("state")) == (version, "online") else None

        return eventually(heard)


@pytest.fixture(scope="module")
def previous_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of the release before this one."""
    return make_release(WHEELS, tmp_path_factory.mktemp("previous") / "release")


@pytest.fixture(scope="module")
def upgrade(fleet_relay: str, previous_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgrade]:
    """A site that was made by the previous release; its platform is of this one now, its agents are as they were."""
    folder = tmp_path_factory.mktemp("upgrade") / "site"
    with running_previous_platform(folder, previous_python, fleet_relay) as previous, contextlib.ExitStack() as stack:
        # 1. The previous release alone: two agents answer; one is away when it is asked something more.
        previous.tell("start", AWAY, STAYED)
        asked = previous.run("mig", *QUESTION)
        assert asked.returncode == 0, asked.stderr
        previous.tell("end", AWAY)
        waiting = previous.run("mig", *WAITING)
        assert waiting.returncode == 0, waiting.stderr
        before = json.loads(previous.run("mig", "actions", "--json").stdout)
        # 2. The platform is replaced; the agents are not told.
        previous.tell("end", "scheduler", "api")
        site = Site(folder, fleet_relay)
        ours = Processes(site.folder("log", "ours"))
        stack.callback(ours.stop)
        upgraded = Upgrade(previous, site, ours, waiting.stdout.strip(), {one["id"] for one in before})
        for name in ("api", "scheduler"):
            upgraded.start(name, f"mig-{name}", folder / f"{name}.toml", folder)
            # The API has the owner's login here, and migrates.
            eventually(lambda: upgraded.fleet.mig("agents").returncode == 0)
        yield upgraded


def test_the_books_of_the_previous_release_are_read_by_this_one(upgrade: Upgrade) -> None:
    known = {one["id"] for one in json.loads(upgrade.fleet.mig("actions", "--json").stdout)}

    assert len(upgrade.before) == 2
    assert upgrade.before <= known
    (answered,) = upgrade.before - {upgrade.waiting}
    verified = upgrade.fleet.mig("results", answered, "--verify")
    assert (verified.returncode, verified.stdout.count("hostname")) == (0, 2), verified.stderr


def test_an_agent_of_the_previous_release_that_never_stopped_answers(upgrade: Upgrade) -> None:
    answers = upgrade.fleet.ask("file", "-t", STAYED, *QUESTION[3:])

    assert {name: (one["state"], one["found"]) for name, one in answers.items()} == {STAYED: ("success", True)}


def test_a_question_from_before_reaches_the_agent_that_was_away_and_the_agent_is_upgraded_and_taken_back(
    upgrade: Upgrade,
) -> None:
    upgrade.previous.tell("start-again", AWAY)

    ended = upgrade.fleet.ended(upgrade.waiting)

    assert ended["state"] == "completed"
    identifiers = {str(upgrade.version_at(AWAY, PREVIOUS)["id"])}
    upgrade.previous.tell("end", AWAY)
    upgrade.start_agent(AWAY)
    identifiers.add(str(upgrade.version_at(AWAY, installed_version())["id"]))
    assert upgrade.fleet.ask("file", "-t", AWAY, *QUESTION[3:])[AWAY]["state"] == "success"
    # Back again, with the state that this release wrote.
    upgrade.ours.end(AWAY, signal.SIGTERM)
    upgrade.previous.tell("start-again", AWAY)
    identifiers.add(str(upgrade.version_at(AWAY, PREVIOUS)["id"]))
    assert upgrade.fleet.ask("file", "-t", AWAY, *QUESTION[3:])[AWAY]["state"] == "success"
    assert len(identifiers) == 1


def test_an_agent_of_the_previous_release_enrols_and_its_heartbeats_are_heard(upgrade: Upgrade) -> None:
    upgrade.previous.tell("start-again", NEWCOMER)

    enrolled = upgrade.version_at(NEWCOMER, PREVIOUS)

    # Who is enrolled is not connected yet, and says no good-bye; who answers is.
    assert upgrade.fleet.ask("file", "-t", NEWCOMER, *QUESTION[3:])[NEWCOMER]["state"] == "success"
    # It says good-bye, and comes back.
    upgrade.previous.tell("end", NEWCOMER)
    eventually(lambda: upgrade.agents()[NEWCOMER]["state"] == "offline")
    upgrade.previous.tell("start-again", NEWCOMER)
    again = upgrade.version_at(NEWCOMER, PREVIOUS)
    assert str(again["heartbeat"]) > str(enrolled["heartbeat"])
    assert again["id"] == enrolled["id"]


def test_old_and_new_agents_answer_side_by_side_and_the_old_ones_are_listed(upgrade: Upgrade) -> None:
    upgrade.start_agent(OURS)
    upgrade.version_at(OURS, installed_version())

    answers = upgrade.fleet.ask("file", "-t", STAYED, "-t", OURS, *QUESTION[3:])
    old = json.loads(upgrade.fleet.mig("agents", "--version", f"<{installed_version()}", "--json").stdout)

    assert {name: (one["state"], one["found"]) for name, one in answers.items()} == {
        STAYED: ("success", True),
        OURS: ("success", True),
    }
    assert {one["version"] for one in old} == {PREVIOUS}
    assert STAYED in {one["name"] for one in old}


@pytest.mark.parametrize("program_name", ["mig-api", "mig-scheduler"])
def test_the_previous_platform_refuses_the_migrated_database(upgrade: Upgrade, program_name: str) -> None:
    settings = upgrade.site.root / f"{program_name.removeprefix('mig-')}.toml"

    ran = upgrade.previous.run(program_name, "--config", str(settings))

    assert ran.returncode == 1
    assert f"is version {len(migrations())}" in ran.stderr
    assert "made by a newer release" in ran.stderr


def test_the_previous_client_asks_this_platform(upgrade: Upgrade) -> None:
    asked = upgrade.previous.run("mig", "file", "-t", STAYED, *QUESTION[3:])

    assert (asked.returncode, "etc/hostname" in asked.stdout) == (0, True), asked.stderr

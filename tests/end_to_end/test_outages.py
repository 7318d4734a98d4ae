"""Parts go away in the middle of a question; every target is accounted for all the same."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.cli import exit_codes
from mig_core.cli.demo.site import ENDPOINTS, HOLDER
from mig_core.testing.eventually import eventually
from mig_core.testing.fleet import Fleet, running_fleet

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL = ("file", "-t", "all", "-path", "etc", "-name", "^hostname$")
# Takes its time on any machine: hashes of everything below /usr; one agent only, to be kind to the machine.
LONG = ("file", "-t", f"name = '{HOLDER}'", "-path", "/usr", "-sha3", "0" * 128, "-sha2", "0" * 128, "-matchany")


@pytest.fixture(scope="module")
def fleet(fleet_relay: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One for this file alone: what fails here must not fail elsewhere, too."""
    with running_fleet(tmp_path_factory.mktemp("site"), fleet_relay) as running:
        yield running


def accounted(action: dict[str, Any]) -> bool:
    return bool(sum(action["counts"].values()) == action["targeted"] == len(ENDPOINTS))


def running(fleet: Fleet, action: str, times: int = 1) -> None:
    """Waits until the agent's own log says that it has begun, so many times."""
    log = fleet.platform.site.root / "log" / f"{HOLDER}.log"

    def begun() -> int:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        return sum(action in line and " begins" in line for line in lines)

    eventually(lambda: begun() >= times)


def test_an_agent_that_was_away_answers_when_it_returns(fleet: Fleet) -> None:
    fleet.platform.processes.end(HOLDER, signal.SIGTERM)
    action = fleet.detach(*SMALL, "-e", "120s")
    eventually(lambda: fleet.action(action)["counts"].get("success") == len(ENDPOINTS) - 1)

    fleet.platform.start_agents([HOLDER])

    ended = fleet.ended(action)
    assert ended["counts"] == {"success": len(ENDPOINTS)}


def test_an_agent_that_never_returns_is_expired_with_the_reason(fleet: Fleet) -> None:
    fleet.platform.processes.end(HOLDER, signal.SIGTERM)
    action = fleet.detach(*SMALL, "-e", "6s")  # the others have time enough

    ended = fleet.ended(action, seconds=60)

    assert ended["counts"] == {"success": len(ENDPOINTS) - 1, "expired": 1}
    why = fleet.mig("why", action, HOLDER).stdout
    assert why.startswith(f"{HOLDER}: expired")
    assert "silent since" in why or "last heartbeat" in why
    fleet.platform.start_agents([HOLDER])


@pytest.mark.fault("kill -9")
def test_an_agent_killed_in_the_middle_runs_the_question_again_when_it_returns(fleet: Fleet) -> None:
    action = fleet.detach(*LONG, "-e", "300s")
    running(fleet, action)
    fleet.platform.processes.end(HOLDER, signal.SIGKILL)

    fleet.platform.start_agents([HOLDER])

    running(fleet, action, times=2)
    fleet.mig("action", "cancel", action)  # as long as it takes, nobody wants to wait for its end
    ended = fleet.ended(action)
    assert sum(ended["counts"].values()) == 1
    assert set(ended["counts"]) <= {"success", "cancelled"}


def test_a_cancelled_question_ends_the_module_and_says_so(fleet: Fleet) -> None:
    action = fleet.detach(*LONG, "-e", "300s")
    running(fleet, action)

    cancelled = fleet.mig("action", "cancel", action, "--reason", "wrong folder")

    assert cancelled.returncode == 0, cancelled.stderr
    ended = fleet.ended(action)
    assert (ended["state"], ended["counts"]) == ("cancelled", {"cancelled": 1})
    assert ended["cancelledby"] == str(fleet.platform.signer.fingerprint)
    assert ended["created"] < ended["cancelled"] <= ended["finished"]
    why = fleet.mig("why", action, HOLDER).stdout
    assert f"the action was cancelled by {fleet.platform.signer.fingerprint} at " in why


def test_a_question_that_is_being_cancelled_says_so_while_an_agent_has_not_heard_of_it(fleet: Fleet) -> None:
    action = fleet.detach(*LONG, "-e", "300s")
    running(fleet, action)
    fleet.platform.processes.end(HOLDER, signal.SIGKILL)

    fleet.mig("action", "cancel", action)

    shown = fleet.mig("action", "show", action).stdout
    assert re.search(r"^state +inflight$", shown, re.MULTILINE)
    assert re.search(rf"^cancelledby +{fleet.platform.signer.fingerprint}$", shown, re.MULTILINE)
    assert "inflight, cancelled" in fleet.mig("actions").stdout
    fleet.platform.start_agents([HOLDER])
    assert fleet.ended(action)["state"] == "cancelled"


def test_an_agent_that_stops_in_good_order_is_offline_at_once(fleet: Fleet) -> None:
    fleet.platform.processes.end(HOLDER, signal.SIGTERM)

    stopped = eventually(lambda: _state_of(fleet, HOLDER) == "offline")
    asked = fleet.mig(*SMALL, "--no-wait-offline", "-e", "10m", timeout=60)

    assert stopped
    assert asked.returncode == exit_codes.INCOMPLETE
    assert f"{len(ENDPOINTS)} asked: {len(ENDPOINTS) - 1} success, 1 " in asked.stderr
    assert "stopped watching (1 who have not answered are offline)" in asked.stderr
    fleet.platform.start_agents([HOLDER])
    assert eventually(lambda: _state_of(fleet, HOLDER) == "online")


def _state_of(fleet: Fleet, name: str) -> str:
    agents = json.loads(fleet.mig("agents", "--json").stdout)
    return str(next(one["state"] for one in agents if one["name"] == name))


@pytest.mark.fault("kill -9")
def test_the_scheduler_may_be_killed_in_the_middle(fleet: Fleet) -> None:
    fleet.platform.processes.end("scheduler", signal.SIGKILL)
    action = fleet.detach(*SMALL)

    fleet.platform.start_scheduler()

    ended = fleet.ended(action)
    assert accounted(ended)
    assert ended["counts"] == {"success": len(ENDPOINTS)}


def test_two_schedulers_at_once_do_nothing_twice(fleet: Fleet) -> None:
    fleet.platform.start_scheduler("second-scheduler")

    actions = [fleet.detach(*SMALL) for _ in range(5)]

    assert all(accounted(fleet.ended(action)) for action in actions)
    for name in ENDPOINTS:
        log = (fleet.platform.site.root / "log" / f"{name}.log").read_text(encoding="utf-8", errors="replace")
        assert "replay" not in log
    fleet.platform.processes.end("second-scheduler", signal.SIGTERM)


@pytest.mark.fault("kill -9")
def test_one_of_two_schedulers_may_be_killed_while_questions_are_under_way(fleet: Fleet) -> None:
    fleet.platform.start_scheduler("second-scheduler")

    actions = [fleet.detach(*SMALL) for _ in range(3)]
    fleet.platform.processes.end("second-scheduler", signal.SIGKILL)

    assert all(accounted(fleet.ended(action)) for action in actions)


@pytest.mark.fault("kill -9")
def test_the_api_may_be_killed_and_started_again(fleet: Fleet) -> None:
    action = fleet.detach(*SMALL)
    fleet.platform.processes.end("api", signal.SIGKILL)

    fleet.platform.start_api()

    assert fleet.ended(action)["counts"] == {"success": len(ENDPOINTS)}
    assert set(fleet.ask(*SMALL)) == set(ENDPOINTS)


def test_the_database_may_be_killed_and_started_again(fleet: Fleet) -> None:
    action = fleet.detach(*SMALL)
    fleet.ended(action)
    pid = fleet.platform.postgres.pid
    assert pid is not None
    fleet.platform.postgres.stop()

    fleet.platform.postgres.start()

    eventually(lambda: fleet.mig("agents").returncode == 0)
    assert set(fleet.ask(*SMALL)) == set(ENDPOINTS)
    assert fleet.action(action)["counts"] == {"success": len(ENDPOINTS)}


@pytest.mark.fault("kill -9")
def test_a_broker_killed_with_commands_in_it_loses_none(fleet: Fleet) -> None:
    """It has them in memory; the scheduler finds out that they are gone, and hands them over again."""
    rabbitmq = fleet.platform.rabbitmq
    if rabbitmq is None:
        return  # the https relay has no broker
    fleet.platform.processes.end(HOLDER, signal.SIGTERM)
    action = fleet.detach(*SMALL, "-e", "120s")
    eventually(lambda: fleet.action(action)["counts"] == {"success": len(ENDPOINTS) - 1, "sent": 1})
    assert rabbitmq.pid is not None
    os.kill(rabbitmq.pid, signal.SIGKILL)
    eventually(lambda: rabbitmq.pid is None)

    rabbitmq.start()
    fleet.platform.start_agents([HOLDER])

    assert fleet.ended(action, seconds=90)["counts"] == {"success": len(ENDPOINTS)}


def test_the_broker_may_be_stopped_and_started_again(fleet: Fleet) -> None:
    rabbitmq = fleet.platform.rabbitmq
    if rabbitmq is None:
        return  # the https relay has no broker
    rabbitmq.stop()
    action = fleet.detach(*SMALL, "-e", "120s")

    rabbitmq.start()

    assert fleet.ended(action, seconds=90)["counts"] == {"success": len(ENDPOINTS)}

"""The machine a state directory belongs to: what is remembered of it, and what becomes of a copy."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from mig_core.agent.platform.machine import (
    FILE,
    IMAGE,
    Machine,
    is_copied,
    leave_image,
    mark_image,
    settle,
    this_machine,
)
from mig_core.errors import ConfigurationError
from mig_core.identity import AgentKey

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HERE, THERE = Machine("aa" * 32, "boot-1"), Machine("bb" * 32, "boot-2")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state directory of an agent that has lived on HERE."""
    AgentKey.load_or_create(tmp_path / "agent.key")
    (tmp_path / "lock").touch()
    (tmp_path / "relay.token").write_text("token")
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "one").write_text("an answer of there")
    assert settle(tmp_path, HERE, policy="stop", now=NOW) == ""
    return tmp_path


def test_on_its_own_machine_nothing_happens_whatever_boot_it_is(state: Path) -> None:
    before = (state / "agent.key").read_bytes()

    assert settle(state, Machine(HERE.digest, "boot-9"), policy="stop", now=NOW) == ""

    assert (state / "agent.key").read_bytes() == before
    assert json.loads((state / FILE).read_text())["boot"] == "boot-9"


def test_a_copy_stops_the_agent_and_says_what_to_do(state: Path) -> None:
    assert is_copied(state, THERE) and not is_copied(state, HERE)

    with pytest.raises(ConfigurationError, match="belongs to another machine") as refusal:
        settle(state, THERE, policy="stop", now=NOW)

    assert "copied_state" in refusal.value.next_step and str(state / FILE) in refusal.value.next_step
    assert (state / "relay.token").exists()
    with pytest.raises(ConfigurationError):
        settle(state, THERE, policy="stop", now=NOW)


def test_a_copy_that_is_to_enrol_anew_keeps_nothing_of_the_other_agent(state: Path) -> None:
    old = AgentKey.load_or_create(state / "agent.key").agent_id

    done = settle(state, THERE, policy="enrol", now=NOW)

    assert old in done
    assert sorted(path.name for path in state.iterdir()) == [f"from-{old}", "lock", FILE]
    aside = state / f"from-{old}"
    assert aside.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in aside.iterdir()) == ["agent.key", FILE, "relay.token", "spool"]
    assert AgentKey.load_or_create(state / "agent.key").agent_id != old
    assert settle(state, THERE, policy="stop", now=NOW) == ""


def test_a_volume_that_moves_on_purpose_may_be_told_to_be_left_alone(state: Path) -> None:
    assert settle(state, THERE, policy="ignore", now=NOW) == ""

    assert (state / "relay.token").exists()
    assert settle(state, THERE, policy="stop", now=NOW) == ""


def test_a_system_without_a_machine_id_is_not_taken_for_another(state: Path) -> None:
    assert settle(state, Machine("", "boot-3"), policy="stop", now=NOW) == ""

    with pytest.raises(ConfigurationError):
        settle(state, THERE, policy="stop", now=NOW)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"machine": 5}', "[" * 9999])
def test_a_directory_of_an_earlier_release_becomes_this_machines(content: str, state: Path) -> None:
    (state / FILE).write_text(content)

    assert settle(state, THERE, policy="stop", now=NOW) == ""

    assert json.loads((state / FILE).read_text())["machine"] == THERE.digest


def test_the_machine_id_itself_is_never_written_down(tmp_path: Path) -> None:
    identifier = "0123456789abcdef0123456789abcdef"
    (tmp_path / "machine-id").write_text(identifier + "\n")
    (tmp_path / "odd").write_text("uninitialized\n")

    machine = this_machine((tmp_path / "none", tmp_path / "odd", tmp_path / "machine-id"))

    assert len(machine.digest) == 64 and identifier not in machine.digest
    assert this_machine((tmp_path / "odd",)).digest == ""
    assert this_machine().boot


@pytest.mark.parametrize("made", [THERE, Machine(HERE.digest, "boot-2"), Machine("", "boot-2")])
def test_no_agent_starts_in_an_image_and_one_does_on_each_machine_made_from_it(tmp_path: Path, made: Machine) -> None:
    mark_image(tmp_path, HERE)

    with pytest.raises(ConfigurationError, match="an image that is being built"):
        leave_image(tmp_path, HERE)
    leave_image(tmp_path, made)

    assert not (tmp_path / IMAGE).exists()
    leave_image(tmp_path, HERE)


def test_a_mark_of_an_image_that_cannot_be_read_keeps_agents_from_starting(tmp_path: Path) -> None:
    (tmp_path / IMAGE).write_text("{")

    with pytest.raises(ConfigurationError):
        leave_image(tmp_path, HERE)

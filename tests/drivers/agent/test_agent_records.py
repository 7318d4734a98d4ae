"""What the agent keeps of what it ran, lost and damaged between two starts of a real agent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.domain.command import CommandState

if TYPE_CHECKING:
    from mig_core.domain.action import Action

Endpoint = Any
Platform = Any
"""They live in conftest.py, which cannot be imported under this import mode."""


def again(endpoint: Endpoint, platform: Platform, action: Action) -> tuple[CommandState, str]:
    """The same signed action under a new command id."""
    command = endpoint.command(action)
    platform.send(command)
    answer = platform.answer_to(command.command)
    return answer.state, answer.reason


def test_an_action_is_not_run_again_though_the_journal_is_gone(endpoint: Endpoint, platform: Platform) -> None:
    action = endpoint.action(("echo", {"word": "once"}))
    endpoint.start()
    assert again(endpoint, platform, action)[0] is CommandState.SUCCESS
    endpoint.stop()
    (endpoint.state / "journal.jsonl").unlink()

    endpoint.start()

    assert again(endpoint, platform, action) == (
        CommandState.REFUSED,
        f"replay: action {action.id} was already run here",
    )
    platform.wait_for(lambda: "journal" in platform.heartbeats[-1].facts.failures)
    assert "mended from the ledger" in platform.heartbeats[-1].facts.failures["journal"]


def test_without_journal_and_ledger_old_actions_are_refused_until_the_owner_says_to_go_on(
    endpoint: Endpoint, platform: Platform
) -> None:
    action = endpoint.action(("echo", {"word": "once"}))
    other = endpoint.action(("echo", {"word": "never run"}))
    endpoint.start()
    assert again(endpoint, platform, action)[0] is CommandState.SUCCESS
    endpoint.stop()
    for name in ("journal.jsonl", "ledger.jsonl"):
        (endpoint.state / name).unlink()

    endpoint.start()

    for one in (action, other):
        state, reason = again(endpoint, platform, one)
        assert state is CommandState.REFUSED and "it cannot be ruled out that this action was" in reason
    platform.wait_for(lambda: "journal" in platform.heartbeats[-1].facts.failures)
    assert "mig-agent journal --go-on" in platform.heartbeats[-1].facts.failures["journal"]
    shown = endpoint.run("journal")
    assert shown.returncode == 1 and "lost at" in shown.stdout

    assert endpoint.run("journal", "--go-on").returncode == 0

    assert again(endpoint, platform, other)[0] is CommandState.SUCCESS
    assert endpoint.run("journal").returncode == 0
    assert "go-on" in endpoint.run("log").stdout


def test_enrolling_by_hand_before_the_first_start_raises_no_doubt(endpoint: Endpoint, platform: Platform) -> None:
    assert endpoint.run("enrol").returncode == 0

    endpoint.start()

    assert again(endpoint, platform, endpoint.action(("echo", {"word": "x"})))[0] is CommandState.SUCCESS


def test_a_cancel_is_in_the_ledger_with_its_signer(endpoint: Endpoint, platform: Platform) -> None:
    action = endpoint.action(("echo", {"word": "x"}))
    endpoint.start()
    platform.send(endpoint.cancel(action))
    assert again(endpoint, platform, action)[0] is CommandState.CANCELLED

    shown = endpoint.run("log")

    assert shown.returncode == 0
    assert f"action {action.id} by " in shown.stdout and "enough" in shown.stdout


@pytest.mark.fault("full disk")
def test_an_agent_with_a_full_disk_starts_and_answers_when_there_is_room(
    endpoint: Endpoint, platform: Platform, small_disk: Any
) -> None:
    state = small_disk.path / "state"
    endpoint.state.rename(endpoint.folder / "moved")
    state.mkdir(mode=0o700)
    for file in (endpoint.folder / "moved").iterdir():
        (state / file.name).write_bytes(file.read_bytes())
        (state / file.name).chmod(0o600)
    endpoint.state.symlink_to(state)
    endpoint.start()
    assert again(endpoint, platform, endpoint.action(("echo", {"word": "x"})))[0] is CommandState.SUCCESS
    endpoint.stop()
    small_disk.fill()
    command = endpoint.command(endpoint.action(("echo", {"word": "waits"})))
    began = datetime.now(UTC)

    endpoint.start()
    platform.send(command)
    platform.wait_for(lambda: "on disk, trying again" in endpoint.log)
    small_disk.free()

    assert platform.answer_to(command.command).state is CommandState.SUCCESS
    assert "the one made of the same files before is used" in endpoint.log
    assert datetime.now(UTC) - began < timedelta(minutes=1)

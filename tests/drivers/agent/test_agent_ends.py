"""The whole agent as a process, stopped, killed and cut off: nothing is lost, run twice or left behind."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.domain.command import CommandState
from mig_core.testing.eventually import eventually
from mig_core.testing.running import alive

if TYPE_CHECKING:
    from pathlib import Path

Endpoint = Any
Platform = Any
"""They live in conftest.py, which cannot be imported under this import mode."""


def has_lines(file: Path, number: int) -> bool:
    return len(lines(file)) == number


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def test_a_clean_stop_is_quick_and_what_ran_comes_again_without_counting_as_a_crash(
    endpoint: Endpoint, platform: Platform
) -> None:
    trace = endpoint.folder / "trace"
    command = endpoint.command(endpoint.action(("counting", {"word": str(trace), "seconds": 600}), seconds=600))
    platform.send(command)
    for times in range(1, 4):
        endpoint.start()
        eventually(partial(has_lines, trace, times))
        child = int(lines(trace)[-1])

        began = time.monotonic()
        assert endpoint.stop() == 0

        assert time.monotonic() - began < 30  # and does not wait for what runs
        assert not alive(child)
        platform.queue.end_leases()
    assert platform.waiting == 1
    assert not platform.answers


def test_nothing_is_lost_when_the_agent_is_killed_in_the_middle(endpoint: Endpoint, platform: Platform) -> None:
    trace = endpoint.folder / "trace"
    action = endpoint.action(("counting", {"word": str(trace), "seconds": 2}))
    command = endpoint.command(action)
    endpoint.start()
    platform.send(command)
    eventually(lambda: lines(trace))

    endpoint.stop(signal.SIGKILL)
    eventually(lambda: not alive(int(lines(trace)[0])))
    platform.queue.end_leases()
    endpoint.start()

    assert platform.answer_to(command.command).state is CommandState.SUCCESS
    assert len(lines(trace)) == 2
    platform.wait_for(lambda: platform.waiting == 0)


def test_a_command_that_took_the_agent_down_twice_is_answered_and_not_run_again(
    endpoint: Endpoint, platform: Platform
) -> None:
    trace = endpoint.folder / "trace"
    command = endpoint.command(endpoint.action(("agentkiller", {"word": str(trace)})))
    platform.send(command)
    for _ in range(2):
        endpoint.start()
        assert endpoint.wait(60) == -signal.SIGKILL
        platform.queue.end_leases()

    endpoint.start()
    answer = platform.answer_to(command.command)

    assert answer.state is CommandState.KILLED
    assert "took the agent down 2 times" in answer.reason
    assert lines(trace) == ["run", "run"]


def test_answers_wait_on_disk_while_the_platform_is_away(endpoint: Endpoint, platform: Platform) -> None:
    commands = [
        endpoint.command(endpoint.action(("counting", {"word": str(endpoint.folder / f"t{n}"), "seconds": 1})))
        for n in range(3)
    ]
    platform.server.results_refused = True  # what ends before the platform leaves does not arrive either
    for command in commands:
        platform.send(command)
    endpoint.start()
    eventually(lambda: all(row.session for row in platform.queue.commands))  # the agent has them
    platform.leave()
    eventually(lambda: len([name for name in os.listdir(endpoint.state / "spool") if not name.endswith(".new")]) == 3)
    endpoint.stop(signal.SIGKILL)

    platform.queue.end_leases()
    platform.come_back()
    endpoint.start()

    for number, command in enumerate(commands):
        assert platform.answer_to(command.command).state is CommandState.SUCCESS
        assert len(lines(endpoint.folder / f"t{number}")) == 1
    platform.wait_for(lambda: platform.waiting == 0)
    eventually(lambda: not os.listdir(endpoint.state / "spool"))


def test_a_second_agent_on_the_same_state_directory_is_refused(endpoint: Endpoint, platform: Platform) -> None:
    endpoint.start()
    platform.wait_for(lambda: bool(platform.heartbeats))

    second = endpoint.run()

    assert second.returncode == 1
    assert "another agent uses this state directory" in second.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_no_process_is_left_behind(endpoint: Endpoint, platform: Platform, number: int) -> None:
    pids = endpoint.folder / "pids"
    command = endpoint.command(endpoint.action(("breeder", {"word": str(pids), "seconds": 50})))
    endpoint.start()
    platform.send(command)
    eventually(lambda: len(lines(pids)) == 10)

    endpoint.stop(number)

    eventually(lambda: not any(alive(int(pid)) for pid in lines(pids)))


def test_no_process_is_left_behind_even_when_the_agent_is_killed(endpoint: Endpoint, platform: Platform) -> None:
    pids = endpoint.folder / "pids"
    command = endpoint.command(endpoint.action(("breeder", {"word": str(pids), "seconds": 50})))
    endpoint.start()
    platform.send(command)
    eventually(lambda: len(lines(pids)) == 10)

    endpoint.stop(signal.SIGKILL)

    eventually(lambda: not any(alive(int(pid)) for pid in lines(pids)))

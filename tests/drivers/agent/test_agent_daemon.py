"""The whole agent as a process, against a platform over real HTTP, with real signatures and real children."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
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


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def test_a_signed_question_gets_a_signed_answer_and_leaves_its_trace_in_the_ledger(
    endpoint: Endpoint, platform: Platform
) -> None:
    endpoint.start()
    action = endpoint.action(("echo", {"word": "hello"}), ("echo", {"word": ""}))
    command = endpoint.command(action)

    platform.send(command)
    answer = platform.answer_to(command.command)

    assert (answer.state, answer.reason, answer.action) == (CommandState.SUCCESS, "", action.id)
    assert [one.found for one in answer.results] == [True, False]
    assert answer.results[0].elements["tags"] == {"team": "blue"}
    platform.wait_for(lambda: platform.waiting == 0)
    shown = endpoint.run("log")
    assert shown.returncode == 0
    assert "asked" in shown.stdout and "answered" in shown.stdout and "chain is whole" in shown.stderr
    facts = platform.server.enrolments[0].facts
    assert facts.name == "web1.example.net"
    assert "echo" in facts.modules
    assert "no_such_file" in facts.failures["broken"]
    assert facts.environment["os"] == "linux"


def test_a_delivery_that_is_repeated_is_acknowledged_and_not_run_again(endpoint: Endpoint, platform: Platform) -> None:
    trace = endpoint.folder / "trace"
    command = endpoint.command(endpoint.action(("counting", {"word": str(trace)})))
    endpoint.start()
    platform.send(command)
    platform.answer_to(command.command)

    platform.send(command)
    platform.wait_for(lambda: platform.waiting == 0)
    endpoint.stop()
    platform.send(command)
    endpoint.start()
    platform.wait_for(lambda: platform.waiting == 0)

    assert len(lines(trace)) == 1
    assert len(platform.answers[command.command]) == 1


def test_an_action_that_comes_again_under_another_command_is_refused_as_a_replay(
    endpoint: Endpoint, platform: Platform
) -> None:
    action = endpoint.action(("echo", {}))
    first, second = endpoint.command(action), endpoint.command(action)
    endpoint.start()
    platform.send(first)
    platform.answer_to(first.command)

    platform.send(second)
    answer = platform.answer_to(second.command)

    assert answer.state is CommandState.REFUSED
    assert answer.reason.startswith("replay: ")
    assert answer.action == action.id


def test_refusals_are_signed_answers_that_name_the_check(endpoint: Endpoint, platform: Platform) -> None:
    cases = {
        "signature: ": endpoint.command(endpoint.action(("echo", {})), signed=False),
        "target: ": endpoint.command(endpoint.action(("echo", {}), target="name = 'elsewhere'")),
        "module: ": endpoint.command(endpoint.action(("absent", {}))),
        "acl: module failing needs weight 2, has 1": endpoint.command(endpoint.action(("echo", {}), ("failing", {}))),
        "parameters: ": endpoint.command(endpoint.action(("echo", {"wrod": "x"}))),
    }
    endpoint.start()
    for command in cases.values():
        platform.send(command)

    for words, command in cases.items():
        answer = platform.answer_to(command.command)
        assert answer.state is CommandState.REFUSED
        assert answer.reason.startswith(words)
        assert answer.results == ()
    assert endpoint.run("log").returncode == 0


def test_messages_that_are_no_commands_of_ours_are_counted_and_acknowledged(
    endpoint: Endpoint, platform: Platform
) -> None:
    endpoint.start()
    platform.wait_for(lambda: bool(platform.heartbeats))
    stranger = endpoint.command(endpoint.action(("echo", {})))
    body = json.loads(stranger.to_bytes())

    for broken in ({}, {**body, "kind": "poem"}, {**body, "agent": "a" * 32}, {**body, "more": 1}):
        from mig_core.domain.messages import Outgoing
        from mig_core.testing.https_relay_site import run
        from mig_core.testing.queue_in_memory import END

        run(platform.queue.put_commands([Outgoing(endpoint.id, json.dumps(broken).encode(), END)]))

    platform.wait_for(lambda: platform.waiting == 0)
    platform.wait_for(lambda: platform.heartbeats[-1].statistics.get("messages_malformed") == 4)
    assert not platform.answers


def test_a_cancel_ends_what_runs_and_keeps_what_was_found(endpoint: Endpoint, platform: Platform) -> None:
    trace = endpoint.folder / "trace"
    action = endpoint.action(("stubborn", {"word": str(trace), "seconds": 50}), ("echo", {}))
    command = endpoint.command(action)
    endpoint.start()
    platform.send(command)
    eventually(lambda: lines(trace))

    platform.send(endpoint.cancel(action))
    answer = platform.answer_to(command.command)

    assert answer.state is CommandState.CANCELLED
    assert [one.elements for one in answer.results] == [["first", "second"]]
    assert not alive(int(lines(trace)[0]))


def test_a_cancel_that_arrives_first_is_remembered_across_a_restart(endpoint: Endpoint, platform: Platform) -> None:
    action = endpoint.action(("echo", {}))
    endpoint.start()
    platform.send(endpoint.cancel(action))
    platform.wait_for(lambda: platform.waiting == 0)
    endpoint.stop()
    endpoint.start()

    command = endpoint.command(action)
    platform.send(command)

    assert platform.answer_to(command.command).state is CommandState.CANCELLED


def test_several_commands_run_at_once_and_a_cancel_overtakes_those_that_wait(
    endpoint: Endpoint, platform: Platform
) -> None:
    endpoint.configure(platform.server.url, concurrency=2)
    traces = [endpoint.folder / f"trace{number}" for number in range(4)]
    actions = [endpoint.action(("stubborn", {"word": str(trace), "seconds": 50})) for trace in traces]
    commands = [endpoint.command(action) for action in actions]
    endpoint.start()
    for command in commands:
        platform.send(command)
    eventually(lambda: sum(trace.exists() for trace in traces) == 2)

    running = [trace.exists() for trace in traces]
    for _, action in sorted(zip(running, actions, strict=True), key=lambda pair: pair[0]):
        platform.send(endpoint.cancel(action))

    for command in commands:
        assert platform.answer_to(command.command).state is CommandState.CANCELLED
    assert [trace.exists() for trace in traces] == running


@pytest.mark.fault("full disk")
def test_an_agent_whose_spool_is_full_begins_nothing_until_the_platform_is_back(
    endpoint: Endpoint, platform: Platform
) -> None:
    endpoint.configuration.write_text("spool_mb = 1\n" + endpoint.configuration.read_text())
    commands = [endpoint.command(endpoint.action(("huge", {"seconds": 1}))) for _ in range(6)]
    platform.server.results_refused = True
    endpoint.start()
    for command in commands:
        platform.send(command)
    eventually(lambda: (endpoint.state / "spool").exists() and len(os.listdir(endpoint.state / "spool")) >= 1)
    time.sleep(0.5)  # nothing is to happen, so there is nothing to wait for

    assert len(os.listdir(endpoint.state / "spool")) <= 2
    platform.server.results_refused = False

    for command in commands:
        assert platform.answer_to(command.command).state is CommandState.SUCCESS
    platform.wait_for(lambda: platform.waiting == 0)


def test_an_answer_that_something_on_the_way_refuses_delays_no_other_and_its_reason_arrives(
    endpoint: Endpoint, platform: Platform
) -> None:
    refused = endpoint.command(endpoint.action(("echo", {"word": "x" * 3000}), seconds=24))
    others = [endpoint.command(endpoint.action(("echo", {"word": str(number)}))) for number in range(5)]
    platform.server.too_long = 3000
    endpoint.start()
    platform.send(refused)
    eventually(lambda: "a firewall does not like it" in endpoint.log)

    for command in others:
        platform.send(command)
    states = [platform.answer_to(command.command).state for command in others]
    before = refused.command in platform.answers
    platform.wait_for(lambda: refused.command in platform.answers, seconds=60)
    platform.heartbeats.clear()
    # A heartbeat may be on its way before an answer's acknowledgement is back.
    platform.wait_for(lambda: bool(platform.heartbeats) and platform.heartbeats[-1].spool["answers"] == 0)

    answer = platform.answers[refused.command][0]
    assert states == [CommandState.SUCCESS] * 5
    assert not before
    assert answer.state is CommandState.FAILED
    assert "could not be sent" in answer.reason
    assert "400" in answer.reason
    spool: Any = platform.heartbeats[-1].spool
    assert [one["command"] for one in spool["lost"]] == [refused.command]
    assert not spool["full"]
    assert spool["disk_free"] > 0


def test_an_agent_whose_login_is_refused_enrols_again(endpoint: Endpoint, platform: Platform) -> None:
    endpoint.start()
    platform.wait_for(lambda: bool(platform.heartbeats))
    command = endpoint.command(endpoint.action(("echo", {})))

    platform.server.tokens[endpoint.id] = "another"
    platform.send(command)

    assert platform.answer_to(command.command).state is CommandState.SUCCESS
    assert len(platform.server.enrolments) == 2


def test_an_agent_that_is_not_approved_yet_waits_and_stops_at_once_when_told(
    endpoint: Endpoint, platform: Platform
) -> None:
    platform.server.approval_pending = True
    endpoint.start()
    eventually(lambda: "mig agent approve" in endpoint.log if (endpoint.folder / "log").exists() else False)

    assert endpoint.stop() == 0

    assert not (endpoint.state / "relay.token").exists()


def test_heartbeats_are_signed_and_their_numbers_grow_across_restarts(endpoint: Endpoint, platform: Platform) -> None:
    for _ in range(2):
        endpoint.start()
        seen = len(platform.heartbeats)
        platform.wait_for(lambda seen=seen: len(platform.heartbeats) >= seen + 2)
        endpoint.stop()

    platform.wait_for(lambda: platform.heartbeats[-1].leaving)  # it says goodbye when it stops
    numbers = [one.sequence for one in platform.heartbeats]
    assert [one.leaving for one in platform.heartbeats].count(True) == 2
    assert numbers == sorted(set(numbers))
    assert platform.heartbeats[-1].facts.id == endpoint.id
    assert len(platform.server.enrolments) == 1
    assert platform.heartbeats[-1].sent <= datetime.now(UTC)


def test_the_action_ends_with_its_window_even_if_the_policy_would_allow_more(
    endpoint: Endpoint, platform: Platform
) -> None:
    endpoint.start()
    platform.wait_for(lambda: bool(platform.heartbeats))

    # The window of a busy machine may end before the module has said anything.
    for seconds in (3.0, 6.0, 12.0, 24.0):
        command = endpoint.command(endpoint.action(("stubborn", {"seconds": 500}), seconds=seconds))
        platform.send(command)
        answer = platform.answer_to(command.command)
        if answer.results and answer.results[0].elements == ["first", "second"]:
            break

    assert answer.state is CommandState.TIMEOUT
    assert answer.results[0].elements == ["first", "second"]

"""Sending: one answer that cannot be delivered neither delays the others nor disappears without a word."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.agent.counters import Counters
from mig_core.agent.records.spool import Lane, Spool, Spooled
from mig_core.agent.sending import LAST_CALL, TOO_LATE, Sender
from mig_core.domain.ids import CommandId
from mig_core.errors import RelayDenied, RelayError, RelayRefused, RelayUnavailable, RelayUnwanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mig_core.domain.messages import Kind

PACE = 0.001
POISON = CommandId("00000000-0000-7000-8000-00000000dead")
NOW = 1_800_000_000.0


def command(number: int) -> CommandId:
    return CommandId(f"00000000-0000-7000-8000-{number:012}")


class Relay:
    """Takes what it is given, but for what the test says."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.attempts: list[bytes] = []
        self.fails: Callable[[bytes], RelayError | None] = lambda body: None
        self.changed = threading.Condition()

    def publish(self, kind: Kind, body: bytes) -> None:
        error = self.fails(body)
        with self.changed:
            self.attempts.append(body)
            if error is None:
                self.taken.append(body)
            self.changed.notify_all()
        if error is not None:
            raise error

    def wait_for(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, seconds), (self.taken, self.attempts)


class Agent:
    """A sender with its three threads."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.relay = Relay()
        self.counters = Counters()
        self.heartbeats = 0
        self.spool = Spool(folder / "spool", max_bytes=1 << 20, clock=lambda: self.now)
        self.sender = Sender(
            self.spool,
            self.relay.publish,
            instead=self.instead,
            counters=self.counters,
            heartbeat_soon=self.heartbeat_soon,
            clock=lambda: self.now,
            pace=PACE,
        )
        self.threads = [threading.Thread(target=self.sender.run, args=(lane,), daemon=True) for lane in Lane]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        self.spool.close()
        for thread in self.threads:
            if thread.is_alive():
                thread.join(60)

    def answer(self, number: int | CommandId, body: bytes = b"", *, seconds: float = 3600) -> Spooled:
        identifier = command(number) if isinstance(number, int) else number
        stored = self.spool.store(identifier, body or b"answer to %b" % identifier.encode(), until=int(NOW + seconds))
        self.spool.offer(stored)
        return stored

    def report(self) -> Any:
        return self.sender.report()

    def instead(self, spooled: Spooled, problem: str) -> Spooled:
        return self.spool.store(spooled.command, b"instead: " + problem.encode(), until=spooled.until)

    def heartbeat_soon(self) -> None:
        self.heartbeats += 1
        if self.relay.fails(b"heartbeat") is None:
            self.sender.relay_works()


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    agent = Agent(tmp_path)
    yield agent
    agent.stop()


def refusing(error: RelayError) -> Callable[[bytes], RelayError | None]:
    """Only what is about POISON."""
    return lambda body: error if POISON.encode() in body and not body.startswith(b"instead") else None


@pytest.mark.parametrize(
    "error",
    [RelayRefused("413 Request Entity Too Large"), RelayRefused("400 Bad Request"), RelayDenied("403 by a firewall")],
    ids=str,
)
def test_an_answer_that_is_refused_delays_no_other_and_is_given_up_with_the_reason(
    agent: Agent, error: RelayError
) -> None:
    agent.relay.fails = refusing(error)
    agent.answer(POISON)
    for number in range(20):
        agent.answer(number)

    agent.start()
    agent.relay.wait_for(lambda: len(agent.relay.taken) >= 20)
    first_twenty = list(agent.relay.taken[:20])
    for number in range(20, 40):
        agent.answer(number)
        time.sleep(0.005)
    agent.relay.wait_for(lambda: len(agent.relay.taken) == 41)

    assert first_twenty == [b"answer to %b" % command(number).encode() for number in range(20)]
    (instead,) = [body for body in agent.relay.taken if body.startswith(b"instead")]
    assert str(error).encode() in instead
    _until(lambda: agent.report()["answers"] == 0)
    (lost,) = agent.report()["lost"]
    assert lost["command"] == POISON
    assert agent.heartbeats >= 1


def test_an_answer_that_is_damaged_on_disk_is_given_up_at_once_and_the_reason_is_sent(agent: Agent) -> None:
    stored = agent.answer(POISON)
    stored.path.write_bytes(b"something else")

    agent.start()

    agent.relay.wait_for(lambda: len(agent.relay.taken) == 1)
    assert b"cannot be read from the spool" in agent.relay.taken[0]


def test_what_nobody_waits_for_is_dropped_without_a_word_in_its_place(agent: Agent) -> None:
    agent.relay.fails = refusing(RelayUnwanted("410 Gone: no command waits for this answer: late"))
    agent.answer(POISON)
    agent.answer(1)

    agent.start()

    agent.relay.wait_for(lambda: len(agent.relay.taken) == 1)
    _until(lambda: len(agent.spool) == 0)
    assert agent.counters.snapshot()["answers_unwanted"] == 1
    assert agent.report()["lost"] == []


def test_an_outage_loses_nothing_and_blames_nobody(agent: Agent) -> None:
    away: list[RelayError] = [RelayUnavailable("away")]
    agent.relay.fails = lambda body: away[0] if away else None
    for number in range(10):
        agent.answer(number)

    agent.start()
    agent.relay.wait_for(lambda: len(agent.relay.attempts) >= 60)
    away.clear()
    agent.relay.wait_for(lambda: len(agent.relay.taken) == 10)

    assert agent.report()["lost"] == []
    assert "answers_lost" not in agent.counters.snapshot()


def test_a_platform_that_refuses_everything_for_a_while_loses_nothing_either(agent: Agent) -> None:
    refusal: list[RelayError] = [RelayRefused("404 the proxy knows no such place")]
    agent.relay.fails = lambda body: refusal[0] if refusal else None
    for number in range(5):
        agent.answer(number)

    agent.start()
    agent.relay.wait_for(lambda: len(agent.relay.attempts) >= 60)
    refusal.clear()
    agent.relay.wait_for(lambda: len(agent.relay.taken) == 5)

    assert agent.report()["lost"] == []


def test_an_answer_that_times_out_each_time_gives_the_reason_before_its_window_ends(agent: Agent) -> None:
    agent.relay.fails = refusing(RelayUnavailable("504 Gateway Timeout"))
    agent.answer(POISON, seconds=300)
    agent.answer(1)
    agent.start()
    agent.relay.wait_for(lambda: sum(POISON.encode() in one for one in agent.relay.attempts) >= 2)
    agent.sender.relay_works()
    agent.relay.wait_for(lambda: sum(POISON.encode() in one for one in agent.relay.attempts) >= 6)
    agent.relay.wait_for(lambda: len(agent.relay.taken) == 1)

    agent.now = NOW + 300 - LAST_CALL
    agent.relay.wait_for(lambda: len(agent.relay.taken) == 2)

    assert agent.relay.taken[1].startswith(b"instead")
    assert b"504" in agent.relay.taken[1]


def test_long_after_its_window_an_answer_is_given_up_without_being_sent(agent: Agent) -> None:
    agent.answer(POISON, seconds=0)
    agent.answer(1, seconds=7200)
    agent.now = NOW + TOO_LATE + 1

    agent.start()

    agent.relay.wait_for(lambda: len(agent.relay.taken) == 1)
    _until(lambda: len(agent.spool) == 0)
    assert [b"answer to %b" % command(1).encode()] == agent.relay.attempts
    (lost,) = agent.report()["lost"]
    assert "window ended" in lost["reason"]


def test_a_refused_answer_in_place_of_another_is_given_up_for_good(agent: Agent) -> None:
    agent.relay.fails = lambda body: RelayRefused("400") if POISON.encode() in body or b"instead" in body else None
    agent.answer(POISON)

    agent.start()

    _until(lambda: len(agent.spool) == 0)
    assert agent.counters.snapshot()["answers_lost"] == 2
    assert agent.relay.taken == []


def test_the_report_says_what_waits_since_when_and_why(agent: Agent) -> None:
    agent.relay.fails = lambda body: RelayUnavailable("no route to host")
    agent.answer(1, b"x" * 100)
    agent.now += 60
    agent.answer(2, b"x" * (1 << 20))
    agent.start()
    agent.relay.wait_for(lambda: len(agent.relay.attempts) >= 2)
    _until(lambda: len(agent.report()["troubled"]) == 2)

    report = agent.report()

    assert (report["answers"], report["bytes"], report["full"]) == (2, 100 + (1 << 20), True)
    assert report["oldest"] == "2027-01-15T08:00:00Z"
    assert isinstance(report["disk_free"], int)
    (first, _) = report["troubled"]
    assert first["problem"] == "no route to host"


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)

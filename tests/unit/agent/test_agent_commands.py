"""One command's way through the agent where no module runs: refusals, faults, full disks, repeated deliveries."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn, cast

import pytest

from mig_core.agent.claims import NO_ACTION
from mig_core.agent.commands import Commands
from mig_core.agent.counters import Counters
from mig_core.agent.records.folding import Folding
from mig_core.agent.records.journal import Journal
from mig_core.agent.records.ledger import Ledger
from mig_core.agent.records.ledger_file import read_ledger
from mig_core.agent.records.opening import Records
from mig_core.agent.records.spool import Lane, Spool, Spooled
from mig_core.domain import envelope as envelopes
from mig_core.domain.action import Action, Operation
from mig_core.domain.command import CommandMessage, CommandState
from mig_core.domain.envelope import Envelope, read_envelope
from mig_core.domain.ids import ActionId, CommandId
from mig_core.domain.result import Answer, read_answer
from mig_core.errors import Refused
from mig_core.identity import AgentKey, verify_agent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mig_core.authorization import AuthorizedCancel

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = AgentKey(bytes(range(32)))
COMMAND = CommandId("0197f9f0-0000-7000-8000-000000000001")
ACTION = "0197f9f0-0000-7000-8000-000000000002"


class Authority:
    """Refuses, or raises what it is told to."""

    def __init__(self) -> None:
        self.error: Exception = Refused("acl", "needs weight 2, has 1")
        self.asked = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def authorize(self, action: Envelope, command: CommandId) -> NoReturn:
        self.asked.set()
        assert self.go_on.wait(60)
        raise self.error

    def authorize_cancel(self, cancel: Envelope) -> AuthorizedCancel:
        raise self.error


class SpoolOnFullDisk(Spool):
    """Refuses the first answers, as a full disk does."""

    refusals = 3

    def store(self, command: CommandId, answer: bytes, *, until: int = 0) -> Spooled:
        if self.refusals:
            self.refusals -= 1
            raise OSError(28, "No space left on device")
        return super().store(command, answer, until=until)


class NothingRuns:
    """A runner that is told to get ready; no operation is run here."""

    def get_ready(self) -> None:
        pass


@dataclass
class Agent:
    commands: Commands
    authority: Authority
    records: Records
    counters: Counters

    def answer(self) -> Answer:
        spooled = self.records.spool.waiting()[0].spooled
        envelope = read_envelope(spooled.read(), expected_type=envelopes.RESULT, max_bytes=envelopes.MAX_RESULT_BYTES)
        verify_agent(envelope, KEY.public_key)
        return read_answer(envelope.payload)


@pytest.fixture
def make_agent(tmp_path: Path) -> Callable[..., Agent]:
    def make(spool: type[Spool] = Spool) -> Agent:
        ledger, counters = Ledger(tmp_path / "ledger", key=KEY, now=NOW), Counters()
        records = Records(
            journal=Journal(tmp_path / "journal", now=NOW),
            spool=spool(tmp_path / "spool", max_bytes=1 << 20),
            ledger=ledger,
            folding=Folding(ledger),
        )
        authority = Authority()
        commands = Commands(
            key=KEY,
            authority=authority,
            runner=cast("Any", NothingRuns()),
            records=records,
            counters=counters,
            clock=lambda: NOW,
            disk_retry_seconds=0.01,
            room_seconds=0.05,
        )
        return Agent(commands, authority, records, counters)

    return make


def action(identifier: str = ACTION) -> Action:
    return Action(
        ActionId(identifier), "a question", "all", NOW, NOW + timedelta(minutes=5), (Operation("nothing", {}),)
    )


def message(payload: bytes = b'{"id":"%b"}' % ACTION.encode()) -> CommandMessage:
    return CommandMessage(COMMAND, KEY.agent_id, Envelope(envelopes.ACTION, payload))


def test_a_refusal_is_signed_noted_and_acknowledged(make_agent: Callable[..., Agent], tmp_path: Path) -> None:
    agent = make_agent()
    acknowledged: list[bool] = []

    agent.commands.handle(message(), lambda: acknowledged.append(True))

    answer = agent.answer()
    assert (answer.state, answer.reason) == (CommandState.REFUSED, "acl: needs weight 2, has 1")
    assert answer.action == ACTION
    assert acknowledged == [True]
    assert [entry["event"] for entry in read_ledger(tmp_path / "ledger")] == ["answered"]


@pytest.mark.parametrize("payload", [b"", b"[]", b'{"id": 7}', b"[" * 100_000, b"\xff"])
def test_the_refusal_of_something_that_names_no_action_names_none(
    make_agent: Callable[..., Agent], payload: bytes
) -> None:
    agent = make_agent()

    agent.commands.handle(message(payload), lambda: None)

    assert agent.answer().action == NO_ACTION


def test_an_answer_waits_for_a_disk_that_is_full_for_a_while(make_agent: Callable[..., Agent]) -> None:
    agent = make_agent(SpoolOnFullDisk)
    acknowledged: list[bool] = []

    agent.commands.handle(message(), lambda: acknowledged.append(True))

    assert agent.answer().state is CommandState.REFUSED
    assert acknowledged == [True]
    assert agent.counters.snapshot()["disk_errors"] == 3


def test_a_fault_of_the_agents_own_is_an_answer_too(make_agent: Callable[..., Agent]) -> None:
    agent = make_agent()
    agent.authority.error = ZeroDivisionError("a bug")

    agent.commands.handle(message(), lambda: None)

    answer = agent.answer()
    assert answer.state is CommandState.FAILED
    assert "ZeroDivisionError" in answer.reason


def test_a_delivery_repeated_while_it_is_handled_is_acknowledged_when_the_first_is(
    make_agent: Callable[..., Agent],
) -> None:
    agent = make_agent()
    agent.authority.go_on.clear()
    acknowledged: list[str] = []
    worker = threading.Thread(target=lambda: agent.commands.handle(message(), lambda: acknowledged.append("first")))
    worker.start()
    assert agent.authority.asked.wait(60)

    agent.commands.handle(message(), lambda: acknowledged.append("second"))
    assert acknowledged == []
    agent.authority.go_on.set()
    worker.join(60)

    assert acknowledged == ["first", "second"]
    assert len(agent.records.spool) == 1


def test_nothing_is_answered_or_acknowledged_once_the_agent_stops(make_agent: Callable[..., Agent]) -> None:
    agent = make_agent()
    agent.commands.stop()

    agent.commands.handle(message(), lambda: pytest.fail("acknowledged"))

    assert len(agent.records.spool) == 0


def test_an_answer_in_the_spool_counts_as_finished_after_a_crash(make_agent: Callable[..., Agent]) -> None:
    agent = make_agent()
    payload = hashlib.sha256(message().action.payload).hexdigest()
    agent.records.journal.start(COMMAND, action(ACTION), payload, now=NOW)
    agent.records.spool.offer(agent.records.spool.store(COMMAND, b"signed"))
    acknowledged: list[bool] = []

    agent.commands.recover()
    agent.commands.handle(message(), lambda: acknowledged.append(True))

    assert acknowledged == [True]
    assert not agent.authority.asked.is_set()
    assert len(agent.records.spool) == 1


def test_a_storm_of_refusals_leaves_a_few_lines_and_their_number(
    make_agent: Callable[..., Agent], tmp_path: Path
) -> None:
    agent = make_agent()
    for number in range(500):
        identifier = CommandId(f"0197f9f0-0000-7000-8000-{number:012}")
        agent.commands.handle(CommandMessage(identifier, KEY.agent_id, message().action), lambda: None)

    agent.commands.look_after(everything=True)

    entries = list(read_ledger(tmp_path / "ledger"))
    assert [entry["event"] for entry in entries[:6]] == [*["answered"] * 5, "repeated"]
    assert entries[-1]["kind"] == "refused acl" and entries[-1]["count"] == 495
    assert len(entries) < 20


def test_a_reused_command_id_is_noted_acknowledged_and_never_run(
    make_agent: Callable[..., Agent], tmp_path: Path
) -> None:
    agent = make_agent()
    payload = hashlib.sha256(message().action.payload).hexdigest()
    agent.records.journal.start(COMMAND, action(), payload, now=NOW)
    agent.records.journal.finish(COMMAND)
    acknowledged: list[bool] = []

    agent.commands.handle(message(b'{"id":"0197f9f0-0000-7000-8000-000000000009"}'), lambda: acknowledged.append(True))

    assert acknowledged == [True] and not agent.authority.asked.is_set()
    assert len(agent.records.spool) == 0
    (entry,) = read_ledger(tmp_path / "ledger")
    assert entry["event"] == "reused" and entry["action"] == "0197f9f0-0000-7000-8000-000000000009"
    assert agent.counters.snapshot() == {"commands_reused": 1}


def test_a_command_id_reused_while_its_command_is_handled_is_noted_too(
    make_agent: Callable[..., Agent], tmp_path: Path
) -> None:
    agent = make_agent()
    agent.authority.go_on.clear()
    acknowledged: list[str] = []
    worker = threading.Thread(target=lambda: agent.commands.handle(message(), lambda: acknowledged.append("first")))
    worker.start()
    assert agent.authority.asked.wait(60)

    agent.commands.handle(message(b"{}"), lambda: acknowledged.append("other"))
    assert acknowledged == ["other"]
    agent.authority.go_on.set()
    worker.join(60)

    assert acknowledged == ["other", "first"]
    assert [entry["event"] for entry in read_ledger(tmp_path / "ledger")] == ["reused", "answered"]


def test_a_command_that_finds_the_spool_full_is_answered_with_the_reason_and_not_begun(
    make_agent: Callable[..., Agent],
) -> None:
    agent = make_agent()
    spool = agent.records.spool
    spool.offer(spool.store(CommandId(ACTION), b"x" * spool.max_bytes, until=1))
    one = spool.take(Lane.QUICK, timeout=0) or spool.take(Lane.LARGE, timeout=0)
    assert one is not None
    spool.put_back(one, "413 Request Entity Too Large", 60, refused=True, own=True)
    acknowledged: list[bool] = []

    agent.commands.handle(message(), lambda: acknowledged.append(True))

    spooled = spool.waiting()[1].spooled
    answer = read_answer(
        read_envelope(spooled.read(), expected_type=envelopes.RESULT, max_bytes=envelopes.MAX_RESULT_BYTES).payload
    )
    assert acknowledged == [True]
    assert answer.state is CommandState.FAILED
    assert "1 answers (1 MiB) fill this agent's spool" in answer.reason
    assert "413" in answer.reason
    assert not agent.authority.asked.is_set()


def test_an_answer_carries_the_end_of_the_window_it_is_worth_sending_in(make_agent: Callable[..., Agent]) -> None:
    agent = make_agent()
    ends = {
        b"{}": timedelta(hours=1),
        b'{"expireafter":"2026-11-24T12:00:00Z"}': timedelta(days=1),
        b'{"expireafter":"2036-11-24T12:00:00Z"}': timedelta(days=31),
        b'{"expireafter":"soon"}': timedelta(hours=1),
    }

    for number, payload in enumerate(ends):
        command = CommandId(f"{COMMAND[:-1]}{number}")
        agent.commands.handle(replace(message(payload), command=command), lambda: None)

    until = [one.spooled.until for one in agent.records.spool.waiting()]
    assert until == [int((NOW + after).timestamp()) for after in ends.values()]

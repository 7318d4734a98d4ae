"""The journal: nothing runs twice, whatever the relay repeats, the clock says, and the disk has lost."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mig_core.agent.records.age import AGREEMENT, Age, Uptime
from mig_core.agent.records.journal import MARGIN, Journal, Start, go_on_file
from mig_core.domain.action import MAX_WINDOW, Action, Operation
from mig_core.domain.ids import ActionId, CommandId

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
COMMAND, OTHER = CommandId("c" * 36), CommandId("d" * 36)
PAYLOAD = "ab" * 32


class Machine:
    """A machine whose clock and whose time since its start are set by the test."""

    def __init__(self) -> None:
        self.now = NOW
        self.uptime = Uptime("boot-1", 1000.0)

    def read(self) -> Uptime:
        return self.uptime

    def pass_time(self, time: timedelta) -> None:
        """Time passes as it does: for the clock and for the kernel."""
        self.now += time
        self.uptime = Uptime(self.uptime.boot, self.uptime.seconds + time.total_seconds())

    def start_again(self) -> None:
        self.uptime = Uptime(self.uptime.boot + "+", 1.0)

    def opened(self, folder: Path, **options: object) -> Journal:
        return Journal(folder / "journal.jsonl", now=self.now, read=self.read, **options)  # type: ignore[arg-type]  # options of the same names


@pytest.fixture
def machine() -> Machine:
    return Machine()


def asked(
    letter: str, *, begin: datetime = NOW - timedelta(minutes=1), window: timedelta = timedelta(minutes=5)
) -> Action:
    return Action(ActionId(letter * 36), "q", "all", begin, begin + window, (Operation("nothing", {}),))


ACTION, OTHER_ACTION = asked("a"), asked("b")


def test_a_finished_command_is_not_run_again_even_after_a_restart(tmp_path: Path, machine: Machine) -> None:
    journal = machine.opened(tmp_path)
    assert journal.start(COMMAND, ACTION, PAYLOAD, now=NOW) is Start.RUN
    journal.finish(COMMAND)
    journal.close()

    journal = machine.opened(tmp_path)

    assert journal.standing(COMMAND) is Start.FINISHED
    assert journal.start(COMMAND, ACTION, PAYLOAD, now=NOW) is Start.FINISHED


def test_an_action_under_another_command_is_a_replay_but_its_own_second_attempt_is_none(
    tmp_path: Path, machine: Machine
) -> None:
    journal = machine.opened(tmp_path)
    journal.start(COMMAND, ACTION, PAYLOAD, now=NOW)

    assert "already run" in journal.view(OTHER, now=NOW).objection(ACTION)
    assert not journal.view(COMMAND, now=NOW).objection(ACTION)
    assert not journal.view(OTHER, now=NOW).objection(OTHER_ACTION)
    assert journal.start(OTHER, ACTION, PAYLOAD, now=NOW) is Start.REPLAY
    assert journal.start(COMMAND, OTHER_ACTION, PAYLOAD, now=NOW) is Start.REPLAY
    assert journal.start(COMMAND, ACTION, PAYLOAD, now=NOW) is Start.RUN


def test_a_commands_id_stands_for_one_signed_document(tmp_path: Path, machine: Machine) -> None:
    journal = machine.opened(tmp_path)
    journal.start(COMMAND, ACTION, PAYLOAD, now=NOW)

    assert journal.is_another(COMMAND, "cd" * 32)
    assert not journal.is_another(COMMAND, PAYLOAD)
    assert not journal.is_another(OTHER, PAYLOAD)


def test_a_command_that_was_begun_twice_and_never_ended_is_not_begun_again(tmp_path: Path, machine: Machine) -> None:
    for _ in range(2):
        journal = machine.opened(tmp_path)
        assert journal.start(COMMAND, ACTION, PAYLOAD, now=NOW) is Start.RUN
        journal.close()

    journal = machine.opened(tmp_path)

    assert journal.standing(COMMAND) is Start.EXHAUSTED
    assert journal.start(COMMAND, ACTION, PAYLOAD, now=NOW) is Start.EXHAUSTED
    assert journal.action_of(COMMAND) == ACTION.id


def test_a_stop_in_good_order_is_no_attempt(tmp_path: Path, machine: Machine) -> None:
    for _ in range(5):
        journal = machine.opened(tmp_path)
        assert journal.start(COMMAND, ACTION, PAYLOAD, now=NOW) is Start.RUN
        journal.release(COMMAND)
        journal.close()

    assert machine.opened(tmp_path).view(OTHER, now=NOW).objection(ACTION)


def test_entries_are_forgotten_when_their_window_and_a_margin_have_been_lived_through(
    tmp_path: Path, machine: Machine
) -> None:
    journal = machine.opened(tmp_path)
    journal.start(COMMAND, ACTION, PAYLOAD, now=NOW)
    journal.finish(COMMAND)
    journal.cancel(OTHER_ACTION.id, NOW + MAX_WINDOW)
    journal.close()

    machine.pass_time(MARGIN + timedelta(minutes=3))
    within = machine.opened(tmp_path)
    assert within.standing(COMMAND) is Start.FINISHED
    within.close()

    machine.pass_time(timedelta(minutes=3))
    after = machine.opened(tmp_path)
    assert after.standing(COMMAND) is Start.RUN and after.cancelled(OTHER_ACTION.id)
    after.close()

    machine.pass_time(MAX_WINDOW)
    assert not machine.opened(tmp_path).cancelled(OTHER_ACTION.id)


@pytest.mark.fault("clock ahead")
def test_a_start_with_the_clock_far_ahead_forgets_nothing(tmp_path: Path, machine: Machine) -> None:
    journal = machine.opened(tmp_path)
    journal.start(COMMAND, ACTION, PAYLOAD, now=NOW)
    journal.finish(COMMAND)
    journal.close()

    for years in (10, 30):
        machine.now = NOW + timedelta(days=365 * years)
        machine.start_again()
        journal = machine.opened(tmp_path)
        machine.uptime = Uptime(machine.uptime.boot, 3600.0 * 20)
        journal.look(machine.now)
        journal.close()
    machine.now = NOW + timedelta(minutes=2)

    assert machine.opened(tmp_path).view(OTHER, now=machine.now).objection(ACTION)


def test_whatever_was_forgotten_stays_refused_when_the_clock_is_set_back(tmp_path: Path, machine: Machine) -> None:
    journal = machine.opened(tmp_path)
    journal.start(COMMAND, ACTION, PAYLOAD, now=NOW)
    journal.close()
    machine.pass_time(MARGIN * 3)
    machine.opened(tmp_path).close()
    machine.now = NOW

    journal = machine.opened(tmp_path)

    assert journal.standing(COMMAND) is Start.RUN
    assert "is not remembered any more" in journal.view(OTHER, now=NOW).objection(ACTION)
    assert journal.start(COMMAND, ACTION, PAYLOAD, now=NOW) is Start.REPLAY
    assert not journal.view(OTHER, now=NOW).objection(asked("e", begin=NOW + timedelta(minutes=10)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(
    looks=st.lists(
        st.tuples(st.floats(0, 40 * 86400), st.integers(-4000, 4000), st.booleans(), st.booleans()),
        min_size=1,
        max_size=30,
    )
)
def test_what_is_sure_never_passes_what_life_and_every_days_clock_allow(
    looks: list[tuple[float, int, bool, bool]],
) -> None:
    machine = Machine()
    age = Age(NOW, read=machine.read)
    real, lived = NOW, 0.0
    wrong: list[bool] = []
    for seconds, days_wrong, boots, saves in looks:
        real += timedelta(seconds=seconds)
        if boots:
            machine.uptime = Uptime(machine.uptime.boot + "+", 0.0)
        else:
            machine.uptime = Uptime(machine.uptime.boot, machine.uptime.seconds + seconds)
            lived += seconds
        wrong.append(days_wrong > 0)
        if saves:
            age = Age(real + timedelta(days=days_wrong), read=machine.read, saved=json.loads(json.dumps(age.to_json())))
        else:
            age.look(real + timedelta(days=days_wrong))

        assert age.lived == pytest.approx(lived)
        if not any(wrong):
            assert age.sure <= real
        assert age.sure <= real + timedelta(days=days_wrong)


def test_a_clock_is_believed_when_a_day_of_looks_agrees(tmp_path: Path, machine: Machine) -> None:
    age = Age(NOW, read=machine.read)
    machine.now += timedelta(days=200)  # the machine was off for so long
    machine.start_again()

    age.look(machine.now)
    assert age.sure - NOW < timedelta(minutes=1)
    for _ in range(3):
        machine.pass_time(AGREEMENT)
        age.look(machine.now)

    assert machine.now - age.sure < timedelta(minutes=1)


def test_a_crash_at_any_byte_leaves_a_journal_that_knows_all_whole_lines(tmp_path: Path, machine: Machine) -> None:
    journal = machine.opened(tmp_path)
    journal.start(COMMAND, ACTION, PAYLOAD, now=NOW)
    journal.finish(COMMAND)
    journal.start(OTHER, OTHER_ACTION, PAYLOAD, now=NOW)
    journal.close()
    whole = (tmp_path / "journal.jsonl").read_bytes()
    ends = [index for index, byte in enumerate(whole) if byte == ord("\n")]

    for cut in range(ends[0] + 1, len(whole) + 1):
        (tmp_path / "journal.jsonl").write_bytes(whole[:cut])
        journal = machine.opened(tmp_path, young=False)

        assert not journal.problem
        assert (journal.action_of(COMMAND) == ACTION.id) is (cut > ends[1])
        assert (journal.standing(COMMAND) is Start.FINISHED) is (cut > ends[2])
        assert (journal.action_of(OTHER) is not None) is (cut > ends[3])
        assert journal.start(OTHER, OTHER_ACTION, PAYLOAD, now=NOW) is Start.RUN
        journal.close()


def test_the_file_is_rewritten_when_it_has_grown(tmp_path: Path, machine: Machine) -> None:
    journal = machine.opened(tmp_path, compact_after=10)
    for _ in range(50):
        journal.start(COMMAND, ACTION, PAYLOAD, now=NOW)
        journal.release(COMMAND)

    assert len((tmp_path / "journal.jsonl").read_bytes().splitlines()) < 14
    assert journal.view(OTHER, now=NOW).objection(ACTION)
    journal.close()
    assert not machine.opened(tmp_path, young=False).problem


def test_the_file_of_an_earlier_release_is_understood(tmp_path: Path, machine: Machine) -> None:
    lines = [
        {"step": "start", "command": COMMAND, "action": ACTION.id, "until": "2026-11-23T12:04:00Z"},
        {"step": "finish", "command": COMMAND},
        {"step": "cancel", "action": OTHER_ACTION.id, "until": "2026-12-23T12:04:00Z"},
    ]
    (tmp_path / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    journal = machine.opened(tmp_path, young=False)

    assert not journal.problem
    assert journal.standing(COMMAND) is Start.FINISHED
    assert not journal.is_another(COMMAND, PAYLOAD)
    assert journal.cancelled(OTHER_ACTION.id)
    assert journal.view(OTHER, now=NOW).objection(ACTION)


@pytest.mark.parametrize("loss", ["gone", "empty", "damaged", "cut out", "headless"])
def test_what_a_lost_journal_cannot_rule_out_is_refused_until_the_owner_says_to_go_on(
    loss: str, tmp_path: Path, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "journal.jsonl"
    journal = machine.opened(tmp_path)
    journal.start(COMMAND, ACTION, PAYLOAD, now=NOW)
    journal.finish(COMMAND)
    journal.start(OTHER, OTHER_ACTION, PAYLOAD, now=NOW)
    journal.close()
    lines = path.read_bytes().splitlines(keepends=True)
    if loss == "gone":
        path.unlink()
    else:
        changed = {
            "empty": [],
            "damaged": [lines[0], lines[1].replace(b"start", b"strat"), *lines[2:]],
            "cut out": [lines[0], *lines[2:]],
            "headless": lines[1:],
        }
        path.write_bytes(b"".join(changed[loss]))
    machine.pass_time(timedelta(minutes=2))

    with caplog.at_level(logging.ERROR):
        journal = machine.opened(tmp_path, young=False)

    assert "what was run here is not known any more" in caplog.text
    assert "mig-agent journal --go-on" in journal.problem
    later = asked("f", begin=machine.now + timedelta(seconds=1))
    assert "cannot be ruled out" in journal.view("e" * 36, now=machine.now).objection(asked("g"))  # type: ignore[arg-type]  # any id
    assert not journal.view(OTHER, now=machine.now).objection(later)
    journal.close()
    journal = machine.opened(tmp_path, young=False)
    assert journal.problem, "the doubt outlasts a restart"

    go_on_file(path).touch()
    assert journal.go_on()

    assert not journal.problem and not go_on_file(path).exists()
    journal.close()
    assert not machine.opened(tmp_path, young=False).problem


def test_a_word_to_go_on_does_not_outlive_the_loss_it_was_said_of(tmp_path: Path, machine: Machine) -> None:
    journal = machine.opened(tmp_path)
    go_on_file(tmp_path / "journal.jsonl").touch()
    assert not journal.go_on()
    journal.close()
    go_on_file(tmp_path / "journal.jsonl").touch()
    (tmp_path / "journal.jsonl").unlink()

    journal = machine.opened(tmp_path, young=False)

    assert not journal.go_on() and journal.problem


def test_a_loss_found_by_a_clock_that_was_behind_is_as_old_as_was_lived_since(tmp_path: Path, machine: Machine) -> None:
    machine.now = datetime(1970, 1, 1, tzinfo=UTC)
    journal = machine.opened(tmp_path, young=False)
    machine.pass_time(timedelta(hours=1))
    machine.now = NOW

    assert journal.view(COMMAND, now=NOW).objection(asked("a", begin=NOW - timedelta(hours=2)))
    assert not journal.view(COMMAND, now=NOW).objection(asked("b", begin=NOW - timedelta(minutes=30)))


def test_a_doubt_ends_by_itself_when_no_window_of_before_can_be_open(tmp_path: Path, machine: Machine) -> None:
    journal = machine.opened(tmp_path, young=False)
    assert journal.problem
    for _ in range(35):
        machine.pass_time(timedelta(days=1))
        journal.look(machine.now)
    journal.close()

    assert not machine.opened(tmp_path).problem

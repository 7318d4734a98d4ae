"""The journal: nothing runs twice, whatever the relay repeats and wherever a crash cuts the file off."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mig_core.agent.records.journal import MARGIN, Journal, Start
from mig_core.domain.ids import ActionId, CommandId

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
UNTIL = NOW + timedelta(minutes=5)
ACTION, OTHER_ACTION = ActionId("a" * 36), ActionId("b" * 36)
COMMAND, OTHER = CommandId("c" * 36), CommandId("d" * 36)


def opened(path: Path, now: datetime = NOW) -> Journal:
    return Journal(path / "journal.jsonl", now=now)


def test_a_finished_command_is_not_run_again_even_after_a_restart(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    assert journal.start(COMMAND, ACTION, UNTIL, now=NOW) is Start.RUN
    journal.finish(COMMAND, now=NOW)
    journal.close()

    journal = opened(tmp_path)

    assert journal.standing(COMMAND) is Start.FINISHED
    assert journal.start(COMMAND, ACTION, UNTIL, now=NOW) is Start.FINISHED


def test_an_action_under_another_command_is_a_replay_but_its_own_second_attempt_is_none(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.start(COMMAND, ACTION, UNTIL, now=NOW)

    assert journal.view(OTHER).seen(ACTION)
    assert not journal.view(COMMAND).seen(ACTION)
    assert not journal.view(OTHER).seen(OTHER_ACTION)
    assert journal.start(OTHER, ACTION, UNTIL, now=NOW) is Start.REPLAY
    assert journal.start(COMMAND, OTHER_ACTION, UNTIL, now=NOW) is Start.REPLAY
    assert journal.start(COMMAND, ACTION, UNTIL, now=NOW) is Start.RUN


def test_a_command_that_was_begun_twice_and_never_ended_is_not_begun_again(tmp_path: Path) -> None:
    for _ in range(2):
        journal = opened(tmp_path)
        assert journal.start(COMMAND, ACTION, UNTIL, now=NOW) is Start.RUN
        journal.close()

    journal = opened(tmp_path)

    assert journal.standing(COMMAND) is Start.EXHAUSTED
    assert journal.start(COMMAND, ACTION, UNTIL, now=NOW) is Start.EXHAUSTED
    assert journal.action_of(COMMAND) == ACTION


def test_a_stop_in_good_order_is_no_attempt(tmp_path: Path) -> None:
    for _ in range(5):
        journal = opened(tmp_path)
        assert journal.start(COMMAND, ACTION, UNTIL, now=NOW) is Start.RUN
        journal.release(COMMAND, now=NOW)
        journal.close()

    assert opened(tmp_path).view(OTHER).seen(ACTION)


def test_entries_are_forgotten_only_after_the_window_and_a_margin(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.start(COMMAND, ACTION, UNTIL, now=NOW)
    journal.finish(COMMAND, now=NOW)
    journal.cancel(OTHER_ACTION, UNTIL, now=NOW)
    journal.close()

    within = opened(tmp_path, UNTIL + MARGIN - timedelta(seconds=1))
    assert (within.standing(COMMAND) is Start.FINISHED) and within.cancelled(OTHER_ACTION)
    within.close()

    after = opened(tmp_path, UNTIL + MARGIN)
    assert after.standing(COMMAND) is not Start.FINISHED and not after.cancelled(OTHER_ACTION)
    after.close()
    assert (tmp_path / "journal.jsonl").read_bytes() == b""


def test_a_crash_at_any_byte_leaves_a_journal_that_knows_all_whole_lines(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.start(COMMAND, ACTION, UNTIL, now=NOW)
    journal.finish(COMMAND, now=NOW)
    journal.start(OTHER, OTHER_ACTION, UNTIL, now=NOW)
    journal.close()
    whole = (tmp_path / "journal.jsonl").read_bytes()
    first, second = (whole.index(b"\n", whole.index(mark)) for mark in (b"start", b"finish"))

    for cut in range(len(whole) + 1):
        (tmp_path / "journal.jsonl").write_bytes(whole[:cut])
        journal = opened(tmp_path)

        assert (journal.action_of(COMMAND) == ACTION) is (cut > first)
        assert (journal.standing(COMMAND) is Start.FINISHED) is (cut > second)
        assert (journal.action_of(OTHER) is not None) is (cut == len(whole))
        assert journal.start(OTHER, OTHER_ACTION, UNTIL, now=NOW) is Start.RUN
        journal.close()


def test_a_damaged_line_in_the_middle_is_reported_and_the_rest_still_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = opened(tmp_path)
    journal.start(COMMAND, ACTION, UNTIL, now=NOW)
    journal.close()
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"step":"dance"}\n\xff\xfe\n[]\n{"step":"finish"}\n' + path.read_bytes())

    with caplog.at_level(logging.ERROR):
        journal = opened(tmp_path)

    assert journal.view(OTHER).seen(ACTION)
    assert len(caplog.records) == 4


def test_the_file_is_rewritten_when_it_has_grown(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl", now=NOW, compact_after=10)
    for _ in range(50):
        journal.start(COMMAND, ACTION, UNTIL, now=NOW)
        journal.release(COMMAND, now=NOW)

    assert len((tmp_path / "journal.jsonl").read_bytes().splitlines()) < 14
    assert journal.view(OTHER).seen(ACTION)

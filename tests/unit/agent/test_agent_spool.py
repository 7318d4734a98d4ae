"""The spool: answers outlive the agent, leave in order, and are never lost for lack of room."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from mig_core.agent.records.spool import Lane, Spool
from mig_core.domain.ids import CommandId

if TYPE_CHECKING:
    from pathlib import Path


def command(number: int) -> CommandId:
    return CommandId(f"00000000-0000-7000-8000-{number:012}")


def test_answers_survive_and_come_back_in_their_order(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", max_bytes=1000)
    for number in range(12):
        spool.offer(spool.store(command(number), b"answer %d" % number))

    again = Spool(tmp_path / "spool", max_bytes=1000)

    assert again.commands() == tuple(command(number) for number in range(12))
    first = again.take(Lane.QUICK)
    assert first is not None
    assert first.spooled.read() == b"answer 0"
    assert oct(os.stat(first.spooled.path).st_mode & 0o777) == "0o600"


def test_an_answer_is_not_seen_before_it_is_offered(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", max_bytes=1000)

    stored = spool.store(command(1), b"answer")

    assert spool.take(Lane.QUICK, timeout=0) is None
    spool.offer(stored)
    taken = spool.take(Lane.QUICK, timeout=0)
    assert taken is not None
    assert taken.spooled == stored
    assert spool.take(Lane.QUICK, timeout=0) is None


def test_what_a_crash_left_half_written_is_removed(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", max_bytes=1000)
    spool.offer(spool.store(command(1), b"answer"))
    (tmp_path / "spool" / f"{7:012}-{command(2)}-0-{'0' * 32}.answer.new").write_bytes(b"ans")

    again = Spool(tmp_path / "spool", max_bytes=1000)

    assert again.commands() == (command(1),)
    assert len(os.listdir(tmp_path / "spool")) == 1


def test_a_full_spool_makes_its_users_wait_until_something_has_left(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", max_bytes=10)
    stored = spool.store(command(1), b"0123456789")
    spool.offer(stored)
    assert spool.full
    entered: list[bool] = []
    waiting = threading.Thread(target=lambda: entered.append(spool.wait_for_room()))
    waiting.start()
    waiting.join(0.05)
    assert not entered

    taken = spool.take(Lane.QUICK)
    assert taken is not None
    spool.remove(taken)
    waiting.join(60)

    assert entered == [True]
    assert not os.listdir(tmp_path / "spool")


def test_closing_wakes_everybody(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", max_bytes=0)
    results: list[object] = []
    threads = [
        threading.Thread(target=lambda: results.append(spool.wait_for_room())),
        *(threading.Thread(target=lambda lane=lane: results.append(spool.take(lane))) for lane in Lane),
    ]
    for thread in threads:
        thread.start()

    spool.close()
    for thread in threads:
        thread.join(60)

    assert sorted(map(str, results)) == ["False", "None", "None", "None"]


def test_an_answer_that_failed_waits_for_its_own_time_and_lets_the_others_pass(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", max_bytes=1000)
    for number in range(2):
        spool.offer(spool.store(command(number), b"x"))
    first = spool.take(Lane.QUICK, timeout=0)
    assert first is not None

    spool.put_back(first, "413", 1.0, refused=True, own=False)

    second = spool.take(Lane.QUICK, timeout=0)
    assert second is not None
    assert second.spooled.command == command(1)
    assert spool.take(Lane.AGAIN, timeout=0) is None
    assert spool.take(Lane.AGAIN, timeout=60) is first
    assert first.tries == 1


def test_a_large_answer_is_not_in_the_way_of_small_ones(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", max_bytes=1000)
    spool.offer(spool.store(command(0), b"x" * (2 << 20)))
    spool.offer(spool.store(command(1), b"x"))

    taken = {lane: spool.take(lane, timeout=0) for lane in Lane}

    assert {lane: one and one.spooled.command for lane, one in taken.items()} == {
        Lane.QUICK: command(1),
        Lane.LARGE: command(0),
        Lane.AGAIN: None,
    }


def test_after_an_outage_everything_is_due_at_once_but_what_is_refused_for_itself(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", max_bytes=1000)
    for number in range(3):
        spool.offer(spool.store(command(number), b"x"))
        one = spool.take(Lane.QUICK, timeout=0)
        assert one is not None
        spool.put_back(one, "away", 60, refused=number == 1, own=number == 2)

    spool.relay_works()

    due = spool.take(Lane.QUICK, timeout=0)
    assert due is not None
    assert due.spooled.command == command(0)
    assert spool.take(Lane.QUICK, timeout=0) is None
    assert spool.take(Lane.AGAIN, timeout=0) is None


def test_a_damaged_file_is_noticed_before_it_is_sent(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", max_bytes=1000)
    stored = spool.store(command(0), b"a signed answer")
    stored.path.write_bytes(b"a signed answex")

    with pytest.raises(OSError, match="damaged"):
        stored.read()


def test_what_was_given_up_is_remembered_over_restarts_for_a_week(tmp_path: Path) -> None:
    now = [1_800_000_000.0]
    spool = Spool(tmp_path / "spool", max_bytes=1000, clock=lambda: now[0])
    for number in range(30):
        spool.lost.add(command(number), f"reason {number}")

    again = Spool(tmp_path / "spool", max_bytes=1000, clock=lambda: now[0])

    lines = again.lost.lines()
    assert [one["reason"] for one in lines if isinstance(one, dict)] == [f"reason {number}" for number in range(10, 30)]
    now[0] += 8 * 86400
    assert again.lost.lines() == []


@pytest.mark.parametrize("content", [b"", b"[", b"{}", b"[1, []]", b"\xff"])
def test_a_damaged_list_of_lost_answers_begins_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "spool.lost.json").write_bytes(content)

    spool = Spool(tmp_path / "spool", max_bytes=1000)
    spool.lost.add(command(1), "reason")

    assert len(spool.lost.lines()) == 1

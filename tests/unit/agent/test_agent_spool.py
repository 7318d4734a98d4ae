"""The spool: answers outlive the agent, leave in order, and are never lost for lack of room."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from mig_core.agent.records.spool import Spool
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
    first = again.first()
    assert first is not None
    assert first.read() == b"answer 0"
    assert oct(os.stat(first.path).st_mode & 0o777) == "0o600"


def test_an_answer_is_not_seen_before_it_is_offered(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", max_bytes=1000)

    stored = spool.store(command(1), b"answer")

    assert spool.first(timeout=0) is None
    spool.offer(stored)
    assert spool.first(timeout=0) == stored


def test_what_a_crash_left_half_written_is_removed(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", max_bytes=1000)
    spool.offer(spool.store(command(1), b"answer"))
    (tmp_path / "spool" / f"{7:012}-{command(2)}.answer.new").write_bytes(b"ans")

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

    spool.remove(stored)
    waiting.join(5)

    assert entered == [True]
    assert not os.listdir(tmp_path / "spool")


def test_closing_wakes_everybody(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", max_bytes=0)
    results: list[object] = []
    threads = [
        threading.Thread(target=lambda: results.append(spool.wait_for_room())),
        threading.Thread(target=lambda: results.append(spool.first())),
    ]
    for thread in threads:
        thread.start()

    spool.close()
    for thread in threads:
        thread.join(5)

    assert sorted(map(str, results)) == ["False", "None"]


def test_an_answer_nobody_wants_lets_the_others_pass(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", max_bytes=1000)
    stored = [spool.store(command(number), b"x") for number in range(2)]
    for one in stored:
        spool.offer(one)

    spool.put_back(stored[0])

    assert spool.commands() == (command(1), command(0))

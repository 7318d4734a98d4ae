"""Journal and ledger, each the other's witness: what one has lost the other knows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from mig_core.agent.records.journal import Start
from mig_core.agent.records.ledger_file import closed_segments, read_ledger
from mig_core.agent.records.opening import JOURNAL, LEDGER, Records, open_records
from mig_core.domain.action import Action, Operation
from mig_core.domain.ids import ActionId, CommandId, uuid7
from mig_core.domain.times import format_time
from mig_core.identity import AgentKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mig_core.domain.document import JSON

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = AgentKey(bytes(range(32)))
PAYLOAD = "ab" * 32


def opened(state: Path, *, now: datetime = NOW, ledger_bytes: int = 1 << 20, young: bool = False) -> Records:
    return open_records(state, KEY, now=now, young=young, spool_bytes=1 << 20, ledger_bytes=ledger_bytes)


def close(records: Records) -> None:
    records.journal.close()
    records.ledger.close()


def asked(number: int) -> Action:
    identifier = ActionId(uuid7(NOW, number.to_bytes(10, "big")))
    return Action(
        identifier,
        "q",
        "all",
        NOW - timedelta(minutes=1),
        NOW + timedelta(days=3),
        (Operation("nothing", {}),),
    )


def command(number: int) -> CommandId:
    return CommandId(uuid7(NOW + timedelta(hours=1), number.to_bytes(10, "big")))


def run(records: Records, number: int, *, finish: bool = True, ledger: bool = True, journal: bool = True) -> None:
    """What ``commands`` notes of one command."""
    action, line = asked(number), 0
    if ledger:
        fields: dict[str, JSON] = {
            "command": command(number),
            "action": action.id,
            "from": format_time(action.valid_from),
            "until": format_time(action.expire_after),
            "payload": PAYLOAD,
        }
        line = records.ledger.add("asked", fields, now=NOW)
    if journal:
        assert records.journal.start(command(number), action, PAYLOAD, now=NOW, ledger=line) is Start.RUN
    if finish and ledger:
        records.ledger.add("answered", {"command": command(number)}, now=NOW)
    if finish and journal:
        records.journal.finish(command(number))


def refused(records: Records, number: int) -> bool:
    return bool(records.journal.view(command(number + 1000), now=NOW).objection(asked(number)))


def cut(lines: int) -> Callable[[Path], None]:
    def work(path: Path) -> None:
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:lines]))

    return work


def damage(line: int) -> Callable[[Path], None]:
    def work(path: Path) -> None:
        lines = path.read_bytes().splitlines(keepends=True)
        lines[line] = lines[line].replace(b"s", b"z")
        path.write_bytes(b"".join(lines))

    return work


@pytest.mark.parametrize("loss", [lambda path: path.unlink(), cut(0), cut(1), cut(4), damage(0), damage(1), damage(3)])
def test_a_journal_that_lost_anything_is_mended_from_the_ledger(loss: Callable[[Path], None], tmp_path: Path) -> None:
    records = opened(tmp_path, young=True)
    for number in range(5):
        run(records, number, finish=number != 4)
    records.ledger.add("cancel", {"action": asked(9).id, "until": format_time(NOW + timedelta(days=3))}, now=NOW)
    records.journal.cancel(asked(9).id, NOW + timedelta(days=3))
    close(records)
    loss(tmp_path / JOURNAL)

    records = opened(tmp_path)

    assert "mended from the ledger" in records.problems()["journal"]
    assert not records.journal.problem
    assert all(refused(records, number) for number in range(5))
    assert [records.journal.standing(command(number)) for number in (0, 4)] == [Start.FINISHED, Start.RUN]
    assert records.journal.cancelled(asked(9).id)
    assert not refused(records, 7)
    assert "mended" in [entry["event"] for entry in read_ledger(tmp_path / LEDGER)]
    close(records)
    assert opened(tmp_path).problems() == {}


@pytest.mark.parametrize("which", ["gone", "damaged", "shorter"])
def test_when_the_ledger_cannot_vouch_either_what_was_before_is_in_doubt(which: str, tmp_path: Path) -> None:
    records = opened(tmp_path, young=True)
    for number in range(3):
        run(records, number)
    close(records)
    damage(2)(tmp_path / JOURNAL)
    loss = {"gone": lambda path: path.unlink(), "damaged": damage(1), "shorter": cut(3)}[which]
    loss(tmp_path / LEDGER)

    records = opened(tmp_path)

    assert "--go-on" in records.problems()["journal"]
    assert refused(records, 7)


def test_a_crash_between_ledger_and_journal_counts_as_an_attempt(tmp_path: Path) -> None:
    records = opened(tmp_path, young=True)
    run(records, 1)
    run(records, 2, finish=False, journal=False)
    close(records)

    records = opened(tmp_path)

    assert refused(records, 2)
    assert records.journal.standing(command(2)) is Start.RUN


def test_what_segments_that_are_gone_may_have_told_is_refused_by_its_window(tmp_path: Path) -> None:
    records = opened(tmp_path, young=True, ledger_bytes=64 << 10)
    for number in range(300):
        run(records, number, journal=False)
    close(records)
    (tmp_path / JOURNAL).unlink()

    records = opened(tmp_path, ledger_bytes=64 << 10)

    assert not records.journal.problem
    assert closed_segments(tmp_path / LEDGER)
    assert all(refused(records, number) for number in range(300))
    assert refused(records, 999), "its window ends no later than those of before"
    later = Action(
        ActionId(uuid7(NOW, bytes(10))), "q", "all", NOW, NOW + timedelta(days=4), (Operation("nothing", {}),)
    )
    assert not records.journal.view(command(1), now=NOW).objection(later)


def test_a_ledger_that_lost_its_end_is_named_by_the_journal(tmp_path: Path) -> None:
    records = opened(tmp_path, young=True)
    for number in range(3):
        run(records, number)
    close(records)
    cut(2)(tmp_path / LEDGER)

    records = opened(tmp_path)

    assert "lines are missing at its end" in records.problems()["ledger"]
    assert "journal" not in records.problems()
    assert refused(records, 2)


def test_a_new_agent_doubts_nothing(tmp_path: Path) -> None:
    records = opened(tmp_path, young=True)

    assert records.problems() == {}
    assert not refused(records, 1)

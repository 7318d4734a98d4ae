"""The ledger: every change to what was written is noticed, and a crash is not mistaken for one."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mig_core.agent.records.folding import Folding
from mig_core.agent.records.ledger import Ledger
from mig_core.agent.records.ledger_file import closed_segments, digest_of, line_of, read_ledger, segment_path
from mig_core.agent.records.show_ledger import show_ledger
from mig_core.errors import InvalidDocument
from mig_core.identity import AgentKey

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = AgentKey(bytes(range(32)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger with four entries."""
    path = tmp_path / "ledger.jsonl"
    for part in range(2):
        ledger = Ledger(path, key=KEY, now=NOW)
        ledger.add("asked", {"command": f"c{part}", "signers": ["F" * 40], "operations": []}, now=NOW)
        ledger.add("answered", {"command": f"c{part}", "state": "success", "found": True}, now=NOW)
        ledger.close()
    return path


def test_the_chain_goes_on_across_restarts(path: Path) -> None:
    entries = list(read_ledger(path))

    assert [entry["n"] for entry in entries] == [1, 2, 3, 4]
    assert entries[3]["previous"] == entries[2]["hash"]
    assert Ledger(path, key=KEY, now=NOW).entries == 4


@pytest.mark.parametrize(
    ("tamper", "line"),
    [
        (lambda lines: [lines[0], lines[1].replace(b"true", b"false"), *lines[2:]], 2),
        (lambda lines: lines[1:], 1),
        (lambda lines: [lines[0], *lines[2:]], 2),
        (lambda lines: [lines[0], lines[2], lines[1], lines[3]], 2),
        (lambda lines: [*lines[:2], lines[1], *lines[2:]], 3),
        (lambda lines: [*lines[:3], b"{}"], 4),
        (lambda lines: [*lines[:3], b"what"], 4),
    ],
)
def test_a_changed_removed_moved_or_added_line_is_named(path: Path, tamper: object, line: int) -> None:
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join(tamper(lines)) + b"\n")  # type: ignore[operator]  # a lambda of the table above
    out, err = io.StringIO(), io.StringIO()

    whole = show_ledger(path, as_json=False, out=out, err=err)

    assert not whole
    assert f"line {line}:" in err.getvalue()
    assert len(out.getvalue().splitlines()) == line - 1


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60, deadline=None
)
@given(data=st.data())
def test_any_changed_byte_breaks_the_chain(path: Path, data: st.DataObject) -> None:
    raw = path.read_bytes()
    position = data.draw(st.integers(0, len(raw) - 2))
    value = data.draw(st.integers(0, 255).filter(lambda byte: byte != raw[position]))
    changed = path.with_name("changed.jsonl")
    changed.write_bytes(raw[:position] + bytes([value]) + raw[position + 1 :])

    try:
        entries = list(read_ledger(changed))
    except InvalidDocument:
        return
    assert entries == list(read_ledger(path))  # white space that JSON does not see


def test_a_line_that_a_crash_cut_short_is_removed_and_the_chain_stays_whole(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])

    ledger = Ledger(path, key=KEY, now=NOW)
    ledger.add("answered", {"command": "c1"}, now=NOW)

    assert [entry["event"] for entry in read_ledger(path)] == ["asked", "answered", "asked", "torn", "answered"]


def test_the_owner_reads_it_as_lines_or_as_json(path: Path) -> None:
    out, err = io.StringIO(), io.StringIO()

    assert show_ledger(path, as_json=False, out=out, err=err)
    assert "c0" in out.getvalue() and "F" * 40 in out.getvalue()
    assert "4 entries, the chain is whole" in err.getvalue()

    out = io.StringIO()
    show_ledger(path, as_json=True, out=out, err=err)
    assert [json.loads(line)["n"] for line in out.getvalue().splitlines()] == [1, 2, 3, 4]


def test_control_characters_from_outside_do_not_reach_the_terminal(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl", key=KEY, now=NOW)
    ledger.add("asked", {"action": "\x1b[2Jgone", "name": "x"}, now=NOW)
    out = io.StringIO()

    show_ledger(tmp_path / "ledger.jsonl", as_json=False, out=out, err=io.StringIO())

    assert "\x1b" not in out.getvalue()


def test_an_endpoint_that_was_never_asked_has_a_whole_ledger(tmp_path: Path) -> None:
    assert show_ledger(tmp_path / "none", as_json=False, out=io.StringIO(), err=io.StringIO())


def filled(path: Path, lines: int, *, max_bytes: int = 64 << 10) -> Ledger:
    """A ledger of small segments with so many lines of about 400 bytes."""
    ledger = Ledger(path, key=KEY, now=NOW, max_bytes=max_bytes)
    for number in range(lines):
        ledger.add("note", {"number": number, "filling": "x" * 200}, now=NOW)
    return ledger


def test_the_ledger_stays_within_its_bound_and_what_is_left_proves_itself(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = filled(path, 1000)

    kept = list(read_ledger(path))

    size = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert size <= 64 << 10
    assert kept[0]["event"] == "carried" and kept[0]["agent"] == KEY.agent_id
    assert kept[-1]["n"] == ledger.entries
    assert [entry["number"] for entry in kept if entry["event"] == "note"][-50:] == list(range(950, 1000))
    assert len(list(tmp_path.iterdir())) <= 16
    assert show_ledger(path, as_json=False, out=io.StringIO(), err=io.StringIO())


def test_segments_the_owner_took_away_are_missed_only_from_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    filled(path, 100, max_bytes=1 << 20).close()
    filled(path, 100).close()
    closed = [file for _, file in closed_segments(path)]
    closed[0].unlink()
    assert list(read_ledger(path))

    closed[2].unlink()

    with pytest.raises(InvalidDocument, match="lines are missing"):
        list(read_ledger(path))


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("segment", 7),
        ("until", "2030-01-01T00:00:00Z"),
        ("signature", "AAAA"),
        ("publickey", "00" * 32),
        ("agent", "x"),
    ],
)
def test_where_a_segment_begins_is_the_agents_own_word(member: str, value: object, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    filled(path, 1000).close()
    oldest = closed_segments(path)[0][1]
    lines = oldest.read_bytes().splitlines(keepends=True)
    entry = json.loads(lines[0])
    entry.pop("hash")
    entry[member] = value
    forged = line_of({**entry, "hash": digest_of(entry)})
    oldest.write_bytes(forged + b"\n" + b"".join(lines[1:]))

    with pytest.raises(InvalidDocument, match="without the agent's signature"):
        list(read_ledger(path))


def test_a_stranger_cannot_sign_where_a_segment_begins_in_the_agents_name(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    stranger = AgentKey.generate()
    ledger = Ledger(path, key=stranger, now=NOW, max_bytes=64 << 10)
    for number in range(1000):
        ledger.add("note", {"number": number, "filling": "x" * 200}, now=NOW)

    first = next(iter(read_ledger(path)))

    assert first["agent"] == stranger.agent_id != KEY.agent_id


def test_a_crash_between_two_segments_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = filled(path, 20)
    ledger.close()
    before = ledger.entries
    path.rename(segment_path(path, closed_segments(path)[-1][0] + 1))

    again = Ledger(path, key=KEY, now=NOW)
    again.add("note", {}, now=NOW)

    assert [entry["n"] for entry in read_ledger(path)] == list(range(1, before + 3))


def test_a_ledger_on_a_full_disk_goes_on_in_its_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = filled(path, 9)
    (tmp_path / "ledger.jsonl.next").mkdir()

    for _ in range(5):
        ledger.add("note", {"filling": "x" * 200}, now=NOW)

    assert closed_segments(path) == []
    assert len(list(read_ledger(path))) == 14
    (tmp_path / "ledger.jsonl.next").rmdir()
    ledger.add("note", {}, now=NOW)
    assert len(closed_segments(path)) == 1
    assert len(list(read_ledger(path))) == 16


def test_lines_that_the_journal_knows_of_and_the_ledger_has_lost_are_named(path: Path) -> None:
    ledger = Ledger(path, key=KEY, now=NOW)
    ledger.expect(4, now=NOW)
    assert not ledger.problem

    ledger.expect(7, now=NOW)

    assert "3 lines are missing" in ledger.problem
    assert ledger.entries == 8
    with pytest.raises(InvalidDocument, match="lines are missing"):
        list(read_ledger(path))


def test_refusals_are_folded_into_numbers_and_cost_next_to_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path, key=KEY, now=NOW)
    folding = Folding(ledger)

    for second in range(20_000):
        moment = NOW + timedelta(seconds=10 * second)
        folding.add("refused signature", "answered", {"state": "refused", "reason": "x" * 300}, now=moment)
    folding.flush(NOW + timedelta(seconds=200_000), everything=True)

    entries = list(read_ledger(path))
    full = [entry for entry in entries if entry["event"] == "answered"]
    by_day = {entry["since"]: entry["count"] for entry in entries if entry["event"] == "repeated"}
    assert len(full) + sum(cast("int", count) for count in by_day.values()) == 20_000
    assert len(full) == 3 * 5
    assert path.stat().st_size < 30_000


def test_a_clock_that_goes_back_ends_a_fold(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl", key=KEY, now=NOW)
    folding = Folding(ledger)
    for moment in (*[NOW] * 6, NOW - timedelta(hours=5)):
        folding.add("failed", "answered", {}, now=moment)

    assert [entry["event"] for entry in read_ledger(tmp_path / "ledger.jsonl")] == [
        *["answered"] * 5, "repeated", "answered",
    ]  # fmt: skip

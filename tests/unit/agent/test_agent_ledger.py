"""The ledger: every change to what was written is noticed, and a crash is not mistaken for one."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mig_core.agent.records.ledger import Ledger, read_ledger
from mig_core.agent.records.show_ledger import show_ledger
from mig_core.errors import InvalidDocument

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger with four entries."""
    path = tmp_path / "ledger.jsonl"
    for part in range(2):
        ledger = Ledger(path, now=NOW)
        ledger.add("asked", {"command": f"c{part}", "signers": ["F" * 40], "operations": []}, now=NOW)
        ledger.add("answered", {"command": f"c{part}", "state": "success", "found": True}, now=NOW)
        ledger.close()
    return path


def test_the_chain_goes_on_across_restarts(path: Path) -> None:
    entries = list(read_ledger(path))

    assert [entry["n"] for entry in entries] == [1, 2, 3, 4]
    assert entries[3]["previous"] == entries[2]["hash"]
    assert Ledger(path, now=NOW).entries == 4


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


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
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

    ledger = Ledger(path, now=NOW)
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
    ledger = Ledger(tmp_path / "ledger.jsonl", now=NOW)
    ledger.add("asked", {"action": "\x1b[2Jgone", "name": "x"}, now=NOW)
    out = io.StringIO()

    show_ledger(tmp_path / "ledger.jsonl", as_json=False, out=out, err=io.StringIO())

    assert "\x1b" not in out.getvalue()


def test_an_endpoint_that_was_never_asked_has_a_whole_ledger(tmp_path: Path) -> None:
    assert show_ledger(tmp_path / "none", as_json=False, out=io.StringIO(), err=io.StringIO())

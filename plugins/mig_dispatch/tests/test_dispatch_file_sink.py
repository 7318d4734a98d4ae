"""The file sink and the dead letters: rotation, modes, torn lines, hostile names."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

from mig_dispatch.deadletters import DeadLetter, DeadLetters
from mig_dispatch.sinks.file import FileSink
from mig_dispatch.targets import FileTarget

if TYPE_CHECKING:
    from pathlib import Path

    from mig_dispatch.record import RecordMaker


def _numbers(*paths: Path) -> list[int]:
    return [json.loads(line)["event"]["n"] for path in paths for line in path.read_text().splitlines()]


def test_records_are_lines_of_a_private_file(tmp_path: Path, maker: RecordMaker, alerts: Any) -> None:
    path = tmp_path / "alerts.jsonl"
    sink = FileSink(FileTarget(str(path), 1 << 20, 3), maker)

    verdict = sink.deliver(alerts(count=3))
    sink.close()

    assert verdict.settled == 3
    assert _numbers(path) == [1, 2, 3]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_file_is_rotated_at_its_size_and_so_many_are_kept(tmp_path: Path, maker: RecordMaker, alerts: Any) -> None:
    path = tmp_path / "alerts.jsonl"
    sink = FileSink(FileTarget(str(path), 1000, 2), maker)
    line = len(maker.record(alerts(count=1)[0])) + 1
    each = 1000 // line

    assert sink.deliver(alerts(count=4 * each, first=10)).settled == 4 * each
    sink.close()

    names = sorted(one.name for one in tmp_path.iterdir())
    assert names == ["alerts.jsonl", "alerts.jsonl.1", "alerts.jsonl.2"]
    kept = _numbers(*(path.with_name(name) for name in reversed(names)))
    assert kept == list(range(10 + 4 * each - len(kept), 10 + 4 * each))
    assert all(path.with_name(name).stat().st_size <= 1000 for name in names)


def test_half_a_line_left_by_a_crash_is_cut_off(tmp_path: Path, maker: RecordMaker, alerts: Any) -> None:
    path = tmp_path / "alerts.jsonl"
    path.write_bytes(maker.record(alerts(count=1)[0]) + b'\n{"hostname":"we')
    sink = FileSink(FileTarget(str(path), 1 << 20, 2), maker)

    sink.deliver(alerts(count=1, first=2))
    sink.close()

    assert _numbers(path) == [1, 2]


def test_a_file_that_someone_else_rotated_is_made_anew(tmp_path: Path, maker: RecordMaker, alerts: Any) -> None:
    path = tmp_path / "alerts.jsonl"
    sink = FileSink(FileTarget(str(path), 1 << 20, 2), maker)

    sink.deliver(alerts(count=1))
    os.rename(path, tmp_path / "moved")
    sink.deliver(alerts(count=1, first=2))
    sink.close()

    assert (_numbers(tmp_path / "moved"), _numbers(path)) == ([1], [2])


def test_a_symbolic_link_is_not_followed(tmp_path: Path, maker: RecordMaker, alerts: Any) -> None:
    (tmp_path / "victim").write_text("precious\n")
    (tmp_path / "alerts.jsonl").symlink_to(tmp_path / "victim")
    sink = FileSink(FileTarget(str(tmp_path / "alerts.jsonl"), 1 << 20, 2), maker)

    verdict = sink.deliver(alerts(count=1))

    assert verdict.settled == 0
    assert "alerts.jsonl" in verdict.trouble
    assert (tmp_path / "victim").read_text() == "precious\n"


def test_a_missing_folder_is_trouble_until_it_is_there(tmp_path: Path, maker: RecordMaker, alerts: Any) -> None:
    path = tmp_path / "later" / "alerts.jsonl"
    sink = FileSink(FileTarget(str(path), 1 << 20, 2), maker)

    first = sink.deliver(alerts(count=1))
    path.parent.mkdir()
    second = sink.deliver(alerts(count=1))
    sink.close()

    assert (first.settled, second.settled) == (0, 1)
    assert str(path) in first.trouble


def test_dead_letters_say_what_and_why_and_stay_within_their_bound(tmp_path: Path, alerts: Any) -> None:
    letters = DeadLetters(tmp_path / "dead" / "main.jsonl", 4000)

    for one in alerts(count=100):
        letters.add([DeadLetter(one, "HTTP 422", "2026-11-23T07:00:00Z")])

    current, older = letters.path, letters.path.with_name("main.jsonl.1")
    assert current.stat().st_size + older.stat().st_size <= 4000
    last = json.loads(current.read_text().splitlines()[-1])
    assert last == {
        "at": "2026-11-23T07:00:00Z",
        "reason": "HTTP 422",
        "received": "2026-11-23T06:28:15.214492Z",
        "number": 100,
        "module": "audit",
        "event": {"n": 100},
    }
    assert stat.S_IMODE(current.stat().st_mode) == 0o600

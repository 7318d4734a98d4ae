"""What changed while nobody watched, and what a sudden end costs: nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    StartWatch = Callable[..., AbstractContextManager[Any]]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="fanotify and inotify are Linux's")
CHILD = Path(__file__).parent / "watching_child.py"


def test_what_changed_while_it_was_down_is_told_at_the_start(watched: Path, start_watch: StartWatch) -> None:
    for name in ("changed", "removed", "mode", "moved", "same"):
        (watched / name).write_text(name)
    with start_watch(watched):
        pass

    (watched / "changed").write_text("CHANGED")
    (watched / "removed").unlink()
    (watched / "mode").chmod(0o600)
    (watched / "moved").rename(watched / "to")
    (watched / "new").write_text("x")
    with start_watch(watched) as service:
        told = {(one["change"], Path(one["path"]).name, one["seen"]) for one in service.of_type("file_change")}
        comparison = service.of_type("comparison")[0]

    assert told == {
        ("changed", "changed", "start"), ("removed", "removed", "start"), ("mode", "mode", "start"),
        ("moved", "to", "start"), ("new", "new", "start"),
    }  # fmt: skip
    assert comparison["reason"] == "start"
    assert comparison["total"] == 5
    assert comparison["since"]


@pytest.mark.parametrize("pattern", ["folder", "folder/*", "folder/*.sh", "*/file.sh"])
def test_what_was_watched_is_told_as_removed_though_its_directory_is_gone_too(
    watched: Path, start_watch: StartWatch, pattern: str
) -> None:
    (watched / "folder").mkdir()
    (watched / "folder" / "file.sh").write_text("x")
    with start_watch(f"{watched}/{pattern}"):
        pass

    shutil.rmtree(watched / "folder")
    with start_watch(f"{watched}/{pattern}") as service:
        alert = service.told(watched / "folder" / "file.sh", "removed")
        (comparison,) = service.of_type("comparison")

    assert alert["before"]["sha256"]
    assert "dropped_from_baseline" not in comparison


def test_content_that_was_exchanged_under_the_same_size_and_times_is_found(
    watched: Path, start_watch: StartWatch
) -> None:
    file = watched / "file"
    file.write_text("aaaa")
    before = file.stat()
    with start_watch(watched):
        pass

    file.write_text("bbbb")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with start_watch(watched) as service:
        alert = service.told(file, "changed")

    assert alert["differs"] == ["sha256"]


def test_a_second_start_tells_nothing_twice(watched: Path, start_watch: StartWatch) -> None:
    (watched / "file").write_text("x")
    with start_watch(watched) as service:
        with (watched / "file").open("rb+", buffering=0) as opened:  # at once: it is never empty
            opened.write(b"y")
        service.told(watched / "file", "changed")

    with start_watch(watched) as service:
        pass

    assert not service.of_type("file_change")
    assert service.of_type("comparison")[0]["total"] == 0


def test_what_was_not_taken_when_it_had_to_stop_is_told_at_the_next_start(
    watched: Path, start_watch: StartWatch
) -> None:
    with start_watch(watched) as service:
        service.full.set()
        (watched / "file").write_text("x")
        service.wait_for(lambda: service.last_status["waiting"] or service.last_status["events"])

    with start_watch(watched) as service:
        alert = service.told(watched / "file", "new")

    assert alert["seen"] == "start"


def alerts_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]] if path.exists() else []


def names_in(alerts: list[dict[str, Any]]) -> set[str]:
    shorts = [short for one in alerts for short in one.get("changes", [])]
    return {one["path"] for one in [*alerts, *shorts] if "path" in one}


def test_killed_again_and_again_it_loses_no_change(watched: Path, state: Path, tmp_path: Path) -> None:
    told = tmp_path / "alerts"
    made: set[str] = set()

    def start() -> subprocess.Popen[bytes]:
        count = sum(one["type"] in ("baseline", "comparison") for one in alerts_in(told))
        child = subprocess.Popen([sys.executable, CHILD, state, told, watched], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while sum(one["type"] in ("baseline", "comparison") for one in alerts_in(told)) == count:
            assert time.monotonic() < deadline
            assert child.poll() is None
            time.sleep(0.02)
        return child

    # When: it is killed at other moments each time, while files are made
    for round_ in range(3):
        child = start()
        for number in range(200):
            path = watched / f"{round_}-{number}"
            path.write_text(f"{round_}{number}")
            made.add(str(path))
        time.sleep(0.1 + 0.15 * round_)
        child.send_signal(signal.SIGKILL)
        child.wait()
    child = start()
    child.kill()
    child.wait()

    # Then: every file is named
    assert made <= names_in(alerts_in(told))


def test_a_damaged_baseline_is_put_aside_and_said(watched: Path, state: Path, start_watch: StartWatch) -> None:
    with start_watch(watched):
        pass
    (state / "baseline.db").write_bytes(b"no database" * 1000)

    with start_watch(watched) as service:
        lost, made = service.alerts[:2]

    assert lost["type"] == "baseline_lost"
    assert made["type"] == "baseline"
    assert (state / "baseline.db.unusable").exists()


def test_another_text_of_the_setting_makes_the_baseline_anew(watched: Path, start_watch: StartWatch) -> None:
    (watched / "file").write_text("x")
    with start_watch(watched, baseline="1"):
        pass
    (watched / "file").write_text("y")

    with start_watch(watched, baseline="2") as service:
        first = service.alerts[0]

    assert first["type"] == "baseline"
    assert not service.of_type("file_change")


def test_paths_that_the_settings_add_are_taken_in_quietly_and_those_they_drop_go(
    watched: Path, tmp_path: Path, start_watch: StartWatch
) -> None:
    (watched / "file").write_text("x")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "file").write_text("x")
    with start_watch(watched):
        pass

    with start_watch(watched, tmp_path / "more") as service:
        added = service.of_type("comparison")[0]
    with start_watch(tmp_path / "more") as other:
        dropped = other.of_type("comparison")[0]

    assert (added["total"], added["added_to_baseline"]) == (0, 2)
    assert (dropped["total"], dropped["dropped_from_baseline"]) == (0, 2)


def test_events_that_were_lost_mean_a_comparison_and_it_is_said(watched: Path, start_watch: StartWatch) -> None:
    with start_watch(watched, queue_events=1000) as service:
        # Given: nobody takes alerts, so that the module waits and its queue fills
        service.full.set()
        (watched / "first").write_text("x")
        service.wait_for(lambda: service.refused)
        names = {str(watched / f"{number}") for number in range(1500)}
        for name in names:
            Path(name).write_text("x")

        # When: they are taken again
        service.full.clear()
        service.wait_for(lambda: any(one["reason"] == "overflow" for one in service.of_type("comparison")))

        # Then: every file is told, and the loss is counted
        assert names <= names_in(service.alerts)
        service.wait_for(lambda: service.last_status["overflows"])

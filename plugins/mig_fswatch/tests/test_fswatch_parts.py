"""Parts by themselves: waiting paths, moves, the reader's bound, what a process that is gone is."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from typing import TYPE_CHECKING

from mig_core.plugin.coverage import Tally
from mig_endpoint.files.naming import PathText
from mig_fswatch.actors import Actor, Actors
from mig_fswatch.baseline import Baseline
from mig_fswatch.changes import Change, differences, with_moves
from mig_fswatch.entry import Entry, Looker
from mig_fswatch.events import FOLDED_BYTES, folded
from mig_fswatch.notice import Notice, What
from mig_fswatch.pending import LATEST, QUIET, SELDOM, Pending
from mig_fswatch.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

    import pytest

ENTRY = Entry("file", 0o644, 0, 0, 1, 5, 5, 1, 77, 1, b"x" * 32, None, "", 0)


def test_a_path_is_looked_at_when_it_is_quiet_and_at_the_latest_after_a_while() -> None:
    pending = Pending()
    now = 0.0
    while now < LATEST - QUIET:
        pending.add("/a", What.CONTENT, None, now)
        assert not pending.due(now)
        now += QUIET / 2

    pending.add("/b", What.CONTENT, None, 0.0)

    assert pending.due(QUIET + 0.01) == ["/b"]
    assert pending.due(LATEST) == ["/a", "/b"]


def test_a_path_that_goes_on_and_on_is_looked_at_ever_more_seldom_and_no_event_is_lost() -> None:
    pending = Pending()
    looks: list[float] = []
    events = 0
    for step in range(60_000):  # ten minutes, a hundred events a second
        now = step / 100
        pending.add("/log", What.CONTENT, None, now)
        if pending.due(now):
            waiting = pending.take("/log")
            assert waiting is not None
            events += waiting.events
            pending.looked(["/log"], now, 0.001)
            looks.append(now)

    rest = pending.take("/log")
    assert events + (rest.events if rest else 0) == 60_000
    assert 5 <= len(looks) <= 15
    assert looks[-1] - looks[-2] <= SELDOM


def test_where_a_renamed_file_was_is_looked_at_together_with_where_it_is_however_busy_it_has_been() -> None:
    pending = Pending()
    pending.looked(["/old"], 0.0, 1.0)  # which took long: it is not to be looked at again soon
    pending.add("/old", What.REMOVED | What.MOVED, None, 1.0).went_to = "/new"
    pending.add("/new", What.CREATED | What.MOVED, None, 1.0)

    assert pending.due(1.0 + QUIET / 2) == []
    assert pending.due(1.0 + QUIET + 0.01) == ["/new", "/old"]


def test_the_next_file_that_gets_an_inode_is_no_move() -> None:
    changes = [
        Change("/old", ENTRY, None),
        Change("/new", None, ENTRY._replace(mtime=6, sha256=b"y" * 32)),
    ]

    assert [one.kind for one in with_moves(changes)] == ["removed", "new"]


def test_a_file_moved_over_another_is_one_move_that_says_what_it_replaced() -> None:
    other = ENTRY._replace(inode=78, sha256=b"y" * 32)

    (change,) = with_moves([Change("/a", ENTRY, None), Change("/b", other, ENTRY)])

    assert (change.kind, change.moved_from, change.replaced) == ("moved", "/a", other)


def test_changes_with_the_longest_names_are_told_in_parts_that_fit() -> None:
    name = "/" + "\n" * 4000
    changes = [Change(f"{name}{number}", None, ENTRY) for number in range(100)]

    parts = list(folded(changes, "file_changes"))

    assert sum(len(piece) for _event, piece in parts) == 100
    assert all(len(str(event)) < 2 * FOLDED_BYTES for event, _piece in parts)


class _Pipe:
    """A source that gives the same notices for each byte in a pipe."""

    kind = "fanotify"

    def __init__(self, each: int) -> None:
        self._read, self.write = os.pipe()
        self._each = each

    def fileno(self) -> int:
        return self._read

    def read(self) -> list[Notice]:
        os.read(self._read, 1)
        return [Notice(b"", "x", What.CONTENT, None)] * self._each

    def watch_directory(self, fd: int, *, names_only: bool) -> Hashable:
        raise NotImplementedError

    def watch_file(self, fd: int) -> Hashable:
        raise NotImplementedError

    def close(self) -> None:
        os.close(self._read)
        os.close(self.write)


def test_notices_that_nobody_takes_are_bounded_and_their_loss_is_said() -> None:
    source = _Pipe(each=40)
    reader = Reader([source], threading.Event(), most=1000)
    reader.start()
    try:
        os.write(source.write, b"x" * 200)
        deadline = time.monotonic() + 60
        while reader.read < 8000 and time.monotonic() < deadline:
            time.sleep(0.01)

        taken = reader.take(100_000)
    finally:
        reader.stop()
        source.close()

    assert reader.read == 8000
    assert len(taken) <= 1100
    assert taken[0][1].what == What.LOST


def test_of_a_process_that_is_gone_only_its_id_is_told() -> None:
    done = subprocess.Popen(["true"])
    descriptor = os.pidfd_open(done.pid)
    done.wait()
    try:
        assert Actors(time.monotonic).find(done.pid, descriptor) == Actor(done.pid)
        assert Actors(time.monotonic).find(os.getpid(), -1) == Actor(os.getpid())
        assert Actors(time.monotonic).find(0, -1) is None
    finally:
        os.close(descriptor)


def test_a_baseline_keeps_names_and_numbers_of_any_kind(tmp_path: Path) -> None:
    path = os.fsdecode(b"/a\xff\n")
    entry = ENTRY._replace(size=(1 << 63) - 1, mtime=-(1 << 63), inode=-1)
    baseline = Baseline(tmp_path)
    with baseline.transaction():
        baseline.put(path, entry)
        baseline.put(f"{path}/below", entry)
        baseline.put(f"{path}0", entry)
        baseline.keep_first(path, None)
    baseline.close()

    again = Baseline(tmp_path, read_only=True)

    assert again.get(path) == entry
    assert [one for one, _entry in again.below(path)] == [f"{path}/below"]
    assert list(again.differing()) == [(path, None, entry)]
    again.close()


def test_a_file_that_cannot_be_read_for_a_while_is_compared_with_what_it_was_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_text("aaaa")
    times = file.stat()
    looker, tally = Looker(1 << 20), Tally()

    def look(known: Entry | None) -> Entry:
        seen = looker.look(None, str(file), PathText(str(file)), tally, known)
        assert seen is not None
        return seen

    before = look(None)
    file.write_text("bbbb")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    with monkeypatch.context() as patch:
        patch.setattr("mig_fswatch.entry.open_file", lambda *_, **__: os.open("/dev/null/file", os.O_RDONLY))
        unread = look(before)
    after = look(unread)

    assert differences(before, unread) == []
    assert differences(unread, after) == ["sha256"]
    assert not tally.complete

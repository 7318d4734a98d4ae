"""Calls that may never return, and a walk past file systems that do not answer."""

from __future__ import annotations

import os
import stat
import threading
import time
from typing import TYPE_CHECKING

import pytest

from mig_core.plugin.coverage import Tally
from mig_endpoint import coverage
from mig_endpoint.files import roots
from mig_endpoint.files.calls import DIRECT, LEAST, Guarded, Patience, Unresponsive
from mig_endpoint.files.crossings import Crossings, Place
from mig_endpoint.files.filesystems import FileSystems
from mig_endpoint.files.mounts import Mount, Mounts
from mig_endpoint.testing.served import hanging

if TYPE_CHECKING:
    from pathlib import Path

    from mig_core.plugin.coverage import Reason
    from mig_endpoint.files.batch import Batch


def _patience(seconds: float = 0.1) -> Patience:
    return Patience(lambda: 60.0, most=seconds)


class _Sees:
    """A visitor that reads everything it is shown."""

    def __init__(self, *, wants_others: bool = False) -> None:
        self.wants_others = wants_others
        self.contents: dict[str, bytes] = {}
        self.others: dict[str, int] = {}

    def visit(self, batch: Batch) -> None:
        for name in batch.names:
            fd = batch.calls_for(name).open(name, os.O_RDONLY, dir_fd=batch.fd)
            self.contents[str(batch.path_of(name))] = batch.calls_for(name).read(fd, 100)
            batch.calls_for(name).close(fd)
        for name, kind in batch.others.items():
            self.others[str(batch.path_of(name))] = kind

    def why_not(self, depth: int) -> Reason | None:
        return None

    def stopped(self) -> bool:
        return False


def _explored(
    path: Path, *, seconds: float = 8.0, wants_others: bool = False, local: bool = False
) -> tuple[_Sees, Tally, float]:
    visitor, tally, started = _Sees(wants_others=wants_others), Tally(), time.monotonic()
    crossings = Crossings(lambda: seconds)
    try:
        systems = FileSystems(crossings.mounts, local=True) if local else None
        roots.explore(str(path), visitor, tally, crossings, systems)
    finally:
        crossings.close()
    return visitor, tally, time.monotonic() - started


def test_a_call_that_returns_gives_what_it_gives(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    with Guarded(_patience(5)) as calls:
        fd = calls.open(str(tmp_path / "file"), os.O_RDONLY)
        buffer = bytearray(4)

        assert calls.readv(fd, [memoryview(buffer)]) == 4
        assert calls.read(fd, 100) == b"ent"
        assert calls.pread(fd, 3, 1) == b"ont"
        assert calls.lseek(fd, 0, os.SEEK_SET) == 0
        assert calls.fstat(fd).st_size == calls.stat("file", dir_fd=calls.open(str(tmp_path), os.O_RDONLY)).st_size == 7
        calls.close(fd)
        with pytest.raises(FileNotFoundError):
            calls.stat(str(tmp_path / "nothing"))
        with calls.scandir(calls.open(str(tmp_path), os.O_RDONLY)) as entries:
            assert [(one.name, one.is_file(), one.is_dir(), one.is_symlink()) for one in entries] == [
                ("file", True, False, False)
            ]


def test_a_call_that_does_not_return_is_given_up_and_all_after_it_fail_at_once() -> None:
    forever = threading.Event()
    patience = _patience()
    calls = Guarded(patience)
    started = time.monotonic()

    with pytest.raises(Unresponsive):
        calls.call(forever.wait)
    with pytest.raises(Unresponsive):
        calls.stat("/")
    calls.close(0)

    assert time.monotonic() - started < 30  # it never returns
    assert calls.gave_up
    assert os.fstat(0)
    forever.set()


def test_patience_follows_the_time_that_is_left_and_grows_less_with_each_disappointment() -> None:
    left = 8.0
    patience = Patience(lambda: left)

    assert patience.seconds() == 2.0
    left = 400.0
    assert patience.seconds() == 10.0
    patience.lost()
    patience.lost()
    assert patience.seconds() == 2.5
    left = 0.0
    assert patience.seconds() == LEAST


def test_a_file_system_that_does_not_answer_costs_only_its_own_path(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "m").mkdir()
    (tmp_path / "z").mkdir()
    for place in ("a/1", "z/2", "3"):
        (tmp_path / place).write_text(place)
    (tmp_path / "z" / "there").symlink_to("../m/inner")
    with hanging(tmp_path / "m"):
        visitor, tally, took = _explored(tmp_path)

    assert sorted(visitor.contents.values()) == [b"3", b"a/1", b"z/2"]
    assert not tally.complete
    assert tally.skipped(coverage.UNRESPONSIVE) == 2
    assert took < 8


def test_a_path_that_leads_to_nobody_who_answers_is_given_up_in_time(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    with hanging(tmp_path / "m"):
        _, tally, took = _explored(tmp_path / "m" / "deep" / "inside", seconds=2)

    assert tally.skipped(coverage.UNRESPONSIVE) == 1
    assert took < 20  # it never answers


def test_links_among_which_one_hangs_are_all_told_apart(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "d").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "d" / "good").symlink_to("../file")
    (tmp_path / "d" / "hangs").symlink_to(tmp_path / "m" / "x")
    (tmp_path / "d" / "dangles").symlink_to("nowhere")
    with hanging(tmp_path / "m"):
        visitor, tally, _ = _explored(tmp_path / "d", seconds=2, wants_others=True)

    assert visitor.contents == {f"{tmp_path}/d/good": b"x"}
    assert set(visitor.others) == {f"{tmp_path}/d", f"{tmp_path}/d/hangs", f"{tmp_path}/d/dangles"}
    assert tally.skipped(coverage.UNRESPONSIVE) == 1
    assert tally.skipped(coverage.DANGLING) == 1


def test_a_network_file_system_that_was_not_asked_for_is_not_even_touched(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "file").write_text("x")
    with hanging(tmp_path / "m", "fuse.sshfs"):
        visitor, tally, took = _explored(tmp_path, seconds=400, local=True)
        _, inside, longer = _explored(tmp_path / "m" / "x", seconds=400, local=True)

    assert list(visitor.contents.values()) == [b"x"]
    assert tally.complete
    assert (tally.skipped(coverage.NETWORK), inside.skipped(coverage.NETWORK)) == (1, 1)
    assert took + longer < 9


def test_every_kind_of_entry_is_shown_to_who_wants_them(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "f").touch()
    os.mkfifo(tmp_path / "p")
    (tmp_path / "l").symlink_to("d")
    (tmp_path / "lf").symlink_to("f")
    (tmp_path / "n").symlink_to("/dev/null")

    visitor, tally, _ = _explored(tmp_path, wants_others=True)

    assert set(visitor.contents) == {f"{tmp_path}/f", f"{tmp_path}/lf"}
    assert visitor.others == {
        str(tmp_path): stat.S_IFDIR,
        f"{tmp_path}/d": stat.S_IFDIR,
        f"{tmp_path}/p": stat.S_IFIFO,
        f"{tmp_path}/l": stat.S_IFLNK,
        f"{tmp_path}/n": stat.S_IFLNK,
    }
    assert tally.skipped(coverage.SPECIAL) == 0


def _mount(kind: str, point: str, options: str = "rw") -> Mount:
    return Mount(9, 1, 77, "/", point, kind, "x", options)


def test_an_automount_point_is_not_made_to_mount_anything(tmp_path: Path) -> None:
    for directory in ("direct", "map/used", "map/unused"):
        (tmp_path / directory).mkdir(parents=True)
        (tmp_path / directory / "file").write_text(directory)
    mounts = Mounts(
        (
            _mount("autofs", f"{tmp_path}/direct", "rw,fd=5,direct"),
            _mount("autofs", f"{tmp_path}/map", "rw,fd=5,indirect"),
            _mount("fuse.lxcfs", f"{tmp_path}/map/used"),
        )
    )
    visitor, tally, crossings = _Sees(), Tally(), Crossings(lambda: 60.0, mounts)

    roots.explore(str(tmp_path), visitor, tally, crossings)
    crossings.close()

    assert list(visitor.contents.values()) == [b"map/used"]
    assert tally.skipped(coverage.AUTOMOUNT) == 2
    assert not tally.complete


def test_links_of_proc_are_followed_by_somebody_who_can_be_left_behind() -> None:
    fd = os.open("/proc/self", os.O_RDONLY)
    crossings = Crossings(lambda: 60.0, Mounts((_mount("proc", "/proc"),)))
    try:
        place = crossings.place_of(crossings.mounts.by_point["/proc"])
        (found,) = crossings.follow(fd, ["cwd"], place)
    finally:
        crossings.close()
        os.close(fd)

    assert place == Place(DIRECT, magic=True)
    assert not crossings.careful
    assert not isinstance(found, OSError)
    assert stat.S_ISDIR(found[0].st_mode)

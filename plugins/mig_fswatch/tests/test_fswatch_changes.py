"""What happens to files on the real kernel, and what is told of it; with each of its interfaces."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.testing.services import service_missing

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    StartWatch = Callable[..., AbstractContextManager[Any]]

both = pytest.mark.parametrize("method", ["fanotify", "inotify"], indirect=True)
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="fanotify and inotify are Linux's")


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def by_this_process(alert: dict[str, Any], method: str) -> bool:
    if method == "inotify":
        return bool(alert["by"] == {"pid": None, "executable": "unknown", "user": "unknown"})
    return bool(alert["by"]["pid"] == os.getpid() and alert["by"]["executable"] == os.path.realpath(sys.executable))


@pytest.fixture(autouse=True)
def _root() -> None:
    if os.geteuid() != 0:
        service_missing("fanotify that says who it was needs root")


@both
def test_a_new_file_is_told_with_its_hash_and_whoever_made_it(
    watched: Path, start_watch: StartWatch, method: str
) -> None:
    with start_watch(watched) as service:
        (watched / "new").write_text("hello")

        alert = service.told(watched / "new", "new")
        whole = service.last(watched / "new", sha256("hello"))

    assert whole["after"]["size"] == 5
    assert all(by_this_process(one, method) for one in (alert, whole))
    assert (alert["seen"], whole["seen"]) == ("live", "live")


@both
def test_a_changed_file_is_told_with_what_it_was_and_is(watched: Path, start_watch: StartWatch, method: str) -> None:
    file = watched / "file"
    file.write_text("before")

    with start_watch(watched) as service:
        with file.open("rb+", buffering=0) as opened:  # at once: it is never empty
            opened.write(b"and after")
        alert = service.told(file, "changed")

    assert alert["before"]["sha256"] == sha256("before")
    assert alert["after"]["sha256"] == sha256("and after")
    assert {"sha256", "size", "mtime"} <= set(alert["differs"])
    assert by_this_process(alert, method)


@both
def test_mode_owner_and_attributes_are_told_each(watched: Path, start_watch: StartWatch) -> None:
    for name in ("mode", "owner", "attribute"):
        (watched / name).write_text("x")

    with start_watch(watched) as service:
        (watched / "mode").chmod(0o4755)
        os.chown(watched / "owner", 12, 34)
        os.setxattr(watched / "attribute", "user.note", b"1")
        mode = service.told(watched / "mode", "mode")
        owner = service.told(watched / "owner", "owner")
        attribute = service.told(watched / "attribute", "attributes")

    assert (mode["before"]["mode"], mode["after"]["mode"]) == ("0644", "4755")
    assert (owner["after"]["uid"], owner["after"]["gid"]) == (12, 34)
    assert attribute["after"]["attributes"] == {"user.note": "31"}


@both
def test_removed_files_and_links_that_lead_elsewhere_are_told(watched: Path, start_watch: StartWatch) -> None:
    (watched / "gone").write_text("x")
    (watched / "link").symlink_to("/somewhere")

    with start_watch(watched) as service:
        (watched / "gone").unlink()
        (watched / "other").symlink_to("/elsewhere")
        os.replace(watched / "other", watched / "link")
        gone = service.told(watched / "gone", "removed")
        link = service.told(watched / "link", "changed")

    assert gone["before"]["sha256"] == sha256("x")
    assert (link["before"]["target"], link["after"]["target"]) == ("/somewhere", "/elsewhere")


@both
def test_a_file_that_an_editor_replaces_is_one_change(watched: Path, start_watch: StartWatch, method: str) -> None:
    # several: on a busy machine the module may look between writing one and putting it in place
    files = [watched / f"settings{number}" for number in range(5)]
    for file in files:
        file.write_text("a = 1")

    with start_watch(watched) as service:
        for file in files:
            (watched / f".{file.name}.tmp").write_text("a = 2")
            os.replace(watched / f".{file.name}.tmp", file)
        service.wait_for(lambda: all(service.about(file) for file in files))

    once = [service.about(file)[0] for file in files if not service.about(watched / f".{file.name}.tmp")]
    assert once
    assert all(one["change"] == "changed" for one in once)
    assert all(one["after"]["sha256"] == sha256("a = 2") for one in once)
    assert all(by_this_process(one, method) for one in once)


def test_a_move_is_one_change_with_both_paths(watched: Path, start_watch: StartWatch) -> None:
    (watched / "old").write_text("x")

    with start_watch(watched) as service:
        os.rename(watched / "old", watched / "new")
        alert = service.told(watched / "new", "moved")

    assert alert["from"] == str(watched / "old")
    assert not service.about(watched / "old")


@both
def test_a_directory_that_moves_takes_its_files_along(watched: Path, start_watch: StartWatch, method: str) -> None:
    (watched / "a" / "b").mkdir(parents=True)
    (watched / "a" / "b" / "file").write_text("x")

    with start_watch(watched) as service:
        os.rename(watched / "a", watched / "z")
        moved = service.told(watched / "z" / "b" / "file", "moved")
        (watched / "z" / "b" / "file").write_text("y")
        changed = service.last(watched / "z" / "b" / "file", sha256("y"))

    assert moved["from"] == str(watched / "a" / "b" / "file")
    assert by_this_process(moved, method)
    assert changed["change"] == "changed"


@both
def test_what_leaves_the_watched_paths_is_removed_and_what_comes_is_new(
    watched: Path, tmp_path: Path, start_watch: StartWatch
) -> None:
    (watched / "out").mkdir()
    (watched / "out" / "file").write_text("x")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_text("y")

    with start_watch(watched) as service:
        os.rename(watched / "out", tmp_path / "out")
        os.rename(tmp_path / "in", watched / "in")
        service.told(watched / "out" / "file", "removed")
        service.told(watched / "in" / "file", "new")
        (watched / "in" / "file").write_text("changed there")
        service.told(watched / "in" / "file", "changed")


def test_a_directory_that_becomes_a_link_is_not_followed(
    watched: Path, tmp_path: Path, start_watch: StartWatch
) -> None:
    for folder in (watched / "d", tmp_path / "elsewhere"):
        folder.mkdir()
        (folder / "file").write_text(folder.name)

    with start_watch(watched) as service:
        os.rename(watched / "d", tmp_path / "taken")
        (watched / "d").symlink_to(tmp_path / "elsewhere")
        service.told(watched / "d" / "file", "removed")
        link = service.told(watched / "d", "changed")
        (tmp_path / "elsewhere" / "file").write_text("x")
        (watched / "end").write_text("x")
        service.told(watched / "end", "new")

    assert link["after"]["kind"] == "link"
    assert [one["change"] for one in service.about(watched / "d" / "file")] == ["removed"]


@both
def test_directories_made_at_once_are_watched_to_their_depth(
    watched: Path, start_watch: StartWatch, method: str
) -> None:
    deep = watched / "1" / "2" / "3" / "4"

    with start_watch(watched) as service:
        deep.mkdir(parents=True)
        (deep / "file").write_text("x")
        new = service.told(deep / "file", "new")
        (deep / "file").write_text("y")
        service.told(deep / "file", "changed")

    assert method == "inotify" or by_this_process(new, method)


def test_what_is_there_for_a_moment_only_is_told_as_passing(watched: Path, start_watch: StartWatch) -> None:
    jobs = [watched / f"job{number}" for number in range(5)]

    with start_watch(watched) as service:
        for job in jobs:
            job.write_text("x")
            job.unlink()
        service.wait_for(lambda: all(service.about(job) for job in jobs))

    passing = [one for job in jobs for one in service.about(job) if one["change"] == "passing"]
    assert passing
    assert all("after" not in one for one in passing)


@both
def test_a_file_written_under_its_name_elsewhere_is_told(
    watched: Path, tmp_path: Path, start_watch: StartWatch
) -> None:
    (tmp_path / "elsewhere").write_text("a")
    os.link(tmp_path / "elsewhere", watched / "file")

    with start_watch(watched) as service:
        (tmp_path / "elsewhere").write_text("b")
        alert = service.last(watched / "file", sha256("b"))

    assert alert["change"] == "changed"


@both
def test_what_is_written_under_one_of_three_watched_names_is_told_for_each(
    watched: Path, start_watch: StartWatch, method: str
) -> None:
    names = [watched / "a", watched / "b", watched / "c"]
    names[0].write_text("x")
    for other in names[1:]:
        os.link(names[0], other)

    with start_watch(watched) as service:
        names[0].write_text("another")
        alerts = [service.last(one, sha256("another")) for one in names]

    assert {one["change"] for one in alerts} == {"changed"}


@both
def test_what_is_removed_while_its_directory_has_another_name_is_told(
    watched: Path, start_watch: StartWatch, method: str
) -> None:
    folder, aside = watched / "folder", watched / "aside"
    folder.mkdir()
    for name in ("removed", "changed"):
        (folder / name).write_text("x")

    with start_watch(watched) as service:
        folder.rename(aside)
        (aside / "removed").unlink()
        (aside / "changed").write_text("another")
        aside.rename(folder)
        # Looked at soon it is told under the name that stays, and on a stalled machine perhaps under the other.
        for name, change in (("removed", "removed"), ("changed", "changed")):
            service.wait_for(
                lambda name=name, change=change: any(
                    one["change"] == change for place in (folder, aside) for one in service.about(place / name)
                )
            )


def test_names_of_any_bytes_are_told_and_found_again(watched: Path, start_watch: StartWatch) -> None:
    name = os.fsdecode(b"a\xff\n\x1b[31m%s\xc3\xa4")

    with start_watch(watched) as service:
        (watched / name).write_text("x")
        service.wait_for(lambda: any("uri" in one for one in service.of_type("file_change")))
        os.rename(watched / name, watched / f"{name}2")
        service.wait_for(lambda: any(one["change"] == "moved" for one in service.of_type("file_change")))

    alert = next(one for one in service.of_type("file_change") if one["change"] == "new")
    assert alert["uri"].endswith("a%FF%0A%1B%5B31m%25s%C3%A4")


def test_directories_deeper_than_any_path_may_be_are_told(watched: Path, start_watch: StartWatch) -> None:
    with start_watch(watched) as service:
        folder = os.open(watched, os.O_RDONLY)
        for _ in range(30):
            os.mkdir("n" * 200, dir_fd=folder)
            inner = os.open("n" * 200, os.O_RDONLY, dir_fd=folder)
            os.close(folder)
            folder = inner
        os.close(os.open("deep", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
        os.close(folder)
        service.wait_for(lambda: service.last_status["changes"].get("new", 0) == 31)
    shutil.rmtree(watched)


def test_no_kind_of_entry_is_waited_for(watched: Path, start_watch: StartWatch) -> None:
    with start_watch(watched) as service, socket.socket(socket.AF_UNIX) as listening:
        os.mkfifo(watched / "fifo")
        listening.bind(str(watched / "socket"))
        os.mknod(watched / "null", 0o20666, os.makedev(1, 3))
        kinds = {name: service.told(watched / name, "new")["after"]["kind"] for name in ("fifo", "socket", "null")}

    assert kinds == {"fifo": "fifo", "socket": "socket", "null": "character device"}


def test_times_of_the_far_past_and_future_are_told(watched: Path, start_watch: StartWatch) -> None:
    (watched / "file").write_text("x")

    with start_watch(watched) as service:
        os.utime(watched / "file", (0, 2**33))
        alert = service.told(watched / "file", "times")

    assert alert["differs"] == ["mtime"]
    assert alert["after"]["mtime"] > "2242"


@both
def test_a_burst_is_folded_and_no_file_is_missing(watched: Path, start_watch: StartWatch) -> None:
    names = {str(watched / f"d{number % 7}" / f"{number}") for number in range(1500)}
    for number in range(7):
        (watched / f"d{number}").mkdir()

    with start_watch(watched) as service:
        for name in names:
            with open(name, "w", encoding="ascii") as file:
                file.write(name)
        service.wait_for(lambda: service.last_status["changes"].get("new", 0) >= len(names))
        seen = {}

        def all_are_whole() -> bool:
            told = [one for alert in list(service.alerts) for one in alert.get("changes", [alert]) if "path" in one]
            seen.update({one["path"]: one.get("after", one).get("sha256") for one in told})
            return seen == {name: sha256(name) for name in names}

        service.wait_for(all_are_whole)  # one that was looked at before it was written is told once more

    folded = [short for alert in service.of_type("file_changes") for short in alert["changes"]]
    single = service.of_type("file_change")
    assert sorted(one["path"] for one in folded + single if one["change"] == "new") == sorted(names)
    assert {one["path"] for one in folded + single} == names
    assert sum(alert["total"] for alert in service.of_type("file_changes")) == len(folded)


def test_what_is_excluded_is_not_told(watched: Path, start_watch: StartWatch) -> None:
    (watched / "cache").mkdir()

    with start_watch(watched, exclude=[f"{watched}/cache", f"{watched}/*.log"]) as service:
        (watched / "cache" / "file").write_text("x")
        (watched / "some.log").write_text("x")
        (watched / "end").write_text("x")
        service.told(watched / "end", "new")

    assert not service.about(watched / "cache" / "file")
    assert not service.about(watched / "some.log")


@both
def test_a_program_that_has_ended_is_named_as_far_as_it_is_known(
    watched: Path, start_watch: StartWatch, method: str
) -> None:
    with start_watch(watched) as service:
        done = subprocess.Popen([shutil.which("touch") or "touch", str(watched / "file")])
        done.wait()
        alert = service.told(watched / "file", "new")

    assert alert["by"]["pid"] == (done.pid if method == "fanotify" else None)
    assert alert["by"]["executable"] in ("unknown", os.path.realpath(shutil.which("touch") or ""))

"""Where the paths lead: not there yet, through links, over mounts, and to what must not be gone into."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.plugin.coverage import Tally
from mig_core.testing.services import service_missing
from mig_endpoint.files.mounts import read_mounts
from mig_endpoint.testing.served import hanging
from mig_fswatch.places import patterns_of, usual
from mig_fswatch.scope import Exclusions, Finder, Scope
from mig_fswatch.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    StartWatch = Callable[..., AbstractContextManager[Any]]

BIND = 4096
both = pytest.mark.parametrize("method", ["fanotify", "inotify"], indirect=True)
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="fanotify and inotify are Linux's")


@pytest.fixture
def mount() -> Iterator[Callable[..., None]]:
    """Mounts things, and takes them away afterwards."""
    libc = ctypes.CDLL(None, use_errno=True)
    points: list[Path] = []

    def do(kind: str, point: Path, options: str = "", source: object = "mig", flags: int = 0) -> None:
        if libc.mount(str(source).encode(), os.fsencode(point), kind.encode(), flags, options.encode()):
            service_missing(f"{kind} cannot be mounted here: {os.strerror(ctypes.get_errno())}")
        points.append(point)

    yield do
    for point in reversed(points):
        libc.umount2(os.fsencode(point), 2)


def found(*patterns: str) -> Scope:
    return Finder(read_mounts(), Exclusions(()), Tally()).find(patterns)


@both
def test_a_path_that_is_not_there_yet_is_watched_when_it_comes(tmp_path: Path, start_watch: StartWatch) -> None:
    with start_watch(tmp_path / "not" / "yet") as service:
        (tmp_path / "not" / "yet").mkdir(parents=True)
        (tmp_path / "not" / "yet" / "file").write_text("x")
        service.told(tmp_path / "not" / "yet" / "file", "new")
        (tmp_path / "not" / "yet" / "file").write_text("y")
        service.told(tmp_path / "not" / "yet" / "file", "changed")


def test_a_link_on_the_way_is_watched_and_followed_when_it_leads_elsewhere(
    tmp_path: Path, start_watch: StartWatch
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    (tmp_path / "current").symlink_to("one")

    with start_watch(tmp_path / "current") as service:
        (tmp_path / "next").symlink_to("two")
        os.replace(tmp_path / "next", tmp_path / "current")
        link = service.told(tmp_path / "current", "changed")
        service.told(tmp_path / "two" / "file", "new")
        (tmp_path / "two" / "file").write_text("changed")
        service.told(tmp_path / "two" / "file", "changed")

    assert (link["before"]["target"], link["after"]["target"]) == ("one", "two")


@both
def test_what_is_mounted_over_a_watched_path_is_compared_and_watched(
    watched: Path, start_watch: StartWatch, mount: Callable[..., None]
) -> None:
    (watched / "sub").mkdir()
    (watched / "sub" / "below").write_text("x")

    with start_watch(watched) as service:
        mount("tmpfs", watched / "sub")
        service.told(watched / "sub" / "below", "removed")
        service.wait_for(lambda: any(one["reason"] == "mounts" for one in service.of_type("comparison")))
        (watched / "sub" / "on-top").write_text("y")
        alert = service.told(watched / "sub" / "on-top", "new")

    assert alert["seen"] == "live"


def test_a_file_that_is_mounted_over_a_single_watched_file_is_compared(
    watched: Path, tmp_path: Path, start_watch: StartWatch, mount: Callable[..., None]
) -> None:
    (watched / "file").write_text("x")
    (tmp_path / "other").write_text("another")

    with start_watch(f"{watched}/file") as service:
        mount("none", watched / "file", source=tmp_path / "other", flags=BIND)
        alert = service.told(watched / "file", "changed")

    assert alert["seen"] == "mounts"


@both
def test_an_overlay_is_watched_down_to_its_lower_layer(
    watched: Path, tmp_path: Path, start_watch: StartWatch, mount: Callable[..., None], method: str
) -> None:
    for name in ("lower/etc", "upper", "work"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "lower" / "etc" / "file").write_text("x")
    mount("tmpfs", tmp_path / "upper")
    for name in ("upper", "work"):
        (tmp_path / "upper" / name).mkdir()
    layers = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper/upper,workdir={tmp_path}/upper/work"
    mount("overlay", watched, layers)

    with start_watch(watched) as service:
        (watched / "etc" / "file").write_text("copied up")
        changed = service.told(watched / "etc" / "file", "changed")
        (watched / "etc" / "new").write_text("y")
        service.told(watched / "etc" / "new", "new")

    assert changed["by"]["pid"] == (os.getpid() if method == "fanotify" else None)


def test_a_file_system_that_does_not_answer_is_left_out_and_said(watched: Path, start_watch: StartWatch) -> None:
    (watched / "hangs").mkdir()
    (watched / "file").write_text("x")

    with hanging(watched / "hangs"), start_watch(watched) as service:
        (watched / "file").write_text("y")
        service.told(watched / "file", "changed")
        made = service.of_type("baseline")[0]

    assert not made["complete"]
    assert [one["reason"] for one in made["skipped"]] == ["file system that does not answer"]


def test_patterns_stand_for_entries_trees_and_single_files(tmp_path: Path) -> None:
    for name in ("tree/sub", "flat/sub", "home-a/.ssh", "home-b"):
        (tmp_path / name).mkdir(parents=True)

    scope = found(f"{tmp_path}/tree/**", f"{tmp_path}/flat/", f"{tmp_path}/home-*/.bashrc", f"{tmp_path}/home-*/.ssh/")

    assert scope.covers(f"{tmp_path}/tree/sub/x/y")
    assert scope.covers(f"{tmp_path}/flat/sub")
    assert not scope.covers(f"{tmp_path}/flat/sub/x")
    assert scope.covers(f"{tmp_path}/home-b/.bashrc")
    assert not scope.covers(f"{tmp_path}/home-b/.profile")
    assert scope.covers(f"{tmp_path}/home-a/.ssh/authorized_keys")
    assert scope.anchors_at(f"{tmp_path}/home-b", ".ssh")


def test_names_with_wildcards_in_them_are_followed_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a[1]*").mkdir()
    (tmp_path / "link").symlink_to("a[1]*")

    scope = found(f"{tmp_path}/link/**")

    assert scope.trees == {f"{tmp_path}/a[1]*"}


def test_links_that_lead_to_one_another_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    scope = found(f"{tmp_path}/a/**")

    assert scope.files == {f"{tmp_path}/a", f"{tmp_path}/b"}
    assert not scope.trees


def test_what_the_kernel_makes_up_is_not_watched() -> None:
    scope = found("/proc/sys/kernel/core_pattern", "/sys/fs/bpf/**")

    assert not scope.trees
    assert not [one for one in scope.files if one.startswith(("/proc/", "/sys/fs"))]


def test_the_usual_places_are_those_of_autorun_and_programs_settings_and_keys() -> None:
    patterns = usual()

    assert {"/etc/**", "/usr/bin/", "/boot/**", "~/.ssh/"} <= set(patterns)
    assert {"/var/spool/cron/crontabs/", "~/.bashrc", "/usr/lib/systemd/system/**"} <= set(patterns)
    assert patterns_of(Settings()) == patterns
    assert patterns_of(Settings(paths=("/srv",), more_paths=("/opt",))) == ("/srv/**", "/opt/**")

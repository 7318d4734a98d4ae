"""Going through a system for packages: what comes first, what is left out, and that it is booked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mig_core.plugin.coverage import Tally
from mig_endpoint.files.mounts import read_mounts
from mig_endpoint.packages import reasons
from mig_endpoint.packages.mounts import Storage, mount_points
from mig_endpoint.packages.site import RanOutOfTime, Site
from mig_endpoint.packages.tree import Tree
from mig_endpoint.packages.walk import MAX_DEPTH, Walk

if TYPE_CHECKING:
    import pathlib


def site(root: pathlib.Path, seconds: float = 60) -> Site:
    return Site(Tree(str(root)), Tally(), lambda: seconds)


def make(root: pathlib.Path, *directories: str) -> None:
    for directory in directories:
        (root / directory).mkdir(parents=True)


def test_directories_in_which_packages_are_likely_come_first(tmp_path: pathlib.Path) -> None:
    make(tmp_path, "usr/share/doc/a/b", "data/x/app/.venv/lib/python3.11/site-packages", "home/ada/src/thing/venv/lib")

    paths = [folder.path for folder in Walk(site(tmp_path)).likely(["/home/ada"])]

    assert set(paths) >= {"/usr/share/doc/a/b", "/data/x/app/.venv/lib/python3.11/site-packages"}
    assert paths.index("/home/ada/src/thing") < paths.index("/data/x")
    assert paths.index("/data/x/app/.venv/lib/python3.11/site-packages") < paths.index("/usr/share/doc")


def test_what_there_was_no_room_for_is_counted_and_named_by_what_it_has_in_common(tmp_path: pathlib.Path) -> None:
    make(tmp_path, "srv/app", *(f"usr/share/doc/p{number}" for number in range(20)))
    place = site(tmp_path)

    paths = [folder.path for folder in Walk(place, most=5).likely([])]

    assert paths == ["/", "/srv", "/srv/app", "/usr", "/usr/share"]
    [skipped] = place.tally.coverage().skipped
    assert (skipped.reason, skipped.count, skipped.examples) == ("directory not gone into", 1, ("/usr/share",))
    assert not place.tally.complete


def test_a_small_system_is_gone_through_to_the_end(tmp_path: pathlib.Path) -> None:
    make(tmp_path, "srv/app", "usr/share/doc/p", "proc/1", "dev/shm", "sys/kernel", "run/user/0", "run/app")
    place = site(tmp_path)

    paths = {folder.path for folder in Walk(place).likely([])}

    assert paths >= {"/usr/share/doc/p", "/run/app"}
    assert not paths & {"/proc", "/dev", "/sys", "/run/user"}
    assert place.tally.complete


def test_links_are_not_gone_through(tmp_path: pathlib.Path) -> None:
    make(tmp_path, "srv/app")
    (tmp_path / "srv/again").symlink_to("/srv")
    (tmp_path / "srv/out").symlink_to("/usr/../../..")

    assert [folder.path for folder in Walk(site(tmp_path)).likely([])] == ["/", "/srv", "/srv/app"]


def test_a_home_that_is_a_link_is_gone_into_once(tmp_path: pathlib.Path) -> None:
    make(tmp_path, "data/ada/project", "home")
    (tmp_path / "home/ada").symlink_to("/data/ada")

    paths = [folder.path for folder in Walk(site(tmp_path)).likely(["/home/ada"])]

    assert paths.count("/home/ada/project") + paths.count("/data/ada/project") == 1


def test_file_systems_of_the_network_and_files_of_containers_are_left_out_and_booked(tmp_path: pathlib.Path) -> None:
    make(tmp_path, "home/ada", "mnt/usb/app", "mnt/odd", "var/lib/docker/overlay2/abc/merged", "media/a b")
    mounts = tmp_path.parent / "mountinfo"
    mounts.write_text(
        f"1 0 8:1 / {tmp_path} rw - ext4 /dev/sda1 rw\n"
        f"2 1 0:40 / {tmp_path}/home rw shared:7 - nfs4 server:/home rw\n"
        f"3 1 8:17 / {tmp_path}/mnt/usb rw - vfat /dev/sdb1 rw\n"
        f"4 1 0:41 / {tmp_path}/mnt/odd rw - fuse.bucketfs bucket rw\n"
        f"5 1 0:42 / {tmp_path}/media/a\\040b rw - proc proc rw\n"
    )
    place = site(tmp_path)

    paths = {folder.path for folder in Walk(place, mounts=read_mounts(str(mounts))).likely([])}

    assert "/mnt/usb/app" in paths
    assert not paths & {"/home", "/home/ada", "/mnt/odd", "/media/a b", "/var/lib/docker/overlay2"}
    assert place.tally.skipped(reasons.NETWORK) == 2
    assert place.tally.skipped(reasons.OTHER_SYSTEM) == 1
    assert not place.tally.complete


def test_a_path_that_was_asked_for_is_gone_through_whatever_lies_there(tmp_path: pathlib.Path) -> None:
    make(tmp_path, "var/lib/docker/overlay2/abc/merged")

    paths = [folder.path for folder in Walk(site(tmp_path)).below("/var/lib/docker")]

    assert paths[-1] == "/var/lib/docker/overlay2/abc/merged"


def test_below_a_path_what_may_not_answer_comes_last_and_what_was_found_is_handed_over_before(
    tmp_path: pathlib.Path,
) -> None:
    make(tmp_path, "srv/a/x", "srv/b", "srv/c")
    mounts = tmp_path.parent / "mountinfo"
    mounts.write_text(
        f"1 0 8:1 / {tmp_path} rw - ext4 /dev/sda1 rw\n2 1 0:41 / {tmp_path}/srv/a rw - fuse.bucketfs bucket rw\n"
    )
    seen: list[str] = []
    place = replace(site(tmp_path), before_waiting=lambda: seen.append("handed over"))

    for folder in Walk(place, mounts=read_mounts(str(mounts))).below("/srv"):
        seen.append(folder.path)

    assert seen == ["handed over", "/srv", "/srv/b", "/srv/c", "handed over", "/srv/a", "/srv/a/x"]


def test_what_lies_too_deep_is_booked(tmp_path: pathlib.Path) -> None:
    make(tmp_path, "/".join("d" * (MAX_DEPTH + 2)))
    place = site(tmp_path)

    paths = list(Walk(place).below("/"))

    assert len(paths) == MAX_DEPTH + 1
    assert place.tally.skipped(reasons.DEPTH) == 1


@pytest.mark.parametrize(
    ("place", "marks"),
    [
        ("root/.cache/uv/archive-v0/abc", ["root/.cache/uv/CACHEDIR.TAG"]),
        ("opt/conda/pkgs/six-1-0", ["opt/conda/pkgs/six-1-0/info/index.json"]),
        ("root/.local/share/pnpm/store/v11", ["root/.local/share/pnpm/store/v11/files/00/x", "+/links/@/a/1/h/x"]),
        ("root/.cache/yarn/v6/npm-a-1-integrity", ["+/node_modules/a/package.json"]),
        ("root/.cache/virtualenv/wheel/3.11/image/1/CopyPipInstall", ["+/pip-26-none-any/pip-26.dist-info/METADATA"]),
        ("root/.local/share/pnpm/global/5/.pnpm", ["+/a@1.0.0/node_modules/a/package.json"]),
        ("root/.npm/_cacache", ["+/content-v2/x"]),
    ],
)
def test_copies_in_caches_are_left_out_and_said(place: str, marks: list[str], tmp_path: pathlib.Path) -> None:
    (tmp_path / place / "below").mkdir(parents=True)
    for mark in marks:
        file = tmp_path / mark.replace("+", place)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    looked_at = site(tmp_path)

    paths = [folder.path for folder in Walk(looked_at).likely([])]

    assert f"/{place}/below" not in paths
    assert looked_at.tally.skipped(reasons.NOT_INSTALLED) == 1
    assert looked_at.tally.complete


def test_an_environment_in_uv_s_cache_is_none(tmp_path: pathlib.Path) -> None:
    make(tmp_path, "root/.cache/uv/archive-v0/abc/lib")
    (tmp_path / "root/.cache/uv/CACHEDIR.TAG").touch()
    (tmp_path / "root/.cache/uv/archive-v0/abc/pyvenv.cfg").touch()

    paths = [folder.path for folder in Walk(site(tmp_path)).likely([])]

    assert "/root/.cache/uv/archive-v0/abc/lib" in paths


def test_the_deadline_ends_a_walk(tmp_path: pathlib.Path) -> None:
    with pytest.raises(RanOutOfTime):
        list(Walk(site(tmp_path, seconds=0)).likely([]))


def test_this_machine_s_own_mount_points_are_known() -> None:
    points = mount_points(read_mounts())

    assert points.get("/") is Storage.OWN
    assert points.get("/proc") is Storage.PSEUDO

"""Roots of processes elsewhere: what ``/proc/PID/root`` says is a path over there, and no path of ours."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mig_core.plugin import apart
from mig_core.plugin.coverage import Reason, Tally
from mig_endpoint import coverage
from mig_endpoint.files.crossings import Crossings
from mig_endpoint.files.doorways import mounts_below, root_of
from mig_endpoint.files.roots import _real, explore
from mig_endpoint.packages.mounts import elsewhere as elsewhere_points
from mig_endpoint.packages.mounts import mount_points
from mig_endpoint.packages.tree import Tree
from mig_endpoint.testing.containers import contained
from mig_endpoint.testing.served import taking

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mig_endpoint.files.batch import Batch


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[str]:
    """``/proc/PID/root`` of a process whose root is a tmpfs of its own, with the file ``/only-there``."""
    if os.geteuid() != 0:
        pytest.skip("another root needs root")
    (tmp_path / "r").mkdir()
    code = (
        "import os, subprocess, sys\n"
        "subprocess.run(['mount', '-t', 'tmpfs', 'none', sys.argv[1]], check=True)\n"
        "os.chroot(sys.argv[1]); os.chdir('/'); open('/only-there', 'w').close()\n"
        "print('ready', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", sys.executable, "-c", code, str(tmp_path / "r")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield f"/proc/{process.pid}/root"
    process.kill()
    process.communicate()


def test_a_root_elsewhere_is_not_taken_for_our_own(elsewhere: str) -> None:
    tree = Tree(root_of(elsewhere))

    assert not tree.is_own
    assert tree.names("/") == ["only-there"]
    assert tree.exists("/only-there")
    assert tree.named(tree.real("/only-there")) == "/only-there"
    assert _real(elsewhere) == elsewhere


def test_our_own_root_and_links_to_directories_are_what_they_lead_to(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)

    assert root_of("/proc/self/root") == "/"
    assert root_of(f"{tmp_path}/link/") == str(tmp_path)
    assert root_of(f"{tmp_path}/none") == f"{tmp_path}/none"
    assert _real(f"{tmp_path}/link") == str(tmp_path)


class _Sees:
    """A visitor that keeps the paths of files."""

    wants_others = False

    def __init__(self) -> None:
        self.paths: list[str] = []

    def visit(self, batch: Batch) -> None:
        self.paths += [f"{batch.path}/{name}" for name in batch.names]

    def why_not(self, depth: int) -> Reason | None:
        return None

    def stopped(self) -> bool:
        return False


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``/proc/PID/root`` of one with the files ``/etc/passwd`` and ``/srv/a/file``, and silence at ``/srv/net``."""
    folder = tmp_path_factory.mktemp("container")
    for name in ("etc", "srv/net", "srv/a"):
        (folder / name).mkdir(parents=True)
    (folder / "etc/passwd").touch()
    (folder / "srv/a/file").touch()
    (folder / "srv/link").symlink_to("net")
    with contained(folder, silent="/srv/net") as root:
        yield root


@pytest.mark.parametrize(("inner", "points"), [("", ["", "/srv/net"]), ("/srv", ["/net"]), ("/srv/a", [])])
def test_mounts_below_a_root_elsewhere_are_those_of_its_process(container: str, inner: str, points: list[str]) -> None:
    mounts = mounts_below(f"{container}{inner}")

    assert [one.point for one in mounts.all] == [f"{container}{inner}{point}" for point in points]


def test_a_tree_stops_where_a_container_has_mounted_what_a_network_has(container: str) -> None:
    root = root_of(container)
    tree = Tree(root, elsewhere_points(mount_points(mounts_below(root))))

    with pytest.raises(OSError, match=os.strerror(errno.EREMOTE)):
        tree.folder("/srv/link")

    assert tree.names("/srv/a") == ["file"]


@pytest.mark.parametrize("inner", ["", "/srv", "/srv/net"])
def test_a_walk_through_a_container_does_not_wait_for_its_network(container: str, inner: str) -> None:
    visitor, tally, crossings = _Sees(), Tally(), Crossings(lambda: 2.0)
    try:
        explore(container + inner, visitor, tally, crossings)
    finally:
        crossings.close()

    assert tally.skipped(coverage.UNRESPONSIVE) >= 1
    assert not tally.complete
    assert (f"{container}/srv/a/file" in visitor.paths) == (inner != "/srv/net")


def test_who_asks_by_hand_asks_through_a_child_where_a_container_has_what_may_hang(container: str) -> None:
    assert os.path.exists(container)

    assert apart._may_hang()


def test_a_walk_does_not_wait_for_what_was_taken_off_while_a_process_was_in_it(tmp_path: Path) -> None:
    point = tmp_path / "p"
    point.mkdir()
    visitor, tally, crossings = _Sees(), Tally(), Crossings(lambda: 1.0)
    code = "import sys; print('ready', flush=True); sys.stdin.read()"
    with taking(point):
        words = [sys.executable, "-c", code]
        with subprocess.Popen(words, cwd=point, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            subprocess.run(["umount", "--lazy", point], check=True)
            try:
                explore(f"/proc/{process.pid}/cwd", visitor, tally, crossings)
            finally:
                crossings.close()
                process.kill()

    assert tally.skipped(coverage.UNRESPONSIVE) == 1
    assert not tally.complete


def test_a_view_of_our_own_root_with_other_mounts_is_another_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("a mount namespace needs root")
    code = "import sys; print('ready', flush=True); sys.stdin.read()"
    words = ["unshare", "--mount", "--propagation", "private", sys.executable, "-c", code]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

        root = root_of(f"/proc/{process.pid}/root")
        below = {one.point for one in mounts_below(root).all}

        assert os.path.samefile(root, "/")
        assert root == f"/proc/{process.pid}/root/."
        assert {root, f"{root}/proc"} <= below
        process.stdin.close()

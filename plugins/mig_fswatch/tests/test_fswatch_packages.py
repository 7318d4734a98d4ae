"""Package managers: real dpkg on the real kernel, and who counts as one."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.testing.services import service_missing
from mig_fswatch import managers
from mig_fswatch.actors import Actor
from mig_fswatch.changes import Change
from mig_fswatch.entry import Entry
from mig_fswatch.packages import Runs

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    StartWatch = Callable[..., AbstractContextManager[Any]]

ENTRY = Entry("file", 0o644, 0, 0, 1, 0, 0, 0, 1, 1, b"x" * 32, None, "", 0)
DPKG = Actor(7, "/usr/bin/dpkg", "dpkg", 0, manager="dpkg")
SCRIPT = Actor(8, "/usr/bin/dash", "postinst", 0, manager="dpkg")
EDITOR = Actor(9, "/usr/bin/vim", "vim", 0)
GONE = Actor(10)


def change(path: str, *actors: Actor) -> Change:
    now = time.time()
    return Change(path, None, ENTRY, events=1, actors=dict.fromkeys(actors, 1), first=now, last=now)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package with 30 files and a maintainer's script."""
    if shutil.which("dpkg-deb") is None:
        service_missing("needs dpkg")
    tree = tmp_path / "package"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "opt" / "tool").mkdir(parents=True)
    control = "Package: tool\nVersion: 1\nArchitecture: all\nMaintainer: A <a@example.net>\nDescription: a tool\n"
    (tree / "DEBIAN" / "control").write_text(control)
    # It is still there when the module asks who it is, however busy the machine: it waits for a line.
    (tree / "DEBIAN" / "postinst").write_text("#!/bin/sh\nread go\n")
    (tree / "DEBIAN" / "postinst").chmod(0o755)
    for number in range(30):
        (tree / "opt" / "tool" / f"{number}").write_text(f"{number}")
    subprocess.run(["dpkg-deb", "-Znone", "--build", tree, tmp_path / "tool.deb"], check=True, capture_output=True)
    return tmp_path / "tool.deb"


@pytest.mark.skipif(sys.platform != "linux", reason="fanotify is Linux's")
@pytest.mark.parametrize("method", ["fanotify"], indirect=True)
def test_what_dpkg_installs_is_one_summary_that_names_every_file(
    watched: Path, package: Path, start_watch: StartWatch, method: str
) -> None:
    (watched / "var/lib/dpkg/info").mkdir(parents=True)
    for name in ("status", "available"):
        (watched / "var/lib/dpkg" / name).write_text("")
    (watched / "var/lib/dpkg/updates").mkdir()

    with start_watch(watched, exclude=[f"{watched}/var"]) as service:
        forced = ["--force-not-root", "--force-script-chrootless"]
        command = ["dpkg", f"--root={watched}", *forced, "--log=/dev/null", "--install", str(package)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as dpkg:
            service.wait_for(lambda: service.last_status["waiting"] >= 30 or service.of_type("package_changes"))
            dpkg.communicate(b"go\n")
        assert dpkg.returncode == 0
        (watched / "by-hand").write_text("x")
        service.told(watched / "by-hand", "new")

    run = service.of_type("package_changes")[0]
    assert run["package_manager"] == "dpkg"
    assert run["over"]
    assert {one["path"] for one in run["changes"]} >= {str(watched / "opt/tool" / f"{n}") for n in range(30)}
    assert run["executables"].keys() <= {"/usr/bin/dpkg", "/usr/bin/dpkg-deb", "unknown"}
    assert not [one for one in service.of_type("file_change") if "/opt/tool/" in one["path"]]


def test_a_script_of_a_manager_counts_as_the_manager() -> None:
    runs = Runs()

    taken = runs.take(change("/etc/x", DPKG), 1.0), runs.take(change("/etc/y", SCRIPT), 1.0)

    assert taken == (True, True)
    assert runs.waiting() == 2


def test_what_somebody_else_changes_during_a_run_is_told_as_always() -> None:
    runs = Runs()
    runs.take(change("/etc/x", DPKG), 1.0)

    assert not runs.take(change("/etc/cron.d/evil", EDITOR), 1.5)
    assert not runs.take(change("/etc/shared", DPKG, EDITOR), 1.5)


def test_what_nobody_is_known_for_belongs_to_a_run_only_while_it_lasts_and_is_counted() -> None:
    runs = Runs()
    runs.take(change("/etc/x", DPKG), 1.0)

    during = runs.take(change("/etc/y", GONE), 2.0)
    after = runs.take(change("/etc/z"), 100.0)
    (run, over), *_ = runs.due(100.0)

    assert (during, after) == (True, False)
    assert run.unattributed == {"/etc/y"}
    assert over


def test_a_long_run_is_told_in_parts() -> None:
    runs = Runs()
    runs.take(change("/etc/x", DPKG), 1.0)
    runs.take(change("/etc/y", DPKG), 62.0)

    (part, over), *_ = runs.due(62.5)
    runs.take(change("/etc/z", DPKG), 63.0)
    (last, last_over), *_ = runs.due(70.0)

    assert (sorted(part.changes), over) == (["/etc/x", "/etc/y"], False)
    assert (sorted(last.changes), last_over) == (["/etc/z"], True)
    assert last.began == part.began


def test_only_programs_where_managers_lie_are_managers() -> None:
    assert managers.of_program("/usr/bin/dpkg") == "dpkg"
    assert managers.of_program("/usr/bin/dpkg (deleted)") == "dpkg"
    assert managers.of_script("/usr/bin/dnf-3") == "dnf"
    assert managers.of_program("/tmp/dpkg") == ""
    assert managers.of_program("/usr/bin/vim") == ""

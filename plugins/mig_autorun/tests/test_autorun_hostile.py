"""What somebody put there to keep the module from answering: it answers, in time, and says what it left out."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mig_autorun import AutorunModule
from mig_autorun.commands import shell_runs, word_runs
from mig_autorun.cron import Tables
from mig_autorun.finding import Found
from mig_autorun.programs import Programs
from mig_autorun.readers.reading import Look
from mig_autorun.readers.table import READERS
from mig_autorun.system import NETWORK, File, System
from mig_autorun.systemd.unit_file import commands
from mig_core.plugin.coverage import Tally
from mig_endpoint.packages.tree import Tree
from mig_endpoint.places.place import all_places
from mig_endpoint.testing.containers import contained

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Root

LIB = "/usr/lib/systemd/system"
TEXTS = st.one_of(
    st.binary(max_size=200),
    st.text("abc /*:;={}[]\"'\\$()|&<>#,.-@%\n\t\r\0é0123456789", max_size=200).map(str.encode),
)
SOON = 10.0
"""Seconds of the processor: how long that is on a busy machine says nothing of the module."""


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@example(content=b"\\", name="x")
@example(content=b" \\\n \\\n", name="x.conf")
@given(content=TEXTS, name=st.sampled_from(["x", "x.conf", "a.b.c", "a0000a01c5d2f8", ".pth"]))
def test_every_reader_takes_any_content(tmp_path: Path, content: bytes, name: str) -> None:
    folder = tmp_path / "a/b/c"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    system = System(Tree(str(tmp_path)), Tally(), lambda: 60.0, time.time())
    look, tables = Look(system, Programs(system)), Tables(system)
    file = File(f"/a/b/c/{name}", str(folder / name), os.lstat(folder / name))

    for place in all_places():
        found = Found(place, file)
        if place.reader in READERS:
            list(READERS[place.reader](found, look))
        elif place.reader.startswith(("crontab", "anacrontab", "at")):
            list(tables.jobs_of(found))


@settings(max_examples=200, deadline=None)
@given(text=st.text("ab /;&|<>()'\"\\$`#=\n\t-.\0", max_size=80))
def test_any_text_is_taken_apart(text: str) -> None:
    shell_runs(text)
    for command in commands(text):
        word_runs(list(command.words))


@pytest.mark.parametrize(
    ("path", "piece", "count"),
    [
        ("/etc/apt/apt.conf.d/x", "/*", 2_000_000),
        ("/etc/apt/apt.conf.d/x", '"', 3_000_000),
        ("/etc/ssh/ssh_config", "Match exec ", 300_000),
        ("/etc/rsyslog.d/x.conf", 'type="omprog" binary ', 180_000),
        ("/etc/udev/rules.d/x.rules", 'A{"', 1_000_000),
        ("/etc/crontab", "* * * * * root $(\n", 4_000),
        ("/etc/crontab", "\"$('", 1_000_000),
        ("/etc/fstab", "a\\\n", 1_000_000),
        (f"{LIB}/x.service", "[Service]\\\n", 300_000),
        (f"{LIB}/x.service", "[Service]\nExecStart='", 100_000),
        ("/etc/systemd/system/y.service.d/x.conf", "\\", 3_000_000),
        ("/etc/ld.so.preload", ":", 3_000_000),
        ("/etc/nsswitch.conf", "passwd: [", 400_000),
        ("/etc/pam.d/x", "auth [", 500_000),
        ("/var/lib/docker/containers/a/config.v2.json", "[", 3_000_000),
    ],
)
def test_a_file_made_to_take_long_does_not(root: Root, path: str, piece: str, count: int) -> None:
    root.write(path, piece * count)
    began = time.process_time()

    result = root.ask()

    assert result.success, result.errors
    assert time.process_time() - began < SOON


def test_links_and_aliases_in_circles_end(root: Root) -> None:
    root.link(f"{LIB}/a.service", "b.service")
    root.link(f"{LIB}/b.service", "a.service")
    root.link(f"{LIB}/c.service", "c.service")
    root.link(f"{LIB}/default.target", "default.target")
    root.link("/etc/cron.d", "cron.d")
    root.link("/home/bob/.config", ".")
    root.write(f"{LIB}/x.service", "[Unit]\nWants=y.service\n[Service]\nExecStart=/x\n")
    root.write(f"{LIB}/y.service", "[Unit]\nWants=x.service\n[Service]\nExecStart=/y\n")

    assert root.ask().success


def test_a_link_in_front_of_a_file_hides_it_not_and_one_folder_under_two_names_is_told_once(root: Root) -> None:
    root.program("/usr/sbin/cron")
    root.write("/etc/cron.d/zz", "* * * * * root /opt/x\n")
    root.link("/etc/cron.d/aa", "zz")
    root.link("/lib", "usr/lib")
    root.write("/usr/lib/udev/rules.d/1.rules", 'RUN+="/opt/y"\n')
    root.link("/usr/lib/udev/rules.d/2.rules", "1.rules")

    rows = root.rows()

    assert [row["name"] for row in rows if row["kind"] == "cron"] == ["aa", "zz"]
    assert [row["name"] for row in rows if row["kind"] == "udev"] == ["1.rules", "2.rules"]


def test_names_and_paths_that_no_file_can_have_are_only_not_there(root: Root) -> None:
    root.write(
        f"{LIB}/x.service",
        "[Service]\nExecStart=/a\\x00b\nExecStart=/" + "y/" * 3000 + "\nExecStart=/\\xff\\xc3\\xa9\n",
    )
    root.write(b"/etc/cron.d/\xff\n".decode("utf-8", "surrogateescape"), "* * * * * root /opt/x\n")

    rows = root.rows("systemd")

    assert [row["exists"] for row in rows] == [False, False, False]
    assert rows[2]["runs"] == "/\\xffé"


def test_what_is_no_regular_file_is_not_waited_for(root: Root) -> None:
    for path in ("etc/crontab", "etc/ld.so.preload", "etc/fstab", "var/lib/dpkg/diversions"):
        (root.path / path).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(root.path / path)

    result = root.ask()

    assert result.success
    assert any(one.reason == "not a regular file" for one in result.coverage.skipped)


def test_a_file_that_is_too_large_is_read_so_far_and_booked(root: Root) -> None:
    root.write("/etc/ld.so.preload", "/a.so\n" + "#" * (5 << 20))

    result = root.ask(kind=["^ld-preload$"])

    assert result.found
    assert not result.coverage.complete


def test_folders_deeper_than_anybody_makes_them_are_booked(root: Root) -> None:
    root.write("/etc/NetworkManager/dispatcher.d/" + "d/" * 20 + "x")

    assert not root.ask(kind=["^network-hook$"]).coverage.complete


def test_a_containers_own_network_mounts_are_booked_and_not_waited_for(root: Root) -> None:
    root.write("/etc/cron.d/x", "* * * * * root /opt/x\n")
    (root.path / "etc/profile.d").mkdir()
    with contained(root.path, silent="/etc/profile.d") as place:
        result = root.ask(root=place)

    assert "/opt/x" in [row.get("runs") for row in AutorunModule().rows(result)]
    skipped = {one.reason: one.examples for one in result.coverage.skipped}
    assert skipped[NETWORK.text] == ("/etc/profile.d",)
    assert not result.coverage.complete

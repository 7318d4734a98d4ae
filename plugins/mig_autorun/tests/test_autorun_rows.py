"""What a row says of a program: whose, who may change it, which package, when; and what is never claimed."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mig_autorun import AutorunModule
from mig_core.plugin.module import Context
from mig_core.testing.services import service_missing
from mig_endpoint.testing.privileges import NOBODY

if TYPE_CHECKING:
    from .conftest import Root

INFO = "/var/lib/dpkg/info"
UNIT = "/usr/lib/systemd/system/x.service"


def with_unit(root: Root, command: str = "/usr/bin/x") -> None:
    root.write(UNIT, f"[Service]\nExecStart={command}\n")
    root.program("/usr/bin/x")


def test_the_package_of_a_program_is_found_under_both_names_of_a_merged_usr(root: Root) -> None:
    with_unit(root)
    root.write(f"{INFO}/x:amd64.list", "/.\n/bin/x\n/lib/systemd/system/x.service\n")

    (row,) = root.rows("systemd")

    assert (row["package"], row["defined_by"], row["unpackaged"]) == ("x", "x", False)


def test_a_link_belongs_to_the_package_of_what_it_leads_to_or_to_its_own(root: Root) -> None:
    root.program("/usr/bin/vim.basic")
    root.link("/usr/bin/vi", "/etc/alternatives/vi")
    root.link("/etc/alternatives/vi", "/usr/bin/vim.basic")
    root.write(UNIT, "[Service]\nExecStart=/usr/bin/vi\n")
    root.write(f"{INFO}/vim.list", "/usr/bin/vim.basic\n")

    (row,) = root.rows("systemd")

    assert row["package"] == "vim"
    assert row["unpackaged"]  # the unit is nobody's
    assert "defined_by" not in row


def test_a_drop_in_that_nobody_packaged_is_told_of_all_that_the_unit_runs(root: Root) -> None:
    with_unit(root)
    root.write(f"{INFO}/x.list", f"/usr/bin/x\n{UNIT}\n")
    root.write("/etc/systemd/system/x.service.d/1.conf", "[Service]\nExecStartPost=/usr/bin/x --evil\n")

    rows = root.named("systemd", by="key")

    assert {key: (row["unpackaged"], row.get("defined_by")) for key, row in rows.items()} == {
        "ExecStart": (True, "x"),
        "ExecStartPost": (True, None),
    }


def test_a_diverted_file_is_its_diverters_and_the_original_lies_elsewhere(root: Root) -> None:
    with_unit(root)
    root.write(UNIT, "[Service]\nExecStart=/usr/bin/x\nExecStart=/usr/bin/x.orig\n")
    root.program("/usr/bin/x.orig")
    root.write("/var/lib/dpkg/diversions", "/usr/bin/x\n/usr/bin/x.orig\ndiverter\n")
    root.write(f"{INFO}/original.list", "/usr/bin/x\n")
    root.write(f"{INFO}/diverter.list", "/usr/bin/x\n")

    rows = root.named("systemd", by="runs")

    assert {path: row["package"] for path, row in rows.items()} == {
        "/usr/bin/x": "diverter",
        "/usr/bin/x.orig": "original",
    }


def test_what_was_diverted_by_hand_is_nobodys(root: Root) -> None:
    with_unit(root)
    root.write("/var/lib/dpkg/diversions", "/usr/bin/x\n/usr/bin/x.orig\n:\n")
    root.write(f"{INFO}/original.list", f"/usr/bin/x\n{UNIT}\n")

    (row,) = root.rows("systemd")

    assert "package" not in row
    assert row["unpackaged"]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/lib/apk/db/installed", "P:x\nV:1\nF:usr/bin\nR:x\nF:usr/lib/systemd/system\nR:x.service\n\nP:y\n"),
        (
            "/var/lib/pacman/local/x-1.0-1/files",
            "%FILES%\nusr/\nusr/bin/x\nusr/lib/systemd/system/x.service\n\n%BACKUP%\n",
        ),
        ("/var/lib/dpkg/status.d/x.md5sums", f"{'0' * 32}  usr/bin/x\n{'0' * 32}  usr/lib/systemd/system/x.service\n"),
    ],
)
def test_owners_come_from_every_kind_of_database(root: Root, path: str, content: str) -> None:
    with_unit(root)
    (root.path / f"{INFO}/base-files.list"[1:]).unlink()
    root.write(path, content)

    (row,) = root.rows("systemd")

    assert (row["package"], row["defined_by"], row["unpackaged"]) == ("x", "x", False)


def test_without_a_database_or_with_one_that_cannot_be_read_an_owner_is_not_known(root: Root) -> None:
    with_unit(root)
    (root.path / f"{INFO}/base-files.list"[1:]).unlink()

    without = root.ask(kind=["^systemd$"])
    root.write("/var/lib/rpm/Packages", "an old form")
    (old,) = root.rows("systemd")

    assert not without.coverage.complete
    assert without.coverage.skipped[0].reason == "owner of a file is not known: no package database found"
    assert (old["package"], old["defined_by"], old["unpackaged"]) == (None, None, None)


def test_a_list_that_cannot_be_read_leaves_what_was_not_found_unknown_and_what_was_found_known(root: Root) -> None:
    with_unit(root)
    root.write(f"{INFO}/x.list", "/usr/bin/x\n")
    (root.path / f"{INFO}/y.list"[1:]).mkdir()

    (row,) = root.rows("systemd")

    assert (row["package"], row["defined_by"], row["unpackaged"]) == ("x", None, None)


@pytest.mark.parametrize(
    ("path", "mode", "owner", "expected"),
    [
        ("/usr/bin/x", 0o755, 0, False),
        ("/usr/bin/x", 0o757, 0, True),
        ("/usr/bin/x", 0o755, 1000, True),
        ("/usr/bin", 0o777, 0, True),
        ("/usr/bin", 0o1777, 0, False),
        (UNIT, 0o646, 0, True),
        ("/usr/lib/systemd", 0o757, 0, True),
    ],
)
def test_what_others_may_change_is_told_by_file_and_folders_above(
    root: Root, path: str, mode: int, owner: int, expected: bool
) -> None:
    if os.geteuid() != 0:
        service_missing("files of others are made by root")
    with_unit(root)
    os.chown(root.path / path[1:], owner, 0)
    (root.path / path[1:]).chmod(mode)

    (row,) = root.rows("systemd")

    assert row["writable"] is expected


@pytest.mark.parametrize("path", ["/usr//bin/x", "/usr/bin/../bin/./x", "/bin/x"])
def test_a_program_is_there_however_its_path_is_written(root: Root, path: str) -> None:
    with_unit(root, path)
    root.link("/bin", "usr/bin")
    root.write(f"{INFO}/x.list", f"/usr/bin/x\n{UNIT}\n")

    (row,) = root.rows("systemd")

    assert (row["exists"], row["package"], row["unpackaged"]) == (True, "x", False)


def test_a_program_that_is_not_there_is_writable_where_others_may_put_it(root: Root) -> None:
    with_unit(root, "/srv/drop/later")
    (root.path / "srv/drop").mkdir(parents=True)
    (root.path / "srv/drop").chmod(0o777)

    (row,) = root.rows("systemd")

    assert (row["exists"], row["writable"]) == (False, True)
    assert "package" not in row


def test_a_user_may_change_what_runs_as_that_user(root: Root) -> None:
    if os.geteuid() != 0:
        service_missing("files of others are made by root")
    for path in (root.path / "home/bob", root.write("/home/bob/.bashrc", "")):
        os.chown(path, 1000, 1000)

    (row,) = root.rows("shell")

    assert (row["user"], row["owner"], row["writable"]) == ("bob", "bob", False)


def test_the_last_change_is_that_of_any_part_and_of_the_file_systems_clock(root: Root) -> None:
    with_unit(root)
    os.utime(root.path / UNIT[1:], (1, 1))

    (recent,) = root.rows("systemd", changed=["<1h"])
    older = root.rows("systemd", modified=["<1h"])

    assert recent["modified"] == "1970-01-01T00:00:01Z"
    assert older == []


def test_a_program_is_hashed_on_request_only(root: Root) -> None:
    with_unit(root)
    digest = hashlib.sha256(b"#!/bin/sh\n").hexdigest()

    (plain,) = root.rows("systemd")
    (hashed,) = root.rows("systemd", sha256=[digest])

    assert "sha256" not in plain
    assert hashed["sha256"] == digest


def test_what_a_package_brought_and_somebody_changed_is_told_on_request(root: Root) -> None:
    with_unit(root)
    root.write("/etc/x.conf", "")
    root.write(f"{INFO}/x.list", f"/usr/bin/x\n{UNIT}\n/etc/pam.d/x\n")
    unit = hashlib.md5((root.path / UNIT[1:]).read_bytes(), usedforsecurity=False).hexdigest()
    script = hashlib.md5(b"#!/bin/sh\n", usedforsecurity=False).hexdigest()
    root.write(f"{INFO}/x.md5sums", f"{script}  usr/bin/x\n{unit}  lib/systemd/system/x.service\n")
    root.write("/etc/pam.d/x", "auth required /usr/bin/x\n")
    root.write("/var/lib/dpkg/status", f"Package: x\nConffiles:\n /etc/pam.d/x {'0' * 32}\nVersion: 1\n")

    good, bad = ([row["kind"] for row in root.rows(altered=wanted)] for wanted in (False, True))
    root.write("/usr/bin/x", "#!/bin/sh\nevil\n", 0o755)
    (row,) = root.rows("systemd", altered=True)

    assert (good, bad) == (["systemd"], ["pam"])
    assert row["runs"] == "/usr/bin/x"
    assert "altered" not in root.rows("systemd")[0]


def test_links_stay_below_the_root(root: Root) -> None:
    root.link("/etc/ld.so.preload", "/outside")
    root.link("/etc/cron.d", "/../../../../etc")

    assert root.rows("ld-preload") == [
        {
            **root.rows("ld-preload")[0],
            "enabled": False,
            "state": "dangling",
        }
    ]


def test_a_home_that_may_not_be_looked_into_is_booked_once() -> None:
    if os.geteuid() != 0:
        service_missing("taking privileges away needs root")
    module = AutorunModule()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        home = Path(folder) / "home/bob"
        home.mkdir(parents=True, mode=0o700)
        (home / ".bashrc").write_text("")
        asked = module.parse_parameters({"root": folder, "kind": ["^shell$"]})
        os.seteuid(NOBODY)
        try:
            result = module.run(asked, Context(deadline=time.monotonic() + 30))
        finally:
            os.seteuid(0)

    denied = [one for one in result.coverage.skipped if one.reason == "permission denied"]
    assert [(one.count, one.examples) for one in denied] == [(1, ("/home/bob",))]
    assert not result.coverage.complete


def test_a_root_that_is_not_there_is_no_empty_system(root: Root) -> None:
    (root.path / "file").write_text("")

    for path in ("/nowhere", "/file"):
        result = AutorunModule().run(
            AutorunModule().parse_parameters({"root": f"{root.path}{path}"}), Context(deadline=time.monotonic() + 9)
        )

        assert not result.coverage.complete
        assert result.errors


def test_a_root_that_nothing_is_mounted_at_is_no_system_without_anything(tmp_path: Path) -> None:
    module = AutorunModule()

    result = module.run(module.parse_parameters({"root": str(tmp_path)}), Context(deadline=time.monotonic() + 9))

    assert not result.coverage.complete
    assert [skip.reason for skip in result.coverage.skipped] == ["root without a system: neither /etc nor /usr"]


def test_a_system_without_anything_is_looked_at_whole(root: Root) -> None:
    result = root.ask()

    assert result.success
    assert result.coverage.complete
    assert result.errors == ()


def test_the_rows_of_this_system_are_sound_and_soon_there() -> None:
    module = AutorunModule()

    result = module.run(module.parse_parameters({}), Context(deadline=time.monotonic() + 60))

    rows = list(module.rows(result))
    assert result.success, result.errors
    assert {"systemd", "pam", "mounted"} <= {row["kind"] for row in rows}
    assert all("path" in row or row["kind"] == "ebpf" for row in rows)


def test_a_deadline_that_comes_early_keeps_what_was_found(root: Root) -> None:
    with_unit(root)
    module = AutorunModule()
    asked = module.parse_parameters({"root": str(root.path)})

    result = module.run(asked, Context(deadline=time.monotonic() - 1))

    assert result.success
    assert not result.coverage.complete

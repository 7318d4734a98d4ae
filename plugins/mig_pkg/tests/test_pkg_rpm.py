"""rpm: a database made by the real program where it is installed, and programs that misbehave."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import pathlib

SPEC = """Name: {name}
Version: {version}
Release: 4.el9
{epoch}Summary: test
License: none
BuildArch: noarch
%description
test
%files
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    rpm, rpmbuild = shutil.which("rpm"), shutil.which("rpmbuild")
    if rpm is None or rpmbuild is None:
        pytest.skip("rpm and rpmbuild are not installed")
    place = tmp_path_factory.mktemp("rpm")
    environment = {**os.environ, "HOME": str(place)}  # Debian's rpm keeps a database there
    for name, version, epoch in (("alpha", "1.2", ""), ("beta", "3.0~rc1", "Epoch: 2\n")):
        spec = place / f"{name}.spec"
        spec.write_text(SPEC.format(name=name, version=version, epoch=epoch))
        subprocess.run(
            [rpmbuild, "-bb", "--quiet", "--define", f"_topdir {place}/build", str(spec)],
            check=True,
            capture_output=True,
            env=environment,
        )
    database = place / "root/var/lib/rpm"
    database.mkdir(parents=True)
    packages = map(str, (place / "build/RPMS").rglob("*.rpm"))
    subprocess.run(
        [rpm, "--dbpath", str(database), "-i", "--justdb", "--nodeps", *packages],
        check=True,
        capture_output=True,
        env=environment,
    )
    return place / "root"


def test_the_real_database_of_a_mounted_system_is_read(root: pathlib.Path, ask: Any) -> None:
    said = ask("^(alpha|beta)$", root=str(root))

    assert sorted([*row.values()] for row in said.rows) == [
        ["alpha", "1.2-4.el9", "rpm", "noarch", "alpha", "1.2-4.el9"],
        ["beta", "2:3.0~rc1-4.el9", "rpm", "noarch", "beta", "3.0~rc1-4.el9"],
    ]
    assert said.complete


def test_versions_of_rpm_packages_are_compared_as_rpm_does(root: pathlib.Path, ask: Any) -> None:
    assert ask(".", version="=1.2", root=str(root)).names == ["alpha"]
    assert sorted(ask(".", version="<2:3.0", root=str(root), types=["rpm"]).names) == ["alpha", "beta"]
    assert ask(".", version="<2:3.0~rc1", root=str(root)).names == ["alpha"]
    assert ask("^beta$", version=">=2:3.0", root=str(root)).names == []


def test_a_database_without_its_program_is_not_a_clean_endpoint(
    ask: Any, write: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    write("/var/lib/rpm/Packages.db", "x")

    said = ask(".", root=str(tmp_path))

    assert said.reasons["package database unreadable"] == 1
    assert "needs the rpm program" in said.result.errors[0]


def tree(root: pathlib.Path) -> dict[str, tuple[int, int]]:
    """Every file below, with size and time of its last change."""
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in root.rglob("*")}


def test_a_mounted_system_is_read_without_the_program_and_left_as_it_was(
    root: pathlib.Path, ask: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    before = tree(root)

    said = ask(".", root=str(root))

    assert sorted(said.names) == ["alpha", "beta"]
    assert said.complete
    assert tree(root) == before


def test_what_is_only_in_the_write_ahead_log_is_found(root: pathlib.Path, ask: Any, tmp_path: pathlib.Path) -> None:
    place = tmp_path / "usr/lib/sysimage/rpm"
    shutil.copytree(root / "var/lib/rpm", place)
    with contextlib.closing(sqlite3.connect(place / "rpmdb.sqlite")) as open_elsewhere:
        open_elsewhere.execute("PRAGMA journal_mode=WAL")
        for number, header in open_elsewhere.execute("SELECT hnum, blob FROM Packages").fetchall():
            changed = header.replace(b"alpha", b"omega")
            open_elsewhere.execute("UPDATE Packages SET blob = ? WHERE hnum = ?", (changed, number))
        open_elsewhere.commit()
        before = tree(place)

        said = ask("^(alpha|omega)$", root=str(tmp_path))

        assert said.names == ["omega"]
        assert tree(place) == before


def test_a_database_that_this_rpm_cannot_read_is_said_and_left_alone(
    ask: Any, write: Any, tmp_path: pathlib.Path
) -> None:
    if shutil.which("rpm") is None:
        pytest.skip("rpm is not installed")
    write("/usr/lib/sysimage/rpm/Packages.db", b"RpmP\0\0\0\0\1\0\0\0" + bytes(4084))
    before = tree(tmp_path)

    said = ask("^bash$", root=str(tmp_path))

    assert said.reasons["package database unreadable"] == 1
    assert "Packages.db" in said.result.errors[0]
    assert tree(tmp_path) == before


def test_two_databases_are_both_read_and_a_damaged_one_costs_only_itself(
    root: pathlib.Path, ask: Any, write: Any, tmp_path: pathlib.Path
) -> None:
    shutil.copytree(root / "var/lib/rpm", tmp_path / "usr/share/rpm")
    write("/var/lib/rpm/rpmdb.sqlite", "no database" * 100)

    said = ask(".", root=str(tmp_path))

    assert sorted(said.names) == ["alpha", "beta"]
    assert said.reasons == {"package database unreadable": 1}


def test_the_manifest_of_azure_linux_s_small_images_is_read(ask: Any, write: Any, tmp_path: pathlib.Path) -> None:
    write(
        "/var/lib/rpmmanifest/container-manifest-2",
        "glibc\t2.38-8.azl3\t1727000000\t1726000000\tMicrosoft Corporation\t(none)\t11164472\tx86_64\t0\t"
        "glibc-2.38-8.azl3.src.rpm\nopenssl\t3.3.2-1.azl3\t1\t1\tM\t1\t2\tx86_64\t1\topenssl-3.3.2-1.azl3.src.rpm\n",
    )

    said = ask(".", root=str(tmp_path))

    assert [(row["name"], row["version"], row["source"]) for row in said.rows] == [
        ("glibc", "2.38-8.azl3", "glibc"),
        ("openssl", "1:3.3.2-1.azl3", "openssl"),
    ]
    assert said.complete


@pytest.mark.parametrize("script", ["exit 3", "echo 'error: cannot open Packages' >&2", "kill -9 $$"])
def test_an_rpm_that_fails_is_not_a_clean_endpoint(
    script: str, ask: Any, write: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    write("bin/rpm", f"#!/bin/sh\necho 'bash 1-1 x86_64'\n{script}\n", mode=0o755)

    said = ask(".", types=["rpm"])

    assert said.names == ["bash"]
    assert said.reasons == {"package manager failed": 1}


def test_an_rpm_without_a_database_is_left_alone(
    ask: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("rpm") is None:
        pytest.skip("rpm is not installed")
    monkeypatch.setenv("HOME", str(tmp_path))  # where Debian's rpm would make one
    if os.path.exists("/var/lib/rpm") or os.path.exists("/usr/lib/sysimage/rpm"):
        pytest.skip("this machine has an rpm database")

    said = ask(".", types=["rpm"])

    assert said.reasons == {"no package manager found": 1}
    assert list(tmp_path.iterdir()) == []


def test_an_rpm_without_any_package_is_not_a_clean_endpoint(
    ask: Any, write: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    write("bin/rpm", "#!/bin/sh\n", mode=0o755)

    assert ask(".", types=["rpm"]).reasons == {"no installed package found in any database": 1}


def test_an_rpm_that_never_stops_is_cut_off(
    ask: Any, write: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    write("bin/rpm", "#!/bin/sh\nwhile :; do echo 'bash 1-1 x86_64'; done\n", mode=0o755)

    said = ask("^nosuch$", types=["rpm"], seconds=0.3)

    assert set(said.reasons) <= {"time ran out", "too many packages"}
    assert not said.complete


def test_a_pipe_in_place_of_a_database_is_not_waited_for(ask: Any, tmp_path: pathlib.Path) -> None:
    (tmp_path / "var/lib/rpm").mkdir(parents=True)
    os.mkfifo(tmp_path / "var/lib/rpm/rpmdb.sqlite")

    said = ask(".", root=str(tmp_path), types=["rpm"])

    assert not said.complete
    assert "not a regular file" in said.result.errors[0]


def test_a_query_without_end_in_place_of_the_table_ends_with_the_deadline(ask: Any, tmp_path: pathlib.Path) -> None:
    (tmp_path / "var/lib/rpm").mkdir(parents=True)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    with contextlib.closing(sqlite3.connect(tmp_path / "var/lib/rpm/rpmdb.sqlite")) as connection:
        connection.execute(f"CREATE VIEW Packages AS {endless} SELECT i AS rowid, x'' AS blob FROM n WHERE i < 0")
        connection.commit()

    said = ask(".", root=str(tmp_path), types=["rpm"], seconds=1)

    assert said.reasons == {"time ran out": 1}


def test_a_copy_for_which_there_is_no_room_is_not_begun(
    ask: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("rpmdb.sqlite", "rpmdb.sqlite-wal"):
        (tmp_path / "var/lib/rpm").mkdir(parents=True, exist_ok=True)
        (tmp_path / "var/lib/rpm" / name).write_bytes(b"x" * 100)
    monkeypatch.setattr(os, "fstatvfs", lambda _: os.statvfs_result((1, 1, 10, 10, 10, 0, 0, 0, 0, 255)))

    said = ask(".", root=str(tmp_path), types=["rpm"])

    assert "there is no room for a copy of it" in said.result.errors[0]

"""apk and pacman; choosing types; mounted systems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import pathlib

APK = """C:Q1abc=
P:musl
V:1.2.4-r2
A:x86_64
o:musl
T:the libc
F:lib
R:ld-musl-x86_64.so.1

P:openssl
V:3.1.4-r5
A:x86_64
o:openssl3
F:etc
P:not-a-name
"""


def desc(name: str, version: str) -> str:
    return f"%NAME%\n{name}\n\n%VERSION%\n{version}\n\n%BASE%\n{name}-base\n\n%ARCH%\nx86_64\n\n%DESC%\nx\n"


@pytest.mark.parametrize("place", ["/lib/apk/db/installed", "/usr/lib/apk/db/installed"])
def test_apk_s_packages_are_read(place: str, write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write(place, APK)

    said = ask(".", root=str(tmp_path))

    assert said.rows == [
        {"name": "musl", "version": "1.2.4-r2", "type": "apk", "arch": "x86_64", "source": "musl"},
        {"name": "openssl", "version": "3.1.4-r5", "type": "apk", "arch": "x86_64", "source": "openssl3"},
    ]
    assert said.complete
    assert said.result.coverage.examined == {"packages": 2, "apk": 2}
    assert ask(".", version="<3.1.4-r6,>2", root=str(tmp_path)).names == ["openssl"]


@pytest.mark.parametrize("configuration", ["", "[options]\n#DBPath = /x\nDBPath  = /srv/pacman/\n"])
def test_pacman_s_packages_are_read(configuration: str, write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    base = "/srv/pacman" if configuration else "/var/lib/pacman"
    write("/etc/pacman.conf", configuration)
    write(f"{base}/local/ALPM_DB_VERSION", "9\n")
    write(f"{base}/local/zlib-1:1.3-2/desc", desc("zlib", "1:1.3-2"))
    write(f"{base}/local/bash-5.2-1/desc", desc("bash", "5.2-1"))
    write(f"{base}/local/broken-1-1/files", "")

    said = ask(".", root=str(tmp_path))

    assert [list(row.values()) for row in said.rows] == [
        ["bash", "5.2-1", "pacman", "x86_64", "bash-base", "5.2-1"],
        ["broken", "1-1", "pacman", ""],
        ["zlib", "1:1.3-2", "pacman", "x86_64", "zlib-base", "1:1.3-2"],
    ]
    assert said.complete


def test_a_pacman_package_is_what_its_directory_is_called(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/var/lib/pacman/local/foo-1.0-1/desc", desc("other", "2.0-1"))

    assert [(row["name"], row["version"]) for row in ask(".", root=str(tmp_path)).rows] == [("foo", "1.0-1")]


def test_both_of_apk_s_databases_are_read_and_one_behind_a_link_once(
    write: Any, ask: Any, tmp_path: pathlib.Path
) -> None:
    write("/usr/lib/apk/db/installed", "P:musl\nV:1-r0\nA:x86_64\n\n")

    (tmp_path / "lib").symlink_to("usr/lib")
    assert ask(".", root=str(tmp_path)).names == ["musl"]
    (tmp_path / "lib").unlink()
    write("/lib/apk/db/installed", "P:older\nV:1-r0\nA:x86_64\n\n")
    assert sorted(ask(".", root=str(tmp_path)).names) == ["musl", "older"]


def test_a_type_that_was_named_and_is_not_there_is_booked(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/lib/apk/db/installed", APK)

    assert ask(".", root=str(tmp_path)).complete
    assert ask(".", root=str(tmp_path), types=["apk", "pacman"]).reasons == {"no package manager found": 1}
    assert ask(".", root=str(tmp_path), types=["npm"]).reasons == {"no directory of packages found": 1}


@pytest.mark.parametrize(
    "place",
    ["/nix/var/nix/db/db.sqlite", "/home/linuxbrew/.linuxbrew/Cellar/jq/1.7/bin/jq", "/var/db/pkg/app-misc/jq-1.7/PF"],
)
def test_a_manager_that_is_not_read_makes_the_answer_incomplete(
    write: Any, ask: Any, tmp_path: pathlib.Path, place: str
) -> None:
    write("/lib/apk/db/installed", APK)
    write(place, "")

    assert ask(".", root=str(tmp_path)).reasons == {"packages of a manager that is not known here": 1}
    assert ask(".", root=str(tmp_path), types=["apk"]).complete


def test_an_empty_system_is_not_a_clean_one(ask: Any, tmp_path: pathlib.Path) -> None:
    assert ask(".", root=str(tmp_path)).reasons == {"no package manager found": 1}


def test_a_root_that_is_not_there_is_a_failure_that_names_it(ask: Any, tmp_path: pathlib.Path) -> None:
    said = ask(".", root=str(tmp_path / "nosuch"))

    assert not said.result.success
    assert "nosuch" in said.result.errors[0]


def test_links_of_a_mounted_system_stay_in_it(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    outside = write("/outside/installed", "P:outside\nV:1\nA:x\n")
    write("/system/data/installed", "P:inside\nV:1\nA:x\n")
    db = tmp_path / "system/lib/apk/db"
    db.parent.mkdir(parents=True)
    db.symlink_to("/../../../data")
    root = str(tmp_path / "system")

    assert ask(".", root=root).names == ["inside"]

    (tmp_path / "system/data/installed").unlink()
    (tmp_path / "system/data/installed").symlink_to(outside)
    assert ask(".", root=root).names == []

    (tmp_path / "system/data/installed").unlink()
    (tmp_path / "system/data/installed").symlink_to("/lib/apk/db/installed")
    assert ask(".", root=root).names == []


def test_a_version_that_cannot_be_compared_makes_the_answer_incomplete(
    write: Any, ask: Any, tmp_path: pathlib.Path
) -> None:
    write("/lib/apk/db/installed", APK + "\nP:odd\nV:from-git\nA:x\n")

    said = ask(".", version=">1", root=str(tmp_path))

    assert said.names == ["musl", "openssl"]
    assert said.reasons == {"version could not be compared": 1}
    assert ask("^odd$", version="git", root=str(tmp_path)).complete


def test_a_snap_that_is_called_like_none_is_booked(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/var/lib/snapd/snaps/Evil_1.snap", "")

    assert ask(".", root=str(tmp_path), types=["snap"]).reasons["record not understood"] == 1


def test_a_description_that_is_longer_than_is_read_is_booked(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/var/lib/pacman/local/bash-5.2-1/desc", "%FILES%\n" + "x" * (1 << 16) + "\n%BASE%\nshells\n")

    said = ask(".", root=str(tmp_path), types=["pacman"])

    assert [(row["name"], row["version"]) for row in said.rows] == [("bash", "5.2-1")]
    assert said.reasons == {"database too large": 1}
    assert not said.complete

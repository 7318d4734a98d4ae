"""dpkg's database: states, names, updates, wrappers; held against ``dpkg`` itself where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import pathlib

HAS_DPKG = pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is not installed")


def record(
    name: str, status: str = "install ok installed", version: str = "1.0-1", arch: str = "amd64", extra: str = ""
) -> str:
    fields = (
        f"Package: {name}\nStatus: {status}\nPriority: optional\nMaintainer: x <x@example.org>\nArchitecture: {arch}\n"
    )
    return fields + extra + (f"Version: {version}\n" if version else "") + f"Description: {name}\n more\n .\n text\n\n"


STATES = {
    "installed": "install ok installed",
    "held": "hold ok installed",
    "half-installed": "install reinstreq half-installed",
    "unpacked": "install ok unpacked",
    "half-configured": "install ok half-configured",
    "triggers-awaited": "install ok triggers-awaited",
    "triggers-pending": "install ok triggers-pending",
    "config-files": "deinstall ok config-files",
    "not-installed": "purge ok not-installed",
}


def status_of_all_states() -> str:
    return "".join(record(f"p-{name}", status) for name, status in STATES.items())


def test_every_state_with_files_on_disk_is_reported_with_its_name(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/var/lib/dpkg/status", status_of_all_states())

    said = ask("^p-", root=str(tmp_path))

    assert {(row["name"], row["state"], row.get("selection"), row.get("reinstall")) for row in said.rows} == {
        ("p-installed", "installed", None, None),
        ("p-held", "installed", "hold", None),
        ("p-half-installed", "half-installed", None, True),
        ("p-unpacked", "unpacked", None, None),
        ("p-half-configured", "half-configured", None, None),
        ("p-triggers-awaited", "triggers-awaited", None, None),
        ("p-triggers-pending", "triggers-pending", None, None),
    }
    assert said.complete


def test_rows_begin_with_the_original_s_keys_and_tell_the_source(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write(
        "/var/lib/dpkg/status",
        record("dpkg")
        + record("libc6", extra="Multi-Arch: same\nSource: glibc (2.0-9)\n")
        + record("wine32", arch="i386", extra="Source: wine\n")
        + record("tzdata", arch="all"),
    )

    said = ask(".", root=str(tmp_path))

    assert [list(row.values())[:6] for row in said.rows] == [
        ["dpkg", "1.0-1", "dpkg", "amd64", "dpkg", "1.0-1"],
        ["libc6:amd64", "1.0-1", "dpkg", "amd64", "glibc", "2.0-9"],
        ["tzdata", "1.0-1", "dpkg", "all", "tzdata", "1.0-1"],
        ["wine32:i386", "1.0-1", "dpkg", "i386", "wine", "1.0-1"],
    ]
    assert list(said.rows[0])[:4] == ["name", "version", "type", "arch"]


def test_a_name_matches_with_and_without_its_architecture(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/var/lib/dpkg/status", record("libc6", extra="Multi-Arch: same\n") + record("libc6-dev"))

    assert ask("^libc6$", root=str(tmp_path)).names == ["libc6:amd64"]
    assert ask("^libc6:amd64$", root=str(tmp_path)).names == ["libc6:amd64"]
    assert ask("^libc6", "6", root=str(tmp_path)).names == ["libc6:amd64", "libc6-dev"]


def test_by_source_a_package_is_found_by_what_it_was_built_from_and_has_its_version(
    write: Any, ask: Any, tmp_path: pathlib.Path
) -> None:
    write(
        "/var/lib/dpkg/status",
        record("liblzma5", version="5.4.1-0.1+b2", extra="Source: xz-utils (5.4.1-0.1)\n")
        + record("xz-utils", version="5.4.1-0.2")
        + record("other", extra="Source: not-xz-utils\n"),
    )

    plain = ask("^xz-utils$", root=str(tmp_path))
    by_source = ask("^xz-utils$", root=str(tmp_path), bysource=True)
    affected = ask("^xz-utils$", root=str(tmp_path), bysource=True, vermatch="<=5.4.1-0.1")

    assert [row["name"] for row in plain.rows] == ["xz-utils"]
    assert [row["name"] for row in by_source.rows] == ["liblzma5", "xz-utils"]
    assert [(row["name"], row["version"]) for row in affected.rows] == [("liblzma5", "5.4.1-0.1+b2")]


def test_updates_that_dpkg_has_not_merged_yet_count(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/var/lib/dpkg/status", record("a") + record("b"))
    write("/var/lib/dpkg/updates/0001", record("a", version="2.0-1"))
    write("/var/lib/dpkg/updates/0002", record("b", "purge ok not-installed", version=""))
    write("/var/lib/dpkg/updates/tmp.i", record("c"))

    said = ask(".", root=str(tmp_path))

    assert [(row["name"], row["version"]) for row in said.rows] == [("a", "2.0-1")]


@pytest.mark.parametrize("second", [("deinstall ok config-files", "0.9"), ("install ok installed", "2.0")])
def test_a_repeated_record_hides_nothing_and_is_said(
    second: tuple[str, str], write: Any, ask: Any, tmp_path: pathlib.Path
) -> None:
    write("/var/lib/dpkg/status", record("evil") + record("evil", *second))

    said = ask("^evil$", root=str(tmp_path))

    assert "1.0-1" in [row["version"] for row in said.rows]
    assert said.reasons == {"package recorded twice": 1}


def test_repetitions_that_dpkg_takes_are_taken_as_it_does(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    same = "Multi-Arch: same\n"
    write(
        "/var/lib/dpkg/status",
        record("lib", extra=same)
        + record("lib", version="2.0", extra=same)
        + record("late", "purge ok not-installed", "")
        + record("late", version="3.0"),
    )

    said = ask(".", root=str(tmp_path))

    assert [(row["name"], row["version"]) for row in said.rows] == [("late", "3.0"), ("lib:amd64", "2.0")]
    assert said.complete


def test_a_status_that_dpkg_refuses_is_a_row_and_is_said(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/var/lib/dpkg/status", record("old", "install hold-reinstreq installed"))

    said = ask(".", root=str(tmp_path))

    assert said.names == ["old"]
    assert said.reasons == {"record not understood": 1}


def test_a_record_in_unusual_writing_is_understood(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write(
        "/var/lib/dpkg/status",
        "\n\n\nPACKAGE:odd\nstatus:\tinstall ok installed\nVersion:   3  \narchitecture: all\n\n\n\n",
    )

    said = ask("^odd$", root=str(tmp_path))

    assert [(row["version"], row["arch"]) for row in said.rows] == [("3", "all")]
    assert said.complete


def test_records_that_are_none_are_booked(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/var/lib/dpkg/status", record("a") + "nonsense\n\n" + "Package: x y\nStatus: install ok installed\n\n")

    said = ask(".", root=str(tmp_path))

    assert said.names == ["a"]
    assert said.reasons == {"record not understood": 2}
    assert not said.complete


def test_a_distroless_image_s_records_are_read(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/var/lib/dpkg/status.d/base", "Package: base-files\nVersion: 12\nArchitecture: all\n")
    write("/var/lib/dpkg/status.d/base.md5sums", "abc  etc/x\n")

    said = ask(".", root=str(tmp_path))

    assert [(row["name"], row["version"], row["state"]) for row in said.rows] == [("base-files", "12", "installed")]
    assert said.complete


def test_an_unreadable_database_is_not_a_clean_endpoint(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    (tmp_path / "var/lib/dpkg/status").mkdir(parents=True)

    said = ask(".", root=str(tmp_path))

    assert not said.result.found
    assert said.reasons["package database unreadable"] == 1
    assert said.result.errors


@HAS_DPKG
@pytest.mark.parametrize("state", STATES.values())
@pytest.mark.parametrize(
    ("arch", "extra"), [("", ""), ("i386", ""), ("all", ""), ("", "Multi-Arch: same\n"), ("i386", "Multi-Arch: same\n")]
)
def test_rows_are_named_and_ordered_as_dpkg_lists_them(
    state: str, arch: str, extra: str, write: Any, ask: Any, tmp_path: pathlib.Path
) -> None:
    native = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()
    if "triggers" in state:
        extra += f"{state.split()[2].title()}: {'zz' if 'awaited' in state else '/x'}\n"
    one = record("subject", state, arch=arch or native, extra=extra)
    write("/var/lib/dpkg/status", record("zz") + record("dpkg", arch=native) + one + record("aa+b", arch="all"))
    write("/var/lib/dpkg/arch", f"{native}\ni386\n")
    write("/var/lib/dpkg/info/format", "1\n")

    said = ask(".", root=str(tmp_path))

    listed = subprocess.run(
        ["dpkg-query", f"--admindir={tmp_path}/var/lib/dpkg", "-l"], capture_output=True, text=True, check=True
    ).stdout
    expected = [
        line.split()[1:4] for line in listed.splitlines() if line[1:2] and line[1] in "HUFWti" and line[2:3] in " R"
    ]
    assert [[row["name"], row["version"], row["arch"]] for row in said.rows] == expected


@HAS_DPKG
def test_this_machine_s_packages_are_those_that_dpkg_query_shows(ask: Any) -> None:
    shown = subprocess.run(
        [
            "dpkg-query",
            "-W",
            "-f",
            "${binary:Package} ${Version} ${Architecture} ${source:Package} ${source:Version} ${db:Status-Status}\n",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    said = ask(".", types=["dpkg"])

    keys = ("name", "version", "arch", "source", "sourceversion", "state")
    got = [[row[key] for key in keys] for row in said.rows]
    wanted = [line.split() for line in shown.splitlines()]
    assert got == [row for row in wanted if row[5] not in ("config-files", "not-installed")]
    assert said.complete


class TestDpkgOnThePath:
    @pytest.fixture
    def programs(self, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
        place = tmp_path / "bin"
        place.mkdir()
        monkeypatch.setenv("PATH", str(place))
        return place

    @HAS_DPKG
    def test_the_program_itself_means_its_own_or_the_named_directory(
        self, write: Any, ask: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write("/db/status", record("only-one"))
        monkeypatch.setenv("DPKG_ADMINDIR", str(tmp_path / "db"))

        assert ask(".", types=["dpkg"]).names == ["only-one"]

    def test_a_script_that_cannot_give_the_database_is_asked_for_the_list(
        self, write: Any, ask: Any, programs: pathlib.Path
    ) -> None:
        listing = (
            "Desired=Unknown/Install\n||/ Name Version Architecture Description\n+++-===-===-===-===\n"
            "ii  bash  5.1-2  amd64 shell\nhi  held 2:3 all x\niHR halfinst <none> amd64 x\nrc  gone 1 all x\n"
            "it  libx:i386 7 i386 x\nbad\n"
        )
        write("bin/dpkg", f"#!/bin/sh\n[ \"$1\" = -l ] && printf '%s' '{listing}' || exit 2\n", mode=0o755)

        said = ask(".", types=["dpkg"])

        assert [(row["name"], row["version"], row["state"], row.get("selection")) for row in said.rows] == [
            ("bash", "5.1-2", "installed", None),
            ("held", "2:3", "installed", "hold"),
            ("halfinst", "", "half-installed", None),
            ("libx:i386", "7", "triggers-pending", None),
        ]
        assert said.reasons == {"record not understood": 1}

    @pytest.mark.parametrize("script", ["exit 1", "echo broken >&2; exit 2", "kill -9 $$"])
    def test_a_dpkg_that_fails_is_not_a_clean_endpoint(
        self, script: str, write: Any, ask: Any, programs: pathlib.Path
    ) -> None:
        write("bin/dpkg", f"#!/bin/sh\n{script}\n", mode=0o755)

        said = ask(".")

        assert said.result.success
        assert not said.result.found
        assert said.reasons["package manager failed"] == 1
        assert str(programs) in said.result.errors[0]

    def test_a_dpkg_that_hangs_is_killed_at_the_deadline(self, write: Any, ask: Any, programs: pathlib.Path) -> None:
        sleep = shutil.which("sleep", path=os.defpath)
        write("bin/dpkg", f"#!/bin/sh\nexec {sleep} 60\n", mode=0o755)

        said = ask(".", types=["dpkg"], seconds=0.3)

        assert said.reasons == {"time ran out": 1}

    def test_no_manager_on_the_path_is_not_a_clean_endpoint(self, ask: Any, programs: pathlib.Path) -> None:
        said = ask(".")

        assert said.result.success
        assert said.rows == []
        assert said.reasons["no package manager found"] == 1
        assert not said.complete

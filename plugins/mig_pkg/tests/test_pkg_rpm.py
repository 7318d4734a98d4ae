"""rpm: a database made by the real program where it is installed, and programs that misbehave."""

from __future__ import annotations

import os
import shutil
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
    write("/var/lib/rpm/rpmdb.sqlite", "x")

    said = ask(".", root=str(tmp_path))

    assert said.reasons["package database unreadable"] == 1
    assert "needs the rpm program" in said.result.errors[0]


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

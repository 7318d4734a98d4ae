"""Which package owns a file: lists as the real programs leave them, and what is never claimed."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.plugin.coverage import Tally
from mig_endpoint.packages.file_owners import aliases, owners
from mig_endpoint.packages.rpm_owners import files_of
from mig_endpoint.packages.site import RanOutOfTime, Site
from mig_endpoint.packages.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path

SPEC = """Name: {name}
Version: 1
Release: 1
Summary: test
License: none
BuildArch: noarch
%description
test
%install
mkdir -p %{{buildroot}}/usr/bin %{{buildroot}}/etc
touch %{{buildroot}}/usr/bin/{name} %{{buildroot}}/etc/{name}.conf
%files
/usr/bin/{name}
/etc/{name}.conf
"""


def site_at(root: Path) -> Site:
    return Site(Tree(str(root)), Tally(), lambda: 60.0)


@pytest.fixture(scope="module")
def rpm_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root whose database the real rpm made."""
    rpm, rpmbuild = shutil.which("rpm"), shutil.which("rpmbuild")
    if rpm is None or rpmbuild is None:
        pytest.skip("rpm and rpmbuild are not installed")
    place = tmp_path_factory.mktemp("rpm")
    environment = {**os.environ, "HOME": str(place)}
    for name in ("alpha", "beta"):
        (place / f"{name}.spec").write_text(SPEC.format(name=name))
        build = [rpmbuild, "-bb", "--quiet", "--define", f"_topdir {place}/build", str(place / f"{name}.spec")]
        subprocess.run(build, check=True, capture_output=True, env=environment)
    database = place / "root/usr/lib/sysimage/rpm"
    database.mkdir(parents=True)
    packages = map(str, (place / "build/RPMS").rglob("*.rpm"))
    install = [rpm, "--dbpath", str(database), "-i", "--justdb", "--nodeps", *packages]
    subprocess.run(install, check=True, capture_output=True, env=environment)
    return place / "root"


def test_the_files_of_a_real_rpm_database_have_their_packages(rpm_root: Path) -> None:
    site = site_at(rpm_root)
    before = sorted((one.name, one.stat().st_mtime_ns) for one in (rpm_root / "usr/lib/sysimage/rpm").iterdir())

    found = owners(site, ("/usr/bin/alpha", "/bin/beta", "/etc/beta.conf", "/etc/gamma"))

    after = sorted((one.name, one.stat().st_mtime_ns) for one in (rpm_root / "usr/lib/sysimage/rpm").iterdir())
    assert found == {"/usr/bin/alpha": "alpha", "/bin/beta": "beta", "/etc/beta.conf": "beta", "/etc/gamma": ""}
    assert site.tally.complete
    assert before == after


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="dpkg is not installed")
def test_the_owners_of_this_system_are_those_that_dpkg_names() -> None:
    paths = [f"/usr/bin/{name}" for name in sorted(os.listdir("/usr/bin"))[:400]]
    text = subprocess.run(["dpkg-query", "-S", *paths], capture_output=True, text=True, check=False).stdout
    theirs: dict[str, str] = {}
    for line in text.splitlines():
        packages, _, path = line.partition(": ")
        if not line.startswith("diversion"):
            theirs[path] = packages.split(",")[0].partition(":")[0]

    found = owners(site_at_root(), paths)

    assert theirs
    assert {path: found[path] for path in theirs} == theirs


def site_at_root() -> Site:
    return Site(Tree("/"), Tally(), lambda: 60.0)


def test_a_database_that_is_damaged_leaves_owners_unknown(tmp_path: Path) -> None:
    (tmp_path / "var/lib/rpm").mkdir(parents=True)
    (tmp_path / "var/lib/rpm/rpmdb.sqlite").write_bytes(b"SQLite format 3\0" + b"\1" * 5000)
    site = site_at(tmp_path)

    assert owners(site, ("/x",)) == {"/x": None}
    assert not site.tally.complete


def test_a_search_ends_with_its_time(tmp_path: Path) -> None:
    (tmp_path / "var/lib/dpkg/info").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/info/x.list").write_text("/x\n")
    site = Site(Tree(str(tmp_path)), Tally(), lambda: time.monotonic() * 0 - 1)

    with pytest.raises(RanOutOfTime):
        owners(site, ("/x",))


def test_a_path_has_two_names_where_usr_is_merged() -> None:
    assert aliases("/usr/bin/x") == ("/usr/bin/x", "/bin/x")
    assert aliases("/lib/x/y") == ("/lib/x/y", "/usr/lib/x/y")
    assert aliases("/etc/x") == ("/etc/x",)
    assert aliases("/usr/library/x") == ("/usr/library/x",)


@given(content=st.binary(max_size=300), count=st.integers(0, 1 << 17))
def test_any_header_is_taken(content: bytes, count: int) -> None:
    files_of(content)
    files_of(struct.pack(">II", count, len(content)) + content)

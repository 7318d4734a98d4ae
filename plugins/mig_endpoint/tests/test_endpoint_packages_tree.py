"""Reading below a root: patterns, links that stay inside, whose homes there are."""

from __future__ import annotations

import io
import os
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mig_endpoint.packages.accounts import home_directories
from mig_endpoint.packages.tree import Tree
from mig_endpoint.packages.zipped import Archive

if TYPE_CHECKING:
    import pathlib


def make(root: pathlib.Path, *files: str) -> None:
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_patterns_give_what_is_there_with_the_pattern_it_stands_for(tmp_path: pathlib.Path) -> None:
    make(tmp_path, "opt/a/lib/x", "opt/b/lib/x", "opt/c", "opt/.d/lib/y", "srv/lib/x")

    found = list(Tree(str(tmp_path)).matches(["/opt/*/lib", "/opt/*/lib/x", "/srv/lib", "/none/*", "/opt/c"]))

    assert sorted(found, key=str) == [
        ("/opt/*/lib", "/opt/.d/lib"),
        ("/opt/*/lib", "/opt/a/lib"),
        ("/opt/*/lib", "/opt/b/lib"),
        ("/opt/*/lib/x", "/opt/a/lib/x"),
        ("/opt/*/lib/x", "/opt/b/lib/x"),
        ("/opt/c", "/opt/c"),
        ("/srv/lib", "/srv/lib"),
    ]


def test_patterns_go_through_links_that_stay_below_the_root(tmp_path: pathlib.Path) -> None:
    make(tmp_path, "system/data/lib/x", "outside/lib/x")
    (tmp_path / "system/opt").symlink_to("/data")
    (tmp_path / "system/out").symlink_to("../../outside")
    (tmp_path / "system/gone").symlink_to("/nowhere")

    tree = Tree(str(tmp_path / "system"))

    assert list(tree.expand(["/opt/lib/*", "/out/lib/*", "/gone"])) == ["/opt/lib/x"]


@pytest.mark.parametrize("path", ["/home/ada", "/home", "/link/ada", "/data/../home/ada", "/home/ada/../../srv"])
def test_what_lies_beyond_a_mount_point_that_is_shunned_is_not_touched(path: str, tmp_path: pathlib.Path) -> None:
    make(tmp_path, "home/ada/x", "srv/x", "data/x")
    (tmp_path / "link").symlink_to("/home")
    tree = Tree(str(tmp_path), frozenset({f"{tmp_path}/home"}))

    with pytest.raises(OSError, match="remote") as raised:
        tree.real(path)

    assert raised.value.filename == "/home"
    assert tree.real("/srv/x") == f"{tmp_path}/srv/x"
    found = [one.filename if isinstance(one, OSError) else one for one in tree.expand(["/*/x"])]
    assert sorted(found) == ["/data/x", "/home", "/home", "/srv/x"]


def test_a_root_that_was_asked_for_is_looked_at_wherever_it_is_mounted(tmp_path: pathlib.Path) -> None:
    make(tmp_path, "srv/x")

    assert list(Tree(str(tmp_path), frozenset({str(tmp_path)})).expand(["/srv/x"])) == ["/srv/x"]


def test_the_endpoint_s_own_paths_are_resolved_alike_with_something_shunned() -> None:
    for path in ("/", "/bin/sh", "/usr/../bin", "//usr//bin/."):
        assert Tree("/", frozenset({"/nowhere"})).real(path) == Tree("/").real(path)


def test_a_directory_that_cannot_be_listed_is_given_as_an_error(tmp_path: pathlib.Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    make(tmp_path, "a/x")
    os.chmod(tmp_path / "a", 0)
    if os.access(tmp_path / "a", os.R_OK):
        pytest.skip("root may list everything")

    [error] = Tree(str(tmp_path)).expand(["/a/*"])

    assert isinstance(error, PermissionError)
    assert error.filename == "/a"


def test_homes_are_those_of_accounts_services_and_whatever_lies_in_home(tmp_path: pathlib.Path) -> None:
    make(tmp_path, "root/x", "home/ada/x", "home/ldap-user/x", "var/lib/jenkins/x", "opt/[odd]/x", "bin/x")
    make(tmp_path, "etc/passwd")
    (tmp_path / "etc/passwd").write_bytes(
        b"root:x:0:0::/root:/bin/sh\nada:x:1:1::/home/ada:/bin/sh\njenkins:x:2:2:,,,:/var/lib/jenkins:/bin/false\n"
        b"nobody:x:65534:65534::/nonexistent:\nproc:x:3:3::/proc/1:\ngone:x:4:4::/home/gone:\nbin:x:5:5::/bin:\n"
        b"odd:x:6:6::/opt/[odd]/:\ntwice:x:7:7::/home/ada:\nup:x:8:8::/home/../etc:\nshort:x:9\n\xff:x:9:9::\xff:\n"
    )

    homes = list(home_directories(Tree(str(tmp_path))))

    assert homes == ["/root", "/home/ada", "/home/ldap-user", "/var/lib/jenkins", "/bin", "/opt/[odd]"]


def test_accounts_that_cannot_be_read_are_an_error(tmp_path: pathlib.Path) -> None:
    (tmp_path / "etc/passwd").mkdir(parents=True)

    [error] = home_directories(Tree(str(tmp_path)))

    assert isinstance(error, OSError)
    assert error.filename == "/etc/passwd"


def test_a_member_of_a_zip_file_is_read_within_limits(tmp_path: pathlib.Path) -> None:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/b", "text" * 1000)
        archive.comment = b"said at the end"

    read = Archive(raw)

    assert read.names() == ["a/b"]
    assert read.read("a/b", 6) == b"textte"
    with pytest.raises(KeyError):
        read.read("c", 6)


@settings(max_examples=200, deadline=None)
@given(place=st.integers(0, 400), byte=st.integers(0, 255), cut=st.integers(0, 400))
def test_a_damaged_zip_file_is_a_value_error(place: int, byte: int, cut: int) -> None:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/b", "text" * 100)
    damaged = bytearray(raw.getvalue())
    damaged[place % len(damaged)] = byte
    del damaged[len(damaged) - cut :]

    try:
        archive2 = Archive(io.BytesIO(bytes(damaged)))
        for name in archive2.names():
            archive2.read(name, 1000)
    except (ValueError, KeyError, OSError):
        pass

"""Databases made to harm: wrong bytes, huge fields, endless lists. And parsers held against slow, obvious ones."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mig_core.plugin.coverage import Tally
from mig_pkg import apk, gems, npm_packages, pacman, python_packages, rpm, status_file
from mig_pkg.records import records

if TYPE_CHECKING:
    import pathlib

MORSELS = st.lists(
    st.sampled_from([b"Package: ", b"package:", b"a", b"Status: install ok installed\n", b"Version: 1\n"])
    | st.sampled_from([b"Architecture: all\n", b"P:", b"V:1\n", b"%NAME%\n", b"%VERSION%\n", b"Name: x\n"])
    | st.sampled_from([b'{"name":"a",', b'"version":"1"}', b"# stub: ", b"s.name = '", b"'", b"A" * 600])
    | st.sampled_from([b"\n", b"\n\n", b"\r\n", b" ", b"\t", b":", b"\0", b"\xff\xfe", b"\xc2\x85", b"\xe2\x80\xa8"])
    | st.binary(max_size=8),
    max_size=20,
).map(b"".join)


@settings(max_examples=300, deadline=None)
@given(raw=MORSELS)
def test_no_parser_fails_on_any_bytes_and_none_lets_line_breaks_through(raw: bytes) -> None:
    status = status_file.StatusFile(Tally())
    status.add(raw, "x")
    found = [
        *status.packages("amd64"),
        apk._package(raw),
        pacman._package("a-1-1", raw),
        pacman._package(raw[:200].decode("utf-8", "replace"), b""),
        rpm._package(raw.replace(b"\n", b" ")),
        python_packages._package(raw, "/x/METADATA"),
        npm_packages.described(raw, "/x/package.json"),
        gems._package(raw, "/x/y.gemspec"),
    ]

    for package in found:
        if package is not None:
            assert package.name
            assert len(package.name) < 1100
            assert not set(package.name + package.version + package.arch) & set("\n\r\0 \t\x85\u2028")
            str(package.row()).encode()


@settings(max_examples=300, deadline=None)
@given(raw=MORSELS, cuts=st.lists(st.integers(1, 9), max_size=200), limit=st.sampled_from([5, 50, 10_000]))
def test_records_do_not_depend_on_how_the_file_comes(raw: bytes, cuts: list[int], limit: int) -> None:
    pieces = []
    place = 0
    for cut in cuts:
        pieces.append(raw[place : place + cut])
        place += cut
    pieces.append(raw[place:])

    found = list(records(pieces, limit))

    if limit >= len(raw):
        assert found == [one.strip(b"\n") for one in raw.split(b"\n\n") if one.strip(b"\n")]
    assert all(len(one) <= limit for one in found)
    assert found == list(records([raw], limit))


def test_a_huge_field_costs_little_and_hides_nothing(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    head = b"Package: %s\nStatus: install ok installed\nArchitecture: all\nVersion: 1\nDescription: "
    path = write("/var/lib/dpkg/status", head % b"first")
    with path.open("ab") as file:
        for _ in range(100):
            file.write(b"x" * (1 << 20))
        file.write(b"\n\n" + head % b"second" + b"\n")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    said = ask(".", root=str(tmp_path))

    assert said.names == ["first", "second"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 << 10


def test_a_huge_name_is_no_name(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/lib/apk/db/installed", "P:" + "x" * 5_000_000 + "\nV:1\n\nP:good\nV:1\nA:x\n")

    said = ask(".", root=str(tmp_path))

    assert said.names == ["good"]
    assert said.reasons == {"record not understood": 1}


def test_endless_lists_of_packages_are_cut(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/lib/apk/db/installed", "".join(f"P:p{n}\nV:1\n\n" for n in range(100_050)))

    said = ask("^p1$", root=str(tmp_path))

    assert said.names == ["p1"]
    assert said.reasons == {"too many packages": 1}


def test_an_answer_has_a_largest_size(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/lib/apk/db/installed", "".join(f"P:p{n}{'x' * 400}\nV:1\n\n" for n in range(30_000)))

    said = ask(".", root=str(tmp_path))

    assert said.result.found
    assert said.reasons["answer full"] > 0
    assert len(str(said.result.elements)) < 32 << 20


def test_bytes_that_are_not_utf8_are_shown_as_such(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/lib/apk/db/installed", b"P:caf\xe9\nV:1\nA:x\n")

    assert ask("^caf.$", root=str(tmp_path)).names == ["caf\ufffd"]


@pytest.mark.parametrize("kind", ["fifo", "link"])
def test_what_is_not_a_regular_file_is_not_read(kind: str, ask: Any, tmp_path: pathlib.Path) -> None:
    import os

    path = tmp_path / "lib/apk/db/installed"
    path.parent.mkdir(parents=True)
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("installed")

    said = ask(".", root=str(tmp_path))

    assert not said.complete


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(raw=MORSELS)
def test_a_run_over_any_status_file_ends_well(raw: bytes, write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/var/lib/dpkg/status", raw)

    said = ask(".", root=str(tmp_path))

    assert said.result.success
    assert said.result.found or not said.complete or raw.strip(b"\n")

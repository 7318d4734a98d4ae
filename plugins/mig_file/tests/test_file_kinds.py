"""Entries of every kind can be asked for: by type, by a whole name, by a mode that names the kind."""

from __future__ import annotations

import os
import socket
import stat
import time
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.plugin.module import Context
from mig_endpoint import coverage
from mig_endpoint.finding import reasons
from mig_endpoint.finding.metadata import ModeCheck
from mig_endpoint.finding.patterns import Pattern
from mig_file import FileModule

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mig_core.domain.result import ModuleResult

MODULE = FileModule()


def _ask(path: Path, *, strict: bool = True, threads: int = 1, **search: Any) -> ModuleResult:
    options = {"matchall": True} | search.pop("options", {})
    raw = {"searches": {"s1": {"paths": [str(path)], "options": options, **search}}}
    context = Context(deadline=time.monotonic() + 60, threads=threads)
    return MODULE.run(MODULE.parse_parameters(raw, strict=strict), context)


def _rows(result: ModuleResult) -> list[dict[str, Any]]:
    elements: Any = result.elements
    return [row for row in elements["s1"] if row["file"]]


def _names(result: ModuleResult) -> list[str]:
    return sorted(os.path.basename(row["file"]) for row in _rows(result))


def _skipped(result: ModuleResult) -> dict[str, int]:
    return {one.reason: one.count for one in result.coverage.skipped}


@pytest.fixture
def zoo(tmp_path: Path) -> Iterator[Path]:
    """An entry of every kind that anybody may make."""
    zoo = tmp_path / "zoo"
    zoo.mkdir(mode=0o755)
    (zoo / "directory").mkdir(mode=0o750)
    (zoo / "file").write_text("content\n")
    (zoo / "file").chmod(0o640)
    os.mkfifo(zoo / "fifo", 0o600)
    (zoo / "link-to-file").symlink_to("file")
    (zoo / "link-to-directory").symlink_to("directory")
    (zoo / "link-to-null").symlink_to("/dev/null")
    (zoo / "link-to-nothing").symlink_to("nothing")
    with socket.socket(socket.AF_UNIX) as listening:
        here = os.getcwd()
        os.chdir(zoo)
        listening.bind("socket")
        os.chdir(here)
        yield zoo


@pytest.mark.parametrize(
    ("types", "found"),
    [
        (["f"], ["file"]),
        (["d"], ["directory", "zoo"]),
        (["l"], ["link-to-directory", "link-to-file", "link-to-nothing", "link-to-null"]),
        (["s"], ["socket"]),
        (["p"], ["fifo"]),
        (["b"], []),
        (["p", "s"], ["fifo", "socket"]),
        (["f", "l"], ["file", "link-to-directory", "link-to-file", "link-to-nothing", "link-to-null"]),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_a_type_asks_for_entries_of_its_kind_and_no_others(
    zoo: Path, types: list[str], found: list[str], strict: bool
) -> None:
    result = _ask(zoo, types=types, strict=strict)

    assert _names(result) == found
    assert result.coverage.complete


def test_several_types_without_matchall_are_filters_of_their_own(zoo: Path) -> None:
    assert _names(_ask(zoo, types=["p", "f"], sizes=["8"], options={"matchall": False})) == [
        "fifo", "file", "file", "link-to-file"
    ]  # fmt: skip


def test_a_mismatched_type_asks_for_all_others(zoo: Path) -> None:
    found = _names(_ask(zoo, types=["l", "d"], options={"mismatch": ["type"]}))

    assert found == ["fifo", "file", "socket"]


def test_other_filters_look_at_the_entry_itself(zoo: Path) -> None:
    os.utime(zoo / "link-to-nothing", ns=(0, 0), follow_symlinks=False)

    assert _names(_ask(zoo, types=["d"], modes=["^drwxr-x---$"])) == ["directory"]
    assert _names(_ask(zoo, types=["l"], mtimes=[">9000d"])) == ["link-to-nothing"]
    assert _names(_ask(zoo, types=["l"], sizes=["9"])) == ["link-to-directory", "link-to-null"]
    assert _names(_ask(zoo, types=["l"], names=["file$"])) == ["link-to-file"]


def test_a_link_comes_with_what_it_says(zoo: Path) -> None:
    rows = {os.path.basename(row["file"]): row for row in _rows(_ask(zoo, types=["l"]))}
    by_content = _rows(_ask(zoo, contents=["content"], names=["link"]))

    assert {name: row["target"] for name, row in rows.items()} == {
        "link-to-file": "file",
        "link-to-directory": "directory",
        "link-to-null": "/dev/null",
        "link-to-nothing": "nothing",
    }
    assert all(row["fileinfo"]["mode"] == "Lrwxrwxrwx" for row in rows.values())
    assert [(row["target"], row["fileinfo"]["mode"]) for row in by_content] == [("file", "-rw-r-----")]
    assert "target" not in str(MODULE.mask(_ask(zoo, types=["l"])).elements)
    assert any("target:/dev/null" in line for line in MODULE.lines(_ask(zoo, types=["l"]), found_only=True))


@pytest.mark.parametrize(
    "name", ["directory", "fifo", "socket", "link-to-file", "link-to-directory", "link-to-null", "link-to-nothing"]
)
def test_a_whole_name_is_found_whatever_bears_it(zoo: Path, name: str) -> None:
    result = _ask(zoo, names=[f"^{name}$"])

    assert _names(result) == [name]
    assert result.coverage.complete


@pytest.mark.parametrize("name", ["link-to-file", "link-to-directory", "link-to-null", "link-to-nothing"])
def test_the_originals_interface_finds_links_by_their_whole_names_too(zoo: Path, name: str) -> None:
    assert _names(_ask(zoo, names=[f"^{name}$"], strict=False)) == [name]


@pytest.mark.parametrize("name", ["directory", "fifo", "socket"])
def test_the_originals_interface_says_what_it_does_not_find(zoo: Path, name: str) -> None:
    result = _ask(zoo, names=[f"^{name}$"], strict=False)

    assert not result.found
    assert not result.coverage.complete
    assert _skipped(result)[reasons.OTHER_KIND_EXACT.text] == 1


def test_an_expression_for_many_names_finds_files_and_says_what_else_there_is(zoo: Path) -> None:
    result = _ask(zoo, names=["^link|^fifo"])

    assert _names(result) == ["link-to-file"]
    assert _skipped(result)[reasons.OTHER_KIND.text] == 4
    assert result.coverage.complete


def test_a_search_that_is_not_about_names_says_nothing_of_them(zoo: Path) -> None:
    assert reasons.OTHER_KIND.text not in _skipped(_ask(zoo, names=["."]))
    assert reasons.OTHER_KIND.text not in _skipped(_ask(zoo, names=["^directory$"], contents=["x"]))


@pytest.mark.parametrize(
    ("mode", "found"),
    [
        ("^d", ["directory", "zoo"]),
        ("^L", ["link-to-directory", "link-to-file", "link-to-nothing", "link-to-null"]),
        ("^p", ["fifo"]),
        ("^S", ["socket"]),
        ("^[pS]", ["fifo", "socket"]),
        ("^drwxr-x---$", ["directory"]),
        ("rw-------$", []),
        ("^-rw", ["file", "link-to-file"]),
        (".", ["file", "link-to-file"]),
    ],
)
def test_a_mode_that_names_a_kind_asks_for_it_and_one_about_permissions_only_is_about_files(
    zoo: Path, mode: str, found: list[str]
) -> None:
    assert _names(_ask(zoo, modes=[mode])) == found


def test_which_permissions_name_a_kind_is_known_before_anything_is_looked_at() -> None:
    check = ModeCheck("modes", "^dr", False, Pattern("^dr|^-rwx"))

    assert check.may_name_a_kind()
    assert check.named(stat.S_IFDIR) == frozenset(mode for mode in range(512) if mode & 0o400 and mode & 0o700 != 0o700)
    assert check.named(stat.S_IFLNK) == frozenset()
    assert not ModeCheck("modes", "^u", False, Pattern("^u")).may_name_a_kind()


def test_a_directory_that_a_path_names_is_among_those_asked_for(zoo: Path) -> None:
    assert _names(_ask(zoo / "directory", types=["d"])) == ["directory"]
    assert _names(_ask(zoo / "link-to-directory", types=["d", "l"])) == ["directory", "link-to-directory"]
    assert _names(_ask(zoo / "directory", names=["directory"])) == []


def test_a_device_is_found_by_type_below_dev_and_as_path(tmp_path: Path) -> None:
    below = _ask(tmp_path.__class__("/dev"), types=["c"], names=["^null$"], options={"maxdepth": 1})

    assert [row["file"] for row in _rows(below)] == ["/dev/null"]
    assert _names(_ask(tmp_path.__class__("/dev/null"), types=["f"])) == []
    assert _names(_ask(tmp_path.__class__("/dev/null"), types=["c"])) == ["null"]


def test_more_processes_find_every_kind_in_the_same_order(zoo: Path) -> None:
    for number in range(60):
        (zoo / f"d{number}").mkdir()
        (zoo / f"d{number}" / "needle").write_text("content")
    search: dict[str, Any] = {"types": ["d"], "contents": ["content"], "options": {"matchall": False}}

    assert _ask(zoo, threads=2, **search).elements == _ask(zoo, **search).elements


def test_specials_that_nobody_asks_for_are_counted_as_before(zoo: Path) -> None:
    assert _skipped(_ask(zoo, names=["^file$"]))[coverage.SPECIAL.text] == 2
    assert _skipped(_ask(zoo, contents=["x"]))[coverage.SPECIAL.text] == 3

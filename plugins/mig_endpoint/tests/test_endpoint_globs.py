"""Paths with wildcards and ~, expanded where they are looked for."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

import pytest

from mig_core.plugin.coverage import Tally
from mig_endpoint import coverage
from mig_endpoint.files import globs
from mig_endpoint.files.crossings import Crossings
from mig_endpoint.files.globs import Globs, is_pattern
from mig_endpoint.testing.served import hanging

if TYPE_CHECKING:
    from pathlib import Path


def _expanded(path: str, *, seconds: float = 60.0, expired: bool = False) -> tuple[list[str], Tally]:
    tally, crossings = Tally(), Crossings(lambda: seconds)
    try:
        return Globs(tally, crossings, lambda: expired).expand(path), tally
    finally:
        crossings.close()


@pytest.fixture
def homes(tmp_path: Path) -> Path:
    for name in ("alice", "bob", ".hidden", "[odd]"):
        (tmp_path / name / ".ssh").mkdir(parents=True)
    (tmp_path / "carol").mkdir()
    (tmp_path / "link").symlink_to("alice")
    (tmp_path / "file").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*/.ssh", [".hidden/.ssh", "[odd]/.ssh", "alice/.ssh", "bob/.ssh", "link/.ssh"]),
        ("[ab]*/.s?h", ["alice/.ssh", "bob/.ssh"]),
        ("[!a]o*", ["[odd]", "bob"]),
        ("[odd]/.ssh", ["[odd]/.ssh"]),
        ("al*", ["alice"]),
        ("*/*", [".hidden/.ssh", "[odd]/.ssh", "alice/.ssh", "bob/.ssh", "link/.ssh"]),
    ],
)
def test_wildcards_stand_for_what_is_there(homes: Path, pattern: str, found: list[str]) -> None:
    paths, tally = _expanded(f"{homes}/{pattern}")

    assert paths == [f"{homes}/{one}" for one in found]
    assert tally.complete
    assert tally.errors() == ()


def test_a_path_without_wildcards_is_itself_whether_it_is_there_or_not() -> None:
    assert _expanded("/no/such/thing")[0] == ["/no/such/thing"]
    assert not is_pattern("/home/user/a~b")


def test_a_pattern_that_nothing_fits_is_said(homes: Path) -> None:
    paths, tally = _expanded(f"{homes}/*/no-such")

    assert paths == []
    assert tally.skipped(coverage.NOTHING_FITS) == 1
    assert "fits" in tally.errors()[0]


def test_a_name_that_is_all_wildcards_hides_nobody(homes: Path) -> None:
    (homes / "*").mkdir()
    (homes / "*" / ".ssh").mkdir()

    paths, _ = _expanded(f"{homes}/*/.ssh")

    assert f"{homes}/*/.ssh" in paths
    assert f"{homes}/alice/.ssh" in paths


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list everything")
def test_a_directory_that_cannot_be_listed_is_booked(homes: Path) -> None:
    (homes / "alice").chmod(0o100)

    _, tally = _expanded(f"{homes}/alice/*")

    assert tally.skipped(coverage.DENIED) == 1


def test_relative_patterns_stay_relative(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(homes)

    assert _expanded("al*/.ssh")[0] == ["alice/.ssh"]


def test_the_homes_of_all_accounts_and_of_one() -> None:
    root = pwd.getpwnam("root").pw_dir

    assert root in _expanded("~")[0]
    assert "/" not in _expanded("~")[0]
    assert _expanded("~root")[0] == [root]
    assert f"{root}/no-such-file" not in _expanded("~/no-such-file")[0]
    paths, tally = _expanded("~nobody-has-this-name/x")
    assert paths == []
    assert tally.skipped(coverage.NOTHING_FITS) == 1


def test_more_paths_than_anybody_looks_at_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(globs, "MAX_PATHS", 5)
    for number in range(9):
        (tmp_path / f"f{number}").touch()

    paths, tally = _expanded(f"{tmp_path}/f*")

    assert len(paths) == 5
    assert tally.skipped(coverage.TOO_MANY_PATHS) >= 1
    assert not tally.complete


def test_time_that_ran_out_is_said(homes: Path) -> None:
    _, tally = _expanded(f"{homes}/*/.ssh", expired=True)

    assert tally.skipped(coverage.TIME) == 1


def test_a_file_system_that_does_not_answer_costs_one_path_of_a_pattern(homes: Path) -> None:
    (homes / "dead").mkdir()
    with hanging(homes / "dead"):
        paths, tally = _expanded(f"{homes}/*/.s*", seconds=4)

    assert paths == [f"{homes}/{one}/.ssh" for one in (".hidden", "[odd]", "alice", "bob", "link")]
    assert tally.skipped(coverage.UNRESPONSIVE) == 1

"""What the values of a filter mean, one alone and several together."""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.plugin.module import Context
from mig_endpoint.finding.declaration import PARAMETERS
from mig_endpoint.finding.expressions import is_whole_text
from mig_file import FileModule

if TYPE_CHECKING:
    from pathlib import Path

MODULE = FileModule()
NS = 1_000_000_000


def _ask(path: Path, **search: Any) -> tuple[list[str], bool]:
    """The names of what was found, in order, and whether everything was looked at."""
    options = {"matchall": True} | search.pop("options", {})
    raw = {"searches": {"s1": {"paths": [str(path)], "options": options, **search}}}
    result = MODULE.run(MODULE.parse_parameters(raw), Context(deadline=time.monotonic() + 60))
    elements: Any = result.elements
    assert result.success
    return sorted(os.path.basename(row["file"]) for row in elements["s1"] if row["file"]), result.coverage.complete


@pytest.fixture
def far_times(tmp_path: Path) -> Path:
    """Files dated far outside what 64 bits of nanoseconds hold; a file system that cannot have them gives its limit."""
    for name, year in (("near", 2026), ("far", 2300), ("old", 1500), ("never", 9000)):
        (tmp_path / name).write_text(name)
        seconds = (year - 1970) * 31_556_952
        os.utime(tmp_path / name, ns=(0, seconds * NS + 5))
    os.utime(tmp_path / "near")
    return tmp_path


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ({"names": ["."]}, ["far", "near", "never", "old"]),
        ({"mtimes": ["<2d"]}, ["far", "near", "never"]),
        ({"mtimes": [">2d"]}, ["old"]),
        ({"sizes": ["<1k"], "options": {"returnsha256": True}}, ["far", "near", "never", "old"]),
        ({"contents": ["^near$"]}, ["near"]),
    ],
)
@pytest.mark.parametrize("threads", [1, 2])
def test_a_file_with_a_time_far_away_is_a_file_like_any_other(
    far_times: Path, search: dict[str, Any], found: list[str], threads: int
) -> None:
    raw = {"searches": {"s1": {"paths": [str(far_times)], "options": {"matchall": True}} | search}}
    raw["searches"]["s1"]["options"] = {"matchall": True} | search.get("options", {})

    result = MODULE.run(MODULE.parse_parameters(raw), Context(deadline=time.monotonic() + 60, threads=threads))

    elements: Any = result.elements
    assert sorted(os.path.basename(row["file"]) for row in elements["s1"]) == found
    assert all(row["fileinfo"]["lastmodified"].endswith("UTC") for row in elements["s1"])


def test_several_hashes_of_one_algorithm_mean_any_of_them(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_text(name)
    sums = [hashlib.sha256(name.encode()).hexdigest() for name in "ab"]

    assert _ask(tmp_path, sha2=sums) == (["a", "b"], True)
    assert _ask(tmp_path, sha2=sums, sizes=["1"], names=["b"]) == (["b"], True)
    assert _ask(tmp_path, sha2=sums, options={"mismatch": ["sha2"]}) == (["c"], True)


def test_hashes_of_different_algorithms_must_all_be_the_files(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text(name)
    of_a, of_b = (hashlib.sha256(name.encode()).hexdigest() for name in "ab")
    long_of_a = hashlib.sha512(b"a").hexdigest()

    assert _ask(tmp_path, sha2=[of_a, of_b, long_of_a]) == (["a"], True)
    assert _ask(tmp_path, sha2=[of_b], md5=[hashlib.md5(b"a").hexdigest()]) == ([], True)


def test_the_originals_interface_keeps_its_meaning_and_says_that_no_file_can_have_two(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    sums = [hashlib.md5(name.encode()).hexdigest() for name in "ab"]
    raw = {"searches": {"s1": {"paths": [str(tmp_path)], "md5": sums, "options": {"matchall": True}}}}

    result = MODULE.run(MODULE.parse_parameters(raw, strict=False), Context(deadline=time.monotonic() + 60))

    assert not result.found
    assert not result.coverage.complete
    assert "no file can have" in result.errors[0]


def test_exact_sizes_names_and_modes_are_alternatives_and_ranges_and_other_expressions_are_not(tmp_path: Path) -> None:
    for name, size, mode in (("aa", 1, 0o600), ("ab", 2, 0o640), ("bb", 3, 0o644)):
        (tmp_path / name).write_bytes(bytes(size))
        (tmp_path / name).chmod(mode)

    assert _ask(tmp_path, sizes=["1", "3"]) == (["aa", "bb"], True)
    assert _ask(tmp_path, sizes=[">2", "<2"]) == (["ab"], True)
    assert _ask(tmp_path, sizes=["1", "3", "<2"]) == (["aa"], True)
    assert _ask(tmp_path, names=["^aa$", "^bb$"]) == (["aa", "bb"], True)
    assert _ask(tmp_path, names=["^aa$", "^bb$", "b"]) == (["bb"], True)
    assert _ask(tmp_path, names=["^a", "b$"]) == (["ab"], True)
    assert _ask(tmp_path, names=["^aa$", "^bb$"], options={"mismatch": ["name"]}) == (["ab"], True)
    assert _ask(tmp_path, modes=["^-rw-------$", "^-rw-r--r--$"]) == (["aa", "bb"], True)


@pytest.mark.parametrize(
    ("regex", "whole"),
    [
        ("^passwd$", True),
        (r"^a\.conf$", True),
        ("^a[.]conf$", True),
        ("^-rw-r--r--$", True),
        ("^a.conf$", False),
        ("^a|b$", False),
        ("passwd$", False),
        (r"^\d$", False),
        ("^a*$", False),
        ("(?i)^a$", False),
        ("!^a$", False),
        ("^$", False),
    ],
)
def test_an_expression_for_one_text_only_is_known_as_such(regex: str, whole: bool) -> None:
    assert is_whole_text(regex) == whole


def test_mig_sends_no_depth_that_nobody_chose() -> None:
    asked: Any = PARAMETERS.from_options({"path": ["/"], "name": ["."]})

    assert asked["searches"]["s1"]["options"]["maxdepth"] == 0

"""Lists of known files: thousands of hashes in one question, and one pass over the files."""

from __future__ import annotations

import hashlib
import json
import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.errors import ParameterError
from mig_core.plugin.module import Context
from mig_endpoint.finding.known import LARGEST, Hash, hashes_in, packed
from mig_file import FileModule

if TYPE_CHECKING:
    from pathlib import Path


def ask(path: Path, hashes: list[str], *, threads: int = 1, **options: Any) -> tuple[list[dict[str, Any]], Any]:
    module = FileModule()
    search = {"paths": [str(path)], "hashes": hashes, "options": {"matchall": True, **options}}
    result = module.run(
        module.parse_parameters({"searches": {"known": search}}), Context(time.monotonic() + 60, threads=threads)
    )
    return list(module.rows(result)), result


def strangers(count: int, *, size: int | None = None) -> list[Hash]:
    chance = random.Random(1)
    return [Hash("sha256", chance.randbytes(32), size) for _ in range(count)]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for number in range(40):
        (tmp_path / f"f{number}").write_bytes(b"%d" % number * 100)
    return tmp_path


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sha384", "sha512"])
def test_a_file_on_a_list_of_thousands_is_found_with_its_hash(tree: Path, algorithm: str, threads: int) -> None:
    digest = hashlib.new(algorithm, b"7" * 100)
    wanted = Hash(algorithm, digest.digest(), None)

    rows, result = ask(tree, packed([*strangers(20_000), wanted]), threads=threads)

    assert [(row["file"][-2:], row["hash"]) for row in rows] == [("f7", digest.hexdigest())]
    assert result.coverage.examined["files"] == 40
    assert result.coverage.complete
    assert "20001 hashes" in json.dumps(result.to_json())
    assert len(json.dumps(result.to_json())) < 2000


def test_several_algorithms_and_forms_of_entries_are_mixed(tree: Path) -> None:
    entries = [
        hashlib.md5(b"1" * 100).hexdigest().upper(),
        f"{hashlib.sha1(b'2' * 100).hexdigest()}:100",
        *packed([Hash("sha256", hashlib.sha256(b"3" * 100).digest(), None), *strangers(5)]),
    ]

    rows, _ = ask(tree, entries, returnsha256=True)

    assert sorted(row["file"][-2:] for row in rows) == ["f1", "f2", "f3"]
    assert all(len(row["sha256"]) == 64 for row in rows)


def test_where_all_sizes_are_said_only_files_of_these_sizes_are_read(tree: Path) -> None:
    (tree / "large").write_bytes(b"x" * 1_000_000)
    listed = [Hash("sha256", hashlib.sha256(b"7" * 100).digest(), 100), *strangers(1000, size=LARGEST)]

    rows, result = ask(tree, packed(listed))

    assert [row["file"][-2:] for row in rows] == ["f7"]
    assert result.coverage.examined["bytes"] < 10_000
    assert result.coverage.complete


def test_any_of_several_filters_takes_the_lists_as_one(tree: Path) -> None:
    listed = packed([Hash("sha256", hashlib.sha256(b"7" * 100).digest(), None)])

    rows, _ = ask(tree, listed, matchall=False)

    assert [row["file"][-2:] for row in rows] == ["f7"]


def test_packing_keeps_every_hash() -> None:
    listed = [*strangers(50), *strangers(50, size=12345), Hash("md5", bytes(16), 0), Hash("sha512", bytes(64), LARGEST)]

    entries = packed(listed)

    assert {one for entry in entries for one in hashes_in(entry)} == set(listed)
    assert len(entries) == 4


def test_twenty_thousand_hashes_with_sizes_fit_into_an_action() -> None:
    assert sum(map(len, packed(strangers(20_000, size=5)))) < 1_000_000


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "abc",
        "zz" * 16,
        "sha256=",
        "sha256=AAAA",
        "sha9=AAAA",
        "sha256=!!!!",
        "a" * 64 + ":x",
        "md5+size=" + "A" * 24,
    ],
)
def test_an_entry_that_is_none_is_refused(entry: str) -> None:
    with pytest.raises(ParameterError):
        FileModule().parse_parameters({"searches": {"s": {"paths": ["/"], "hashes": [entry]}}})


@pytest.mark.parametrize(("asked", "rows"), [({"types": ["f"]}, 41), ({"types": ["f", "l"]}, 42)])
def test_a_link_into_what_is_looked_at_anyway_costs_nothing(tree: Path, asked: dict[str, Any], rows: int) -> None:
    (tree / "sub").mkdir()
    (tree / "sub" / "x").write_bytes(b"7" * 100)
    link = tree.with_name(f"{tree.name}-link")
    link.symlink_to(tree / "sub")
    module = FileModule()
    paths = [str(tree), str(link)]
    search = {"paths": paths, "names": ["."], "options": {"matchall": True}, **asked}

    result = module.run(module.parse_parameters({"searches": {"s": search}}), Context(time.monotonic() + 60))

    assert len(list(module.rows(result))) == rows
    assert rows == 42 or result.coverage.examined["files"] == 41

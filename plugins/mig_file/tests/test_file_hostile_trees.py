"""Trees made to break a scanner: what blocks, what lies about itself, what is too deep, too long or too much."""

from __future__ import annotations

import json
import os
import resource
import shutil
import stat
import sys
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import pytest

from mig_core.domain.document import dump
from mig_core.plugin.module import Context
from mig_endpoint import coverage
from mig_endpoint.finding import reasons
from mig_file import FileModule

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mig_core.domain.result import ModuleResult


def _ask(paths: list[Path] | list[str], *, seconds: float = 60, label: str = "s1", **search: Any) -> ModuleResult:
    options = {"matchall": True} | search.pop("options", {})
    raw = {"searches": {label: {"paths": [str(path) for path in paths], "options": options, **search}}}
    module = FileModule()
    return module.run(module.parse_parameters(raw), Context(deadline=time.monotonic() + seconds))


def _rows(result: ModuleResult) -> list[dict[str, Any]]:
    elements: Any = result.elements
    return [row for found in elements.values() for row in found if row["file"]]


def _files(result: ModuleResult) -> list[str]:
    return sorted(row["file"] for row in _rows(result))


def _skipped(result: ModuleResult) -> dict[str, int]:
    return {one.reason: one.count for one in result.coverage.skipped}


def test_a_fifo_given_as_path_is_judged_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    by_name = _ask([tmp_path / "fifo"], names=["fifo"], modes=["^p"])
    by_content = _ask([tmp_path / "fifo"], contents=["."])

    assert _files(by_name) == [str(tmp_path / "fifo")]
    assert not by_content.found
    assert not by_content.coverage.complete
    assert _skipped(by_content) == {reasons.NOT_READ.text: 1}


def test_fifos_and_sockets_below_a_path_are_left_alone_and_counted(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    os.symlink(tmp_path / "fifo", tmp_path / "link")
    (tmp_path / "file").write_text("x")

    result = _ask([tmp_path], contents=["x"])

    assert _files(result) == [str(tmp_path / "file")]
    assert _skipped(result) == {coverage.SPECIAL.text: 2}
    assert result.coverage.complete


def test_names_with_newlines_are_matched_whole_and_cannot_forge_lines(tmp_path: Path) -> None:
    name = "a\nb.conf"
    (tmp_path / name).write_text("x")
    (tmp_path / "plain.conf").write_text("x")
    module = FileModule()

    dotted = _ask([tmp_path], names=["^a.b"])
    spanning = _ask([tmp_path], names=[r"^a\nb\.conf$"])
    second_line = _ask([tmp_path], names=["(?m)^b"])

    assert not dotted.found
    assert _files(spanning) == [str(tmp_path / name)]
    assert second_line.found
    printed = list(module.lines(spanning, found_only=True))
    assert len(printed) == 1
    assert r"a\x0ab.conf" in printed[0]


@pytest.mark.parametrize("options", [{"returnsha256": True}, {"matchall": False}])
def test_rows_written_as_json_are_the_rows(tmp_path: Path, options: dict[str, bool]) -> None:
    names = ['quote"', "back\\slash", "line\nfeed", "tab\t", "\x1b[31m", "\x7f", "café", "\u2028", "caf\udce9", "plain"]
    for number, name in enumerate([*names, *map(str, range(300))]):
        (tmp_path / name).write_text("x" * number)
        os.utime(tmp_path / name, ns=(0, number * 1_000_000_007))

    result = _ask([tmp_path], names=[".", "a"], contents=["x"], options=options)

    assert len(_rows(result)) > 2
    assert json.loads(dump(result.to_json()))["elements"] == result.elements


def test_a_name_that_is_not_utf8_is_shown_readably_and_given_exactly(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/caf\xe9 \xff.txt"
    with open(raw, "w"):
        pass

    result = _ask([tmp_path], names=["^caf. .\\.txt$"])

    (row,) = _rows(result)
    assert row["file"] == f"{tmp_path}/caf\ufffd \ufffd.txt"
    assert unquote_to_bytes(row["uri"].removeprefix("file://")) == raw
    assert json.loads(dump(result.to_json()))["elements"] == result.elements


def test_a_directory_that_is_not_utf8_can_be_gone_through(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(raw)
    with open(raw + b"/inner", "w") as inner:
        inner.write("needle")

    result = _ask([tmp_path], contents=["needle"], options={"matchall": False})

    assert _files(result) == [f"{tmp_path}/\ufffd/inner"]


def test_two_names_that_look_alike_are_two_files(tmp_path: Path) -> None:
    for byte in (b"\xfe", b"\xff"):
        with open(os.fsencode(tmp_path) + b"/" + byte, "w"):
            pass

    result = _ask([tmp_path, tmp_path / "."], names=["."])

    assert len(_rows(result)) == 2
    assert len({row["uri"] for row in _rows(result)}) == 2


def test_links_below_a_path_are_judged_by_what_they_lead_to_and_directories_not_entered(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "target").write_text("needle")
    os.symlink("../out/target", tmp_path / "in" / "link")
    os.symlink("../out", tmp_path / "in" / "directory")
    os.symlink("nowhere", tmp_path / "in" / "dangling")
    os.symlink("/dev/zero", tmp_path / "in" / "device")

    result = _ask([tmp_path / "in"], contents=["needle"], sizes=["6"], modes=["^-"])

    assert _files(result) == [f"{tmp_path}/in/link"]
    assert _skipped(result) == {coverage.DIRECTORY_LINK.text: 1, coverage.DANGLING.text: 1, coverage.SPECIAL.text: 1}


def test_a_path_that_is_a_link_is_followed_because_it_was_named(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_text("x")
    os.symlink("real", tmp_path / "link")

    assert _files(_ask([tmp_path / "link"], names=["."])) == [f"{tmp_path}/real/file"]


def test_a_large_sparse_file_is_read_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with open(path, "wb") as stream:
        stream.truncate(300 << 20)
        stream.seek(0, os.SEEK_END)
        stream.write(b"\nNEEDLE\n")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    result = _ask([tmp_path], contents=["^NEEDLE$"])

    assert _files(result) == [str(path)]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40 << 10


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
def test_files_of_proc_are_read_though_they_claim_to_be_empty() -> None:
    result = _ask(["/proc/self"], names=["^status$"], contents=[f"^Pid:\\s{os.getpid()}$"], options={"maxdepth": 1})

    assert _files(result) == [f"/proc/{os.getpid()}/status"]


@pytest.mark.skipif(not os.access("/proc/kmsg", os.R_OK), reason="needs to read /proc/kmsg")
def test_a_file_that_would_wait_for_more_does_not_block_the_run() -> None:
    result = _ask(["/proc/kmsg"], contents=["no such line in any kernel"], seconds=5)

    assert not result.found
    assert not result.coverage.complete


def test_lines_of_seventy_thousand_bytes_hide_nothing(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(b"A" * 70_000 + b"\nNEEDLE\n" + b"B" * 70_000 + b"TAIL")

    assert _ask([tmp_path], contents=["^NEEDLE$"]).found
    assert _ask([tmp_path], contents=["^B+TAIL$"]).found
    assert not _ask([tmp_path], contents=["!NEEDLE"]).found


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    levels = 1500
    here = os.open(tmp_path, os.O_RDONLY)
    for level in range(levels):
        for name in (b"d", b"e") if level % 100 == 0 else (b"d",):
            os.mkdir(name, dir_fd=here)
        with open(os.open("leaf", os.O_CREAT | os.O_WRONLY, dir_fd=here), "w") as leaf:
            leaf.write("needle")
        deeper = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    yield tmp_path, levels
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000)  # for shutil, not for us
    try:
        shutil.rmtree(tmp_path / "d")
    finally:
        sys.setrecursionlimit(limit)


def test_a_very_deep_tree_is_gone_through_with_few_descriptors(deep: tuple[Path, int]) -> None:
    root, levels = deep
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = max(map(int, os.listdir("/proc/self/fd")))  # what other tests of this process have open
    resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + 200, hard))
    try:
        result = _ask([root], contents=["needle"])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert len(_rows(result)) == levels
    assert result.coverage.complete
    assert result.coverage.examined["directories"] == levels + 1 + levels // 100


@pytest.mark.slow
def test_a_hundred_thousand_matches_come_back_or_are_said_to_be_cut(tmp_path: Path) -> None:
    count = 100_000
    for number in range(count):
        os.close(os.open(f"{tmp_path}/{number}", os.O_CREAT | os.O_WRONLY, 0o644))
    started = time.process_time()

    result = _ask([tmp_path], names=["."])

    assert time.process_time() - started < 30
    rows = len(_rows(result))
    assert len(dump(result.to_json())) < 32 << 20
    assert rows == count or (coverage.FULL.text in _skipped(result) and not result.coverage.complete)
    assert rows > 50_000


def test_special_permission_bits_are_in_the_row(tmp_path: Path) -> None:
    path = tmp_path / "suid"
    path.touch()
    path.chmod(0o4755)
    assert stat.S_IMODE(path.stat().st_mode) == 0o4755

    (row,) = _rows(_ask([tmp_path], modes=["^u"]))

    assert row["fileinfo"]["mode"] == "urwxr-xr-x"

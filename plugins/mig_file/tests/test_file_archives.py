"""Names inside archives, asked for with ``archives``."""

from __future__ import annotations

import io
import tarfile
import time
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.errors import ParameterError
from mig_core.plugin.module import Context
from mig_file import FileModule

if TYPE_CHECKING:
    from pathlib import Path

    from mig_core.domain.result import ModuleResult

MODULE = FileModule()


def _ask(path: Path, *, strict: bool = True, threads: int = 1, **search: Any) -> ModuleResult:
    options = {"matchall": True, "archives": True} | search.pop("options", {})
    raw = {"searches": {"s1": {"paths": [str(path)], "options": options, **search}}}
    return MODULE.run(
        MODULE.parse_parameters(raw, strict=strict), Context(deadline=time.monotonic() + 60, threads=threads)
    )


def _rows(result: ModuleResult) -> list[dict[str, Any]]:
    elements: Any = result.elements
    return [row for row in elements["s1"] if row["file"]]


def _found(result: ModuleResult) -> list[tuple[str, str]]:
    return [(row["file"].rsplit("/", 1)[-1], row.get("member", "")) for row in _rows(result)]


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("org/apache/logging/log4j/core/lookup/JndiLookup.class", b"x" * 2937)
    with zipfile.ZipFile(tmp_path / "app.war", "w") as archive:
        archive.writestr("WEB-INF/lib/log4j-core-2.14.1.jar", inner.getvalue())
        archive.writestr("WEB-INF/web.xml", "<x/>")
    with tarfile.open(tmp_path / "backup.bin", "w:gz") as packed:
        info = tarfile.TarInfo("home/user/.ssh/id_rsa")
        info.mode, info.mtime, info.size = 0o600, 1_577_934_245, 3
        packed.addfile(info, io.BytesIO(b"key"))
        packed.addfile(tarfile.TarInfo("home/user/readme"))
    (tmp_path / "readme").write_text("x")
    return tmp_path


def test_a_class_is_found_in_a_jar_in_a_war(shelf: Path) -> None:
    result = _ask(shelf, names=["^JndiLookup[.]class$"])

    (row,) = _rows(result)
    assert row["file"] == f"{shelf}/app.war"
    assert row["member"] == ("WEB-INF/lib/log4j-core-2.14.1.jar!org/apache/logging/log4j/core/lookup/JndiLookup.class")
    assert row["fileinfo"]["size"] == 2937
    assert result.coverage.complete
    assert result.coverage.examined["members"] == 5


def test_members_are_judged_by_what_the_archive_says_of_them(shelf: Path) -> None:
    assert _found(_ask(shelf, names=["id_rsa"], modes=["^-rw-------$"])) == [("backup.bin", "home/user/.ssh/id_rsa")]
    assert _found(_ask(shelf, names=["id_rsa"], modes=["^-rw-r--r--$"])) == []
    assert _found(_ask(shelf, names=["id_rsa"], sizes=["3"], mtimes=[">9d"])) == [
        ("backup.bin", "home/user/.ssh/id_rsa")
    ]
    assert _found(_ask(shelf, names=["[.]xml$"], types=["f"])) == [("app.war", "WEB-INF/web.xml")]
    assert _found(_ask(shelf, names=["[.]xml$"], types=["d"])) == []
    assert sorted(_found(_ask(shelf, names=["^readme$"]))) == [("backup.bin", "home/user/readme"), ("readme", "")]


def test_nothing_is_looked_into_unasked(shelf: Path) -> None:
    assert _found(_ask(shelf, names=["id_rsa"], options={"archives": False})) == []


def test_rows_and_lines_say_which_member(shelf: Path) -> None:
    result = _ask(shelf, names=["id_rsa"])

    assert list(MODULE.lines(result, found_only=True)) == [
        f"{shelf}/backup.bin!home/user/.ssh/id_rsa [lastmodified:2020-01-02 03:04:05 +0000 UTC, mode:-rw-------,"
        " size:3] in search 's1'"
    ]
    assert all("member" not in row for row in _rows(MODULE.mask(result)))


def test_more_processes_find_the_same_in_the_same_order(shelf: Path) -> None:
    for number in range(200):
        (shelf / f"f{number}").write_text("needle")
    search: dict[str, Any] = {"names": ["id_rsa"], "contents": ["needle"], "options": {"matchall": False}}

    assert _ask(shelf, threads=2, **search).elements == _ask(shelf, **search).elements


def test_filters_that_no_member_can_pass_are_refused(shelf: Path) -> None:
    refused: list[dict[str, Any]] = [
        {"contents": ["x"]},
        {"md5": ["0" * 32]},
        {"owners": ["root"]},
        {"ctimes": ["<1d"]},
    ]
    for search in refused:
        with pytest.raises(ParameterError, match="archives"):
            _ask(shelf, names=["x"], **search)
    assert _found(_ask(shelf, strict=False, names=["id_rsa"], contents=["x"])) == []


def test_the_match_limit_counts_members(shelf: Path) -> None:
    result = _ask(shelf, names=["."], options={"matchlimit": 3})

    assert len(_rows(result)) == 3
    assert not result.coverage.complete

"""What an answer says beside its rows: coverage, limits, time, errors, masking, printed lines, parameters refused."""

from __future__ import annotations

import gzip
import hashlib
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.domain.result import Coverage, ModuleResult, Skipped
from mig_core.errors import ParameterError
from mig_core.plugin.module import Context
from mig_endpoint import coverage
from mig_endpoint.finding import reasons
from mig_file import FileModule

if TYPE_CHECKING:
    from pathlib import Path

MODULE = FileModule()


def _run(searches: dict[str, Any], *, context: Context | None = None, strict: bool = True) -> ModuleResult:
    parsed = MODULE.parse_parameters({"searches": searches}, strict=strict)
    return MODULE.run(parsed, context or Context(deadline=time.monotonic() + 60))


def _ask(path: Path, *, context: Context | None = None, options: dict[str, Any] | None = None, **search: Any) -> Any:
    return _run({"s1": {"paths": [str(path)], "options": {"matchall": True} | (options or {}), **search}},
                context=context)  # fmt: skip


def _files(result: ModuleResult, label: str = "s1") -> list[str]:
    elements: Any = result.elements
    return [os.path.basename(row["file"]) for row in elements[label] if row["file"]]


def _skipped(result: ModuleResult) -> dict[str, int]:
    return {one.reason: one.count for one in result.coverage.skipped}


@pytest.fixture
def ten_files(tmp_path: Path) -> Path:
    for number in range(10):
        (tmp_path / f"file{number}").write_text(f"line {number}\n")
    return tmp_path


def test_a_complete_answer_counts_what_was_looked_at(ten_files: Path) -> None:
    (ten_files / "inner").mkdir()

    result = _ask(ten_files, contents=["line 3"])

    assert _files(result) == ["file3"]
    assert result.coverage == Coverage(True, {"files": 10, "directories": 2, "bytes": 70}, ())


def test_names_alone_read_no_content(ten_files: Path) -> None:
    assert _ask(ten_files, names=["3$"]).coverage.examined["bytes"] == 0


def test_a_missing_path_is_an_answer_and_not_a_gap(tmp_path: Path) -> None:
    result = _ask(tmp_path / "nosuch", names=["."])

    assert result.success
    assert not result.found
    assert result.coverage.complete
    assert _skipped(result) == {coverage.NOT_FOUND.text: 1}
    assert result.errors == (f"{tmp_path}/nosuch: no such file or directory",)


def test_the_match_limit_counts_matches_of_its_own_search_only_and_is_reported(ten_files: Path) -> None:
    path = str(ten_files)
    searches = {
        "few": {"paths": [path], "names": ["."], "options": {"matchall": True, "matchlimit": 3}},
        "all": {"paths": [path], "names": ["."], "options": {"matchall": True}},
    }

    result = _run(searches)

    assert len(_files(result, "few")) == 3
    assert len(_files(result, "all")) == 10
    assert _skipped(result) == {coverage.LIMIT.text: 7}
    assert not result.coverage.complete


def test_the_match_limit_is_exact_without_matchall(ten_files: Path) -> None:
    result = _ask(ten_files, names=["."], contents=["line"], options={"matchall": False, "matchlimit": 5})

    assert len(_files(result)) == 5


def test_directories_below_maxdepth_are_named_but_leave_the_answer_complete(ten_files: Path) -> None:
    (ten_files / "inner").mkdir()

    result = _ask(ten_files, names=["."], options={"maxdepth": 1})

    assert _skipped(result) == {reasons.DEPTH.text: 1}
    assert result.coverage.complete


def test_nothing_is_lost_of_what_was_found_before_time_ran_out(ten_files: Path) -> None:
    for number in range(40):
        (ten_files / f"z{number}").mkdir()
        for inner in range(40):
            (ten_files / f"z{number}" / f"g{inner}").touch()

    class ThreeLooks(Context):
        looks = 0

        def expired(self) -> bool:
            type(self).looks += 1
            return type(self).looks > 30

    result = _ask(ten_files, context=ThreeLooks(deadline=time.monotonic() + 60), names=["^file"])

    assert len(_files(result)) == 10
    assert not result.coverage.complete
    assert coverage.TIME.text in _skipped(result)
    assert result.coverage.examined["files"] < 10 + 40 * 40


def test_what_was_found_so_far_is_handed_over_now_and_then(ten_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mig_file.module.PARTIAL_SHARE", 0)  # each time, however long the one before took to make
    for number in range(300):
        (ten_files / f"inner{number}").mkdir()
        (ten_files / f"inner{number}" / "late").touch()
    handed: list[ModuleResult] = []
    context = Context(deadline=time.monotonic() + 60, on_partial=handed.append)
    module = FileModule(partial_interval=0)
    raw = {"searches": {"s1": {"paths": [str(ten_files)], "names": ["."], "options": {"matchall": True}}}}

    result = module.run(module.parse_parameters(raw), context)

    seen = [_files(one) for one in handed]
    assert all(set(earlier) <= set(_files(result)) for earlier in seen)
    assert any(seen)
    assert not any(one.coverage.complete for one in handed)
    assert result.coverage.complete


def test_more_threads_give_the_same_answer_in_the_same_order(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"file{number}").write_bytes(bytes([number]) * ((2 << 20) if number % 3 else 100))
    searches: dict[str, Any] = {"s1": {"paths": [str(tmp_path)], "md5": ["0" * 32], "contents": ["\\x05", "zzz"]}}
    searches["s1"]["options"] = {"matchall": False, "mismatch": ["md5"], "returnsha256": True}

    alone = _run(searches)
    together = _run(searches, context=Context(deadline=time.monotonic() + 60, threads=2))

    assert together.elements == alone.elements
    assert together.coverage == alone.coverage
    assert len(_files(together)) == 31


def test_time_that_runs_out_in_another_thread_keeps_what_was_found(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "small").write_bytes(b"x")
    for number in range(4):
        (tmp_path / "a" / f"large{number}").write_bytes(bytes(4 << 20))

    class ThreeLooks(Context):
        looks = 0

        def expired(self) -> bool:
            type(self).looks += 1
            return type(self).looks > 8

    context = ThreeLooks(deadline=time.monotonic() + 60, threads=2)
    result = _ask(tmp_path, context=context, md5=["0" * 32], options={"mismatch": ["md5"]})

    assert not result.coverage.complete
    assert coverage.TIME.text in _skipped(result)


def test_errors_are_cut_at_maxerrors_and_counted(tmp_path: Path) -> None:
    for number in range(5):
        os.symlink("nowhere", tmp_path / f"link{number}")

    result = _ask(tmp_path, names=["."], options={"maxerrors": 2})

    assert len(result.errors) == 3
    assert result.errors[-1] == "3 errors were not returned (max errors = 2)"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_not_a_file_without_the_content(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "secret").chmod(0)

    result = _ask(tmp_path, contents=["!absent"])

    assert not result.found
    assert _skipped(result) == {coverage.DENIED.text: 1}
    assert not result.coverage.complete


def test_searches_do_not_meddle_with_each_other(tmp_path: Path) -> None:
    (tmp_path / "packed.gz").write_bytes(gzip.compress(b"gamma\n"))
    (tmp_path / "plain").write_bytes(b"gamma\nalpha\n")
    path = str(tmp_path)
    searches = {
        "packed": {"paths": [path], "contents": ["^gamma$"], "options": {"matchall": True, "decompress": True}},
        "plain": {"paths": [path], "contents": ["^gamma$"], "options": {"matchall": True}},
        "without": {"paths": [path], "contents": ["!gamma"], "options": {"matchall": True}},
        "neither": {"paths": [path], "contents": ["!alpha"], "options": {"matchall": True}},
    }

    result = _run(searches)

    assert sorted(_files(result, "packed")) == ["packed.gz", "plain"]
    assert _files(result, "plain") == ["plain"]
    assert _files(result, "without") == ["packed.gz"]
    assert _files(result, "neither") == ["packed.gz"]


def test_sha256_is_returned_with_and_without_matchall_and_of_what_is_inside(tmp_path: Path) -> None:
    empty = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"
    (tmp_path / "empty.gz").write_bytes(gzip.compress(b""))

    for matchall in (True, False):
        options = {"matchall": matchall, "returnsha256": True, "decompress": True}
        elements: Any = _ask(tmp_path, names=["."], options=options).elements
        assert elements["s1"][0]["fileinfo"]["sha256"] == empty


def test_a_search_without_filters_is_refused_when_signed_and_explained_when_not(tmp_path: Path) -> None:
    searches = {"s1": {"paths": [str(tmp_path)]}}

    with pytest.raises(ParameterError, match="no filter"):
        _run(searches)
    result = _run(searches, strict=False)

    assert result.success
    assert not result.coverage.complete
    assert "no filter" in result.errors[0]


@pytest.mark.parametrize(
    ("search", "path"),
    [
        ({"sha2": ["abcd"]}, r"searches\.s1\.sha2\[0\]"),
        ({"sha2": ["904f0e4c8e8b798faea277f1ac22cbf00d2aeffd7b29f59596837a86"]}, "sha2"),
        ({"md5": ["z" * 32]}, "md5"),
        ({"names": ["("]}, "names"),
        ({"names": ["\ud800"]}, "names"),
        ({"contents": [""]}, "contents"),
        ({"sizes": ["<k"]}, "sizes"),
        ({"mtimes": ["2d"]}, "mtimes"),
        ({"paths": [""], "names": ["a"]}, "paths"),
        ({"paths": ["/a\0b"], "names": ["a"]}, "paths"),
        ({"names": ["a"], "options": {"mismatch": ["names"]}}, "mismatch"),
        ({"names": ["a"], "options": {"maxdepth": -1}}, "maxdepth"),
        ({"names": ["a"], "nmaes": ["b"]}, "nmaes"),
    ],
)
def test_unusable_parameters_are_refused_with_their_place(search: dict[str, Any], path: str) -> None:
    with pytest.raises(ParameterError, match=path):
        MODULE.parse_parameters({"searches": {"s1": {"paths": ["/tmp"], **search}}})


def test_fractions_and_negative_limits_are_cut_as_the_original_did_only_when_lenient() -> None:
    raw = {"searches": {"s1": {"paths": ["/"], "names": ["a"], "options": {"maxdepth": 2.7, "matchlimit": -1}}}}

    with pytest.raises(ParameterError, match="maxdepth"):
        MODULE.parse_parameters(raw)
    (search,) = MODULE.parse_parameters(raw, strict=False)

    assert (search.options.maxdepth, search.options.matchlimit) == (2, 0)


def test_a_lone_exclamation_mark_is_literal_and_a_mode_can_be_inverted(tmp_path: Path) -> None:
    (tmp_path / "a!b").touch(0o600)
    (tmp_path / "ab").touch(0o644)

    assert _files(_ask(tmp_path, names=["!"])) == ["a!b"]
    assert _files(_ask(tmp_path, modes=["!^-rw-------$"])) == ["ab"]


def test_masking_hides_names_everywhere(tmp_path: Path) -> None:
    (tmp_path / "secretdirectory").mkdir()
    (tmp_path / "secretdirectory" / "secretname").touch()
    os.symlink("nowhere", tmp_path / "secretlink")
    result = _ask(tmp_path, names=["name$"], options={"matchall": False})

    masked = MODULE.mask(result)

    assert "secret" in str(result)
    assert "secret" not in str(masked)
    assert masked.found


def test_printed_lines_have_the_form_scripts_expect(tmp_path: Path) -> None:
    (tmp_path / "f1").write_text("deep\n")
    os.utime(tmp_path / "f1", ns=(0, 1_577_934_245 * 10**9))
    (tmp_path / "f1").chmod(0o644)

    whole = list(MODULE.lines(_ask(tmp_path, names=["f1"], options={"returnsha256": True}), found_only=True))
    single = list(MODULE.lines(_ask(tmp_path, contents=["deep"], options={"matchall": False}), found_only=True))
    nothing = list(MODULE.lines(_ask(tmp_path, md5=["0" * 32], options={"matchall": False}), found_only=False))

    facts = "lastmodified:2020-01-02 03:04:05 +0000 UTC, mode:-rw-r--r--, size:5"
    sha256 = hashlib.sha256(b"deep\n").hexdigest()
    assert whole == [f"{tmp_path}/f1 [{facts}, sha256:{sha256}] in search 's1'"]
    assert single == [f"{tmp_path}/f1 [{facts}] in search 's1' on checks content='deep'"]
    assert nothing[0] == f"0 match found in search 's1' on checks md5='{'0' * 32}'"
    assert nothing[-1].startswith("Statistics: 1 files checked, 0 failed to open, 0 matched, ran in ")


def test_lines_survive_a_result_that_an_endpoint_made_up() -> None:
    made_up: list[Any] = [None, [], "x", {"s1": None}, {"s1": [None, 3, {"file": 7, "search": [], "fileinfo": "x"}]}]
    coverage = Coverage(False, {}, (Skipped("a\nb", 1, ("c\x1b[31m",)),))

    for elements in made_up:
        result = ModuleResult(True, True, elements, [1], ("e\nf",), coverage)
        assert all(line.isprintable() for line in MODULE.lines(result, found_only=False))


@pytest.mark.skipif(not os.path.ismount("/proc"), reason="needs a mount below /")
def test_a_walk_stays_on_its_file_system_when_asked() -> None:
    context = Context(deadline=time.monotonic() + 60)

    result = _run(
        {"s1": {"paths": ["/"], "names": ["^no such name$"], "options": {"maxdepth": 2, "onefilesystem": True}}},
        context=context,
    )

    assert _skipped(result)[coverage.OTHER_FILE_SYSTEM.text] >= 1


def test_a_relative_path_is_relative_to_the_agent_and_reported_so(
    ten_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ten_files)

    result = _run({"s1": {"paths": ["file1"], "names": ["."], "options": {"matchall": True}}})

    elements: Any = result.elements
    assert [row["file"] for row in elements["s1"]] == ["file1"]


def test_paths_with_wildcards_are_expanded_on_the_endpoint(tmp_path: Path) -> None:
    for name in ("alice", "bob"):
        (tmp_path / name / ".ssh").mkdir(parents=True)
        (tmp_path / name / ".ssh" / "authorized_keys").write_text(name)

    result = _run(
        {
            "s1": {
                "paths": [f"{tmp_path}/*/.ssh", f"{tmp_path}/alice"],
                "names": ["^auth"],
                "options": {"matchall": True},
            },
            "s2": {"paths": [f"{tmp_path}/*/no-such"], "names": ["."], "options": {"matchall": True}},
        }
    )

    elements: Any = result.elements
    found = [row["file"] for row in elements["s1"]]
    assert sorted(found) == [f"{tmp_path}/{name}/.ssh/authorized_keys" for name in ("alice", "bob")]
    assert elements["s1"][0]["search"]["paths"] == [f"{tmp_path}/*/.ssh", f"{tmp_path}/alice"]
    assert _skipped(result) == {coverage.NOTHING_FITS.text: 1}
    assert len(result.errors) == 1


def test_the_originals_interface_takes_wildcards_literally_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "alice").mkdir()
    searches = {"s1": {"paths": [f"{tmp_path}/a*"], "names": ["."], "options": {"matchall": True}}}

    result = _run(searches, strict=False)

    assert not result.coverage.complete
    assert _skipped(result) == {reasons.NOT_EXPANDED.text: 1, coverage.NOT_FOUND.text: 1}


def test_a_double_star_is_refused_with_what_to_do() -> None:
    with pytest.raises(ParameterError, match="with all below it"):
        MODULE.parse_parameters({"searches": {"s1": {"paths": ["/home/**/x"], "names": ["a"]}}})

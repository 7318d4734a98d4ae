"""Rules in files, and in what is in files."""

from __future__ import annotations

import gc
import gzip
import io
import lzma
import os
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.plugin.coverage import Tally
from mig_endpoint.files.archives.member import Member
from mig_yara import YaraModule, archived, files, reasons, rules
from mig_yara.engine import Engine, Limits

if TYPE_CHECKING:
    from pathlib import Path

    from mig_core.domain.result import ModuleResult

EVIL = """rule evil : shell web {
    meta: author = "us" score = 70
    strings: $a = "evil" $b = /co[a-z]e/
    condition: all of them
}
"""


def rows(result: ModuleResult) -> list[dict[str, Any]]:
    return list(YaraModule().rows(result))


def skipped(result: ModuleResult) -> set[str]:
    return {one.reason for one in result.coverage.skipped}


def test_a_row_says_file_rule_tags_metadata_patterns_and_places(ask: Any, tmp_path: Path) -> None:
    (tmp_path / "a.php").write_text("evil code, evil code")

    result = ask(EVIL, paths=[str(tmp_path)])

    assert rows(result) == [
        {
            "file": f"{tmp_path}/a.php",
            "rule": "evil",
            "namespace": "default",
            "tags": ["shell", "web"],
            "meta": ["author=us", "score=70"],
            "patterns": ["$a=2", "$b=2"],
            "matches": ["$a@0x0:4", "$a@0xb:4", "$b@0x5:4", "$b@0x10:4"],
            "size": 20,
        }
    ]
    assert result.coverage.complete
    assert result.coverage.examined["files"] == 1
    assert result.statistics["engine"].startswith("yara-x 1.")


def test_bytes_are_told_only_when_asked_for_and_never_by_a_private_agent(ask: Any, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("evil code")

    plain, shown = ask(EVIL, paths=[str(tmp_path)]), ask(EVIL, paths=[str(tmp_path)], excerpts=2)

    assert "excerpts" not in rows(plain)[0]
    assert rows(shown)[0]["excerpts"] == ["$a=6576", "$b=636f"]
    assert "6576" not in str(YaraModule().mask(shown).elements)


def test_filters_of_file_choose_which_files_are_looked_into(ask: Any, tmp_path: Path) -> None:
    for name in ("a.php", "b.php", "c.txt"):
        (tmp_path / name).write_text("evil code" + "." * (2000 if name == "b.php" else 0))
    (tmp_path / "d.php").mkdir()
    os.mkfifo(tmp_path / "e.php")

    by_name = ask(EVIL, paths=[str(tmp_path)], names=["[.]php$"])
    by_size = ask(EVIL, paths=[str(tmp_path)], names=["[.]php$"], sizes=["<1k"])

    assert {row["file"][-5:] for row in rows(by_name)} == {"a.php", "b.php"}
    assert [row["file"][-5:] for row in rows(by_size)] == ["a.php"]


def test_the_originals_words_for_files_are_understood(ask: Any, tmp_path: Path) -> None:
    (tmp_path / "a b.php").write_text("evil code")
    (tmp_path / "c.php").write_text("evil code")

    result = ask(EVIL, filesearch=f"-path {tmp_path} -name '^a b' -matchlimit=1 --size '<1k'")

    assert [row["file"] for row in rows(result)] == [f"{tmp_path}/a b.php"]


def test_the_originals_action_files_are_understood(tmp_path: Path) -> None:
    question = YaraModule().parse_parameters({"yara": EVIL, "filesearch": f"-path {tmp_path} -name ."})

    assert question.rules.count == 1


def test_any_of_several_filters_looks_into_a_file_once(ask: Any, tmp_path: Path) -> None:
    (tmp_path / "a.php").write_text("evil code")

    result = ask(EVIL, paths=[str(tmp_path)], names=["php"], sizes=["<1k"], options={"matchall": False})

    assert len(rows(result)) == 1


def archive_of(kind: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as zipped:
            zipped.writestr("in/x.php", content)
            zipped.writestr("other.txt", b"nothing" * 100)
    else:
        with tarfile.TarFile(fileobj=stream, mode="w") as tar:
            for name, data in (("other.txt", b"nothing" * 100), ("in/x.php", content)):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    data = stream.getvalue()
    return {"gz": gzip.compress(data), "xz": lzma.compress(data)}.get(kind, data)


@pytest.mark.parametrize("kind", ["zip", "tar", "gz", "xz"])
def test_members_of_archives_are_looked_into(ask: Any, tmp_path: Path, kind: str) -> None:
    content = os.urandom(5000) + b"evil " + os.urandom(70_000) + b"code"
    (tmp_path / "archive").write_bytes(archive_of(kind, content))

    result = ask(EVIL, paths=[str(tmp_path)], names=["[.]php$"], options={"archives": True})

    (row,) = rows(result)
    assert (row["member"], row["size"]) == ("in/x.php", len(content))
    assert row["matches"][0] == "$a@0x1388:4"
    assert result.coverage.complete


def test_a_member_of_an_archive_in_an_archive_is_looked_into(ask: Any, tmp_path: Path) -> None:
    outer = archive_of("zip", b"").replace(b"x", b"x")
    with zipfile.ZipFile(tmp_path / "outer.jar", "w") as zipped:
        zipped.writestr("lib/inner.jar", archive_of("zip", b"evil code"))
        zipped.writestr("plain", outer)

    result = ask(EVIL, paths=[str(tmp_path)], options={"archives": True})

    assert [row["member"] for row in rows(result)] == ["lib/inner.jar!in/x.php"]


def test_compressed_files_are_looked_into_when_asked(ask: Any, tmp_path: Path) -> None:
    (tmp_path / "log.gz").write_bytes(gzip.compress(b"evil code"))

    assert rows(ask(EVIL, paths=[str(tmp_path)])) == []
    assert len(rows(ask(EVIL, paths=[str(tmp_path)], options={"decompress": True}))) == 1


def test_a_damaged_compressed_file_is_booked(ask: Any, tmp_path: Path) -> None:
    (tmp_path / "log.gz").write_bytes(gzip.compress(b"evil code")[:-6])

    result = ask(EVIL, paths=[str(tmp_path)], options={"decompress": True})

    assert skipped(result) == {"damaged compressed data"}
    assert not result.coverage.complete


@pytest.mark.parametrize("method", [99, 12])
def test_a_member_packed_in_another_way_is_booked(method: int) -> None:
    tally = Tally()

    assert archived.content(Member("x", 0o100644, 5, 0, None, method), tally, "a!x") is None

    assert tally.skipped(reasons.MEMBER_NOT_UNPACKED) == 1


@pytest.mark.parametrize("said", [0, 3])
def test_a_member_that_is_larger_than_the_archive_says_is_looked_into_and_booked(
    ask: Any, tmp_path: Path, said: int
) -> None:
    whole = bytearray(archive_of("zip", b"evil code" * 9))
    at = whole.index(b"PK\x01\x02") + 24
    whole[at : at + 4] = said.to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(whole)

    result = ask(EVIL, paths=[str(tmp_path)], options={"archives": True})

    assert [row["rule"] for row in rows(result) if row.get("member")] == ["evil"]
    assert skipped(result) == {"damaged member of an archive"}


def test_a_member_that_is_cut_off_is_booked(ask: Any, tmp_path: Path) -> None:
    whole = bytearray(archive_of("zip", b"evil code" * 9))
    at = whole.index(b"PK\x01\x02") + 20
    whole[at : at + 4] = (4).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(whole)

    result = ask(EVIL, paths=[str(tmp_path)], options={"archives": True})

    assert skipped(result) == {"damaged member of an archive"}


def test_a_file_too_large_to_be_held_is_looked_at_in_pieces_and_says_which_rules_were_not(
    ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files.Files.__init__, "__kwdefaults__", {"held": 200_000})
    with open(tmp_path / "large", "wb") as file:
        file.write(b"evil")
        file.seek(40 << 20)  # a hole
        file.write(b"." * 200_000 + b"code")

    result = ask(EVIL + " rule large { condition: filesize > 1MB }", paths=[str(tmp_path)])

    (row,) = rows(result)
    assert row["matches"] == ["$a@0x0:4", f"$b@{(40 << 20) + 200_000:#x}:4"]
    assert [one.examples for one in result.coverage.skipped] == [
        (f"{tmp_path}/large: large: its condition has 'filesize'",)
    ]


def test_a_large_hole_moves_no_match_and_makes_no_file_smaller(ask: Any, tmp_path: Path) -> None:
    with open(tmp_path / "behind", "wb") as file:
        file.seek(1_500_000_000)
        file.write(b"needle")
    with open(tmp_path / "in front", "wb") as file:
        file.write(b"needle")
        file.truncate(1_500_000_000)
    rules = 'rule found { strings: $a = "needle" condition: $a } rule small { condition: filesize < 100MB }'

    result = ask(rules, paths=[str(tmp_path)])

    assert {(row["file"], row["rule"], *row["matches"]) for row in rows(result)} == {
        (str(tmp_path / "behind"), "found", f"$a@{1_500_000_000:#x}:6"),
        (str(tmp_path / "in front"), "found", "$a@0x0:6"),
    }
    assert not result.coverage.complete


def test_external_variables_are_those_of_the_file(ask: Any, tmp_path: Path) -> None:
    for name in ("x.php", "y.jpg"):
        (tmp_path / name).write_text("<?php")
    rule = 'rule r { strings: $a = "<?php" condition: $a and extension == ".jpg" and filepath contains "y" }'

    assert [row["file"][-5:] for row in rows(ask(rule, paths=[str(tmp_path)]))] == ["y.jpg"]


def test_a_name_that_is_no_text_is_looked_at_like_any_other(ask: Any, tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"odd\xff.php")).write_text("evil code")

    result = ask(EVIL + 'rule named { condition: filename contains "odd" }', paths=[str(tmp_path)])

    assert [(row["rule"], row["file"][-8:]) for row in rows(result)] == [
        ("evil", "odd\ufffd.php"),
        ("named", "odd\ufffd.php"),
    ]
    assert rows(result)[0]["uri"].endswith("odd%FF.php")
    assert result.coverage.complete


def test_a_rule_that_takes_too_long_is_booked_and_does_not_hold_the_next_file_up(ask: Any, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text("evil code")
    slow = 'rule slow { condition: filename == "a" and for all i in (1..100000000000) : (i > 0) }'

    result = ask(EVIL + slow, paths=[str(tmp_path)], timeout=1)

    assert [row["file"][-1] for row in rows(result)] == ["b"]
    assert skipped(result) == {reasons.SLOW.text}
    assert "the rules took longer than 1 s" in result.errors[0]


def test_a_run_ends_at_its_deadline_though_a_rule_goes_on(ask: Any, tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number}").write_text("x")

    result = ask(
        "rule slow { condition: for all i in (1..100000000000) : (i > 0) }", paths=[str(tmp_path)], seconds=1.5
    )

    assert "time ran out" in skipped(result)
    assert not result.coverage.complete


def test_a_million_matches_are_counted_no_further_than_said(ask: Any, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a" * 300_000)

    result = ask('rule r { strings: $a = "a" condition: $a }', paths=[str(tmp_path)])

    (row,) = rows(result)
    assert (row["patterns"], len(row["matches"])) == (["$a=100000"], 10)
    assert skipped(result) == {reasons.MANY.text}


def test_a_file_that_cannot_be_read_is_booked(ask: Any, tmp_path: Path) -> None:
    result = ask(EVIL, paths=[str(tmp_path / "missing"), "/proc/self/mem"])

    assert not result.found
    assert not result.coverage.complete


def test_a_pseudo_file_that_says_it_is_empty_is_read(ask: Any) -> None:
    result = ask('rule r { strings: $a = "Linux version" condition: $a }', paths=["/proc/version"])

    assert [row["file"] for row in rows(result)] == ["/proc/version"]


def test_links_are_not_followed_out_of_the_tree_and_those_to_files_are_looked_at(ask: Any, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "evil").write_text("evil code")
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "evil")
    (tmp_path / "tree" / "up").symlink_to(tmp_path)

    assert [row["file"] for row in rows(ask(EVIL, paths=[str(tmp_path / "tree")]))] == [f"{tmp_path}/tree/link"]


@pytest.mark.parametrize("what", ["files", "processes"])
def test_no_scanner_is_left_to_the_garbage_collector_which_may_run_in_any_thread(
    ask: Any, tmp_path: Path, what: str
) -> None:
    (tmp_path / "a").write_text("evil code")
    gc.collect()
    gc.disable()
    try:
        ask(EVIL, **({"paths": [str(tmp_path)]} if what == "files" else {"processes": True, "names": ["^nobody$"]}))
        engines = [one for one in gc.get_objects() if isinstance(one, Engine)]
    finally:
        gc.enable()

    assert not any(one._scanners for one in engines)


def test_console_prints_nothing(ask: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").write_text("x")

    result = ask('import "console" rule r { condition: console.log("hello") }', paths=[str(tmp_path)])

    assert result.found
    assert capfd.readouterr().out == ""


def test_an_engine_names_no_file_of_another(tmp_path: Path) -> None:
    checked = rules.check(['rule r { condition: filename == "a" }'])
    engine = Engine(checked, Limits(), Tally(), lambda: 60.0)

    engine.name({"filename": "a"})
    first = engine.scan(b"", "a")
    engine.name({})

    assert (len(first), engine.scan(b"", "b")) == (1, [])

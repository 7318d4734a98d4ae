"""``mig sweep`` on this machine: one question, every row with its indicator."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.cli import exit_codes
from mig_core.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "implant").write_text("evil content")
    (folder / "backdoor.php").write_text("<?php")
    return folder


@pytest.fixture
def report(tmp_path: Path, tree: Path) -> Path:
    digest = hashlib.sha256((tree / "implant").read_bytes()).hexdigest()
    objects: list[dict[str, Any]] = [
        {"pattern": f"[file:hashes.'SHA-256' = '{digest}']", "name": "implant", "confidence": 90, "labels": ["apt0"]},
        {"pattern": 'rule evil { strings: $a = "evil content" condition: $a }', "pattern_type": "yara", "name": "y"},
        {"pattern": "[windows-registry-key:key = 'HKLM']", "name": "registry"},
    ]
    bundle = {"type": "bundle", "objects": [{"type": "indicator", "pattern_type": "stix", **each} for each in objects]}
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "bundle.json").write_text(json.dumps(bundle))
    (folder / "list.txt").write_text("backdoor.php\nnot-there.exe\n203.0.113.77\n")
    return folder


def test_every_row_says_its_indicator_and_its_report(
    tree: Path, report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["sweep", str(report), "-t", "local", "--path", str(tree), "--no-memory"])

    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert status == exit_codes.ALL_ANSWERED
    assert len(lines) == 3
    assert "tree/implant" in lines[0]
    assert "(bundle.json; implant; confidence 90; apt0)" in lines[0]
    assert lines[1].endswith("<- file name backdoor.php (list.txt; line 1)")
    assert lines[2].endswith(f"yara {tree}/implant evil <- yara rules y (bundle.json; y)")
    assert "not asked: 1: no module is asked about that" in printed.err


def test_json_and_csv_have_the_indicators(tree: Path, report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sweep", str(report), "-t", "local", "--path", str(tree), "--no-memory"]

    main([*words, "--csv"])
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    main([*words, "--json"])
    (answer,) = json.loads(capsys.readouterr().out)["answers"]

    assert [(row["type"], row["source"], row["confidence"], row["labels"]) for row in table] == [
        ("hash", "bundle.json", "90", "apt0"),
        ("file name", "list.txt", "", ""),
        ("yara rules", "bundle.json", "", ""),
    ]
    assert [each["indicators"][0]["type"] for each in answer["indicators"]] == ["hash", "file name", "yara rules"]


def test_nothing_found_is_said_and_found_is_about_indicators(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.txt").write_text("not-there.exe\n")

    main(["sweep", str(tmp_path / "list.txt"), "-t", "local", "--path", str(tree)])

    printed = capsys.readouterr()
    assert printed.out == ""
    assert "0 of 1 agent found something" in printed.err


def test_explain_says_what_is_made_of_each(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", str(report), "--explain"]) == exit_codes.ALL_ANSWERED

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "5 indicators are asked, with 4 operations in 1 action"
    assert sum(line.startswith("asked: ") for line in lines) == 5
    assert next(line for line in lines if line.startswith("not asked: ")).endswith("no module is asked about that")


def test_a_dry_run_shows_the_question(tree: Path, report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["sweep", str(report), "-t", "local", "--path", str(tree), "--dry-run", "--no-memory"])

    assert [each["module"] for each in json.loads(capsys.readouterr().out)] == ["file", "netstat", "yara"]


def test_a_report_that_cannot_be_read_names_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.json").write_text("{")

    status = main(["sweep", str(tmp_path / "x.json"), "-t", "local"])

    assert status == exit_codes.ERROR
    assert "x.json: is no JSON" in capsys.readouterr().err

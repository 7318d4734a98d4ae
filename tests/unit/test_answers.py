"""Printing answers: what comes from endpoints cannot harm a terminal or a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from mig_core.cli.answers import AnswerPrinter
from mig_core.cli.ask_options import Format, Show
from mig_core.text import visible

if TYPE_CHECKING:
    import pytest


def command(name: str = "web1", *, found: bool = True, elements: Any = None, **changed: Any) -> dict[str, Any]:
    coverage = {"complete": True, "examined": {}, "skipped": []}
    result = {
        "foundanything": found,
        "success": True,
        "elements": elements,
        "statistics": None,
        "errors": None,
        "coverage": coverage,
    }
    return {"agentname": name, "state": "success", "reason": "", "found": found, "results": [result], **changed}


def test_control_characters_of_an_endpoint_are_made_visible() -> None:
    assert visible("a\x1b[2Jb\rc\u202ed\ne") == "a\\x1b[2Jb\\rc\\u202ed\\ne"


def test_a_name_that_clears_the_screen_is_printed_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    printer = AnswerPrinter(["nosuch"], Show.FOUND, Format.TEXT)

    printer.print(command("evil\x1b[2J", elements={"k": "v"}))

    assert "\x1b" not in capsys.readouterr().out


def test_a_cell_that_looks_like_a_formula_is_quoted(capsys: pytest.CaptureFixture[str]) -> None:
    printer = AnswerPrinter(["nosuch"], Show.FOUND, Format.CSV)

    printer.print(command("=HYPERLINK(1)", elements=[1]))

    (row,) = csv.reader(io.StringIO(capsys.readouterr().out))
    assert row[0] == "'=HYPERLINK(1)"


def test_an_unknown_module_is_shown_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    printer = AnswerPrinter(["nosuch"], Show.FOUND, Format.TEXT)

    printer.print(command(elements={"port": 22}))

    assert capsys.readouterr().out == 'web1 nosuch: {"port": 22}\n'


def test_only_wanted_answers_are_shown_and_all_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    printer = AnswerPrinter(["nosuch"], Show.NOTFOUND, Format.JSONL)

    printer.print(command("found"))
    printer.print(command("clean", found=False))
    printer.finish(None)

    printed = capsys.readouterr()
    assert [json.loads(line)["agentname"] for line in printed.out.splitlines()] == ["clean"]
    assert "1 of 2 agents found something" in printed.err


def test_what_was_not_looked_at_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    answer = command(found=False)
    answer["results"][0]["coverage"] = {
        "complete": False,
        "examined": {"files": 3},
        "skipped": [{"reason": "permission denied", "count": 7, "examples": ["/root"]}],
    }
    printer = AnswerPrinter(["nosuch"], Show.FOUND, Format.TEXT)

    printer.print(answer)
    printer.finish(None)

    assert "permission denied: 7" in capsys.readouterr().err

"""Printing answers: what comes from endpoints cannot harm a terminal or a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.cli.answers import AnswerPrinter
from mig_core.cli.formats import Format, Show
from mig_core.client.csv_answers import CsvAnswers
from mig_core.plugin.columns import Column, ColumnKind
from mig_core.plugin.module import ModuleInfo
from mig_core.plugin.table import TableModule
from mig_core.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mig_core.plugin.cells import Cell


def command(name: str = "web1", *, found: bool | None = True, elements: Any = None, **changed: Any) -> dict[str, Any]:
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


class Ports(TableModule):
    info = ModuleInfo(name="ports", summary="which ports there are")
    columns = (
        Column("port", ColumnKind.INTEGER, "number"),
        Column("state", ColumnKind.TEXT, "state"),
        Column("program", ColumnKind.PATH, "whose"),
        Column("shared", ColumnKind.BOOLEAN, "whether others have it too"),
        Column("names", ColumnKind.LIST, "what it is called"),
    )

    def look(self, context: object, tally: object) -> Iterator[Mapping[str, Cell]]:
        return iter(())


def test_control_characters_of_an_endpoint_are_made_visible() -> None:
    assert visible("a\x1b[2Jb\rc\u202ed\ne") == "a\\x1b[2Jb\\rc\\u202ed\\ne"


def test_a_name_that_clears_the_screen_is_printed_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    printer = AnswerPrinter(["nosuch"], Show.FOUND, Format.TEXT)

    printer.print(command("evil\x1b[2J", elements={"k": "v"}))

    assert "\x1b" not in capsys.readouterr().out


def printed_rows(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_a_cell_that_looks_like_a_formula_is_quoted(start: str, capsys: pytest.CaptureFixture[str]) -> None:
    write = CsvAnswers(sys.stdout, ["ports"], {"ports": Ports()}.get).write

    write(command(f"{start}HYPERLINK(1)", elements={"rows": [{"program": f"{start}cmd", "names": [f"{start}x"]}]}))

    (row,) = printed_rows(capsys)
    assert (row["agent"], row["program"], row["names"]) == (f"'{start}HYPERLINK(1)", f"'{start}cmd", f"'{start}x")


def test_csv_has_a_header_and_one_value_a_cell(capsys: pytest.CaptureFixture[str]) -> None:
    write = CsvAnswers(sys.stdout, ["ports"], {"ports": Ports()}.get).write
    rows = [
        {"port": -1, "state": "LISTEN", "program": None, "shared": True, "names": ["a", "b"]},
        {"port": 80, "other": 1},
    ]

    write(command(elements={"rows": rows}, complete=False))

    text = capsys.readouterr().out
    assert text.splitlines() == [
        "agent,state,found,complete,reason,module,port,ports_state,program,shared,names",
        "web1,success,true,false,,ports,-1,LISTEN,?,true,a; b",
        "web1,success,true,false,,ports,80,,,,",
    ]


def test_csv_has_a_line_for_an_answer_without_rows(capsys: pytest.CaptureFixture[str]) -> None:
    write = CsvAnswers(sys.stdout, ["ports"], {"ports": Ports()}.get).write

    write(command(state="refused", found=None, complete=None, results=None, reason="needs weight 2, has 1"))

    (row,) = printed_rows(capsys)
    assert (row["state"], row["found"], row["reason"], row["port"]) == ("refused", "", "needs weight 2, has 1", "")


def test_csv_has_a_header_even_without_answers(capsys: pytest.CaptureFixture[str]) -> None:
    AnswerPrinter(["nosuch"], Show.FOUND, Format.CSV).finish(None)

    assert capsys.readouterr().out == "agent,state,found,complete,reason,module,label,element\r\n"


def test_csv_of_several_operations_has_the_columns_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    answer = command(elements={"rows": [{"port": 22}]})
    answer["results"].append(command(elements={"s1": [{"k": 1}]})["results"][0])
    write = CsvAnswers(sys.stdout, ["ports", "nosuch"], {"ports": Ports()}.get).write

    write(answer)

    first, second = printed_rows(capsys)
    assert (first["module"], first["port"], first["element"]) == ("ports", "22", "")
    assert (second["module"], second["port"], second["label"], second["element"]) == ("nosuch", "", "s1", '{"k": 1}')


def test_rows_of_a_table_that_is_not_installed_here_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    printer = AnswerPrinter(["nosuch"], Show.FOUND, Format.TEXT)
    elements = {"rows": [{"user": "a\nb", "port": None}], "columns": [{"name": "port"}, {"name": "user"}, 7]}

    printer.print(command(elements=elements))

    assert capsys.readouterr().out == "web1 port=? user=a\\nb\n"


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


def test_what_was_not_looked_at_counts_each_agent_once_and_says_where_to_see_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    printer = AnswerPrinter(["nosuch"] * 2, Show.FOUND, Format.TEXT)
    for name, counts in (("web2", (169, 170)), ("web1", (169, 169))):
        answer = command(name, found=False)
        answer["results"] = [
            answer["results"][0]
            | {"coverage": {"complete": False, "examined": {}, "skipped": [{"reason": "denied", "count": count}]}}
            for count in counts
        ]
        printer.print(answer)

    printer.finish({"id": "ACTION"})

    assert capsys.readouterr().err.splitlines() == [
        "not everything was looked at on 2 agents:",
        "  denied: 169 to 170 (2 agents)",
        "  what and where: mig why ACTION web1",
        "0 of 2 agents found something",
    ]


def test_an_answer_that_comes_from_looking_at_nothing_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    printer = AnswerPrinter(["nosuch"], Show.FOUND, Format.TEXT)
    for name, files in (("web1", 0), ("web2", 0), ("web3", 7)):
        answer = command(name, found=False)
        skipped = [{"reason": "no such file or directory", "count": 1, "examples": ["/ect"]}]
        answer["results"][0]["coverage"] = {"complete": True, "examined": {"files": files}, "skipped": skipped}
        printer.print(answer)

    printer.finish(None)

    assert capsys.readouterr().err.splitlines() == [
        "nothing to look at on 2 agents: no such file or directory: /ect",
        "0 of 3 agents found something",
    ]

"""A question that is read without typer means what typer says it means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mig_core.cli import ask_options, exit_codes, investigate, module_arguments, words
from mig_core.cli.main import main
from mig_core.cli.plain_question import plain_question
from mig_core.config.client import ONLINE
from mig_core.domain.target import parse_target

if TYPE_CHECKING:
    from collections.abc import Sequence

MODULES = ("file", "process", "netstat", "timedrift", "ping")
VALUES = (
    "",
    "/etc",
    "-path",
    "--name",
    "5",
    "007",
    "-1",
    "1e3",
    " 2",
    "all",
    "local",
    "a=b",
    "found",
    "é",
    "30s",
    "--",
)
ODD = (
    "--help",
    "-h",
    "--",
    "-",
    "--nam",
    "-path=/etc",
    "--path=/etc",
    "--path=",
    "--matchall=x",
    "word",
    "-tall",
    "-ep",
)

_COMMANDS = {name: investigate.module_command(name) for name in MODULES}


def spellings(name: str) -> list[str]:
    members = words.module(name).parameters
    declared = [one.name for one in members.members if one.cli] + [one.name for one in members.switches]
    own = [word for *_, each in ask_options.SPELLINGS for word in each]
    return [dash + one for one in declared for dash in ("-", "--", "--no-")] + own


@st.composite
def command_lines(draw: st.DrawFn) -> tuple[str, list[str]]:
    name = draw(st.sampled_from(MODULES))
    option = st.sampled_from(spellings(name))
    pair = st.tuples(option, st.sampled_from(VALUES)).map(list)
    joined = st.tuples(option, st.sampled_from(VALUES)).map(lambda both: ["=".join(both)])
    part = st.one_of(
        pair, pair, pair, option.map(lambda one: [one]), joined, st.sampled_from(ODD).map(lambda one: [one])
    )
    return name, [word for each in draw(st.lists(part, min_size=1, max_size=5)) for word in each]


def as_typer_reads(name: str, typed: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """Declared parameters and options, as they reach the question."""
    reached: list[tuple[Any, Any]] = []

    def ask(module: Any, arguments: Any, options: Any) -> int:
        reached.append((module_arguments.chosen(module.parameters, arguments), options))
        return 0

    monkeypatch.setattr(investigate, "ask_module", ask)
    _COMMANDS[name](list(typed), prog_name="mig", standalone_mode=False)
    ((parameters, options),) = reached
    return parameters, options


@settings(max_examples=150, deadline=None)
@given(command_lines())
def test_what_is_read_without_typer_means_the_same_to_it(line: tuple[str, list[str]]) -> None:
    name, typed = line
    question = plain_question([name, *typed])
    if question is None:
        return

    module, arguments, options = question.args  # type: ignore[attr-defined]  # a partial
    with pytest.MonkeyPatch.context() as patch:
        expected = as_typer_reads(name, typed, patch)

    assert (module_arguments.chosen(module.parameters, arguments), options) == expected


@pytest.mark.parametrize(
    "typed",
    [
        ["file", "-path", "/etc", "-name", "^motd$"],
        ["file", "--path=/etc", "-path", "/usr", "-t", "all", "-e", "60s", "--json", "-matchall"],
        ["file", "-t", "web*", "-t", "db", "--show", "all", "--wait", "95%", "--name=a=b"],
        ["process", "-name", "sshd", "--limit", "3", "-t", "local"],
    ],
)
def test_usual_questions_are_plain(typed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    question = plain_question(typed)

    assert question is not None
    module, arguments, options = question.args  # type: ignore[attr-defined]  # a partial
    expected = as_typer_reads(typed[0], typed[1:], monkeypatch)
    assert (module_arguments.chosen(module.parameters, arguments), options) == expected


@pytest.mark.parametrize(
    "typed",
    [
        [],
        ["file"],
        ["agents", "--json"],
        ["no-such-module", "-x", "y"],
        ["file", "--help"],
        ["file", "-path"],
        ["file", "-pathh", "/etc"],
        ["file", "-path", "/etc", "more"],
        ["file", "-path", "/etc", "-e", "soon"],
        ["file", "-path", "/etc", "--json", "--csv"],
        ["file", "-path", "/etc", "--show", "some"],
        ["file", "-path", "/etc", "--maxdepth", "two"],
        ["file", "-path", "/etc", "--where", "size > 1"],
        ["sigma", "--list"],
    ],
)
def test_everything_else_is_left_to_typer(typed: list[str]) -> None:
    assert plain_question(typed) is None


def test_a_shell_that_completes_is_left_to_typer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_MIG_COMPLETE", "complete_bash")

    assert plain_question(["file", "-path", "/etc"]) is None


def test_a_value_that_the_module_refuses_is_told_as_ever(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["file", "-path", "/etc", "-name", "(", "-t", "local"])

    assert status == exit_codes.USAGE
    assert "--name" in capsys.readouterr().err


def test_the_target_that_is_not_read_is_what_reading_it_would_give() -> None:
    expanded = parse_target(ONLINE, macros={"online": "name='x'", "status": "name='y'"}).expanded

    assert expanded == ONLINE

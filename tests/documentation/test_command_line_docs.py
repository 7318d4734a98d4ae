"""``docs/command-line.md`` says what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mig_core.cli import ask_options, exit_codes
from mig_core.cli.main import OWN_COMMANDS

PAGE = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", sorted(OWN_COMMANDS))
def test_every_command_is_in_the_table(command: str) -> None:
    assert re.search(rf"^\| `mig {command}( [A-Z]+)?` \|", PAGE, re.MULTILINE)


def test_every_option_of_a_question_is_in_the_table() -> None:
    documented = set(re.findall(r"`(-{1,2}[a-z-]+)`", PAGE))

    for name, _, _, spellings in ask_options.SPELLINGS:
        if name != "compress":  # hidden: accepted for the original's sake
            assert documented & set(spellings), name


def test_every_exit_status_is_in_the_table() -> None:
    documented = {int(number) for number in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}

    assert documented == {value for name, value in vars(exit_codes).items() if name.isupper()}

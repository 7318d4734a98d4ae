"""``docs/command-line.md`` says what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from mig_core.cli import ask_options, exit_codes
from mig_core.cli.actions import action_app
from mig_core.cli.admin import app as admin_app
from mig_core.cli.agents import agent_app
from mig_core.cli.configuration import app as config_app
from mig_core.cli.investigators import investigator_app
from mig_core.cli.own_commands import OWN_COMMANDS
from mig_core.cli.plugins import plugin_app

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


GROUPS = {
    "mig action": action_app,
    "mig agent": agent_app,
    "mig config": config_app,
    "mig investigator": investigator_app,
    "mig plugin": plugin_app,
    "mig-admin": admin_app,
}
ROOT = Path(__file__).parents[2]
TEXTS = [
    *ROOT.glob("mig_core/**/*.py"),
    *ROOT.glob("plugins/*/src/**/*.py"),
    *ROOT.glob("docs/**/*.md"),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "compose/README.md")),
]


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_what_messages_and_pages_say_to_type_exists(group: str) -> None:
    """A command in a group is written ``mig agent approve``; what follows the group has to be one of its commands."""
    commands = set(typer.main.get_group(GROUPS[group]).commands)
    pattern = re.compile(rf"(?<![\w-]){re.escape(group)} ([a-z-]+)")
    said = {
        (word, str(path.relative_to(ROOT)))
        for path in TEXTS
        for word in pattern.findall(path.read_text(encoding="utf-8"))
    }

    assert {(word, path) for word, path in said if word not in commands and not word.startswith("-")} == set()

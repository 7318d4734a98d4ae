"""The page that compares with osquery: each table once, each command understood, the sum right."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mig_core.errors import ModuleUnknown

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = (Path(__file__).parents[2] / "docs" / "compared.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\| `\w+` \| [^|]*\| `(mig .*)` \|$", PAGE, re.MULTILINE)


def test_each_table_is_there_once_and_the_sum_is_right() -> None:
    found = re.findall(r"^\| `(\w+)` \| (yes|partly|no)\b", PAGE, re.MULTILINE)
    counts = {word: [kind for _, kind in found].count(word) for word in ("yes", "partly", "no")}

    assert len({name for name, _ in found}) == len(found) == 46
    assert f"Counted: {counts['yes']} yes, {counts['partly']} partly, {counts['no']} no." in PAGE


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_understood(command: str, understand: Callable[[str], object]) -> None:
    try:
        understand(command)
    except ModuleUnknown as error:
        pytest.skip(f"{error}")


def test_what_is_answered_has_a_command() -> None:
    answered = re.findall(r"^\| `\w+` \| (?:yes|partly)", PAGE, re.MULTILINE)

    assert len(answered) <= len(COMMANDS)

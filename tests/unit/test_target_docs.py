"""``docs/targets.md`` says what the code does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from mig_core.domain.target import MAX_DEPTH, MAX_LIST, MAX_TEXT, TargetError, parse_target
from mig_core.domain.target.names import ADDRESS, ALIASES, COLUMNS, FUNCTIONS

PAGE = (Path(__file__).parents[2] / "docs" / "targets.md").read_text(encoding="utf-8")


def test_the_examples_can_be_copied() -> None:
    block = PAGE.split("```sh\n")[1].split("```")[0]
    commands = [shlex.split(line) for line in block.splitlines()]

    targets = [words[words.index("-t") + 1] for words in commands]

    assert len(targets) == 5
    for target in targets:
        parse_target(target)


def test_every_name_is_on_the_page() -> None:
    for name in (*COLUMNS, *ALIASES, *ADDRESS, *FUNCTIONS):
        assert re.search(rf"`[^`]*\b{name}\b", PAGE), name


def test_the_limits_are_those_of_the_code() -> None:
    assert f"{MAX_TEXT:,} characters" in PAGE
    assert f"{MAX_DEPTH} levels" in PAGE
    assert f"{MAX_LIST} values" in PAGE


def test_the_refusal_that_is_shown_is_what_is_printed() -> None:
    with pytest.raises(TargetError) as caught:
        parse_target("stauts = 'online'")

    assert str(caught.value.diagnostics()) in PAGE

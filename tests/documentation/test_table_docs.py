"""Pages of modules whose answers are rows: the columns as they are declared, own options, five examples that work."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.errors import ModuleUnknown
from mig_core.plugin.manager import load_module
from mig_core.plugin.table import TableModule

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.plugin.module import Module

PAGES = Path(__file__).parents[2] / "docs" / "modules"
TABLES = ("account", "autorun", "netstat", "process", "sshkey")
ROWS = (*TABLES, "ping", "timedrift", "yara")
"""And those whose answers have rows beside something else."""
EXAMPLES = 5


def page_of(name: str) -> str:
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


def loaded(name: str) -> Module[Any]:
    try:
        return load_module(name)
    except ModuleUnknown as error:
        pytest.skip(f"{error}")


@pytest.mark.parametrize("name", ROWS)
def test_the_columns_are_those_declared(name: str) -> None:
    table = page_of(name).partition("| column | kind | what it holds |")[2].partition("\n\n")[0]

    documented = re.findall(r"^\| `([a-z0-9_]+)` \| ([a-z]+) \| (.*) \|$", table, re.MULTILINE)

    assert documented == [(one.name, one.kind.value, one.help) for one in loaded(name).columns]


@pytest.mark.parametrize("name", TABLES)
def test_columns_that_cost_extra_are_named(name: str) -> None:
    line = re.search(r"^Looked for on request only: (.*)\.$", page_of(name), re.MULTILINE)

    documented = re.findall(r"`([a-z0-9_]+)`", line[1]) if line else []

    assert documented == [one.name for one in loaded(name).columns if one.on_request]


@pytest.mark.parametrize("name", TABLES)
def test_own_options_are_explained(name: str) -> None:
    module = loaded(name)
    assert isinstance(module, TableModule)
    own = [one.name for one in module.options]
    table = page_of(name).partition("| option | meaning |")[2].partition("\n\n")[0]

    assert re.findall(r"^\| `([a-z0-9-]+)` \|", table, re.MULTILINE) == own


@pytest.mark.parametrize("name", ROWS)
def test_a_page_begins_with_five_examples_that_are_understood(name: str, understand: Callable[[str], object]) -> None:
    loaded(name)
    before = page_of(name).partition("## Columns")[0].partition("## Parameters")[0]
    commands = re.findall(rf"^\$ (mig {name} .*)$", before, re.MULTILINE)

    assert len(commands) == EXAMPLES
    for command in commands:
        understand(command)

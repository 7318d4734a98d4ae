"""The manual page says what the code does: its table is compared with the declared parameters, its examples parsed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from mig_memory import MemoryModule

PAGE = Path(__file__).parents[3] / "docs" / "modules" / "memory.md"

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the manual is in the repository, not in this archive")


def test_the_table_has_every_parameter_under_its_key() -> None:
    rows = re.findall(r"^\| `([a-z]+)` \| (?:`([a-z.]+)` )?\|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    declared = MemoryModule.parameters

    expected = {one.name: f"{one.group}.{one.key}".lstrip(".") for one in declared.members}
    assert dict(rows) == expected | {one.name: "" for one in declared.switches}


def test_the_examples_are_questions_the_module_understands() -> None:
    text = PAGE.read_text(encoding="utf-8")
    commands = re.findall(r"^\$ mig memory (.*)$", text.partition("## Parameters")[0], re.MULTILINE)
    module = MemoryModule()
    flags = {one.name for one in module.parameters.members if one.kind.value == "boolean"}
    flags |= {one.name for one in module.parameters.switches}

    assert len(commands) == 5
    for command in commands:
        options: dict[str, Any] = {}
        words = iter(shlex.split(command))
        for word in words:
            name = word.lstrip("-")
            if name in flags:
                options[name] = True
            elif name == "t":
                next(words)
            else:
                options.setdefault(name, []).append(next(words))
        assert module.parse_parameters(module.parameters.from_options(options))

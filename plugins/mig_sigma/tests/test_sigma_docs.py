"""The manual's tables are the code's."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from mig_sigma import SigmaModule, catalogue
from mig_sigma.settings import Settings, read

MANUAL = (Path(__file__).parents[3] / "docs" / "modules" / "sigma.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    return str(re.findall(rf"^```{language}\n(.*?)^```", MANUAL, re.MULTILINE | re.DOTALL)[0])


def test_the_table_of_fields_is_the_catalogue() -> None:
    table = MANUAL.partition("| kind | field | is |")[2].partition("\n\n")[0]
    documented: dict[str, set[str]] = {kind: set() for kind in catalogue.FIELDS}
    for kind, name in re.findall(r"^\| (.*?) \| `(\w+)` \|", table, re.MULTILINE):
        for one in catalogue.FIELDS if kind == "all but `auditd`" else (kind.strip("`"),):
            documented[one].add(name)

    assert documented == {kind: set(fields) for kind, fields in catalogue.FIELDS.items()}


def test_the_table_of_columns_is_the_modules() -> None:
    table = MANUAL.partition("| column | kind | what it holds |")[2].partition("\n\n")[0]

    assert re.findall(r"^\| `([a-z_]+)` \| ([a-z]+) \| (.*) \|$", table, re.MULTILINE) == [
        (one.name, one.kind.value, one.help) for one in SigmaModule.columns
    ]


def test_the_settings_are_those_of_the_table_and_the_example_is_accepted() -> None:
    table = MANUAL.partition("| key | default | meaning |")[2].partition("\n\n")[0]

    assert set(re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE)) == set(Settings.__dataclass_fields__)
    read(tomllib.loads(block("toml"))["persistent"]["sigma"])
    assert json.loads(block("json"))["type"] == "sigma_match"

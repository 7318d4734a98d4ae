"""``docs/modules/pkg.md`` says what the module does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from mig_core.plugin.coverage import Reason
from mig_endpoint.packages import homes
from mig_endpoint.packages import reasons as looking
from mig_endpoint.packages.versions import COMPARE, ECOSYSTEMS
from mig_pkg import PkgModule, reasons, status_file
from mig_pkg.inventory import SOURCES

PATH = Path(__file__).parents[3] / "docs" / "modules" / "pkg.md"
if not PATH.exists():
    pytest.skip("the documentation is not beside this plugin", allow_module_level=True)
PAGE = PATH.read_text(encoding="utf-8")
PARAMETERS = PkgModule().parameters


def table(heading: str) -> list[list[str]]:
    """The rows of the first table after a heading, as cells."""
    lines = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0].splitlines()
    return [[cell.strip() for cell in line.split(" | ")] for line in lines if line.startswith("| `")]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_reference_lists_every_parameter_in_its_order() -> None:
    documented = [(words(row[0])[0], words(row[1])[0]) for row in table("Parameters")]

    declared = [(one.name, f"{one.group}.{one.key}" if one.group else one.key) for one in PARAMETERS.members]
    assert documented == declared


def test_every_type_has_its_version_rules_and_its_source() -> None:
    assert {word for row in table("Version rules") for word in words(row[0])} == {*COMPARE, *ECOSYSTEMS}


@pytest.mark.parametrize("row", table("Sources"), ids=lambda row: words(row[0])[0])
def test_every_source_says_what_it_reads_and_where(row: list[str]) -> None:
    source = SOURCES[words(row[0])[0]]

    assert tuple(words(row[1])) == source.reads
    assert tuple(words(row[2])) == source.places
    assert tuple(words(row[3])) == source.keys


def test_no_source_is_missing_in_the_table() -> None:
    assert [words(row[0])[0] for row in table("Sources")] == list(SOURCES)


def test_every_state_is_explained() -> None:
    assert {word for row in table("States")[1:] for word in words(row[0])} == set(status_file.PRESENT)


def test_every_reason_for_skipping_is_explained() -> None:
    documented = {word for row in table("Result") for word in words(row[0])}

    known = [*vars(reasons).values(), *vars(looking).values()]
    assert documented == {one.text for one in known if isinstance(one, Reason)}


def test_every_home_is_in_the_table() -> None:
    rows = table("Where packages of languages are looked for")
    documented = [(words(row[0])[0], row[1], tuple(words(row[2]))) for row in rows]

    kinds = {"python": homes.PYTHON, "npm": homes.NPM, "gem": homes.GEM, "conda": homes.CONDA}
    assert documented == [(kind, whose, places) for kind, of in kinds.items() for whose, places in of.items()]


EXAMPLES = re.findall(r"^\$ mig pkg (.*)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_accepted(example: str) -> None:
    given: dict[str, object] = {}
    by_name = {one.name: one for one in PARAMETERS.members}
    arguments = iter(shlex.split(example))
    for word in arguments:
        value = next(arguments)
        if word == "-t":
            continue
        one = by_name[word.removeprefix("--")]
        if one.many:
            given[one.name] = [*given.get(one.name, []), value]  # type: ignore[misc]  # lists are all that is put there
        else:
            given[one.name] = value

    request = PkgModule().parse_parameters(PARAMETERS.from_options(given))

    assert request.names


def test_five_examples_come_first() -> None:
    assert len(EXAMPLES) == 5
    assert len(re.findall(r"^\$ mig pkg ", PAGE.split("\n## ")[0], re.MULTILINE)) == 5

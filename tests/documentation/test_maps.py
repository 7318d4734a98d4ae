"""Maps of the house: what a package's docstring says of its files, and CONTRIBUTING of the folders, is true."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = sorted(
    one.parent for pattern in ("mig_core/**", "plugins/*/src/**") for one in ROOT.glob(f"{pattern}/__init__.py")
)
OTHER_WORDS = frozenset({"mig", "https", "audit"})
"""Programs, relays and modules that maps mention beside their files."""


def parts_of(package: Path) -> set[str]:
    """The files and rooms of a package."""
    files = {one.stem for one in package.glob("*.py")} - {"__init__", "__main__"}
    return files | {one.parent.name for one in package.glob("*/__init__.py")}


def named_in(package: Path) -> set[str]:
    text = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8"))) or ""
    return set(re.findall(r"``([a-z_]+)``", text)) | set(re.findall(r":mod:`\.(\w+)`", text))


def name_of(package: Path) -> str:
    return str(package.relative_to(ROOT))


MAPS = [one for one in PACKAGES if len(named_in(one) & parts_of(one)) * 2 >= len(parts_of(one)) > 0]
"""Packages whose docstring names at least half of their files."""


@pytest.mark.parametrize("package", MAPS, ids=name_of)
def test_the_map_of_a_package_has_every_file(package: Path) -> None:
    missing = parts_of(package) - named_in(package)

    assert not missing, f"{name_of(package)}/__init__.py does not say what these are for: {', '.join(sorted(missing))}"


@pytest.mark.parametrize("package", MAPS, ids=name_of)
def test_the_map_of_a_package_has_no_file_that_is_not_there(package: Path) -> None:
    root = next(one for one in (package, *package.parents) if not (one.parent / "__init__.py").exists())
    elsewhere = {one.stem for one in root.rglob("*.py")} | {one.parent.name for one in root.rglob("__init__.py")}
    unknown = named_in(package) - parts_of(package) - elsewhere - OTHER_WORDS

    stale = {name for name in unknown if importlib.util.find_spec(name) is None}

    assert not stale, f"{name_of(package)}/__init__.py names files that are not there: {', '.join(sorted(stale))}"


def test_the_map_for_contributors_has_every_folder() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    block = text.partition("```\n")[2].partition("```")[0]
    named = re.findall(r"^\s*([\w./]+)", block, re.MULTILINE)

    top = {f"mig_core/{one}" for one in parts_of(ROOT / "mig_core")}
    listed = {name.strip("/").removesuffix(".py") for name in named if name.startswith("mig_core/")}

    assert listed == top
    for room in parts_of(ROOT / "mig_core" / "agent"):
        if (ROOT / "mig_core" / "agent" / room).is_dir():
            assert f"{room}/" in named, f"CONTRIBUTING.md does not show mig_core/agent/{room}"
    for room in parts_of(ROOT / "plugins" / "mig_endpoint" / "src" / "mig_endpoint"):
        if (ROOT / "plugins" / "mig_endpoint" / "src" / "mig_endpoint" / room).is_dir():
            assert f"{room}/" in named, f"CONTRIBUTING.md does not show mig_endpoint/{room}"

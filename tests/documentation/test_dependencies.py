"""Bounds of dependencies: each cap has its reason beside it, and what is pinned lies within what is declared."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECTS = [ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))]
PINNED = {
    canonicalize_name(name): version
    for name, version in re.findall(
        r"^([\w.-]+)==([\w.]+)", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE
    )
}


def requirements(project: Path) -> list[Requirement]:
    document = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    extras = document.get("optional-dependencies", {})
    return [Requirement(one) for part in (document["dependencies"], *extras.values()) for one in part]


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.parent.name)
def test_each_cap_has_its_reason_beside_it(project: Path) -> None:
    lines = project.read_text(encoding="utf-8").splitlines()

    capped = [number for number, line in enumerate(lines) if re.search(r'"[\w.\[\],-]+>=[^"]*<', line)]

    for number in capped:
        assert "#" in lines[number] or lines[number - 1].startswith("#"), lines[number]
    assert len(capped) >= any("<" in str(one.specifier) for one in requirements(project))


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.parent.name)
def test_each_dependency_has_a_lower_bound_that_a_test_installs(project: Path) -> None:
    for requirement in requirements(project):
        own = requirement.name.startswith("mig-")  # ours come together, and a second mention has the first one's bound
        assert own or ">=" in {one.operator for one in requirement.specifier}, requirement
        pinned = PINNED.get(canonicalize_name(requirement.name))
        assert pinned is None or requirement.specifier.contains(pinned), requirement

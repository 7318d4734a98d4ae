"""Every version that is installed is pinned with its hashes, and NOTICE names whose works they are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
NEXT_STEP = "run: make constraints notice"
TOOLS = {"hatchling", "packaging", "pathspec", "pip", "trove-classifiers"}
"""In the images, to build wheels and to add plugins."""
RUN_TIME = ("server", "cli", "embedded")
PROJECTS = [ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))]


def pinned(path: Path) -> dict[str, str]:
    """Name -> version; each has at least one hash, or it is not listed here."""
    found = re.findall(
        r"^([A-Za-z0-9._-]+)==(\S+)[^\\\n]*\\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+",
        path.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    return {canonicalize_name(name): version for name, version in found}


def declared(*extras: str) -> list[tuple[str, Requirement]]:
    """What all our distributions ask for, and who asks; our own aside."""
    asked = []
    for path in PROJECTS:
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        optional = project.get("optional-dependencies", {})
        texts = [*project.get("dependencies", ()), *(one for extra in extras for one in optional.get(extra, ()))]
        asked += [(project["name"], Requirement(text)) for text in texts]
    own = {name for name, _ in asked} | {"mig-endpoint"}
    return [(name, one) for name, one in asked if one.name not in own]


@pytest.mark.parametrize(
    ("file", "extras"), [("constraints.txt", (*RUN_TIME, "testing")), ("compose/constraints.txt", RUN_TIME)]
)
def test_what_our_distributions_ask_for_is_pinned_with_hashes(file: str, extras: tuple[str, ...]) -> None:
    versions = pinned(ROOT / file)

    for asker, requirement in declared(*extras):
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None, f"{asker} asks for {requirement}, {file} does not have it; {NEXT_STEP}"
        assert requirement.specifier.contains(version), f"{asker} asks for {requirement}, {file} has {version}"


@pytest.mark.parametrize("file", ["constraints.txt", "compose/constraints.txt"])
def test_nothing_is_pinned_without_hashes(file: str) -> None:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()

    bare = [line for line in lines if not line.startswith(("#", "    --hash=")) and not line.endswith("\\")]

    assert bare == [], NEXT_STEP


def test_images_hold_the_versions_that_developers_test_with() -> None:
    ours, images = pinned(ROOT / "constraints.txt"), pinned(ROOT / "compose" / "constraints.txt")

    assert {name: version for name, version in images.items() if ours.get(name) != version} == {}, NEXT_STEP


def test_developers_install_what_is_pinned_and_nothing_else() -> None:
    tools = [
        Requirement(line)
        for line in (ROOT / "tools" / "requirements.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]

    missing = [str(one) for one in tools if canonicalize_name(one.name) not in pinned(ROOT / "constraints.txt")]

    assert missing == [], NEXT_STEP


def test_the_notice_names_everything_that_is_needed_at_run_time() -> None:
    locked = (ROOT / "compose" / "constraints.txt").read_text(encoding="utf-8")
    needed = {canonicalize_name(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==(?!.*win32)", locked, re.MULTILINE)}
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")

    listed = {canonicalize_name(name) for name in re.findall(r"^([A-Za-z0-9._-]+)\n    \S", notice, re.MULTILINE)}

    assert listed == needed - TOOLS, NEXT_STEP

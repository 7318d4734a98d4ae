"""The page is an investigator's: its wheel has all that a browser fetches, and nothing on an endpoint asks for it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PROJECTS = [ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))]


def test_the_wheel_has_templates_assets_and_the_licences_of_what_it_carries(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(tmp_path)]
    subprocess.run([*build, str(ROOT / "plugins" / "mig_web")], check=True, capture_output=True)

    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())

    assert {
        "mig_web/templates/layout.html",
        "mig_web/static/mig.css",
        "mig_web/static/vendor/htmx.min.js",
        "mig_web/static/vendor/uPlot.iife.min.js",
        "mig_web/static/vendor/VERSIONS.md",
        "mig_web/py.typed",
    } <= names
    assert {Path(name).name for name in names if "/licenses/" in name} == {"htmx.LICENSE", "uPlot.LICENSE"}
    assert not [name for name in names if "axe" in name]


def test_no_other_distribution_asks_for_the_page_or_for_what_makes_it() -> None:
    for project in PROJECTS:
        about: dict[str, Any] = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
        asked = [
            *about["dependencies"],
            *(one for some in about.get("optional-dependencies", {}).values() for one in some),
        ]

        own = about["name"] == "mig-plugin-web"
        assert own or not [one for one in asked if one.lower().startswith(("mig-plugin-web", "jinja2"))], project

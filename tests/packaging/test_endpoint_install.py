"""An endpoint installs ``mig-core`` bare plus the plugins it wants, and gets nothing it does not need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ALLOWED = {
    "mig-core",
    "mig-endpoint",
    "mig-plugin-file",
    "ahocorasick-rs",
    "google-re2",
    # what mig-core itself asks for, and what that asks for
    "cffi",
    "pika",
    "pluggy",
    "psutil",
    "pycparser",
    "pynacl",
    "python-gnupg",
    "stevedore",
    "urllib3",
}


@pytest.fixture(scope="module")
def endpoint(wheels: Path, versions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean virtual environment with the wheels of core and one plugin."""
    venv = tmp_path_factory.mktemp("endpoint") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, capture_output=True)
    pip = [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    install = [*pip, "install", "--quiet", "-c", str(versions), *map(str, wheels.glob("*.whl"))]
    subprocess.run(install, check=True, capture_output=True)
    return venv


def test_only_what_an_agent_needs_is_installed(endpoint: Path) -> None:
    listed = subprocess.run(
        [str(endpoint / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "list", "--format=json"],
        check=True,
        capture_output=True,
        text=True,
    )

    names = {row["name"].lower().replace("_", "-") for row in json.loads(listed.stdout)} - {"pip", "setuptools"}

    # ahocorasick-rs wants typing-extensions where Python has no collections.abc.Buffer
    assert names == ALLOWED | ({"typing-extensions"} if sys.version_info < (3, 12) else set())


def test_the_installed_agent_runs_the_installed_module(endpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("needle\n", encoding="ascii")
    search = {"paths": [str(tmp_path)], "contents": ["^needle$"], "options": {"matchall": True}}
    message = json.dumps({"class": "parameters", "parameters": {"searches": {"s1": search}}})

    ran = subprocess.run(
        [str(endpoint / "bin" / "mig-agent"), "-m", "file"],
        input=message,
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
    )

    result = json.loads(ran.stdout)
    assert result["foundanything"] is True
    assert result["elements"]["s1"][0]["file"] == str(tmp_path / "note.txt")


def test_the_source_archive_of_the_core_does_not_swallow_the_plugins(wheels: Path) -> None:
    (archive,) = wheels.glob("mig_core-*.tar.gz")

    listed = subprocess.run(["tar", "tzf", str(archive)], check=True, capture_output=True, text=True).stdout

    assert "mig_core/domain/action.py" in listed
    assert "plugins/" not in listed


def test_the_wheels_carry_types_and_migrations(wheels: Path) -> None:
    (core,) = wheels.glob("mig_core-*.whl")

    listed = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", str(core)], check=True, capture_output=True, text=True
    ).stdout

    assert "mig_core/py.typed" in listed
    assert "mig_core/store/migrations/0001" in listed

"""The distributions, built once for all tests of this folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels and source archives of the core, of the library of modules and of the first plugin."""
    folder = tmp_path_factory.mktemp("wheels")
    for source in (ROOT, ROOT / "plugins" / "mig_endpoint", ROOT / "plugins" / "mig_file"):
        build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--sdist", "--outdir", str(folder)]
        subprocess.run([*build, str(source)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pinned versions as constraints for pip, without hashes: files of our own, just built, have none."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    file = tmp_path_factory.mktemp("constraints") / "constraints.txt"
    kept = [line.removesuffix("\\") for line in lines if not line.startswith(("#", "    --hash="))]
    file.write_text("\n".join(kept) + "\n", encoding="utf-8")
    return file

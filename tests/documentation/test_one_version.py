"""What is released together has one version, and everything that names it follows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_everything_follows_the_version_of_the_core() -> None:
    checked = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "set-version"), "--check"], capture_output=True, text=True, check=False
    )

    assert (checked.returncode, checked.stdout) == (0, ""), "run tools/set-version VERSION"

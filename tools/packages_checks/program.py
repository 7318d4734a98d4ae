"""The order of the checks."""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

from packages_checks import fresh, whole
from packages_checks.container import CheckFailed, say

ROOT = Path(__file__).resolve().parents[2]
OLDER = "0.1.9"
"""A number for packages to upgrade from: of this build too, but for their number."""


def main() -> int:
    """Runs everything; returns the exit status."""
    parser = argparse.ArgumentParser(prog="packages-test", description="Checks the packages in containers.")
    parser.add_argument("--quick", action="store_true", help="an agent in a fresh container only")
    parser.add_argument("--idle", type=float, default=0.0, metavar="MINUTES", help="watch an idle agent for so long")
    parser.add_argument("--only-whole", action="store_true", help="leave the fresh container out")
    options = parser.parse_args()
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        say("packages-test: cannot run: the container engine does not answer (is dockerd running, may you use it?)")
        return 1
    found = re.search(r'(?m)^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    number = found[1] if found else ""
    with tempfile.TemporaryDirectory(prefix="mig-packages-test-") as folder:
        packages = Path(folder) / "packages"
        build = [str(ROOT / ".venv/bin/python"), str(ROOT / "tools/build-packages"), "--out", str(packages)]
        names = ["mig-agent", "mig-agent-audit", *([] if options.quick else ["mig-server", "mig-client"])]
        build += ["--kind", "deb"] if options.quick else []
        subprocess.run([*build, "--number", number, "--number", OLDER, *names], check=True, cwd=ROOT)
        Path(folder).chmod(0o755)
        try:
            if not options.only_whole:
                fresh.check_fresh(packages, number, OLDER)
            if not options.quick:
                whole.check_whole(packages, number, OLDER, idle_minutes=options.idle)
        except CheckFailed as failure:
            say(f"FAILED  {failure}")
            return 1
    say("packages-test: everything is as it should be")
    return 0

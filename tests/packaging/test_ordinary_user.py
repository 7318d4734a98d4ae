"""What ``make demo`` needs works for a user who is not root, from wheels and with PostgreSQL from its wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mig_core.testing.ordinary_user import let_everybody_pass
from mig_core.testing.services import service_missing

ROOT = Path(__file__).parents[2]
NOBODY = 65534


def system_python() -> str:
    """A Python that any account may run; this test run's own may lie in a private folder."""
    check = "import sys, ensurepip; sys.exit(sys.version_info < (3, 11))"
    for python in ("/usr/bin/python3", "/usr/local/bin/python3"):
        if os.access(python, os.X_OK) and subprocess.run([python, "-c", check], check=False).returncode == 0:
            break
    else:
        service_missing("no Python 3.11 with venv that every account can run")
    return python


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    if os.geteuid() == 0:
        let_everybody_pass(tmp_path)
        os.chown(folder, NOBODY, NOBODY)
    return folder


def test_the_demonstration_runs_for_an_ordinary_user_from_wheels(
    wheels: Path, versions: Path, home: Path, tmp_path: Path
) -> None:
    venv = tmp_path / "venv"
    subprocess.run([system_python(), "-m", "venv", str(venv)], check=True, capture_output=True)
    core, *others = (
        str(next(wheels.glob(f"{name}-*.whl"))) for name in ("mig_core", "mig_endpoint", "mig_plugin_file")
    )
    install = [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    install += ["-c", str(versions), f"{core}[server,cli,embedded]", *others]
    subprocess.run(install, check=True, capture_output=True)
    become = []
    if os.geteuid() == 0:
        let_everybody_pass(venv)
        setpriv = shutil.which("setpriv") or "setpriv"
        become = [setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--bounding-set=-all"]

    ran = subprocess.run(
        [*become, str(venv / "bin" / "mig"), "demo", "--exit"],
        env={"HOME": str(home), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TMPDIR": str(home)},
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr + ran.stdout
    assert "/etc/passwd [" in ran.stdout
    assert "migagenthost2 etc/mig-demo [" in ran.stdout

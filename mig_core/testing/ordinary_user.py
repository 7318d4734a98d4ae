"""pytest plugin: runs a piece of Python as an ordinary user, when the tests themselves run as root.

What works for root alone, or for everybody but root, is found only by trying both. The repository and the interpreter
of the test run may lie in folders that other accounts cannot enter, so the files that the script needs are copied.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import mig_core

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ACCOUNT = "nobody"


class OrdinaryUser:
    """Somebody who is not root, with a home folder of their own. Without root this is whoever runs the tests."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._started: list[subprocess.Popen[str]] = []
        self.uid, self.gid, self._become, self._python = os.geteuid(), os.getegid(), list[str](), sys.executable
        if self.uid == 0:
            account = pwd.getpwnam(ACCOUNT)
            self.uid, self.gid = account.pw_uid, account.pw_gid
            self._become = ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups"]
            self._python = self._interpreter()
            let_everybody_pass(home.parent)

    def popen(self, script: str, *arguments: str, needs: Sequence[str]) -> subprocess.Popen[str]:
        """Start a script in the home folder; its three streams are pipes.

        Args:
            script: Python source. Only the standard library and ``needs`` can be imported.
            arguments: What it finds in ``sys.argv[1:]``.
            needs: Files of ``mig_core``, like ``store/embedded/server.py``; ``errors.py`` always comes along.
        """
        package = Path(mig_core.__file__).parent
        for name in ("__init__.py", "errors.py", "records.py", "text.py", *needs):
            copy = self.home / "mig_core" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(package / name, copy)
        if self._become:
            for path in (self.home, *self.home.rglob("*")):
                os.chown(path, self.uid, self.gid)
        process = subprocess.Popen(
            [*self._become, self._python, "-c", script, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home,
            env={"HOME": str(self.home), "PATH": os.defpath, "PYTHONPATH": str(self.home), "LC_ALL": "C.UTF-8"},
        )
        self._started.append(process)
        return process

    def close(self) -> None:
        """Kill what still runs."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.communicate()

    def _interpreter(self) -> str:
        new_enough = f"import sys; sys.exit(sys.version_info[:2] < {sys.version_info[:2]})"
        for python in (sys.executable, "/usr/bin/python3"):
            tried = subprocess.run([*self._become, python, "-c", new_enough], capture_output=True, cwd="/", check=False)
            if tried.returncode == 0:
                return python
        pytest.skip(f"no Python that the account {ACCOUNT} can run and that is as new as this one")


def let_everybody_pass(folder: Path) -> None:
    """Open pytest's private temporary folders for passing through, not for reading."""
    for path in (folder, *folder.parents):
        mode = path.stat().st_mode
        if not mode & 0o001:
            path.chmod(mode | 0o001)


@pytest.fixture
def ordinary_user(tmp_path: Path) -> Iterator[OrdinaryUser]:
    """Somebody who is not root; what they started and left running is killed afterwards."""
    home = tmp_path / "home"
    home.mkdir()
    user = OrdinaryUser(home)
    yield user
    user.close()

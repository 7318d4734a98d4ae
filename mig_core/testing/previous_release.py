"""The release before this one, from its wheels: an interpreter that runs it, and a whole platform of it.

That release's own demonstration drives the platform (``previous_platform`` runs under its interpreter): every file of
settings, every key and the database are as that release made them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_DRIVER = Path(__file__).parent / "previous_platform.py"
_OURS = re.compile(r"(_*editable_.*)?_*mig_.*|.*\.pth|__pycache__", re.IGNORECASE)


def version_of(wheels: Path) -> str:
    """The number of the release whose wheels these are."""
    (core,) = wheels.glob("mig_core-*.whl")
    return core.name.split("-")[1]


def make_release(wheels: Path, folder: Path) -> Path:
    """An environment with the distributions of some wheels, and the third-party libraries (pip too) of this one.

    Args:
        wheels: their folder.
        folder: is made.

    Returns:
        Its interpreter.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, capture_output=True)
    python = folder / "bin" / "python"
    asked = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip())
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    for library in Path(sysconfig.get_path("purelib")).iterdir():
        if not _OURS.fullmatch(library.name):
            (site / library.name).symlink_to(library)
    return python


@dataclass
class PreviousPlatform:
    """A running platform of the previous release; its folder is laid out as the demonstration's ``Site`` says."""

    folder: Path
    _driver: subprocess.Popen[str]

    def tell(self, *words: str) -> None:
        """Has the driver do something, and waits until it is done."""
        _pipe(self._driver.stdin).write(json.dumps(words) + "\n")
        _pipe(self._driver.stdin).flush()
        answer = _pipe(self._driver.stdout).readline()
        assert answer == "done\n", f"{words}: {answer}{self._driver.poll()}"

    def run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        """A program of that release, to its end."""
        return subprocess.run(
            [str(self.folder / "programs" / program), *words],
            env={**os.environ, "MIG_CONFIG": str(self.folder / "investigator" / "config.toml")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@contextmanager
def running_previous_platform(folder: Path, python: Path, relay: str) -> Iterator[PreviousPlatform]:
    """Database, relay, API and scheduler of the previous release; agents are started with ``tell("start", NAME…)``."""
    with subprocess.Popen(
        [str(python), "-P", str(_DRIVER), str(folder), relay],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "MIG_SCHEDULER_PERIODIC_INTERVAL": "1s"},
    ) as driver:
        try:
            platform = PreviousPlatform(folder, driver)
            assert _pipe(driver.stdout).readline() == "done\n", "the previous release's platform did not start"
            yield platform
        finally:
            _pipe(driver.stdin).close()
            driver.wait(60)


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream

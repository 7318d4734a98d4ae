"""pytest plugin: a disk of its own that a test can fill (a small tmpfs), for what must survive a full one."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from mig_core.testing.services import service_missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEBIBYTES = 4


class SmallDisk:
    """A mounted file system."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filling = path / "filling"

    def fill(self) -> None:
        """Leaves not a byte."""
        with self._filling.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass

    def free(self) -> None:
        """Gives the room back."""
        self._filling.unlink()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """An empty one, unmounted at the end."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        service_missing("a disk of its own can be mounted by root alone")
    path = tmp_path / "disk"
    path.mkdir(mode=0o700)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={MEBIBYTES}m,mode=0700", "tmpfs", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        service_missing(f"a disk of its own cannot be mounted: {mounted.stderr.strip()}")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)

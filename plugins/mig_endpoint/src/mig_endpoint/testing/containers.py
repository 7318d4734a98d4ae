"""A process with a root and mounts of its own, as a container's, which answers nobody on one of them. Needs root."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mig_core.testing.services import service_missing
from mig_endpoint.testing.served import hanging

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def contained(folder: Path, *, silent: str) -> Iterator[str]:
    """``/proc/PID/root`` of a process whose root is a folder, and that has a mount of its own in it.

    Args:
        folder: what the process has as its root; mounted over itself, so that what is seen is a mount of its own.
        silent: the path in there, of a directory, at which a file system lies that never answers.
    """
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse") or shutil.which("unshare") is None:
        service_missing("a mount namespace with a file system that hangs needs root, /dev/fuse and unshare")
    process = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", sys.executable, "-m", __name__, str(folder), silent],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if process.stdout.readline() != "ready\n":
            service_missing("a file system that hangs cannot be mounted in a namespace of its own here")
        yield f"/proc/{process.pid}/root"
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


def _be(folder: str, silent: str) -> None:
    """Is the process, until nothing more comes from the one who started it."""
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    with hanging(Path(folder + silent)):
        os.chroot(folder)
        os.chdir("/")
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    _be(*sys.argv[1:])

"""Which mounts a walk leaves out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mig_endpoint import coverage
from mig_endpoint.files.filesystems import FileSystems

if TYPE_CHECKING:
    from pathlib import Path


def test_mounts_below_a_path_are_left_out_when_asked(tmp_path: Path) -> None:
    mountinfo = tmp_path / "mountinfo"
    status = os.stat(tmp_path)
    number = f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}"
    mountinfo.write_text(f"22 1 {number} / / rw shared:1 - nfs4 server:/export rw\nbroken line\n")
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        network = FileSystems(one=False, local=True, mountinfo=str(mountinfo))
        other = FileSystems(one=True, local=False, mountinfo=str(mountinfo))

        assert network.why_not(fd, status.st_dev) == coverage.NETWORK
        assert other.why_not(fd, status.st_dev) is None
        assert other.why_not(fd, status.st_dev + 1) == coverage.OTHER_FILE_SYSTEM
    finally:
        os.close(fd)

"""Which mounted file systems a walk leaves out, for ``onefilesystem`` and ``localonly``.

Reads ``/proc/self/mountinfo`` (proc(5)) once. ``walk`` asks for each directory, only if one of the options is set.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mig_endpoint import coverage

if TYPE_CHECKING:
    from mig_core.plugin.coverage import Reason

# fmt: off
NETWORK = frozenset((
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fuse.davfs2", "fuse.glusterfs",
    "fuse.rclone", "fuse.s3fs", "fuse.sshfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs",
    "nfs4", "ocfs2", "orangefs", "smb2", "smb3", "smbfs",
))
# fmt: on
"""Types of file systems whose files lie on another machine."""


class FileSystems:
    """The mounts to leave out."""

    def __init__(self, *, one: bool, local: bool, mountinfo: str = "/proc/self/mountinfo") -> None:
        """``one``: everything but the root's own file system; ``local``: those of the network."""
        self._one = one
        self._network = _network_devices(mountinfo) if local else frozenset()

    def why_not(self, fd: int, root_device: int) -> Reason | None:
        """The reason to leave out the open directory; None if there is none."""
        device = os.fstat(fd).st_dev
        if self._one and device != root_device:
            return coverage.OTHER_FILE_SYSTEM
        return coverage.NETWORK if device in self._network else None


def _network_devices(mountinfo: str) -> frozenset[int]:
    devices = set()
    try:
        with open(mountinfo, "rb") as lines:
            for line in lines:
                before, _, after = line.partition(b" - ")
                fields, kind = before.split(), after.split()
                if len(fields) > 2 and kind and kind[0].decode("ascii", "replace") in NETWORK:
                    major, _, minor = fields[2].partition(b":")
                    devices.add(os.makedev(int(major), int(minor)))
    except (OSError, ValueError):
        return frozenset(devices)  # no /proc: nothing is known to be remote
    return frozenset(devices)

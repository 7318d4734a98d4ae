"""What is mounted where, as one process sees it. Source: proc_pid_mountinfo(5). Pure but for :func:`own_mounts`.

Tells file systems by what the kernel calls them, without asking the file system itself: one that does not answer would
hold up whoever asks.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

_ESCAPE = re.compile(rb"\\([0-7]{3})")
_REMOTE = re.compile(
    rb"nfs4?|cifs|smb[23]|smbfs|fuse|fuse\..*|fuseblk|9p|virtiofs|ceph|afs|coda|davfs|lustre|gpfs|beegfs|orangefs"
    rb"|pvfs2|gfs2|ocfs2|glusterfs|ncpfs|autofs|vboxsf|prl_fs|vmhgfs"
)


class Mount(NamedTuple):
    """A line of mountinfo."""

    device: int
    """As :func:`os.makedev` has it; what maps and ``st_dev`` say of its files, but on Btrfs."""
    root: bytes
    """The folder of the file system that is mounted."""
    point: bytes
    """Where."""
    kind: bytes
    """The type, as ``ext4`` or ``fuse.sshfs``."""
    options: bytes
    """Of the file system (not of the mount), with commas between."""


class Mounts:
    """All mounts of one mount namespace, in the order in which they were made."""

    def __init__(self, mountinfo: bytes) -> None:
        self.all = [mount for line in mountinfo.splitlines() if (mount := _parse(line)) is not None]
        self._by_device = {mount.device: mount for mount in self.all}
        self._any_remote = any(is_remote(mount.kind) for mount in self.all)

    def of_device(self, device: int) -> Mount | None:
        """A mount of the file system with this device number; None if it is not mounted."""
        return self._by_device.get(device)

    def mount_of(self, path: bytes) -> Mount | None:
        """The mount in which an absolute path without links in it lies."""
        found = None
        for mount in self.all:
            point = mount.point.rstrip(b"/")
            inside = path == point or path.startswith(point + b"/")
            if inside and (found is None or len(mount.point) >= len(found.point)):
                found = mount  # of several at one place the last lies on top
        return found

    def may_not_answer(self, mount: Mount | None) -> bool:
        """Whether a file system is somebody else's. The one with the root folder counts as ours: all depends on it."""
        if mount is None or not is_remote(mount.kind):
            return False
        root = self.mount_of(b"/")
        return root is None or root.device != mount.device

    def path_may_not_answer(self, path: bytes) -> bool:
        """Whether an absolute path without links in it lies on a file system that somebody else serves."""
        return self._any_remote and self.may_not_answer(self.mount_of(path))


def is_remote(kind: bytes) -> bool:
    """Whether files of this type come from another machine or from a program: reading may never end.

    Network and cluster file systems, what hypervisors share, all of FUSE, and autofs, which mounts when looked at.
    """
    return _REMOTE.fullmatch(kind) is not None


def own_mounts() -> Mounts:
    """The mounts of this process; none where there is no mountinfo."""
    try:
        with open("/proc/self/mountinfo", "rb") as file:
            return Mounts(file.read())
    except OSError:
        return Mounts(b"")


def _parse(line: bytes) -> Mount | None:
    before, _, after = line.partition(b" - ")
    fields, kinds = before.split(b" "), after.split(b" ")
    if len(fields) < 6 or len(kinds) < 3:
        return None
    major, _, minor = fields[2].partition(b":")
    try:
        device = os.makedev(int(major), int(minor))
    except ValueError:
        return None
    return Mount(device, _unescaped(fields[3]), _unescaped(fields[4]), kinds[0], kinds[2])


def _unescaped(text: bytes) -> bytes:
    """Blanks, tabs, line feeds and backslashes are written as three octal digits."""
    return _ESCAPE.sub(lambda found: bytes((int(found.group(1), 8) & 0xFF,)), text)

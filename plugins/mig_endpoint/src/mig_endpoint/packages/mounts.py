"""Which mounted file systems are this system's own storage. Used by ``walk``, which goes into no other unasked.

Types are those of :mod:`mig_endpoint.files.mounts`, which reads what the kernel lists.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_endpoint.files.mounts import Mounts

# fmt: off
STORAGE = frozenset((
    "9p", "apfs", "bcachefs", "btrfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "fuseblk", "hfsplus",
    "iso9660", "jfs", "msdos", "nilfs2", "ntfs", "ntfs3", "overlay", "ramfs", "reiserfs", "rootfs", "squashfs",
    "tmpfs", "ubifs", "udf", "ufs", "vfat", "virtiofs", "xfs", "zfs",
    "aufs", "ecryptfs", "fuse.fuse-overlayfs", "fuse.mergerfs", "fuse.snapfuse", "fuse.squashfuse",
))
"""On a disk, in memory, or lent by the machine that this one is a guest of (9p, virtiofs)."""
PSEUDO = frozenset((
    "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs",
    "fuse.gvfsd-fuse", "fuse.lxcfs", "fuse.portal", "fusectl", "hugetlbfs", "mqueue", "nfsd", "nsfs", "proc", "pstore",
    "rpc_pipefs", "securityfs", "selinuxfs", "sysfs", "tracefs",
))
"""No files that anybody stored."""
# fmt: on
SYSTEM = ("/boot", "/dev", "/efi", "/proc", "/sys")
"""Where an ``autofs`` waits for nothing in which there are packages; elsewhere it mounts what a network has."""


class Storage(enum.Enum):
    """What a mount point leads to."""

    OWN = enum.auto()
    PSEUDO = enum.auto()
    ELSEWHERE = enum.auto()
    """On another machine, or behind a program: it may be slow, or not answer at all."""


def mount_points(mounts: Mounts) -> dict[str, Storage]:
    """What lies at each mount point; the upper one where several lie on one another. Empty without ``/proc``."""
    return {point: _storage(mount.kind, point) for point, mount in mounts.by_point.items()}


def elsewhere(mounts: Mapping[str, Storage]) -> frozenset[str]:
    """The mount points, but for the root, that lead to other machines, or to programs."""
    return frozenset(path for path, storage in mounts.items() if storage is Storage.ELSEWHERE and path != "/")


def _storage(kind: str, path: str) -> Storage:
    if kind in STORAGE:
        return Storage.OWN
    if kind == "autofs":
        return Storage.PSEUDO if path.startswith(SYSTEM) else Storage.ELSEWHERE
    return Storage.PSEUDO if kind in PSEUDO else Storage.ELSEWHERE

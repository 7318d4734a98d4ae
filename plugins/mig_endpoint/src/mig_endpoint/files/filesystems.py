"""What stands behind a mount: a disk of this machine, a network or a cloud; and whether it may never answer.

Judged by the type that the kernel gives, and for FUSE by the file system's own name (``fuse.sshfs``) or, where it
gives none, by the source: the same program mounts as ``fuse`` or ``fuse.NAME`` depending on its version. Sources of
the lists: ``register_filesystem`` in fs/ and drivers/ of Linux 6.18; ``ME_REMOTE`` in gnulib's lib/mountlist.c (``df
-l``), and the file systems' own documentation: rclone mount, gcsfuse, blobfuse2, juicefs mount, Mountpoint for Amazon
S3, goofys, s3fs-fuse, ceph-fuse, davfs2, glusterfs, Lustre, IBM Storage Scale (gpfs), BeeGFS, WekaFS, Quobyte,
SeaweedFS, MooseFS, Alluxio, ossfs, cosfs, CernVM-FS.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mig_endpoint import coverage
from mig_endpoint.files.mounts import read_mounts

if TYPE_CHECKING:
    from mig_core.plugin.coverage import Reason
    from mig_endpoint.files.mounts import Mount, Mounts

# fmt: off
NETWORK = frozenset((
    "9p", "acfs", "afs", "auristorfs", "beegfs", "ceph", "cifs", "coda", "cvfs", "davfs", "fhgfs", "gfs", "gfs2",
    "glusterfs", "gpfs", "ibrix", "lustre", "mfs", "ncp", "ncpfs", "nfs", "nfs3", "nfs4", "ocfs2", "orangefs",
    "panfs", "prl_fs", "pvfs2", "quobyte", "smb2", "smb3", "smbfs", "snfs", "vboxsf", "virtiofs", "vmhgfs",
    "wekafs",
))
"""Types whose files lie on another machine, or on the host of this virtual one."""
NETWORK_FUSE = frozenset((
    "afuse", "alluxio", "alluxio-fuse", "beegfs", "blobfuse", "blobfuse2", "ceph", "ceph-fuse", "cosfs",
    "curlftpfs", "cvmfs", "cvmfs2", "davfs", "davfs2", "dbxfs", "drivefs", "fuse_dfs", "fusesmb", "gcsfuse",
    "geesefs", "glusterfs", "goofys", "google-drive-ocamlfuse", "grpcfuse", "gvfsd-fuse", "hadoop-fuse-dfs",
    "httpdirfs", "juicefs", "kbfs", "keybase", "lizardfs", "mfs", "moosefs", "mount-s3", "mountpoint-s3", "nfs",
    "objectivefs", "obsfs", "onedriver", "ossfs", "osxfs", "pcloud", "quobyte", "rclone", "s3backer", "s3fs",
    "s3ql", "saunafs", "seaweedfs", "smbnetfs", "sshfs", "tigrisfs", "vmhgfs-fuse", "weed", "wekafs", "xtreemfs",
    "yas3fs",
))
"""Names of FUSE file systems with a network or a cloud behind them."""
LOCAL_FUSE = frozenset((
    "apfs", "apfs-fuse", "archivemount", "bindfs", "cryfs", "dwarfs", "dwarfs2", "encfs", "erofsfuse", "exfat",
    "exfat-fuse", "ext2fs", "ext4fuse", "fuse-archive", "fuse-ext2", "fuse-overlayfs", "fuse-zip", "fuse2fs",
    "fuseiso", "gocryptfs", "lxcfs", "mergerfs", "mhddfs", "mount.exfat-fuse", "mount.ntfs", "mount.ntfs-3g",
    "ntfs", "ntfs-3g", "portal", "ratarmount", "revokefs-fuse", "rofiles-fuse", "securefs", "snapfuse",
    "squashfuse", "squashfuse_ll", "unionfs", "unionfs-fuse", "vmblock", "vmware-vmblock", "xfuse", "zfs-fuse",
))
"""Names of FUSE file systems whose files lie on this machine."""
LOCAL = frozenset((
    "adfs", "affs", "apparmorfs", "aufs", "bcachefs", "befs", "bfs", "binder", "binfmt_misc", "bpf", "btrfs",
    "cgroup", "cgroup2", "configfs", "cpuset", "cramfs", "dax", "debugfs", "devpts", "devtmpfs", "ecryptfs",
    "efivarfs", "efs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "fuseblk", "fusectl", "hfs", "hfsplus",
    "hpfs", "hugetlbfs", "iso9660", "isofs", "jffs2", "jfs", "minix", "mqueue", "msdos", "nfsd", "nilfs2", "nsfs",
    "ntfs", "ntfs3", "omfs", "overlay", "overlayfs", "proc", "pstore", "qnx4", "qnx6", "ramfs", "reiser4",
    "reiserfs", "resctrl", "romfs", "rootfs", "rpc_pipefs", "securityfs", "selinuxfs", "smackfs", "squashfs",
    "sysfs", "sysv", "tmpfs", "tracefs", "ubifs", "udf", "ufs", "usbfs", "v7", "vfat", "xfs", "zfs", "zonefs",
))
"""Types whose files lie on this machine, or are the kernel's own."""
# fmt: on


def is_network(mount: Mount) -> bool | None:
    """Whether a network, a cloud or the host of this virtual machine stands behind it; None if it does not tell."""
    family, _, name = mount.kind.partition(".")
    if family not in ("fuse", "fuse3"):
        if mount.kind in NETWORK:
            return True
        return False if mount.kind in LOCAL or mount.kind == "autofs" else None
    for text in (name, mount.source.partition(":")[0]):
        short = text.rsplit("/", 1)[-1].casefold()
        if short in NETWORK_FUSE:
            return True
        if short in LOCAL_FUSE or short.endswith(".appimage"):
            return False
    return True if ":" in mount.source else None


def may_hang(mount: Mount) -> bool:
    """Whether a call on it may wait for somebody who never answers: anything that is not the kernel's own work.

    Not what the machine runs from: without that, nothing runs that could wait.
    """
    return (mount.kind not in LOCAL or mount.kind == "fuseblk") and mount.point != "/"


class FileSystems:
    """The mounts that a walk leaves out, for ``onefilesystem`` and ``localonly``."""

    def __init__(self, mounts: Mounts, *, one: bool = False, local: bool = False) -> None:
        """``one``: everything but the root's own file system; ``local``: those of the network."""
        self._mounts = mounts
        self._one = one
        self._local = local
        self._verdicts: dict[int, Reason | None] = {}

    def why_not_mount(self, mount: Mount, root_device: int = -1) -> Reason | None:
        """The reason to leave out a mount, without touching it; None if there is none.

        Args:
            mount: one of the list.
            root_device: ``st_dev`` of the walk's root; -1 at the root itself.
        """
        if self._one and root_device not in (-1, mount.device):
            return coverage.OTHER_FILE_SYSTEM
        if not self._local:
            return None
        remote = is_network(mount)
        if remote is None:
            return coverage.UNKNOWN_FILE_SYSTEM
        return coverage.NETWORK if remote else None

    def why_not(self, fd: int, device: int, root_device: int = -1) -> Reason | None:
        """The reason to leave out an open directory, whose ``st_dev`` is ``device``; None if there is none."""
        if self._one and root_device not in (-1, device):
            return coverage.OTHER_FILE_SYSTEM
        if not self._local:
            return None
        if device not in self._verdicts:
            self._verdicts[device] = self._judged(fd, device)
        return self._verdicts[device]

    def _judged(self, fd: int, device: int) -> Reason | None:
        mount = self._mounts.behind(fd)
        if mount is None:  # it was mounted since
            self._mounts = read_mounts()
            mount = self._mounts.behind(fd)
        if mount is not None:
            return self.why_not_mount(mount)
        # file systems without a disk of their own have major number 0 (Documentation/admin-guide/devices.txt)
        return None if os.major(device) else coverage.UNKNOWN_FILE_SYSTEM

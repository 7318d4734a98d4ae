"""What a mapping is of, told by what it is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from mig_endpoint.processes import mounts
from mig_endpoint.processes.mappings import Mapping
from mig_endpoint.processes.mounts import Mounts, is_remote, own_mounts
from mig_endpoint.processes.origins import Kind, Origins, page_size_of
from mig_endpoint.processes.pages import PAGE

if TYPE_CHECKING:
    from mig_endpoint.processes.proc import Proc

MOUNTINFO = b"""\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
23 22 0:21 / /proc rw,relatime shared:1 - proc proc rw
24 22 0:44 / /home/a\\040b rw,relatime - nfs4 server:/x rw,vers=4.2
25 24 0:45 /sub /home/a\\040b/local rw,relatime - tmpfs tmpfs rw
26 22 0:46 / /mnt rw,relatime - fuse.sshfs me@there: rw
27 22 254:1 / /mnt rw,relatime - xfs /dev/vdb rw
broken
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (b"[heap]", Kind.OWN),
        (b"[stack]", Kind.OWN),
        (b"[stack:77]", Kind.OWN),
        (b"[anon:glibc: malloc]", Kind.OWN),
        (b"[anon_shmem:x]", Kind.OWN),
        (b"", Kind.OWN),
        (b"[vvar]", Kind.KERNEL),
        (b"[vvar_vclock]", Kind.KERNEL),
        (b"[vdso]", Kind.KERNEL),
        (b"[vsyscall]", Kind.KERNEL),
        (b"[uprobes]", Kind.KERNEL),
        (b"[uprobes-trampoline]", Kind.KERNEL),
        (b"[sigpage]", Kind.KERNEL),
        (b"[what Linux 9 will have]", Kind.KERNEL),
    ],
)
def test_memory_without_a_file_is_its_own_or_the_kernels(proc: Proc, path: bytes, kind: Kind) -> None:
    with proc.process(os.getpid()) as process:
        assert Origins().of(process, Mapping(0x1000, 0x2000, b"r-xp", 0, 0, path)).kind is kind


@pytest.mark.parametrize("path", [b"anon_inode:[perf_event]", b"anon_inode:i915.gem", b"socket:[12]"])
def test_objects_without_a_path_are_devices(proc: Proc, path: bytes) -> None:
    with proc.process(os.getpid()) as process:
        assert Origins().of(process, Mapping(0x1000, 0x2000, b"rw-s", 0, 77, path)).kind is Kind.DEVICE


def test_a_file_of_sysfs_is_a_device_wherever_it_is_mounted(proc: Proc) -> None:
    device = os.stat("/sys").st_dev
    with proc.process(os.getpid()) as process:
        mapping = Mapping(0x1000, 0x2000, b"rw-s", 0, 77, b"/chroot/sys/devices/pci/resource0", device)
        assert Origins().of(process, mapping).kind is Kind.DEVICE


def test_page_sizes_are_found_by_query_and_in_smaps(proc: Proc) -> None:
    with proc.process(os.getpid()) as process:
        first = process.mappings[0]
        assert page_size_of(process, first) == PAGE
        from mig_endpoint.processes import origins

        assert origins._from_smaps(process, first) == PAGE
        assert origins._queried(process, first) in (0, PAGE)


def test_mounts_are_read_with_blanks_in_their_names_and_the_topmost_counts() -> None:
    found = Mounts(MOUNTINFO)

    def kind(path: bytes) -> bytes:
        mount = found.mount_of(path)
        return mount.kind if mount else b""

    assert kind(b"/home/a b/x") == b"nfs4"
    assert kind(b"/home/a b/local/x") == b"tmpfs"
    assert kind(b"/home/a bc") == b"ext4"
    assert kind(b"/mnt/x") == b"xfs"
    assert kind(b"/") == b"ext4"
    assert found.path_may_not_answer(b"/home/a b/x")
    assert not found.path_may_not_answer(b"/mnt/x")
    mount = found.of_device(os.makedev(0, 45))
    assert mount is not None
    assert (mount.kind, mount.root) == (b"tmpfs", b"/sub")


def test_a_root_folder_from_elsewhere_counts_as_ours() -> None:
    found = Mounts(b"22 1 0:44 / / rw - nfs4 server:/root rw\n23 22 0:45 / /data rw - nfs4 server:/data rw\n")

    assert not found.path_may_not_answer(b"/usr/bin/x")
    assert found.path_may_not_answer(b"/data/x")


@pytest.mark.parametrize("kind", [b"nfs", b"nfs4", b"cifs", b"fuse", b"fuse.rclone", b"9p", b"ceph", b"autofs"])
def test_what_others_serve_is_known(kind: bytes) -> None:
    assert is_remote(kind)


@pytest.mark.parametrize("kind", [b"ext4", b"xfs", b"btrfs", b"overlay", b"tmpfs", b"fusectl", b"nfsd", b""])
def test_what_is_here_is_known(kind: bytes) -> None:
    assert not is_remote(kind)


def test_our_own_mounts_can_be_read() -> None:
    assert own_mounts().mount_of(b"/proc") is not None
    assert mounts._parse(b"1 2 x:y / / rw - ext4 a b") is None

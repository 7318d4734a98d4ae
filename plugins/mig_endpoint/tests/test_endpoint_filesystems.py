"""What stands behind a mount, and which mounts a walk leaves out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from mig_endpoint import coverage
from mig_endpoint.files.filesystems import LOCAL, LOCAL_FUSE, NETWORK, NETWORK_FUSE, FileSystems, is_network, may_hang
from mig_endpoint.files.mounts import Mount, Mounts, read_mounts

if TYPE_CHECKING:
    from pathlib import Path


def _mount(kind: str, source: str = "none", device: int = 5) -> Mount:
    return Mount(7, 1, device, "/", "/mnt/x", kind, source, "rw")


@pytest.mark.parametrize(
    ("kind", "source", "network"),
    [
        ("ext4", "/dev/sda1", False),
        ("xfs", "/dev/mapper/a-b", False),
        ("overlay", "overlay", False),
        ("proc", "proc", False),
        ("fuseblk", "/dev/sdb1", False),
        ("fuse.lxcfs", "lxcfs", False),
        ("fuse.portal", "portal", False),
        ("fuse.Some-1.2.AppImage", "Some-1.2.AppImage", False),
        ("nfs4", "filer:/export", True),
        ("cifs", "//filer/share", True),
        ("ceph", "10.0.0.1:6789:/", True),
        ("lustre", "mgs@tcp:/fs", True),
        ("gpfs", "gpfs0", True),
        ("9p", "host0", True),
        ("virtiofs", "share", True),
        ("afs", "#root.cell", True),
        ("fuse.rclone", "remote:bucket", True),
        ("fuse.sshfs", "me@host:/", True),
        ("fuse.gcsfuse", "bucket", True),
        ("fuse.JuiceFS", "JuiceFS:jfs", True),
        ("fuse", "JuiceFS:jfs", True),
        ("fuse", "blobfuse2", True),
        ("fuse", "mountpoint-s3", True),
        ("fuse", "goofys", True),
        ("fuse", "https://dav.example.org", True),
        ("fuse", "somebody", None),
        ("fuse.home-made", "x", None),
        ("vendorfs", "x", None),
    ],
)
def test_a_mount_is_judged_by_type_name_and_source(kind: str, source: str, network: bool | None) -> None:
    assert is_network(_mount(kind, source)) is network


def test_whatever_is_not_the_kernels_own_work_may_never_answer() -> None:
    assert not any(may_hang(_mount(kind)) for kind in ("ext4", "tmpfs", "proc", "btrfs", "overlay"))
    assert all(may_hang(_mount(kind)) for kind in ("nfs4", "fuse.lxcfs", "fuseblk", "autofs", "vendorfs", "virtiofs"))


def test_no_name_is_in_two_lists() -> None:
    assert not NETWORK & LOCAL
    assert not NETWORK_FUSE & LOCAL_FUSE


def test_the_list_of_mounts_is_read_as_the_kernel_writes_it(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_bytes(
        b"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        b"40 22 0:45 /sub /mnt/a\\040b\\134c rw shared:2 master:3 - fuse.sshfs me@host:/x rw,user_id=0\n"
        b"41 22 0:46 / /mnt/twice rw - tmpfs below rw\n"
        b"42 22 0:47 / /mnt/twice rw - tmpfs above rw\n"
        b"43 22 0:48 / /mnt/\xff rw - tmpfs odd\n"
        b"44 22 0:49 / /mnt/\rx\x0b rw - tmpfs  rw,size=1k\n"
        b"broken line\n"
        b"x y z:q / / rw - ext4\n"
    )

    mounts = read_mounts(str(tmp_path / "mountinfo"))

    assert mounts.known
    assert mounts.all[1] == Mount(
        40, 22, os.makedev(0, 45), "/sub", "/mnt/a b\\c", "fuse.sshfs", "me@host:/x", "rw,user_id=0", "rw"
    )
    assert mounts.all[0].flags == "rw,relatime"
    assert mounts.by_point["/mnt/twice"].source == "above"
    assert mounts.by_point["/mnt/\udcff"].source == "odd"
    assert mounts.by_point["/mnt/\rx\x0b"].source == ""
    assert mounts.by_point["/mnt/\rx\x0b"].options == "rw,size=1k"
    assert len(mounts.all) == 6
    covering = mounts.covering("/mnt/a b\\c/deep/er")
    assert covering is not None
    assert covering.number == 40
    assert not read_mounts(str(tmp_path / "nothing")).known


@pytest.mark.parametrize(
    ("flags", "options", "in_force"),
    [
        ("rw,nosuid,noexec", "rw,size=4k", "rw,size=4k,nosuid,noexec"),
        ("ro,relatime", "rw", "ro,relatime"),
        ("rw", "ro,nosuid", "ro,nosuid"),
    ],
)
def test_what_is_in_force_on_a_mount_is_what_either_says(flags: str, options: str, in_force: str) -> None:
    assert Mount(7, 1, 1, "/", "/mnt", "ext4", "x", options, flags).in_force == in_force


@pytest.mark.skipif(not os.path.exists("/proc/self/mountinfo"), reason="needs /proc")
def test_the_mount_behind_a_descriptor_is_the_kernels_word() -> None:
    fd = os.open("/proc", os.O_RDONLY)
    try:
        mount = read_mounts().behind(fd)
    finally:
        os.close(fd)

    assert mount is not None
    assert (mount.point, mount.kind) == ("/proc", "proc")


def test_mounts_are_left_out_when_asked_without_touching_them() -> None:
    remote, local, odd = _mount("nfs4", device=8), _mount("ext4", device=9), _mount("fuse", device=10)
    systems = FileSystems(Mounts((remote, local)), local=True)
    other = FileSystems(Mounts((remote, local)), one=True)

    assert systems.why_not_mount(remote) is coverage.NETWORK
    assert systems.why_not_mount(local) is None
    assert systems.why_not_mount(odd) is coverage.UNKNOWN_FILE_SYSTEM
    assert other.why_not_mount(remote, root_device=9) is coverage.OTHER_FILE_SYSTEM
    assert other.why_not_mount(local, root_device=9) is None
    assert other.why_not_mount(local) is None


def test_an_open_directory_on_a_disk_that_no_list_has_is_local(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        systems = FileSystems(read_mounts(), local=True)

        assert systems.why_not(fd, os.fstat(fd).st_dev) is None
    finally:
        os.close(fd)


def test_a_list_of_mounts_is_read_to_its_end_however_long_it_is(tmp_path: Path) -> None:
    line = b"%d 1 0:9 / /m/%d rw - overlay overlay rw,lowerdir=" + b"x" * (1 << 20) + b"\n"
    with open(tmp_path / "mountinfo", "wb") as listing:
        listing.writelines(line % (number, number) for number in range(70))
        listing.write(b"99 1 0:8 / /srv rw - nfs4 server:/srv rw\n")

    mounts = read_mounts(str(tmp_path / "mountinfo"))

    assert len(mounts.all) == 71
    assert mounts.by_point["/srv"].kind == "nfs4"

"""What a mapping is of, told by what it is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from mig_endpoint.processes import origins
from mig_endpoint.processes.mappings import Mapping
from mig_endpoint.processes.origins import Kind, Origins, page_size_of
from mig_endpoint.processes.pages import PAGE

if TYPE_CHECKING:
    from mig_endpoint.processes.proc import Proc
    from mig_endpoint.testing.targets import StartTarget


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
        assert Origins(lambda: 9.0).of(process, Mapping(0x1000, 0x2000, b"r-xp", 0, 0, path)).kind is kind


@pytest.mark.parametrize("path", [b"anon_inode:[perf_event]", b"anon_inode:i915.gem", b"socket:[12]"])
def test_objects_without_a_path_are_devices(proc: Proc, path: bytes) -> None:
    with proc.process(os.getpid()) as process:
        assert Origins(lambda: 9.0).of(process, Mapping(0x1000, 0x2000, b"rw-s", 0, 77, path)).kind is Kind.DEVICE


def test_a_file_of_sysfs_is_a_device_wherever_it_is_mounted(proc: Proc) -> None:
    device = os.stat("/sys").st_dev
    with proc.process(os.getpid()) as process:
        mapping = Mapping(0x1000, 0x2000, b"rw-s", 0, 77, b"/chroot/sys/devices/pci/resource0", device)
        assert Origins(lambda: 9.0).of(process, mapping).kind is Kind.DEVICE


@pytest.mark.parametrize("address", [0x10_0000, 0x7000_0000_0000], ids=["low", "high"])
def test_page_sizes_are_found_by_query_and_in_smaps(proc: Proc, start_target: StartTarget, address: int) -> None:
    # Programs that are not position-independent lie low, below 256 MiB: Debian's Python does.
    target = start_target()
    target.do("c.mmap.restype = ctypes.c_void_p")
    placed = f"c.mmap(ctypes.c_void_p({address}), ctypes.c_size_t({PAGE}), 3, 0x22, -1, ctypes.c_long(0))"
    assert target.number(placed) == address

    with proc.process(target.pid) as process:
        mapping = next(one for one in process.mappings if one.start == address)
        assert page_size_of(process, mapping) == PAGE
        assert origins._from_smaps(process, mapping) == PAGE
        assert origins._queried(process, mapping) in (0, PAGE)

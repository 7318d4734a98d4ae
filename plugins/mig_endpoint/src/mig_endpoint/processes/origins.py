"""What a mapping is of: judged by its device number and its inode, never by its name alone.

Names lie in both directions: a program may lie below ``/dev``, a device in any folder; memory of huge pages can have
any name, and a file's own name may end in "(deleted)". Sources: proc_pid_maps(5), proc_pid_mountinfo(5); PROCMAP_QUERY
in ``fs/proc/task_mmu.c`` (Linux 6.11), before it KernelPageSize in proc_pid_smaps(5).
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import struct
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from mig_endpoint.files.filesystems import may_hang
from mig_endpoint.files.mounts import each_mount
from mig_endpoint.processes.mapped_file import locate
from mig_endpoint.processes.pages import PAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_endpoint.files.calls import Guarded
    from mig_endpoint.files.mounts import Mount
    from mig_endpoint.processes.mappings import Mapping
    from mig_endpoint.processes.process import Process

_OWN_NAMES = (b"[heap]", b"[stack", b"[anon")
_ZERO_DEVICE = os.makedev(1, 5)
# fmt: off
_KERNEL_TYPES = frozenset((
    "binder", "bpf", "binfmt_misc", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "efivarfs",
    "functionfs", "fusectl", "mqueue", "nsfs", "proc", "pstore", "resctrl", "rpc_pipefs", "securityfs",
    "selinuxfs", "smackfs", "sysfs", "tracefs",
))
# fmt: on
"""File systems that are the kernel speaking: reading a file there can do something."""
# include/uapi/linux/fs.h: _IOWR('f', 17, struct procmap_query)
_PROCMAP_QUERY = 0xC0686611
_QUERY = struct.Struct("=9Q2I2I2Q")
_PAGE_SIZE = re.compile(rb"KernelPageSize: +(\d+) kB")


class Kind(Enum):
    """What there is behind a mapping."""

    OWN = "own"
    """Nothing: memory of the process itself."""
    FILE = "file"
    """A file, on a disk or in memory."""
    REMOTE = "remote"
    """A file that another machine or program serves: its pages in memory are read there, others through ``calls``."""
    DEVICE = "device"
    """A device, or an object of the kernel: reading it can have effects."""
    KERNEL = "kernel"
    """Code and data that the kernel puts into every process."""


class Origin(NamedTuple):
    """What a mapping is of."""

    kind: Kind
    in_memory: bool = False
    """Whether its file lies in memory only and has no name that others could look it up by."""
    page_size: int = PAGE
    """More than :data:`PAGE` for pages of a pool that the system keeps for programs (hugetlbfs)."""
    is_certain: bool = True
    """Without, it may be a device: it has no name, and we may not look at it otherwise."""
    calls: Guarded | None = None
    """What the file is to be opened and read with, if its file system may not answer."""


class Origins:
    """Finds out what mappings are of, and remembers it for one run. May be used by several threads.

    Args:
        remaining: seconds until the deadline of the run; file systems that may not answer get a part of them.
    """

    def __init__(self, remaining: Callable[[], float]) -> None:
        self._known: dict[tuple[int, int, bool], Origin] = {}
        self._page_sizes: dict[int, int] = {}
        self._mounts: dict[int, dict[int, Mount]] = {}
        self._remaining = remaining
        self._guards: dict[int, Guarded] = {}

    def close(self) -> None:
        """Lets go of file systems that did not answer."""
        for guard in self._guards.values():
            guard.end()

    def of(self, process: Process, mapping: Mapping) -> Origin:
        """What a mapping of a process is of. Where it cannot be found out, its name and pages must tell: a FILE."""
        if mapping.inode == 0:
            is_own = not mapping.path or mapping.path.startswith(_OWN_NAMES)
            return Origin(Kind.OWN if is_own else Kind.KERNEL)
        if not mapping.path.startswith(b"/"):
            return Origin(Kind.DEVICE)  # anon_inode:[…], socket:[…]
        key = (mapping.device, mapping.inode, mapping.is_shared)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._find_out(process, mapping)
        return known

    def _find_out(self, process: Process, mapping: Mapping) -> Origin:
        mount = self._mount_of(process, mapping.device)
        kind_of_system = mount.kind if mount is not None else ""
        if kind_of_system in _KERNEL_TYPES:
            return Origin(Kind.DEVICE)
        if mount is not None and may_hang(mount):
            return self._of_others(process, mapping)
        found = locate(process, mapping)
        if found is None:
            is_certain = not (mapping.path.startswith(b"/dev/") and kind_of_system == "devtmpfs")
        elif stat.S_ISCHR(found.stat.st_mode) and found.stat.st_rdev == _ZERO_DEVICE and not mapping.is_shared:
            return Origin(Kind.OWN)
        elif not stat.S_ISREG(found.stat.st_mode):
            return Origin(Kind.DEVICE)
        else:
            is_certain = True
        if mount is None and mapping.path.startswith(b"/dmabuf:"):
            return Origin(Kind.DEVICE)
        has_no_name = mount is None or mapping.path.startswith(b"/dev/shm/") or kind_of_system == "hugetlbfs"
        return Origin(Kind.FILE, has_no_name, self._page_size(process, mapping, kind_of_system), is_certain)

    def _of_others(self, process: Process, mapping: Mapping) -> Origin:
        from mig_endpoint.files.calls import Guarded, Patience

        guard = self._guards.get(mapping.device)
        if guard is None:
            guard = self._guards.setdefault(mapping.device, Guarded(Patience(self._remaining)))
        try:
            found = guard.call(locate, process, mapping)
        except TimeoutError:
            found = None
        if found is not None and not stat.S_ISREG(found.stat.st_mode):
            return Origin(Kind.DEVICE)
        return Origin(Kind.REMOTE, calls=guard)

    def _mount_of(self, process: Process, device: int) -> Mount | None:
        """Where a file system is mounted, here or for the process; None for memfd_create(2)'s and the like."""
        if here := process.mounts.on(device):
            return here
        try:
            namespace = process.namespace("mnt")
            if namespace not in self._mounts:
                listed = each_mount(f"/proc/self/fd/{process.folder}/mountinfo")
                self._mounts[namespace] = {one.device: one for one in listed}
        except OSError:
            return None
        return self._mounts[namespace].get(device)

    def _page_size(self, process: Process, mapping: Mapping, kind_of_system: str) -> int:
        if os.major(mapping.device) or kind_of_system not in ("", "hugetlbfs"):
            return PAGE  # files of huge pages are on file systems of their own, without a block device
        known = self._page_sizes.get(mapping.device)
        if known is None:
            known = self._page_sizes[mapping.device] = page_size_of(process, mapping)
        return known


def page_size_of(process: Process, mapping: Mapping) -> int:
    """The size of the pages that a mapping is made of, in bytes; that of usual ones where it cannot be found out."""
    try:
        return _queried(process, mapping) or _from_smaps(process, mapping) or PAGE
    except OSError:
        return PAGE


def _queried(process: Process, mapping: Mapping) -> int:
    """The answer of PROCMAP_QUERY; 0 where the kernel has none."""
    maps = process.open("maps")
    try:
        argument = bytearray(_QUERY.pack(_QUERY.size, 0, mapping.start, *[0] * 12))
        fcntl.ioctl(maps, _PROCMAP_QUERY, argument)
    except OSError:
        return 0
    finally:
        os.close(maps)
    answer = _QUERY.unpack(argument)
    return int(answer[6]) if answer[3] == mapping.start else 0


def _from_smaps(process: Process, mapping: Mapping) -> int:
    head = b"%08x-%08x " % (mapping.start, mapping.end)  # as the kernel writes addresses below 256 MiB
    is_of_it = False
    for line in process.lines("smaps"):
        is_of_it = is_of_it or line.startswith(head)
        if is_of_it and (found := _PAGE_SIZE.match(line)):
            return int(found.group(1)) << 10
    return 0

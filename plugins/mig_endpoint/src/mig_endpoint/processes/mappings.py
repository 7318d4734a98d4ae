"""What a process has mapped. Source: proc_pid_maps(5).

Pure: text in, mappings out. ``pages`` says which of their pages hold something.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LINE = re.compile(rb"([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) \S+ (\d+) *(.*)")
_KERNEL_DATA = (b"[vsyscall]", b"[vvar")
_DELETED = b" (deleted)"
_HUGE_PAGES = (b"/anon_hugepage", b"/dev/hugepages/")
_IN_MEMORY = (b"/dev/shm/", b"/dev/zero", b"/memfd:", b"/SYSV", *_HUGE_PAGES)


@dataclass(frozen=True, slots=True)
class Mapping:
    """One line of ``maps``."""

    start: int
    end: int
    permissions: bytes
    """As ``r-xp``."""
    position: int
    """Where in the file it begins, in bytes."""
    inode: int
    path: bytes
    """The file, or a name in brackets, or empty."""

    @property
    def is_readable(self) -> bool:
        """Whether the process itself may read it, and it is no data of the kernel (``[vvar]``, ``[vsyscall]``)."""
        return self.permissions.startswith(b"r") and not self.path.startswith(_KERNEL_DATA)

    @property
    def is_shared(self) -> bool:
        """Whether other processes see what is written to it."""
        return self.permissions.endswith(b"s")

    @property
    def is_device(self) -> bool:
        """Whether it is a device's memory, or the kernel's: reading it can have side effects."""
        if self.path.startswith(_IN_MEMORY):
            return False
        return self.path.startswith((b"/dev/", b"/sys/", b"/proc/", b"anon_inode:"))

    @property
    def has_huge_pages(self) -> bool:
        """Whether it is of huge pages that the system keeps for programs: reading an unused one would use it up."""
        return self.path.startswith(_HUGE_PAGES)

    @property
    def has_file(self) -> bool:
        """Whether it was mapped from a file, be it one that lies in memory only."""
        return self.inode != 0 and not (self.path.startswith(b"/dev/zero") and not self.is_shared)

    @property
    def is_as_on_disk(self) -> bool:
        """Whether its unchanged pages can be read from a file too: it has one, on disk as far as its name tells."""
        return self.has_file and not self.path.startswith(_IN_MEMORY) and not self.path.endswith(_DELETED)


@dataclass(frozen=True, slots=True)
class Range:
    """Addresses ``start`` to ``end`` (not included) of one mapping."""

    start: int
    end: int
    mapping: Mapping


def parse(text: bytes) -> list[Mapping]:
    """The mappings, by address. Lines that do not look like one are left out."""
    found = []
    for line in text.split(b"\n"):
        if parts := _LINE.fullmatch(line):
            start, end, permissions, position, inode, path = parts.groups()
            found.append(Mapping(int(start, 16), int(end, 16), permissions, int(position, 16), int(inode), path))
    return found


def libraries(mappings: Iterable[Mapping], executable: bytes) -> list[bytes]:
    """The distinct files among the mappings but the executable itself, in order of address."""
    paths = dict.fromkeys(one.path for one in mappings)
    return [path for path in paths if path and path not in (executable, b"/dev/zero") and not path.startswith(b"[")]


def texts(ranges: Iterable[Range]) -> Iterator[list[Range]]:
    """The ranges in groups that touch each other."""
    group: list[Range] = []
    for one in ranges:
        if group and group[-1].end != one.start:
            yield group
            group = []
        group.append(one)
    if group:
        yield group

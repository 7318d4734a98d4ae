"""What a process has mapped. Source: proc_pid_maps(5).

Pure: text in, mappings out. ``origins`` finds out what a mapping is of, ``pages`` which of its pages hold something.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LINE = re.compile(rb"([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) ([0-9a-f]+):([0-9a-f]+) (\d+) *(.*)\n?")


class Mapping(NamedTuple):
    """One line of ``maps``."""

    start: int
    end: int
    permissions: bytes
    """As ``r-xp``."""
    position: int
    """Where in the file it begins, in bytes."""
    inode: int
    """0 if it is of no file."""
    path: bytes
    """The file as the kernel names it, or a name in brackets, or empty. Line feeds are written ``\\012``."""
    device: int = 0
    """Of the file system, as :func:`os.makedev` has it; not always the ``st_dev`` of the file (Btrfs, overlay)."""

    @property
    def is_readable(self) -> bool:
        """Whether the process itself may read it. For the kernel this is no reason not to."""
        return self.permissions.startswith(b"r")

    @property
    def is_shared(self) -> bool:
        """Whether other processes see what is written to it."""
        return self.permissions.endswith(b"s")


class Range(NamedTuple):
    """Addresses ``start`` to ``end`` (not included) of one mapping."""

    start: int
    end: int
    mapping: Mapping


def parse(lines: Iterable[bytes]) -> list[Mapping]:
    """The mappings, by address. Lines, with their ends or without, that do not look like one are left out."""
    found = []
    paths: dict[bytes, bytes] = {}  # a process may have a million mappings of a few files with long names
    for line in lines:
        if parts := _LINE.fullmatch(line):
            start, end, permissions, position, major, minor, inode, path = parts.groups()
            device = os.makedev(int(major, 16), int(minor, 16))
            number = int(inode)
            path = paths.setdefault(path, path)
            found.append(Mapping(int(start, 16), int(end, 16), permissions, int(position, 16), number, path, device))
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

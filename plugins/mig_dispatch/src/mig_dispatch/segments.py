"""The files of the spool: what each holds, and what is left of them after a crash.

A segment's name is the number of its first record, so that numbers go on even when all records are gone.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mig_dispatch import files, framing

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"(\d{20})\.seg", re.ASCII)


@dataclass(slots=True)
class Segment:
    """One file. ``size`` counts the bytes that are durable; readers go no further."""

    first: int
    path: Path
    size: int


def segment_path(folder: Path, first: int) -> Path:
    """Where the segment that begins with record ``first`` lies."""
    return folder / f"{first:020d}.seg"


def create(folder: Path, first: int) -> Segment:
    """A new, empty segment, durably there.

    Raises:
        OSError: it cannot be made.
    """
    path = segment_path(folder, first)
    os.close(files.open_private(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))
    files.sync_folder(folder)
    return Segment(first, path, 0)


def listed(folder: Path) -> list[Segment]:
    """The segments in a folder, oldest first."""
    found = []
    for name in sorted(os.listdir(folder)):
        match = _NAME.fullmatch(name)
        if match:
            path = folder / name
            found.append(Segment(int(match[1]), path, path.stat(follow_symlinks=False).st_size))
    return found


@dataclass(frozen=True, slots=True)
class Recovered:
    """What recovery found in the newest segment."""

    next: int
    """The number the next record gets."""
    torn: int
    """Bytes cut off: written, but never promised to anyone."""


def recover(segment: Segment) -> Recovered:
    """Cuts the torn tail off the newest segment and counts its records.

    Damage is a torn tail unless a later *batch* lies behind it; then it is damage to records that had been durable, and
    what follows is kept.

    Raises:
        OSError: it cannot be read or cut.
    """
    descriptor = files.open_private(segment.path, os.O_RDWR)
    try:
        content = _whole(descriptor)
        offset, expected = 0, segment.first
        while offset < len(content):
            frame = framing.decode(content, offset)
            if frame is None:
                frame = framing.find(content, offset)
                while frame is not None and frame.batch <= expected:
                    frame = framing.find(content, frame.end)
                if frame is None:
                    break
            offset, expected = frame.end, frame.number + 1
        torn = len(content) - offset
        if torn:
            os.ftruncate(descriptor, offset)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    segment.size = offset
    return Recovered(expected, torn)


def _whole(descriptor: int) -> bytes:
    parts, offset = [], 0
    while part := os.pread(descriptor, 1 << 20, offset):
        parts.append(part)
        offset += len(part)
    return b"".join(parts)

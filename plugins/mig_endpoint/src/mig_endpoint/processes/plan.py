"""Which part of a process's memory is to be read: an extent, and what it means for mappings.

Pure: mappings in, ranges of addresses out. ``scan`` reads them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.records import dataclass
from mig_endpoint.processes.mappings import Range

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mig_endpoint.processes.mappings import Mapping


@dataclass(frozen=True, slots=True)
class Extent:
    """Which part of a process's memory is to be read."""

    offset: int
    """First address."""
    maxlength: int
    """Bytes of readable memory; 0 for all."""
    nofiles: bool


def plan(mappings: Iterable[Mapping], extent: Extent) -> Iterator[Range]:
    """The part of some mappings that an extent is about, by address.

    ``maxlength`` counts every byte of mappings that the process may read, whether or not it has ever touched it. What
    it may not read lies between these and is looked at without being counted.
    """
    left = extent.maxlength
    for one in mappings:
        start = max(one.start, extent.offset)
        if start >= one.end:
            continue
        counts = extent.maxlength and one.is_readable
        end = min(one.end, start + left) if counts else one.end
        yield Range(start, end, one)
        if counts:
            left -= end - start
            if not left:
                return

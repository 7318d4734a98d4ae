"""Which part of a process's mappings a search is about, by its extent.

Pure: mappings in, ranges of addresses out. ``scan`` reads them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_endpoint.processes.mappings import Range

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mig_endpoint.processes.mappings import Mapping
    from mig_memory.search import Extent


def plan(mappings: Iterable[Mapping], extent: Extent) -> Iterator[Range]:
    """The part of the readable mappings that an extent is about, by address.

    ``maxlength`` counts every byte of the mappings that are read, whether or not the process has ever touched it.
    """
    left = extent.maxlength
    for one in mappings:
        start = max(one.start, extent.offset)
        if start >= one.end or not one.is_readable or one.is_device:
            continue
        end = min(one.end, start + left) if extent.maxlength else one.end
        yield Range(start, end, one)
        left -= end - start
        if extent.maxlength and not left:
            return

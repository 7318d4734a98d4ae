"""Which pages hold something: all ways of asking the kernel give the same answer."""

from __future__ import annotations

import ctypes
import mmap
import os
import random

import pytest

from mig_core.testing.services import service_missing
from mig_endpoint.processes import mappings, pages
from mig_endpoint.processes.mappings import Mapping, Range
from mig_endpoint.processes.pages import PAGE, Holds, Part

COUNT = 3000


def anonymous(count: int) -> tuple[mmap.mmap, int]:
    memory = mmap.mmap(-1, count * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    return memory, ctypes.addressof(ctypes.c_char.from_buffer(memory))


def whole(address: int, count: int) -> Range:
    return Range(address, address + count * PAGE, Mapping(address, address + count * PAGE, b"rw-p", 0, 0, b""))


def check_gapless(found: list[Part], one: Range) -> None:
    assert [part.start for part in found] == [one.start, *(part.end for part in found[:-1])]
    assert found[-1].end == one.end


@pytest.mark.parametrize("seed", range(3))
def test_pagemap_and_its_scan_agree_with_what_was_touched(seed: int) -> None:
    memory, address = anonymous(COUNT)
    touched = sorted(random.Random(seed).sample(range(COUNT), COUNT // 3))
    for page in touched:
        memory[page * PAGE] = 1
    one = Range(address + 1, address + COUNT * PAGE - 1, whole(address, COUNT).mapping)
    pagemap = os.open("/proc/self/pagemap", os.O_RDONLY)

    plain = list(pages._of_pagemap(one, pagemap, pages._PRESENT, Holds.ZEROS))
    regions = pages._scanned(one.start, one.end, pagemap)
    scanned = list(pages._of_regions(one, pagemap, regions)) if regions else plain
    os.close(pagemap)

    check_gapless(plain, one)
    assert scanned == plain
    seen = {
        page for part in plain if part.holds is Holds.DATA for page in range(part.start // PAGE, -(-part.end // PAGE))
    }
    assert seen == {address // PAGE + page for page in touched}


def test_pages_that_were_read_and_never_written_are_zeros() -> None:
    memory, address = anonymous(COUNT)
    read = sum(memory[page * PAGE] for page in range(COUNT))
    memory[7 * PAGE] = 1
    pagemap = os.open("/proc/self/pagemap", os.O_RDONLY)

    regions = pages._scanned(address, address + COUNT * PAGE, pagemap)
    os.close(pagemap)

    assert read == 0
    if regions is None:
        pytest.skip("this kernel has no PAGEMAP_SCAN (Linux 6.7)")
    assert regions.used == [(address + 7 * PAGE, address + 8 * PAGE)]


def test_terabytes_that_were_only_reserved_cost_nothing() -> None:
    size = 1 << 42
    no_reserve = 0x4000
    memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve)
    memory[size // 2] = 1
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    pagemap = os.open("/proc/self/pagemap", os.O_RDONLY)
    if pages._scanned(address, address + size, pagemap) is None:
        pytest.skip("this kernel has no PAGEMAP_SCAN (Linux 6.7)")

    found = list(pages.parts(whole(address, size // PAGE), pagemap, -1, nofiles=False))
    os.close(pagemap)

    assert [part.holds for part in found] == [Holds.ZEROS, Holds.DATA, Holds.ZEROS]
    assert found[1].start <= address + size // 2 < found[1].end


def test_without_pagemap_everything_is_read() -> None:
    one = whole(1 << 32, 5)

    assert list(pages.parts(one, -1, -1, nofiles=False)) == [Part(one.start, one.end, Holds.DATA)]


def test_holes_of_a_shared_file_are_zeros_and_what_lies_behind_it_is_nothing() -> None:
    if os.geteuid() != 0:
        service_missing("only root may open map_files")
    file = os.memfd_create("holes")
    os.truncate(file, 10 * PAGE)
    os.pwrite(file, b"x", 3 * PAGE)
    memory = mmap.mmap(file, 10 * PAGE)
    os.truncate(file, 8 * PAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    process = os.open("/proc/self", os.O_RDONLY | os.O_DIRECTORY)
    with open("/proc/self/maps", "rb") as maps:
        mapping = next(one for one in mappings.parse(maps.read()) if one.start == address)

    found = list(pages.parts(Range(mapping.start, mapping.end, mapping), -1, process, nofiles=False))
    file_end = pages.end_of_file(mapping, process)
    os.close(process)
    os.close(file)

    assert [((part.start - address) // PAGE, part.holds) for part in found] == [
        (0, Holds.ZEROS),
        (3, Holds.DATA),
        (4, Holds.ZEROS),
        (8, Holds.NOTHING),
    ]
    assert file_end == address + 8 * PAGE

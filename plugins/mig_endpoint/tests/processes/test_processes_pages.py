"""What the kernel says about pages: all ways of asking give the same answer."""

from __future__ import annotations

import ctypes
import mmap
import os
import random
from typing import TYPE_CHECKING

import pytest

from mig_endpoint.processes import pages
from mig_endpoint.processes.pages import PAGE, Run, State, runs

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNT = 3000
GUARD_INSTALL = 102


@pytest.fixture
def pagemap() -> Iterator[int]:
    file = os.open("/proc/self/pagemap", os.O_RDONLY)
    yield file
    os.close(file)


def anonymous(count: int) -> tuple[mmap.mmap, int]:
    memory = mmap.mmap(-1, count * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    return memory, ctypes.addressof(ctypes.c_char.from_buffer(memory))


def scanned(start: int, end: int, pagemap: int) -> list[Run]:
    regions = pages._scan(start, end, pagemap, has_file=True)
    if regions is None:
        pytest.skip("this kernel has no PAGEMAP_SCAN (Linux 6.7)")
    return list(pages._of_regions(start, end, pagemap, regions, has_file=True))


def check_gapless(found: list[Run], start: int, end: int) -> None:
    assert [one.start for one in found] == [start, *(one.end for one in found[:-1])]
    assert found[-1].end == end


@pytest.mark.parametrize("seed", range(3))
def test_pagemap_and_its_scan_agree_with_what_was_touched(seed: int, pagemap: int) -> None:
    memory, address = anonymous(COUNT)
    touched = sorted(random.Random(seed).sample(range(COUNT), COUNT // 3))
    for page in touched:
        memory[page * PAGE] = 1
    start, end = address + 1, address + COUNT * PAGE - 1

    plain = list(runs(start, end, pagemap))

    check_gapless(plain, start, end)
    assert scanned(start, end, pagemap) == plain
    own = [one for one in plain if one.state is State.OWN]
    seen = {page for one in own for page in range(one.start // PAGE, -(-one.end // PAGE))}
    assert seen == {address // PAGE + page for page in touched}
    assert {one.state for one in plain} == {State.OWN, State.UNTOUCHED}


def test_pages_that_were_read_and_never_written_are_zeros(pagemap: int) -> None:
    memory, address = anonymous(COUNT)
    read = sum(memory[page * PAGE] for page in range(COUNT))
    memory[7 * PAGE] = 1

    found = scanned(address, address + COUNT * PAGE, pagemap)

    assert read == 0
    assert [one.state for one in found] == [State.UNTOUCHED, State.OWN, State.UNTOUCHED]
    assert found[1] == Run(address + 7 * PAGE, address + 8 * PAGE, State.OWN)


def test_terabytes_that_were_only_reserved_cost_nothing(pagemap: int) -> None:
    size = 1 << 42
    no_reserve = 0x4000
    memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve)
    memory[size // 2] = 1
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    if pages._scan(address, address + size, pagemap, has_file=False) is None:
        pytest.skip("this kernel has no PAGEMAP_SCAN (Linux 6.7)")

    found = list(runs(address, address + size, pagemap, has_file=False))

    assert [one.state for one in found] == [State.UNTOUCHED, State.OWN, State.UNTOUCHED]
    assert found[1].start <= address + size // 2 < found[1].end


def test_guards_are_told_from_what_is_in_swap(pagemap: int) -> None:
    _, address = anonymous(3)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.madvise(ctypes.c_void_p(address + PAGE), ctypes.c_size_t(PAGE), GUARD_INSTALL):
        pytest.skip("this kernel has no MADV_GUARD_INSTALL (Linux 6.13)")

    plain = list(runs(address, address + 3 * PAGE, pagemap))

    assert [one.state for one in plain] == [State.UNTOUCHED, State.GUARD, State.UNTOUCHED]
    assert scanned(address, address + 3 * PAGE, pagemap) == plain


def test_pages_of_a_file_are_told_from_changed_ones(pagemap: int) -> None:
    file = os.memfd_create("file")
    os.pwrite(file, b"x" * 3 * PAGE, 0)
    memory = mmap.mmap(file, 3 * PAGE, mmap.MAP_PRIVATE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    memory[2 * PAGE] = 1
    assert memory[PAGE] == ord("x")

    plain = list(runs(address, address + 3 * PAGE, pagemap))
    os.close(file)

    assert plain[-1] == Run(address + 2 * PAGE, address + 3 * PAGE, State.OWN)
    assert State.FILE in {one.state for one in plain}
    assert scanned(address, address + 3 * PAGE, pagemap) == plain


def test_without_pagemap_nothing_is_known() -> None:
    assert list(runs(4096, 3 * 4096, -1)) == [Run(4096, 3 * 4096, State.UNKNOWN)]


def test_addresses_of_the_kernel_are_unknown(pagemap: int) -> None:
    start = 0xFFFFFFFFFF600000

    assert [one.state for one in runs(start, start + PAGE, pagemap)] == [State.UNKNOWN]

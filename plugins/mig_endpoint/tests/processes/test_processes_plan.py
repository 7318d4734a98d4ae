"""Which part of a process's mappings a search is about."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mig_endpoint.processes import mappings
from mig_endpoint.processes.plan import Extent, plan

MAPS = b"""\
55d0c0a00000-55d0c0a02000 r--p 00000000 fe:00 4242                       /usr/bin/sleep
55d0c0a02000-55d0c0a06000 r-xp 00002000 fe:00 4242                       /usr/bin/sleep
55d0c1000000-55d0c1021000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000002000 r--p 00000000 fe:00 77                         /usr/lib/libc.so.6
7f0000002000-7f0000004000 ---p 00002000 fe:00 77                         /usr/lib/libc.so.6
7f0000004000-7f0000005000 rw-p 00000000 00:00 0
7f0000005000-7f0000006000 rw-s 00000000 00:05 9                          /dev/dri/card 0
7f0000006000-7f0000007000 rw-s 00000000 00:01 3                          /memfd:x (deleted)
7ffd00000000-7ffd00004000 r--p 00000000 00:00 0                          [vvar]
7ffd00004000-7ffd00006000 r-xp 00000000 00:00 0                          [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
"""


def starts(extent: Extent) -> list[tuple[int, int]]:
    return [(one.start, one.end) for one in plan(mappings.parse(MAPS.split(b"\n")), extent)]


def test_an_offset_is_exact() -> None:
    assert starts(Extent(0x55D0C0A01001, 0, nofiles=False))[0] == (0x55D0C0A01001, 0x55D0C0A02000)
    assert starts(Extent(0xFFFFFFFFFF601000, 0, nofiles=False)) == []


def test_a_maxlength_is_exact_and_counts_only_what_the_process_may_read() -> None:
    assert starts(Extent(0, 1, nofiles=False)) == [(0x55D0C0A00000, 0x55D0C0A00001)]
    assert starts(Extent(0x7F0000001000, 0x1800, nofiles=False)) == [
        (0x7F0000001000, 0x7F0000002000),
        (0x7F0000002000, 0x7F0000004000),
        (0x7F0000004000, 0x7F0000004800),
    ]


@given(offset=st.integers(0, 1 << 64), maxlength=st.integers(0, 1 << 64))
def test_any_extent_is_as_long_as_it_may_be(offset: int, maxlength: int) -> None:
    mapped = mappings.parse(MAPS.split(b"\n"))

    def counted(extent: Extent) -> int:
        return sum(one.end - one.start for one in plan(mapped, extent) if one.mapping.is_readable)

    available = counted(Extent(offset, 0, nofiles=False))
    assert counted(Extent(offset, maxlength, nofiles=False)) == (min(available, maxlength) if maxlength else available)
    assert all(one.start >= offset for one in plan(mapped, Extent(offset, maxlength, nofiles=False)))

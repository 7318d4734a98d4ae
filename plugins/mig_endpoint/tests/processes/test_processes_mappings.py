"""Reading maps."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from mig_endpoint.processes import mappings
from mig_endpoint.processes.mappings import Mapping, Range

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


def test_mappings_that_touch_are_one_text() -> None:
    mapped = [one for one in mappings.parse(MAPS.split(b"\n")) if one.is_readable]

    groups = mappings.texts(Range(one.start, one.end, one) for one in mapped)

    assert [len(group) for group in groups] == [2, 1, 1, 3, 2]


def test_libraries_are_the_mapped_files_but_the_executable_and_named_memory() -> None:
    assert mappings.libraries(mappings.parse(MAPS.split(b"\n")), b"/usr/bin/sleep") == [
        b"/usr/lib/libc.so.6",
        b"/dev/dri/card 0",
        b"/memfd:x (deleted)",
    ]


@given(text=st.binary(max_size=200))
def test_any_text_can_be_parsed(text: bytes) -> None:
    assert all(isinstance(one, Mapping) for one in mappings.parse((text + b"\n" + MAPS).split(b"\n")))


def test_a_mapping_knows_the_device_of_its_file() -> None:
    by_path = {one.path: one for one in mappings.parse(MAPS.split(b"\n"))}

    assert by_path[b"/usr/bin/sleep"].device == os.makedev(0xFE, 0)
    assert by_path[b"/memfd:x (deleted)"].is_shared
    assert by_path[b"[heap]"].device == 0

"""Buffers that the kernel copies into quickly."""

from __future__ import annotations

import ctypes
import mmap
import os

from mig_endpoint.buffers import page_aligned


def test_a_buffer_begins_at_a_page_and_is_zero() -> None:
    buffer = page_aligned(100_001)

    assert ctypes.addressof(ctypes.c_char.from_buffer(buffer)) % mmap.PAGESIZE == 0
    assert len(buffer) == 100_001
    assert not any(buffer[:])


def test_a_buffer_belongs_to_one_process() -> None:
    buffer = page_aligned(10)

    child = os.fork()
    if not child:
        buffer[0] = 1
        os._exit(0)
    os.waitpid(child, 0)

    assert buffer[0] == 0

"""What is in force in the running kernel: modules that hide, mounts over processes, eBPF programs that nothing pins."""

from __future__ import annotations

import ctypes
import os
import struct
import time
from typing import TYPE_CHECKING

import pytest

from mig_autorun import bpf, live
from mig_autorun.system import System
from mig_core.plugin.coverage import Tally
from mig_core.testing.services import service_missing
from mig_endpoint.packages.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAM_LOAD = 5
SOCKET_FILTER = 1
RETURN_ZERO = struct.pack("=BBhi", 0xB7, 0, 0, 0) + struct.pack("=BBhi", 0x95, 0, 0, 0)


def this_system() -> System:
    return System(Tree("/"), Tally(), lambda: 60.0, time.time())


def test_modules_tell_what_taints_the_kernel_and_which_of_them_hide(tmp_path: Path) -> None:
    listing = tmp_path / "modules"
    listing.write_text("ext4 1040384 1 - Live 0x0\nevil 16384 2 ext4,nf, Live 0x0 (OE)\n")
    for name, taint in (("ext4", ""), ("evil", "OE"), ("ghost", "O")):
        (tmp_path / "sys" / name).mkdir(parents=True)
        (tmp_path / "sys" / name / "taint").write_text(f"{taint}\n")
        (tmp_path / "sys" / name / "initstate").write_text("live\n")
    (tmp_path / "sys/builtin/parameters").mkdir(parents=True)

    found = {one.name: one for one in live.modules(this_system(), str(listing), str(tmp_path / "sys"))}

    assert {name: one.notes for name, one in found.items()} == {
        "ext4": [],
        "evil": ["out of tree", "unsigned"],
        "ghost": ["out of tree", "hidden: not in /proc/modules"],
    }
    assert found["evil"].started_by == ("ext4", "nf")


def test_a_module_that_came_after_the_listing_was_read_is_told_and_does_not_hide(tmp_path: Path) -> None:
    listing = tmp_path / "modules"
    listing.write_text("ext4 1040384 0 - Live 0x0\n")
    for name in ("ext4", "late"):
        (tmp_path / "sys" / name).mkdir(parents=True)
        (tmp_path / "sys" / name / "initstate").write_text("live\n")
    told = live.modules(this_system(), str(listing), str(tmp_path / "sys"))

    first = next(told)
    listing.write_text("late 16384 1 nf, Live 0x0\next4 1040384 0 - Live 0x0\n")
    (second,) = told

    assert (first.name, second.name) == ("ext4", "late")
    assert (second.notes, second.started_by) == ([], ("nf",))


def test_modules_that_cannot_be_listed_are_booked(tmp_path: Path) -> None:
    system = this_system()

    assert list(live.modules(system, str(tmp_path), str(tmp_path))) == []
    assert not system.tally.complete


def test_the_mounts_of_this_system_are_told() -> None:
    found = {one.name: one for one in live.mounts(this_system())}

    assert found["/proc"].key == "proc"
    assert "/" in found


def test_a_mount_is_told_with_its_own_flags_too(tmp_path: Path) -> None:
    (tmp_path / "m").write_text(
        "1 0 0:1 / / rw - ext4 /dev/x rw\n2 1 0:2 / /mnt rw,nosuid,noexec - tmpfs none rw,size=4k\n"
    )

    found = {one.name: one.command for one in live.mounts(this_system(), str(tmp_path / "m"))}

    assert found["/mnt"] == "none rw,size=4k,nosuid,noexec"


def test_what_is_pinned_is_told_wherever_a_bpffs_is_mounted_and_that_none_is(tmp_path: Path) -> None:
    (tmp_path / "bpf/folder").mkdir(parents=True)
    (tmp_path / "bpf/folder/pin").write_text("")
    listing = tmp_path / "mountinfo"
    listing.write_text(f"1 0 0:1 / {tmp_path}/bpf rw - bpf bpf rw\n2 0 0:2 / / rw - ext4 /dev/x rw\n")
    (tmp_path / "none").write_text("2 0 0:2 / / rw - ext4 /dev/x rw\n")
    system = this_system()

    assert [one.name for one in live.pins(system, str(listing))] == ["pin"]
    assert system.tally.skipped(live.NO_BPFFS) == 0
    assert list(live.pins(system, str(tmp_path / "none"))) == []
    assert system.tally.skipped(live.NO_BPFFS) == 1


@pytest.fixture
def loaded() -> Iterator[str]:
    """A socket filter that nothing pins and only this process holds."""
    name = f"mig{os.getpid() % 10**8}"
    code = ctypes.create_string_buffer(RETURN_ZERO)
    licence = ctypes.create_string_buffer(b"GPL")
    attributes = bytearray(
        struct.pack(
            "=IIQQIIQII16s",
            SOCKET_FILTER,
            len(RETURN_ZERO) // 8,
            ctypes.addressof(code),
            ctypes.addressof(licence),
            0,
            0,
            0,
            0,
            0,
            name.encode(),
        ).ljust(128, b"\0")
    )
    try:
        descriptor = bpf._bpf(PROGRAM_LOAD, attributes)
    except OSError as error:
        service_missing(f"loading an eBPF program needs root and a kernel with bpf(2): {error}")
    yield name
    os.close(descriptor)


def test_a_program_that_nothing_pins_is_found_by_asking_the_kernel(loaded: str) -> None:
    found = {one.name: one for one in live.programs(this_system())}

    assert found[loaded].key == "socket_filter"
    assert found[loaded].user == "root"


def test_a_kernel_that_may_not_be_asked_is_booked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bpf, "_CALLS", {})
    system = this_system()

    assert list(live.programs(system)) == []
    assert not system.tally.complete

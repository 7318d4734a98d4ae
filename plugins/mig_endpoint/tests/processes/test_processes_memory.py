"""Reading memory harms nobody and misses nothing: real mappings of every kind, with all privileges and with fewer.

Targets are told backwards what to put where, so that it is nowhere else.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mig_core.testing.services import service_missing
from mig_endpoint.processes import reasons
from mig_endpoint.testing.privileges import capabilities, nobody

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mig_endpoint.testing.targets import StartTarget, Target

    from .conftest import ReadAll

MIB = 1 << 20
SIZE = 64 * MIB
UNTOUCHED = reasons.UNTOUCHED.text
CLOSE = "os.closerange(f, f + 9)"  # mmap keeps a descriptor of its own
NAMED = f"f = os.open(SHM, os.O_RDWR | os.O_CREAT); os.truncate(f, {SIZE}); m = mmap.mmap(f, {SIZE}); {CLOSE}"
FILE = (
    f"f = os.open(FILE, os.O_RDWR | os.O_CREAT); os.truncate(f, {SIZE}); m = mmap.mmap(f, {SIZE}, FLAGS); os.close(f)"
)
KINDS = {
    "memfd": f"f = os.memfd_create('x'); os.truncate(f, {SIZE}); m = mmap.mmap(f, {SIZE}); {CLOSE}",
    "anonymous": f"m = mmap.mmap(-1, {SIZE}, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)",
    "/dev/shm": NAMED,
    "deleted": f"{NAMED}; os.unlink(SHM)",
    "System V": f"i = c.shmget(0, ctypes.c_size_t({SIZE}), 0o1600); c.shmat.restype = ctypes.c_void_p;"
    f" m = (ctypes.c_ubyte * {SIZE}).from_address(c.shmat(i, None, 0)); c.shmctl(i, 0, None)",
    "sparse file": FILE.replace("FLAGS", "mmap.MAP_SHARED"),
    "private file": FILE.replace("FLAGS", "mmap.MAP_PRIVATE"),
}
WITHOUT_A_WAY = {"memfd", "anonymous", "deleted", "System V"}
"""Kinds whose file only CAP_CHECKPOINT_RESTORE can get at: it has no name, and nobody has it open."""


@pytest.fixture(params=["root", "CAP_CHECKPOINT_RESTORE", "fewer capabilities", "ordinary user"])
def prefix(request: pytest.FixtureRequest) -> list[str]:
    """Who looks: words before its command line."""
    if request.param == "ordinary user":
        return nobody()
    if request.param == "root":
        return []
    return capabilities("checkpoint_restore") if request.param == "CAP_CHECKPOINT_RESTORE" else capabilities()


def can_see_files(prefix: Sequence[str]) -> bool:
    """Whether whoever looks has CAP_CHECKPOINT_RESTORE."""
    return "checkpoint_restore" in prefix[1] if prefix else os.geteuid() == 0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that an ordinary user may use."""
    path = Path(tempfile.mkdtemp(prefix="mig-test-"))
    path.chmod(0o777)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def target(prefix: list[str], start_target: StartTarget, folder: Path) -> Iterator[Target]:
    """A process that may be looked at by whoever looks: an ordinary user's own."""
    started = start_target(prefix=tuple(prefix) if "--reuid" in prefix else (), folder=folder)
    shared = f"/dev/shm/mig-test-{started.pid}"
    started.do(f"SHM, FILE = {shared!r}, {str(folder / 'file')!r}")
    yield started
    Path(shared).unlink(missing_ok=True)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_never_touched_stays_so_and_is_known_or_said(
    kind: str, prefix: list[str], target: Target, read_all: ReadAll
) -> None:
    target.do(KINDS[kind])
    target.do(f"put(m, {40 * MIB}, '71-dehcuot')")
    before = target.resident()

    answer = read_all(target.pid, "touched-17", prefix=prefix)

    assert answer["found"] == ["touched-17"]
    assert target.resident() - before < MIB
    assert answer["read"] < SIZE // 2
    assert answer["failed"] == 0
    is_said = answer["left"].get(UNTOUCHED, 0) > SIZE // 2
    assert is_said == (kind in WITHOUT_A_WAY and not can_see_files(prefix))


@pytest.mark.parametrize("way", ["open", "named", "neither"])
def test_what_others_wrote_to_shared_memory_is_read_or_said(
    way: str, prefix: list[str], target: Target, read_all: ReadAll
) -> None:
    opening = "os.open(SHM, os.O_RDWR | os.O_CREAT)" if way == "named" else "os.memfd_create('x')"
    target.do(f"f = {opening}; os.truncate(f, {SIZE}); m = mmap.mmap(f, {SIZE})")
    target.do("for n in range(10): os.pwrite(f, b'82-nettirw'[9 - n : 10 - n], (50 << 20) + n)")
    target.do(CLOSE if way != "open" else "")
    before = target.resident()

    answer = read_all(target.pid, "written-28", prefix=prefix)

    can_be_seen = way != "neither" or can_see_files(prefix)
    assert answer["found"] == (["written-28"] if can_be_seen else [])
    assert (UNTOUCHED in answer["left"]) == (not can_be_seen)
    assert target.resident() - before < MIB


@pytest.mark.parametrize("flags", ["mmap.MAP_SHARED", "mmap.MAP_PRIVATE"])
def test_a_mapped_file_is_read_as_a_file(
    flags: str, prefix: list[str], target: Target, read_all: ReadAll, folder: Path
) -> None:
    (folder / "data").write_bytes(b"z" * (40 * MIB) + b"in-the-file-3" + b"z" * (20 * MIB))
    target.do(f"f = os.open({str(folder / 'data')!r}, os.O_RDONLY); m = mmap.mmap(f, 0, {flags}, mmap.PROT_READ)")
    target.do("m.madvise(mmap.MADV_RANDOM); m[0]")
    before = target.resident()

    answer = read_all(target.pid, "in-the-file-3", prefix=prefix)

    assert answer["found"] == ["in-the-file-3"]
    assert answer["read"] > 60 * MIB
    assert target.resident() - before < MIB


def test_pages_that_were_changed_are_read_from_memory_the_others_from_the_file(
    prefix: list[str], target: Target, read_all: ReadAll, folder: Path
) -> None:
    (folder / "data").write_bytes(b"z" * (4 * MIB) + b"was-there-8" + b"z" * (4 * MIB) + b"as-stored-5")
    target.do(f"f = os.open({str(folder / 'data')!r}, os.O_RDONLY); m = mmap.mmap(f, 0, mmap.MAP_PRIVATE)")
    target.do(f"m.madvise(mmap.MADV_RANDOM); put(m, {4 * MIB}, '66-degnahc.')")

    whole = read_all(target.pid, ".changed-66", "was-there-8", "as-stored-5", prefix=prefix)
    without = read_all(target.pid, ".changed-66", "was-there-8", "as-stored-5", prefix=prefix, nofiles=True)

    assert whole["found"] == [".changed-66", "as-stored-5"]
    assert without["found"] == [".changed-66"]
    assert without["left"][reasons.ON_DISK.text] > 8 * MIB


def test_behind_the_end_of_a_file_there_is_nothing(
    prefix: list[str], target: Target, read_all: ReadAll, folder: Path
) -> None:
    (folder / "data").write_bytes(b"y" * 4 * MIB)
    (folder / "data").chmod(0o666)
    target.do(f"f = os.open({str(folder / 'data')!r}, os.O_RDWR); m = mmap.mmap(f, 0); put(m, 0, '4-tsal')")
    os.truncate(folder / "data", 5)

    answer = read_all(target.pid, "last-", prefix=prefix)

    assert answer["failed"] == 0
    assert answer["left"].get(UNTOUCHED, 0) == 0
    assert answer["found"] == ["last-"]


@pytest.mark.parametrize("protection", [0, 2, 4, 1], ids=["none", "write only", "execute only", "read only"])
def test_pages_without_the_read_bit_are_read(
    protection: int, prefix: list[str], target: Target, read_all: ReadAll
) -> None:
    target.do(f"m = mmap.mmap(-1, {MIB}, OWN); put(m, 8192, '9-detcetorp')")
    target.do("a = ctypes.addressof(ctypes.c_char.from_buffer(m))")
    assert target.number(f"c.mprotect(ctypes.c_void_p(a), {MIB}, {protection})") == 0

    answer = read_all(target.pid, "protected-9", prefix=prefix)

    assert answer["found"] == ["protected-9"]
    assert answer["failed"] == 0


def test_guards_hide_nothing_and_are_no_failure(prefix: list[str], target: Target, read_all: ReadAll) -> None:
    target.do(f"m = mmap.mmap(-1, {4 * MIB}, OWN); put(m, 0, '1-erofeb'); put(m, {3 * MIB}, '2-dniheb')")
    target.do("a = ctypes.addressof(ctypes.c_char.from_buffer(m))")
    if target.number(f"c.madvise(ctypes.c_void_p(a + 4096), ctypes.c_size_t({2 * MIB}), 102)"):
        pytest.skip("this kernel has no MADV_GUARD_INSTALL (Linux 6.13)")

    answer = read_all(target.pid, "before-1", "behind-2", prefix=prefix)

    assert answer["found"] == ["before-1", "behind-2"]
    assert answer["failed"] == 0


def test_secret_memory_is_said_to_be_unreadable(prefix: list[str], target: Target, read_all: ReadAll) -> None:
    if target.number("c.syscall(447, 0)") < 0:
        pytest.skip("this kernel has no memfd_secret(2)")
    target.do(f"f = c.syscall(447, 0); os.truncate(f, {MIB}); m = mmap.mmap(f, {MIB}); put(m, 0, 'x')")

    answer = read_all(target.pid, prefix=prefix)

    assert reasons.SECRET.text in answer["left"] or answer["failed"]


def test_a_file_below_dev_is_a_file(prefix: list[str], target: Target, read_all: ReadAll) -> None:
    place = Path(f"/dev/mig-test-{os.getpid()}")
    try:
        place.write_bytes(b"z" * MIB + b"below-dev-4" + b"z" * 99)
    except OSError:
        service_missing("files below /dev need root")
    try:
        place.chmod(0o644)
        target.do(f"f = os.open({str(place)!r}, os.O_RDONLY); m = mmap.mmap(f, 0, mmap.MAP_SHARED, mmap.PROT_READ)")

        answer = read_all(target.pid, "below-dev-4", prefix=prefix)
    finally:
        place.unlink()

    assert answer["found"] == ["below-dev-4"]
    assert answer["devices"] == 0


def test_private_memory_of_the_zero_device_is_memory_wherever_the_device_lies(
    prefix: list[str], target: Target, read_all: ReadAll, folder: Path
) -> None:
    try:
        os.mknod(folder / "zero (deleted)", 0o020666, os.makedev(1, 5))
        (folder / "zero (deleted)").chmod(0o666)
    except OSError:
        service_missing("devices need root")
    target.do(f"f = os.open({str(folder / 'zero (deleted)')!r}, os.O_RDWR)")
    target.do(f"m = mmap.mmap(f, {MIB}, mmap.MAP_PRIVATE); put(m, 5, '7-orez')")

    answer = read_all(target.pid, "zero-7", prefix=prefix)

    assert answer["found"] == ["zero-7"]
    assert answer["left"].get(UNTOUCHED, 0) == 0


def test_objects_of_the_kernel_are_not_read(prefix: list[str], target: Target, read_all: ReadAll) -> None:
    """The ring of a perf counter stands for them: a software clock of the process itself, without the kernel's part."""
    target.do("attributes = ctypes.create_string_buffer(b'\\x01\\0\\0\\0\\x80' + bytes(123)); attributes[40] = 0x61")
    target.do("f = c.syscall(298, attributes, 0, -1, -1, 0)")
    if target.number("f") < 0:
        pytest.skip("perf_event_open(2) is not for this user here")
    target.do("m = mmap.mmap(f, 4096)")

    assert read_all(target.pid, prefix=prefix)["devices"] == 1


@pytest.mark.parametrize("nofiles", [False, True])
def test_a_name_that_only_ends_in_deleted_is_no_deleted_file(
    nofiles: bool, prefix: list[str], target: Target, read_all: ReadAll, folder: Path
) -> None:
    for name, text in (("kept (deleted)", b"of-the-kept-1"), ("gone", b"of-the-gone-2")):
        (folder / name).write_bytes(b"z" * MIB + text)
        target.do(f"f = open({str(folder / name)!r}, 'rb'); {name[:4]} = mmap.mmap(f.fileno(), 0, prot=1); f.close()")
        target.do(f"{name[:4]}.find(b'nothing')")
    (folder / "gone").unlink()

    answer = read_all(target.pid, "of-the-kept-1", "of-the-gone-2", prefix=prefix, nofiles=nofiles)

    assert answer["found"] == (["of-the-gone-2"] if nofiles else ["of-the-kept-1", "of-the-gone-2"])

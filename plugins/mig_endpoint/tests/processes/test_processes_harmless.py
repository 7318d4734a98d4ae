"""What looking must not do to others: use up pools, push a process over its limit, wait for a file system for ever."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mig_core.testing.eventually import eventually
from mig_core.testing.services import service_missing
from mig_endpoint.processes import reasons
from mig_endpoint.processes.executable import name_of
from mig_endpoint.testing.privileges import capabilities
from mig_endpoint.testing.served import served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_endpoint.processes.proc import Proc
    from mig_endpoint.testing.targets import StartTarget, Target

    from .conftest import ReadAll

MIB = 1 << 20
HUGE = 2 * MIB
POOL = Path("/proc/sys/vm/nr_hugepages")
COMPACT = Path("/proc/sys/vm/compact_memory")
ON_HUGE_PAGES = {
    "memfd": f"f = os.memfd_create('x', os.MFD_HUGETLB); os.truncate(f, {8 * HUGE}); m = mmap.mmap(f, {8 * HUGE});"
    " os.closerange(f, f + 9)",
    "System V": f"i = c.shmget(0, ctypes.c_size_t({8 * HUGE}), 0o5600); c.shmat.restype = ctypes.c_void_p;"
    f" m = (ctypes.c_ubyte * {8 * HUGE}).from_address(c.shmat(i, None, 0)); c.shmctl(i, 0, None)",
    "private": f"m = mmap.mmap(-1, {8 * HUGE}, OWN | 0x40000)",
    "shared": f"m = mmap.mmap(-1, {8 * HUGE}, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | 0x40000)",
    "file system": f"f = os.open(PLACE, os.O_RDWR | os.O_CREAT); os.truncate(f, {8 * HUGE});"
    f" m = mmap.mmap(f, {8 * HUGE})",
    "private of a file": f"f = os.open(PLACE, os.O_RDWR | os.O_CREAT); os.truncate(f, {8 * HUGE});"
    f" m = mmap.mmap(f, {8 * HUGE}, mmap.MAP_PRIVATE)",
}


@pytest.fixture(params=["all privileges", "fewer capabilities"])
def prefix(request: pytest.FixtureRequest) -> list[str]:
    """Who looks: words before its command line."""
    return capabilities() if request.param == "fewer capabilities" else []


@pytest.fixture
def huge_pages(tmp_path: Path) -> Iterator[Path]:
    """A pool of huge pages, and a folder where a file system of them is mounted."""
    if os.geteuid() != 0:
        service_missing("making a pool of huge pages needs root")
    with open(POOL, "rb") as door:  # the pool is the machine's: one test at a time, of all that run here
        fcntl.flock(door, fcntl.LOCK_EX)
        yield from grown_pool(tmp_path)


def grown_pool(tmp_path: Path) -> Iterator[Path]:
    before = POOL.read_text()
    POOL.write_text(f"{int(before) + 16}\n")
    if free() < 16:  # there may be room enough, in pieces
        COMPACT.write_text("1\n")
        POOL.write_text(f"{int(before) + 16}\n")
    (tmp_path / "huge").mkdir()
    try:
        if (
            free() < 16
            or subprocess.run(["mount", "-t", "hugetlbfs", "none", tmp_path / "huge"], check=False).returncode
        ):
            service_missing("this machine has no huge pages to spare")
        yield tmp_path / "huge"
        subprocess.run(["umount", "-l", tmp_path / "huge"], check=True)
    finally:
        POOL.write_text(before)


def free() -> int:
    """Huge pages that are neither used nor promised."""
    numbers = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(numbers["HugePages_Free"]) - int(numbers["HugePages_Rsvd"])


@pytest.mark.parametrize("kind", ON_HUGE_PAGES)
def test_no_huge_page_is_taken_from_the_pool(
    kind: str, prefix: list[str], huge_pages: Path, start_target: StartTarget, read_all: ReadAll
) -> None:
    target = start_target()
    target.do(f"PLACE = {str(huge_pages / 'file')!r}")
    target.do(ON_HUGE_PAGES[kind])
    target.do(f"put(m, {5 * HUGE}, '3-eguh')")
    pool = Path("/proc/meminfo").read_text().partition("HugePages_Total")[2].partition("Hugepagesize")[0]

    answer = read_all(target.pid, "huge-3", prefix=prefix)

    assert Path("/proc/meminfo").read_text().partition("HugePages_Total")[2].partition("Hugepagesize")[0] == pool
    assert answer["found"] == ["huge-3"]
    assert answer["failed"] == 0
    assert set(answer["left"]) <= {reasons.UNTOUCHED.text, reasons.KERNEL.text}


@contextlib.contextmanager
def limited(*settings: tuple[str, str]) -> Iterator[Path]:
    """A control group of its own for memory, version 2 or 1; settings are (version 2, version 1) file and value."""
    for place, kind in (("/sys/fs/cgroup", 2), ("/sys/fs/cgroup/unified", 2), ("/sys/fs/cgroup/memory", 1)):
        group = Path(place) / f"mig-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        if not (group / "cgroup.procs").exists():  # a usual folder: version 1 has its hierarchies in some
            group.rmdir()
            continue
        try:
            for names, value in settings:
                (group / names.split()[kind != 2]).write_text(value)
        except OSError:
            group.rmdir()
            continue
        try:
            yield group
        finally:
            remove(group)
        return
    service_missing("no control group for memory can be made here")


def remove(group: Path) -> None:
    """A group goes when its last process is gone."""

    def gone() -> bool:
        with contextlib.suppress(OSError):
            group.rmdir()
        return not group.exists()

    eventually(gone, seconds=30)


def into(group: Path) -> tuple[str, ...]:
    return ("sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh")


@pytest.mark.parametrize("kind", ["memfd", "anonymous"])
def test_nobody_is_pushed_over_the_limit_of_its_control_group(
    kind: str, prefix: list[str], start_target: StartTarget, read_all: ReadAll
) -> None:
    size = 600 * MIB
    with limited(("memory.max memory.limit_in_bytes", str(64 * MIB))) as group:
        target = start_target(prefix=into(group))
        if kind == "memfd":
            target.do(
                f"f = os.memfd_create('x'); os.truncate(f, {size}); m = mmap.mmap(f, {size}); os.closerange(f, f + 9)"
            )
        else:
            target.do(f"m = mmap.mmap(-1, {size}, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)")
        target.do("put(m, 0, '5-timil')")
        before = target.resident()

        answer = read_all(target.pid, "limit-5", prefix=prefix)

        assert answer["found"] == ["limit-5"]
        assert target.do("print('alive')") == "alive"
        assert target.resident() - before < MIB
        target.close()


@pytest.fixture
def swap(tmp_path: Path) -> Iterator[None]:
    """A swap file."""
    if os.geteuid() != 0:
        service_missing("swap needs root")
    file = Path(f"/var/tmp/mig-test-swap-{os.getpid()}")
    file.write_bytes(bytes(192 * MIB))
    file.chmod(0o600)
    try:
        subprocess.run(["mkswap", "-q", file], check=True)
        if subprocess.run(["swapon", file], check=False, capture_output=True).returncode:
            service_missing("no swap can be made here")
        yield
        subprocess.run(["swapoff", file], check=True)
    finally:
        file.unlink()


def swap_out(target: Target, size: int, memory: str) -> None:
    target.do(f"m = {memory}; m[:] = b'y' * {size}; put(m, {size // 2}, '8-deppaws')")
    target.do("a = ctypes.addressof(ctypes.c_char.from_buffer(m))")
    assert target.number(f"c.madvise(ctypes.c_void_p(a), ctypes.c_size_t({size}), 21)") == 0


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.usefixtures("swap")
def test_what_is_in_swap_is_read_where_there_is_room_and_said_where_there_is_not(
    shared: bool, prefix: list[str], start_target: StartTarget, read_all: ReadAll
) -> None:
    size = 48 * MIB
    kind = "mmap.MAP_SHARED | mmap.MAP_ANONYMOUS" if shared else "OWN"
    roomy = start_target()
    swap_out(roomy, size, f"mmap.mmap(-1, {size}, {kind})")
    can_be_seen = not (shared and prefix)

    answer = read_all(roomy.pid, "swapped-8", prefix=prefix)

    assert answer["found"] == (["swapped-8"] if can_be_seen else [])
    assert (reasons.UNTOUCHED.text in answer["left"]) == (not can_be_seen)

    with limited(("memory.max memory.limit_in_bytes", str(40 * MIB))) as group:
        target = start_target(prefix=into(group))
        swap_out(target, size, f"mmap.mmap(-1, {size}, {kind})")

        answer = read_all(target.pid, "swapped-8", prefix=prefix)

        left = answer["left"]
        assert left.get(reasons.SWAPPED.text, 0) + left.get(reasons.UNTOUCHED.text, 0) > size // 4
        assert target.do("print('alive')") == "alive"
        target.close()


def test_a_file_system_that_does_not_answer_is_not_waited_for(
    prefix: list[str], start_target: StartTarget, read_all: ReadAll
) -> None:
    target = start_target()
    with served({"data": b"x" * MIB + b"on-the-other-side"}) as (folder, server):
        target.do(f"f = os.open({str(folder / 'data')!r}, os.O_RDONLY); m = mmap.mmap(f, 0, prot=1)")
        target.do("m.madvise(mmap.MADV_RANDOM); m[0]; u = bytearray(99); put(u, 0, '6-raen')")
        os.kill(server, signal.SIGSTOP)

        answer = read_all(target.pid, "near-6", "on-the-other-side", prefix=prefix, seconds=20)

    assert answer["found"] == ["near-6"]
    assert answer["left"][reasons.REMOTE.text] >= MIB // 2


def test_a_file_system_that_answers_is_read(prefix: list[str], start_target: StartTarget, read_all: ReadAll) -> None:
    target = start_target()
    with served({"data": b"x" * MIB + b"on-the-other-side"}) as (folder, _):
        target.do(f"f = os.open({str(folder / 'data')!r}, os.O_RDONLY); m = mmap.mmap(f, 0, prot=1)")
        target.do("m.madvise(mmap.MADV_RANDOM); m[0]")
        before = target.resident()

        answer = read_all(target.pid, "on-the-other-side", prefix=prefix, seconds=20)

        assert answer["found"] == ["on-the-other-side"]
        assert reasons.REMOTE.text not in answer["left"]
        assert target.resident() - before < MIB
        target.close()


def test_a_program_from_there_has_its_name(proc: Proc) -> None:
    cat = Path("/bin/cat").read_bytes()
    with served({"echoes": cat, "gone (deleted)": cat}) as (folder, server):
        running = [
            subprocess.Popen([folder / name], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for name in ("echoes", "gone (deleted)")
        ]
        for one in running:  # who has answered needs no more of its file
            assert one.stdin is not None and one.stdout is not None
            one.stdin.write(b"up\n")
            one.stdin.flush()
            assert one.stdout.readline() == b"up\n"
        os.kill(server, signal.SIGSTOP)
        names = []
        proc.ids()
        for one in running:
            with proc.process(one.pid) as process:
                names.append(name_of(process).shown)
            one.kill()
    for one in running:
        one.communicate()

    assert names == [str(folder / "echoes"), "[gone (deleted)]"]

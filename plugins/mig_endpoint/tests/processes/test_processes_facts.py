"""Who is there and what the kernel tells about them: real processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mig_core.testing.services import service_missing
from mig_endpoint.processes import reasons
from mig_endpoint.processes.descriptors import Descriptor, descriptor_info, descriptors_of
from mig_endpoint.processes.executable import name_of
from mig_endpoint.processes.stat import Status, parse_stat
from mig_endpoint.processes.visit import visit, visit_all

if TYPE_CHECKING:
    from mig_core.plugin.coverage import Tally
    from mig_endpoint.processes.proc import Proc
    from mig_endpoint.processes.process import Process
    from mig_endpoint.testing.targets import StartTarget


def test_a_process_tells_who_it_is(start_target: StartTarget, proc: Proc) -> None:
    before = time.time()
    target = start_target()

    with proc.process(target.pid) as process:
        assert process.executable.link == target.path
        assert (process.executable.deleted, process.executable.memfd) == (False, False)
        assert os.stat("exe", dir_fd=process.folder).st_ino == os.stat(target.path).st_ino
        assert process.command == "target"
        assert process.arguments[0] == os.fsencode(target.path)
        assert any(one.startswith(b"PYTHONHOME=") for one in process.environment)
        assert process.stat.parent == os.getpid()
        assert process.users == (os.getuid(),) * 4
        assert process.user
        assert process.namespace("pid") == os.stat("/proc/self/ns/pid").st_ino
        assert before - 1 < process.started() < time.time() + 1
        assert process.threads() == [target.pid]
        assert process.status.get("Tgid") == str(target.pid)
        assert process.key == (target.pid, process.stat.start)
        assert name_of(process).shown == target.path


def test_a_main_thread_that_has_ended_hides_nothing(start_target: StartTarget, proc: Proc) -> None:
    target = start_target(leaderless=True)
    end = target.number("os.open('/dev/null', 0)")

    with proc.process(target.pid) as process:
        assert process.stat.has_ended
        assert process.has_memory()
        assert process.thread != target.pid
        assert process.executable.link == target.path
        assert process.arguments[0] == os.fsencode(target.path)
        assert b"PYTHONHOME=" in b" ".join(process.environment)
        assert process.mappings
        assert (end, "/dev/null") in [(one.number, one.target) for one in descriptors_of(process)]
        assert process.stat.parent == os.getpid()


def test_whoever_has_ended_altogether_has_no_memory(proc: Proc) -> None:
    ended = subprocess.Popen(["true"])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)

    with proc.process(ended.pid) as process:
        assert not process.has_memory()
    ended.wait()


@pytest.mark.parametrize("over", ["", "/maps"])
def test_a_mount_over_a_process_hides_it_from_nobody(
    start_target: StartTarget, proc: Proc, tally: Tally, tmp_path: Path, over: str
) -> None:
    if os.geteuid() != 0:
        service_missing("mounting needs root")
    target = start_target()
    cover = tmp_path / "cover"
    cover.write_text("") if over else cover.mkdir()
    subprocess.run(["mount", "--bind", str(cover), f"/proc/{target.pid}{over}"], check=True)
    seen: list[tuple[str, int]] = []

    def look(process: Process) -> None:
        seen.append((process.executable.link, len(process.mappings)))

    try:
        listed = target.pid in proc.ids()
        visit(proc, target.pid, tally, look)
    finally:
        subprocess.run(["umount", f"/proc/{target.pid}{over}"], check=True)

    assert listed
    [(link, mapped)] = seen
    assert link == target.path
    assert mapped > 5
    assert tally.complete
    assert b"cover" not in Path("/proc/self/mountinfo").read_bytes()


def test_a_mount_that_may_not_be_looked_behind_is_said(
    start_target: StartTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proc: Proc, tally: Tally
) -> None:
    """Who may not copy mounts; in ``test_memory_hidden.py`` with real lack of the capability."""
    target = start_target()
    proc._covered = frozenset({target.pid})
    seen: list[int] = []

    visit(proc, target.pid, tally, lambda process: seen.append(process.pid))

    assert not seen
    assert tally.skipped(reasons.COVERED) == 1
    assert not tally.complete


def test_without_a_proc_file_system_nothing_is_said_about_processes() -> None:
    if os.geteuid() != 0:
        service_missing("mounting needs root")
    code = "from mig_core.plugin.coverage import Tally; from mig_endpoint.processes.proc import Proc; Proc(Tally())"
    script = f"mount -t tmpfs none /proc && exec {sys.executable} -c '{code}'"

    ran = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True)

    assert ran.returncode == 1
    assert "no proc file system is mounted there, mount one: '/proc'" in ran.stderr


def test_descriptors_are_told_by_what_they_are(start_target: StartTarget, proc: Proc) -> None:
    target = start_target()
    target.do("import socket; s = socket.socket(); r, w = os.pipe(); m = os.memfd_create('note')")
    inode = target.number("os.fstat(s.fileno()).st_ino")
    pipe = target.number("os.fstat(r).st_ino")

    with proc.process(target.pid) as process:
        found = list(descriptors_of(process))
        number = next(one.number for one in found if one.socket == inode)
        info = descriptor_info(process, number)

    assert [one.thread for one in found] == [target.pid] * len(found)
    assert [one.pipe for one in found].count(pipe) == 2
    assert "/memfd:note (deleted)" in [one.target for one in found]
    assert info["ino"] == str(inode)


def test_a_thread_with_a_table_of_its_own_hides_no_socket(start_target: StartTarget, proc: Proc) -> None:
    target = start_target()
    clone_files = 0x400
    target.do("import socket; go, told = threading.Event(), []")
    target.do(
        f"threading.Thread(target=lambda: (c.unshare({clone_files}), told.append(socket.socket()), go.set(),"
        " threading.Event().wait()), daemon=True).start()"
    )
    target.do("go.wait()")
    inode = target.number(
        "os.stat(f'/proc/self/task/{threading.enumerate()[1].native_id}/fd/' + str(told[0].fileno())).st_ino"
    )

    with proc.process(target.pid) as process:
        holders = [one.thread for one in descriptors_of(process) if one.socket == inode]

    assert len(holders) == 1
    assert holders[0] != target.pid


@pytest.mark.parametrize("leaderless", [False, True])
def test_a_process_that_was_entered_lightly_has_the_same_open(
    start_target: StartTarget, proc: Proc, *, leaderless: bool
) -> None:
    target = start_target(leaderless=leaderless)

    with proc.process(target.pid) as process, proc.process(target.pid, lightly=True) as light:
        whole, seen = list(descriptors_of(process)), list(descriptors_of(light))

        assert seen == whole != []
        assert light.thread == process.thread
        assert light.command == process.command
        assert light.has_threads() is (process.stat.threads > 1)


def test_one_walk_serves_several_consumers(start_target: StartTarget, proc: Proc, tally: Tally) -> None:
    target = start_target()
    names: list[str] = []
    numbers: list[int] = []

    visit_all(proc, tally, lambda process: names.append(process.command), lambda process: numbers.append(process.pid))

    assert len(names) == len(numbers)
    assert target.pid in numbers
    assert numbers == sorted(numbers)


def test_a_consumers_trouble_is_booked_and_the_walk_goes_on(proc: Proc, tally: Tally) -> None:
    def trouble(process: Process) -> None:
        raise OSError(5, "")

    visit(proc, os.getpid(), tally, trouble)
    visit(proc, 2**22 + 1, tally, trouble)

    assert tally.skipped(reasons.TROUBLE) == 1
    assert tally.errors() == (f"process {os.getpid()}: Input/output error",)


def test_a_deleted_executable_is_told_from_one_that_is_named_so(start_target: StartTarget, proc: Proc) -> None:
    gone, named = start_target("gone"), start_target("named (deleted)")
    Path(gone.path).unlink()

    with proc.process(gone.pid) as process:
        assert (process.executable.path, process.executable.deleted) == (gone.path, True)
    with proc.process(named.pid) as process:
        assert (process.executable.path, process.executable.deleted) == (named.path, False)


def test_a_file_that_took_a_deleted_ones_name_is_another(start_target: StartTarget, proc: Proc) -> None:
    target = start_target("x")
    Path(target.path).rename(target.path + " (deleted)")
    Path(target.path + " (deleted)").unlink()
    Path(target.path + " (deleted)").write_text("decoy")

    with proc.process(target.pid) as process:
        assert process.executable.deleted


def test_names_with_brackets_and_blanks_are_read(start_target: StartTarget, proc: Proc) -> None:
    target = start_target("a) Z 1 (b")

    with proc.process(target.pid) as process:
        assert process.stat.state in "SR"
        assert process.command == "a) Z 1 (b"


def test_a_socket_is_no_pipe() -> None:
    assert Descriptor(3, "socket:[12]", 1).socket == 12
    assert Descriptor(3, "socket:[12]", 1).pipe == 0
    assert Descriptor(3, "/socket:[12]", 1).socket == 0


def test_what_is_no_stat_is_refused() -> None:
    with pytest.raises(ValueError, match="not a stat"):
        parse_stat(b"")


def test_a_line_of_status_is_found_by_its_whole_name() -> None:
    status = Status(b"Name:\ta\\nUid:\t7\nVmSize:\t 1 kB\nUid:\t0\t1\nnothing\n")

    assert status.get("Uid") == "0\t1"
    assert status.get("Name") == "a\\nUid:\t7"
    assert status.get("Size", "none") == status.get("nothing", "none") == "none"
    assert Status(b"").get("Uid") == ""
    assert Status(b"Uid:\t5").get("Uid") == "5"


def test_a_part_of_status_is_taken_by_its_first_line_and_the_one_behind_it() -> None:
    status = Status(b"Name:\tUid:\nTracerPid:\t3\nUid:\t7\nGid:\t8\nFDSize:\t64\n")

    assert Status(status.part("TracerPid", "FDSize")).get("Uid") == "7"
    assert Status(status.part("TracerPid", "FDSize")).get("FDSize", "none") == "none"
    for first, behind in (("FDSize", "TracerPid"), ("Missing", "FDSize"), ("TracerPid", "Missing")):
        assert Status(status.part(first, behind)).get("FDSize") == "64"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
def test_a_process_without_privilege_books_what_it_may_not_read(proc: Proc, tally: Tally) -> None:
    visit(proc, 1, tally, lambda process: process.mappings)

    assert tally.skipped(reasons.DENIED_UNPRIVILEGED) == 1


def test_a_connection_can_be_found_by_who_holds_it(proc: Proc, tally: Tally) -> None:
    with socket.socket() as mine:
        inode = os.fstat(mine.fileno()).st_ino
        holders: list[int] = []

        def collect(process: Process) -> None:
            holders.extend(process.pid for one in descriptors_of(process) if one.socket == inode)

        visit_all(proc, tally, collect)

    assert holders == [os.getpid()]


def test_no_mapping_is_left_out_however_long_the_list_is(start_target: StartTarget, proc: Proc, tmp_path: Path) -> None:
    target = start_target()
    target.do(f"os.chdir({str(tmp_path)!r})")
    target.do("for _ in range(20): os.mkdir('d' * 200); os.chdir('d' * 200)")
    target.do("f = os.open('f' * 200, os.O_RDWR | os.O_CREAT); os.truncate(f, 4096)")
    target.do("kept = [mmap.mmap(f, 4096, mmap.MAP_PRIVATE) for _ in range(17_000)]")

    with proc.process(target.pid) as process:
        found = process.mappings

    assert sum(len(one.path) for one in found) > 64 << 20
    assert [one.path for one in found].count(b"[stack]") == 1


def test_a_file_that_is_longer_than_is_read_is_known_to_be_cut(proc: Proc) -> None:
    with proc.process(os.getpid()) as process:
        whole = process.read("limits")
        assert not process.cut

        assert process.read("limits", 100) == whole[:100]
        assert process.cut == {"limits"}

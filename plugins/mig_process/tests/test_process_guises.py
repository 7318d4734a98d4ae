"""Processes that are not what they seem: hidden, in disguise, without a file, ended in part or altogether."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mig_core.testing.eventually import eventually

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable

    from .conftest import Ask, RowOf, Rows, Start

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def test_a_program_whose_file_is_gone_or_never_was_says_so(
    rows: Rows, row_of: RowOf, start: Start, tmp_path: pathlib.Path
) -> None:
    copy = tmp_path / "gone"
    shutil.copy("/bin/sleep", copy)
    deleted = start(str(copy), "77")
    copy.unlink()
    memfd = os.memfd_create("a b")
    with open("/bin/sleep", "rb") as file:
        os.write(memfd, file.read())
    nameless = start("sleep", "77", executable=f"/proc/self/fd/{memfd}", pass_fds=(memfd,))
    os.close(memfd)
    eventually(lambda: bool(row_of(nameless).get("memfd")))

    assert [row["pid"] for row in rows(deleted=True, exe=[f"^{copy}$"])] == [deleted]
    assert (row_of(nameless)["memfd"], row_of(deleted)["memfd"]) == (True, False)
    assert nameless in [row["pid"] for row in rows(memfd=True)]


def test_a_program_that_calls_itself_a_kernel_thread_is_told_from_one(rows: Rows, row_of: RowOf, start: Start) -> None:
    disguised = start("bash", "-c", "exec -a '[kworker/0:1]' sleep 77")
    eventually(lambda: row_of(disguised)["name"] == "sleep")

    found = {row["pid"] for row in rows(lookalike=True)}

    assert disguised in found
    assert all(not row["lookalike"] for row in rows(kernel=True))
    if os.path.exists("/proc/2/comm") and Path("/proc/2/comm").read_bytes() == b"kthreadd\n":
        assert 2 in {row["pid"] for row in rows(kernel=True)}
    assert row_of(os.getpid())["lookalike"] is False


@ROOT
def test_a_process_behind_a_mount_is_there_and_says_how_it_hides(
    row_of: RowOf, start: Start, tmp_path: pathlib.Path
) -> None:
    pid = start("/bin/sleep", "77")
    eventually(lambda: "sleep 77" in row_of(pid)["cmdline"])
    script = (
        f"mount --bind {tmp_path} /proc/{pid} && exec {sys.executable} -c "
        f'"import sys; sys.path[:0] = {sys.path!r}\n'
        "import time\nfrom mig_core.plugin.module import Context\nfrom mig_process import ProcessModule\n"
        "m = ProcessModule()\nc = Context(deadline=time.monotonic() + 30)\n"
        "r = m.run(m.parse_parameters({'hidden': ['mount']}), c)\n"
        "print([(row['pid'], row['cmdline']) for row in m.rows(r)])\""
    )

    printed = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, check=True).stdout

    assert printed.strip() == str([(pid, "/bin/sleep 77")])


def test_every_id_is_asked_and_threads_are_no_hidden_processes(ask: Ask, start_threads: Callable[[str], int]) -> None:
    start_threads(sys.executable)

    result = ask(unlisted=True, hidden=["listed"])

    assert not result.found


def test_a_dead_main_thread_hides_nothing(row_of: RowOf, start: Start) -> None:
    code = (
        "import ctypes, threading, time\n"
        "threading.Thread(target=time.sleep, args=(77,)).start()\n"
        "ctypes.CDLL(None).pthread_exit(None)\n"
    )
    pid = start(sys.executable, "-c", code)
    eventually(lambda: b" Z " in Path(f"/proc/{pid}/stat").read_bytes())

    row = row_of(pid)

    assert row["state"] == "Z"
    assert row["exe"] == os.path.realpath(sys.executable)
    assert row["cmdline"].startswith(sys.executable)


def test_a_process_that_was_not_waited_for_is_a_row_without_program(row_of: RowOf) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    try:
        eventually(lambda: b" Z " in Path(f"/proc/{pid}/stat").read_bytes())

        row = row_of(pid)

        assert row["state"] == "Z"
        assert "exe" not in row
        assert row["lookalike"] is False
    finally:
        os.waitpid(pid, 0)


def test_the_id_of_a_mere_thread_is_no_process(rows: Rows, start_threads: Callable[[str], int]) -> None:
    pid = start_threads(sys.executable)

    found = rows(pid=os.listdir(f"/proc/{pid}/task"))

    assert [row["pid"] for row in found] == [pid]

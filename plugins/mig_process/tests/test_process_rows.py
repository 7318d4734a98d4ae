"""Real processes of every kind, and what their rows say."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.plugin.coverage import Tally
from mig_core.plugin.module import Context
from mig_endpoint.processes.proc import Proc, may_read_all
from mig_process import ProcessModule
from mig_process.unlisted import _is_process, is_thread

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Iterator

    from mig_core.domain.result import ModuleResult

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def ask(**keys: Any) -> ModuleResult:
    module = ProcessModule()
    return module.run(module.parse_parameters(keys), Context(deadline=time.monotonic() + 60))


def rows(**keys: Any) -> list[dict[str, Any]]:
    return list(ProcessModule().rows(ask(**keys)))


def row_of(pid: int, **keys: Any) -> dict[str, Any]:
    found = rows(pid=[str(pid)], **keys)
    assert len(found) == 1
    return found[0]


@pytest.fixture
def start() -> Iterator[Callable[..., int]]:
    """Starts a program that lasts until the test ends; waits until it has become what it is to be."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*words: str, **options: Any) -> int:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **options)
        running.append(process)
        until = time.monotonic() + 10
        while b"pytest" in pathlib_read(f"/proc/{process.pid}/cmdline") and time.monotonic() < until:
            time.sleep(0.01)
        return process.pid

    yield start
    for process in running:
        process.kill()
        process.wait()


def pathlib_read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def wait_until_asleep(pid: int) -> None:
    """Until sleep(1) does what it is for: nothing about it changes any more."""
    wait_for(lambda: b") S " in pathlib_read(f"/proc/{pid}/stat"))


def test_all_processes_are_there_as_ps_lists_them() -> None:
    before = listed_by_ps()

    found = {row["pid"]: (row["parent"], row["uid"], row.get("name")) for row in rows()}

    # Others come, go and become something else meanwhile; a worker of the kernel has a name for each task.
    stayed = dict(before.items() & listed_by_ps().items())
    assert os.getpid() in stayed
    assert stayed.keys() <= found.keys()
    assert {pid: found[pid] for pid in stayed if stayed[pid][0] != KTHREADD} == {
        pid: it for pid, it in stayed.items() if it[0] != KTHREADD
    }


KTHREADD = 2
"""The parent of every thread of the kernel."""


def listed_by_ps() -> dict[int, tuple[int, int, str]]:
    """Of every process its parent, its user and its name."""
    printed = subprocess.run(["ps", "-eo", "pid=,ppid=,ruid=,comm="], capture_output=True, text=True, check=True).stdout
    lines = (line.split(None, 3) for line in printed.splitlines())
    return {int(pid): (int(parent), int(user), name) for pid, parent, user, name in lines}


def test_a_process_has_its_own_program_arguments_folder_and_start(
    start: Callable[..., int], tmp_path: pathlib.Path
) -> None:
    pid = start("/bin/sleep", "77", cwd=tmp_path)
    wait_for(lambda: rows(pid=[str(pid)], cmdline=["sleep 77"]) != [])

    row = row_of(pid)

    assert row["cmdline"] == "/bin/sleep 77"
    assert row["exe"] == os.path.realpath("/bin/sleep")
    assert row["cwd"] == str(tmp_path)
    assert row["parent"] == os.getpid()
    assert row["deleted"] is row["memfd"] is row["kernel"] is row["lookalike"] is False
    started = subprocess.run(["ps", "-o", "etimes=", "-p", str(pid)], capture_output=True, text=True, check=True)
    assert int(started.stdout) < 30
    assert rows(pid=[str(pid)], started=["<1m"])
    assert rows(pid=[str(pid)], started=[">1m"]) == []


def test_a_program_whose_file_is_gone_or_never_was_says_so(start: Callable[..., int], tmp_path: pathlib.Path) -> None:
    copy = tmp_path / "gone"
    shutil.copy("/bin/sleep", copy)
    deleted = start(str(copy), "77")
    copy.unlink()
    memfd = os.memfd_create("a b")
    with open("/bin/sleep", "rb") as file:
        os.write(memfd, file.read())
    nameless = start("sleep", "77", executable=f"/proc/self/fd/{memfd}", pass_fds=(memfd,))
    os.close(memfd)
    wait_for(lambda: bool(row_of(nameless).get("memfd")))

    assert [row["pid"] for row in rows(deleted=True, exe=[f"^{copy}$"])] == [deleted]
    assert (row_of(nameless)["memfd"], row_of(deleted)["memfd"]) == (True, False)
    assert nameless in [row["pid"] for row in rows(memfd=True)]


def test_the_hash_is_that_of_the_file_it_runs_also_when_that_is_gone(
    start: Callable[..., int], tmp_path: pathlib.Path
) -> None:
    copy = tmp_path / "gone"
    shutil.copy("/bin/sleep", copy)
    expected = subprocess.run(["sha256sum", copy], capture_output=True, text=True, check=True).stdout.split()[0]
    pid = start(str(copy), "77")
    copy.unlink()

    assert "sha256" not in row_of(pid)
    assert row_of(pid, **{"with": ["sha256"]})["sha256"] == expected
    assert [row["pid"] for row in rows(sha256=[expected.upper()], pid=[str(pid)])] == [pid]


def test_a_program_that_calls_itself_a_kernel_thread_is_told_from_one(start: Callable[..., int]) -> None:
    disguised = start("bash", "-c", "exec -a '[kworker/0:1]' sleep 77")
    wait_for(lambda: row_of(disguised)["name"] == "sleep")

    found = {row["pid"] for row in rows(lookalike=True)}

    assert disguised in found
    assert all(not row["lookalike"] for row in rows(kernel=True))
    if os.path.exists("/proc/2/comm") and pathlib_read("/proc/2/comm") == b"kthreadd\n":
        assert 2 in {row["pid"] for row in rows(kernel=True)}
    assert row_of(os.getpid())["lookalike"] is False


def test_environment_and_files_are_found_by_expression_and_shown_only_then(
    start: Callable[..., int], tmp_path: pathlib.Path
) -> None:
    note = tmp_path / "note"
    note.touch()
    with note.open() as file:
        pid = start("/bin/sleep", "77", env={"LD_PRELOAD": "", "TOKEN": "x y"}, pass_fds=(file.fileno(),))
    wait_for(lambda: "sleep" in row_of(pid)["cmdline"])

    assert [row["pid"] for row in rows(environment=["^TOKEN=x y$"], pid=[str(pid)])] == [pid]
    assert row_of(pid, environment=["^TOKEN="])["environment"] == ["LD_PRELOAD=", "TOKEN=x y"]
    assert any(one.endswith(str(note)) for one in row_of(pid, files=[f"{note}$"])["files"])
    assert any("libc" in one for one in row_of(pid, libraries=["libc"])["libraries"])
    assert any(one.endswith("[stack]") for one in row_of(pid, mappings=["stack"])["mappings"])
    assert not {"environment", "files", "libraries", "mappings", "ancestry"} & set(row_of(pid))


def test_an_environment_that_was_written_over_is_not_known_and_that_is_said(start: Callable[..., int]) -> None:
    code = (
        "import ctypes, os, time\n"
        "fields = open('/proc/self/stat').read().rpartition(')')[2].split()\n"
        "begin, end = int(fields[47]), int(fields[48])\n"
        "ctypes.memset(begin, 0, end - begin)\n"
        "print(flush=True)\n"
        "time.sleep(77)\n"
    )
    pid = start(sys.executable, "-c", code)
    wait_for(lambda: pathlib_read(f"/proc/{pid}/environ").strip(b"\0") == b"" != pathlib_read(f"/proc/{pid}/environ"))

    result = ask(pid=[str(pid)], environment=["LD_PRELOAD"])

    assert not result.found
    assert not result.coverage.complete
    assert "environment that its process has written over" in {one.reason for one in result.coverage.skipped}


def test_ancestors_are_named_nearest_first(start: Callable[..., int]) -> None:
    pid = start("/bin/sleep", "77")

    ancestry = row_of(pid, **{"with": ["ancestry"]})["ancestry"]

    assert ancestry[0].startswith(f"{os.getpid()} ")
    assert ProcessModule().parameters.from_options({"tree": True, "pid": [str(pid)]}) == {
        "pid": [str(pid)],
        "with": ["ancestry"],
    }


def test_an_ancestor_is_read_once_for_all_its_descendants(start: Callable[..., int]) -> None:
    pids = [start("/bin/sleep", "77") for _ in range(3)]

    found = rows(pid=[str(pid) for pid in pids], column=["ancestry"])

    assert len({tuple(row["ancestry"]) for row in found}) == 1
    assert [set(row) for row in found] == [{"pid", "ancestry"}] * 3


def test_namespaces_are_given_on_request(start: Callable[..., int]) -> None:
    pid = start("/bin/sleep", "77")

    assert "namespaces" not in row_of(pid)
    assert f"net:[{os.stat('/proc/self/ns/net').st_ino}]" in row_of(pid, **{"with": ["namespaces"]})["namespaces"]
    assert rows(pid=[str(pid)], namespaces=["net:.1.$"]) == []


def test_chosen_columns_have_the_values_of_the_whole_row(start: Callable[..., int]) -> None:
    pid = start("/bin/sleep", "77")
    wait_until_asleep(pid)
    whole = row_of(pid)

    for name in set(whole) - {"started", "rss", "vsize", "state"}:
        assert row_of(pid, column=[name]) == {"pid": pid, name: whole[name]}


def test_a_traced_and_confined_process_says_so(start: Callable[..., int]) -> None:
    code = (
        "import ctypes, time\nlibc = ctypes.CDLL(None)\nlibc.prctl(38, 1, 0, 0, 0)\nprint(flush=True)\ntime.sleep(77)\n"
    )
    pid = start(sys.executable, "-c", code)
    wait_for(lambda: bool(row_of(pid)["no_new_privs"]))

    assert "tracer" not in row_of(pid)
    assert row_of(pid)["seccomp" if "seccomp" in row_of(pid) else "no_new_privs"]
    assert row_of(os.getpid())["no_new_privs"] is False


@ROOT
def test_capabilities_and_both_users_are_named(start: Callable[..., int]) -> None:
    pid = start("setpriv", "--reuid", "65534", "--clear-groups", "--inh-caps=-all", "sleep", "77")
    wait_for(lambda: row_of(pid)["name"] == "sleep")

    row = row_of(pid)

    assert (row["user"], row["effective_user"], row["uid"], row["euid"]) == ("nobody", "nobody", 65534, 65534)
    assert "capabilities" not in row  # none
    with_net = start("setpriv", "--bounding-set=-all,+net_raw", "--inh-caps=-all", "sleep", "77")
    wait_for(lambda: row_of(with_net)["name"] == "sleep")
    assert row_of(with_net)["capabilities"] == ["net_raw"]


@ROOT
def test_a_process_behind_a_mount_is_there_and_says_how_it_hides(
    start: Callable[..., int], tmp_path: pathlib.Path
) -> None:
    pid = start("/bin/sleep", "77")
    wait_for(lambda: "sleep 77" in row_of(pid)["cmdline"])
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


def test_every_id_is_asked_and_threads_are_no_hidden_processes(start: Callable[..., int]) -> None:
    start(sys.executable, "-c", "import threading, time\nthreading.Thread(target=time.sleep, args=(77,)).start()")

    result = ask(unlisted=True, hidden=["listed"])

    assert not result.found


def test_a_dead_main_thread_hides_nothing(start: Callable[..., int]) -> None:
    code = (
        "import ctypes, threading, time\n"
        "threading.Thread(target=time.sleep, args=(77,)).start()\n"
        "ctypes.CDLL(None).pthread_exit(None)\n"
    )
    pid = start(sys.executable, "-c", code)
    wait_for(lambda: b" Z " in pathlib_read(f"/proc/{pid}/stat"))

    row = row_of(pid)

    assert row["state"] == "Z"
    assert row["exe"] == os.path.realpath(sys.executable)
    assert row["cmdline"].startswith(sys.executable)


def test_a_process_that_was_not_waited_for_is_a_row_without_program() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    try:
        wait_for(lambda: b" Z " in pathlib_read(f"/proc/{pid}/stat"))

        row = row_of(pid)

        assert row["state"] == "Z"
        assert "exe" not in row
        assert row["lookalike"] is False
    finally:
        os.waitpid(pid, 0)


@pytest.mark.skipif(may_read_all() and os.geteuid() == 0, reason="only for those who may not read others")
def test_what_may_not_be_known_is_none_and_booked() -> None:
    result = ask(pid=["1"])

    assert next(ProcessModule().rows(result))["exe"] is None
    assert not result.coverage.complete


@ROOT
def test_an_ordinary_user_is_told_what_could_not_be_known(start: Callable[..., int]) -> None:
    pid = start("/bin/sleep", "77")
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "import os, time\nfrom mig_core.plugin.module import Context\nfrom mig_process import ProcessModule\n"
        "m = ProcessModule()\n"
        "m.run(m.parse_parameters({'pid': ['1']}), Context(deadline=time.monotonic() + 30))\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)  # after all is imported: it may not read everything\n"
        f"r = m.run(m.parse_parameters({{'pid': ['{pid}']}}), Context(deadline=time.monotonic() + 30))\n"
        "print(next(m.rows(r))['exe'], r.coverage.complete)"
    )

    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert printed.strip() == "None False"


def test_looking_changes_nothing(start: Callable[..., int]) -> None:
    pid = start("/bin/sleep", "77")
    wait_until_asleep(pid)
    before = pathlib_read(f"/proc/{pid}/statm"), pathlib_read(f"/proc/{pid}/stat")

    rows(pid=[str(pid)], **{"with": ["sha256", "files", "libraries", "mappings", "environment", "ancestry"]})

    assert (pathlib_read(f"/proc/{pid}/statm"), pathlib_read(f"/proc/{pid}/stat")) == before
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def test_the_id_of_a_mere_thread_is_no_process(start: Callable[..., int]) -> None:
    code = "import threading, time\nthreading.Thread(target=time.sleep, args=(77,)).start()"
    pid = start(sys.executable, "-c", code)
    until = time.monotonic() + 10
    while len(threads := os.listdir(f"/proc/{pid}/task")) < 2 and time.monotonic() < until:
        time.sleep(0.01)

    found = rows(pid=threads)

    assert [row["pid"] for row in found] == [pid]


def test_a_list_is_bounded_and_what_is_left_out_is_booked(
    start: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mig_process.facts.MAX_ITEMS", 3)
    pid = start("/bin/sleep", "77", env={f"V{number}": "x" for number in range(5)})

    result = ask(pid=[str(pid)], **{"with": ["environment"]})

    (row,) = ProcessModule().rows(result)
    environment: Any = row["environment"]
    assert len(environment) == 3
    assert not result.coverage.complete


def test_who_ended_while_it_was_asked_is_not_said_to_hide() -> None:
    with Proc(Tally()) as proc:
        gone = max(proc.ids()) + 1_000_000

        assert not _is_process(proc, gone)
        assert not is_thread(proc, gone)


def test_a_fact_that_cannot_be_read_leaves_the_rest_of_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object, name: str) -> int:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr("mig_endpoint.processes.process.Process.open", broken)
    result = ask(pid=[str(os.getpid())], **{"with": ["sha256"]})

    (row,) = ProcessModule().rows(result)
    assert row["sha256"] is None
    assert row["exe"]
    assert not result.coverage.complete

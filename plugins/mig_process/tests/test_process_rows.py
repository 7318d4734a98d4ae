"""Real processes of every kind, and what their rows say."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.testing.eventually import eventually
from mig_endpoint.processes.proc import may_read_all
from mig_process import ProcessModule
from mig_process.facts import CUT

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable

    from .conftest import Ask, RowOf, Rows, Start

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def test_all_processes_are_there_as_ps_lists_them(rows: Rows) -> None:
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
    # What has ended and was not waited for is marked behind its name.
    return {int(pid): (int(parent), int(user), name.removesuffix(" <defunct>")) for pid, parent, user, name in lines}


def test_a_process_has_its_own_program_arguments_folder_and_start(
    rows: Rows, row_of: RowOf, start: Start, tmp_path: pathlib.Path
) -> None:
    pid = start("/bin/sleep", "77", cwd=tmp_path)
    eventually(lambda: rows(pid=[str(pid)], cmdline=["sleep 77"]) != [])

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


def test_the_hash_is_that_of_the_file_it_runs_also_when_that_is_gone(
    rows: Rows, row_of: RowOf, start: Start, tmp_path: pathlib.Path
) -> None:
    copy = tmp_path / "gone"
    shutil.copy("/bin/sleep", copy)
    expected = subprocess.run(["sha256sum", copy], capture_output=True, text=True, check=True).stdout.split()[0]
    pid = start(str(copy), "77")
    copy.unlink()

    assert "sha256" not in row_of(pid)
    assert row_of(pid, **{"with": ["sha256"]})["sha256"] == expected
    assert [row["pid"] for row in rows(sha256=[expected.upper()], pid=[str(pid)])] == [pid]


def test_environment_and_files_are_found_by_expression_and_shown_only_then(
    rows: Rows, row_of: RowOf, start: Start, tmp_path: pathlib.Path
) -> None:
    note = tmp_path / "note"
    note.touch()
    with note.open() as file:
        pid = start("/bin/sleep", "77", env={"LD_PRELOAD": "", "TOKEN": "x y"}, pass_fds=(file.fileno(),))
    eventually(lambda: "sleep" in row_of(pid)["cmdline"])

    assert [row["pid"] for row in rows(environment=["^TOKEN=x y$"], pid=[str(pid)])] == [pid]
    assert row_of(pid, environment=["^TOKEN="])["environment"] == ["LD_PRELOAD=", "TOKEN=x y"]
    assert any(one.endswith(str(note)) for one in row_of(pid, files=[f"{note}$"])["files"])
    assert any("libc" in one for one in row_of(pid, libraries=["libc"])["libraries"])
    assert any(one.endswith("[stack]") for one in row_of(pid, mappings=["stack"])["mappings"])
    assert not {"environment", "files", "libraries", "mappings", "ancestry"} & set(row_of(pid))


def test_an_environment_that_was_written_over_is_not_known_and_that_is_said(ask: Ask, start: Start) -> None:
    code = (
        "import ctypes, os, time\n"
        "fields = open('/proc/self/stat').read().rpartition(')')[2].split()\n"
        "begin, end = int(fields[47]), int(fields[48])\n"
        "ctypes.memset(begin, 0, end - begin)\n"
        "print(flush=True)\n"
        "time.sleep(77)\n"
    )
    pid = start(sys.executable, "-c", code)
    eventually(
        lambda: (
            Path(f"/proc/{pid}/environ").read_bytes().strip(b"\0") == b"" != Path(f"/proc/{pid}/environ").read_bytes()
        )
    )

    result = ask(pid=[str(pid)], environment=["LD_PRELOAD"])

    assert not result.found
    assert not result.coverage.complete
    assert "environment that its process has written over" in {one.reason for one in result.coverage.skipped}


def test_ancestors_are_named_nearest_first(row_of: RowOf, start: Start) -> None:
    pid = start("/bin/sleep", "77")

    ancestry = row_of(pid, **{"with": ["ancestry"]})["ancestry"]

    assert ancestry[0].startswith(f"{os.getpid()} ")
    assert ProcessModule().parameters.from_options({"tree": True, "pid": [str(pid)]}) == {
        "pid": [str(pid)],
        "with": ["ancestry"],
    }


def test_an_ancestor_is_read_once_for_all_its_descendants(rows: Rows, start: Start) -> None:
    pids = [start("/bin/sleep", "77") for _ in range(3)]

    found = rows(pid=[str(pid) for pid in pids], column=["ancestry"])

    assert len({tuple(row["ancestry"]) for row in found}) == 1
    assert [set(row) for row in found] == [{"pid", "ancestry"}] * 3


def test_namespaces_are_given_on_request(rows: Rows, row_of: RowOf, start: Start) -> None:
    pid = start("/bin/sleep", "77")

    assert "namespaces" not in row_of(pid)
    assert f"net:[{os.stat('/proc/self/ns/net').st_ino}]" in row_of(pid, **{"with": ["namespaces"]})["namespaces"]
    assert rows(pid=[str(pid)], namespaces=["net:.1.$"]) == []


def test_chosen_columns_have_the_values_of_the_whole_row(
    row_of: RowOf, start: Start, until_asleep: Callable[[int], object]
) -> None:
    pid = start("/bin/sleep", "77")
    until_asleep(pid)
    whole = row_of(pid)

    for name in set(whole) - {"started", "rss", "vsize", "state"}:
        assert row_of(pid, column=[name]) == {"pid": pid, name: whole[name]}


def test_a_traced_and_confined_process_says_so(row_of: RowOf, start: Start) -> None:
    code = (
        "import ctypes, time\nlibc = ctypes.CDLL(None)\nlibc.prctl(38, 1, 0, 0, 0)\nprint(flush=True)\ntime.sleep(77)\n"
    )
    pid = start(sys.executable, "-c", code)
    eventually(lambda: bool(row_of(pid)["no_new_privs"]))

    assert "tracer" not in row_of(pid)
    assert row_of(pid)["seccomp" if "seccomp" in row_of(pid) else "no_new_privs"]
    assert row_of(os.getpid())["no_new_privs"] is False


@ROOT
def test_capabilities_and_both_users_are_named(
    row_of: RowOf, start: Start, until_asleep: Callable[[int], object]
) -> None:
    pid = start("setpriv", "--reuid", "65534", "--clear-groups", "--inh-caps=-all", "sleep", "77")
    until_asleep(pid)

    row = row_of(pid)

    assert (row["user"], row["effective_user"], row["uid"], row["euid"]) == ("nobody", "nobody", 65534, 65534)
    assert "capabilities" not in row  # none
    with_net = start("setpriv", "--bounding-set=-all,+net_raw", "--inh-caps=-all", "sleep", "77")
    until_asleep(with_net)
    assert row_of(with_net)["capabilities"] == ["net_raw"]


@pytest.mark.skipif(may_read_all() and os.geteuid() == 0, reason="only for those who may not read others")
def test_what_may_not_be_known_is_none_and_booked(ask: Ask) -> None:
    result = ask(pid=["1"])

    assert next(ProcessModule().rows(result))["exe"] is None
    assert not result.coverage.complete


@ROOT
def test_an_ordinary_user_is_told_what_could_not_be_known(start: Start) -> None:
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


def test_looking_changes_nothing(rows: Rows, start: Start, until_asleep: Callable[[int], object]) -> None:
    pid = start("/bin/sleep", "77")
    until_asleep(pid)
    before = Path(f"/proc/{pid}/statm").read_bytes(), Path(f"/proc/{pid}/stat").read_bytes()

    rows(pid=[str(pid)], **{"with": ["sha256", "files", "libraries", "mappings", "environment", "ancestry"]})

    assert (Path(f"/proc/{pid}/statm").read_bytes(), Path(f"/proc/{pid}/stat").read_bytes()) == before
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def test_a_list_is_bounded_and_what_is_left_out_is_booked(
    ask: Ask, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mig_process.facts.MAX_ITEMS", 3)
    pid = start("/bin/sleep", "77", env={f"V{number}": "x" for number in range(5)})

    result = ask(pid=[str(pid)], **{"with": ["environment"]})

    (row,) = ProcessModule().rows(result)
    environment: Any = row["environment"]
    assert len(environment) == 3
    assert not result.coverage.complete


def test_a_fact_that_cannot_be_read_leaves_the_rest_of_the_row(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object, name: str) -> int:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr("mig_endpoint.processes.process.Process.open", broken)
    result = ask(pid=[str(os.getpid())], **{"with": ["sha256"]})

    (row,) = ProcessModule().rows(result)
    assert row["sha256"] is None
    assert row["exe"]
    assert not result.coverage.complete


def test_an_environment_that_is_longer_than_is_read_is_said_to_be(ask: Ask) -> None:
    wide = {f"A{number}": "x" * 120_000 for number in range(40)}
    with subprocess.Popen(
        ["/bin/sleep", "60"],
        env=wide,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_STACK, (64 << 20, resource.RLIM_INFINITY)),
    ) as process:
        answer = ask(pid=[str(process.pid)], **{"with": ["environment"]})
        process.kill()

    skipped = {one.reason: one.examples for one in answer.coverage.skipped}
    assert skipped[CUT.text] == (f"environ of process {process.pid}",)
    assert not answer.coverage.complete

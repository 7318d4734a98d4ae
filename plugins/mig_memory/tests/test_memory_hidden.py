"""Processes that others do not see, and answers of those who may not see all: found, or said."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.testing.services import service_missing
from mig_endpoint.testing.privileges import capabilities, nobody

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_core.domain.result import ModuleResult
    from mig_endpoint.testing.targets import StartTarget

ASK = """
import json, sys, time
from mig_core.plugin.module import Context
from mig_memory import MemoryModule
module = MemoryModule()
context = Context(deadline=time.monotonic() + 60)
print(json.dumps(module.run(module.parse_parameters(json.load(sys.stdin)), context).to_json()))
"""


def ask(prefix: Sequence[str] = (), **keys: Any) -> dict[str, Any]:
    """The answer to one search in a process of its own, started with ``prefix`` before its command line."""
    question = {"searches": {"s": keys | {"options": {"matchall": True}}}}
    program = [*prefix, sys.executable, "-c", ASK]
    done = subprocess.run(program, input=json.dumps(question), capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def found(answer: dict[str, Any]) -> list[int]:
    return [row["process"]["pid"] for row in answer["elements"]["s"] if row["process"]["name"]]


def said(answer: dict[str, Any]) -> str:
    return json.dumps([answer["coverage"], answer["errors"]])


def test_a_process_whose_main_thread_has_ended_is_found(start_target: StartTarget) -> None:
    target = start_target(leaderless=True)
    target.do("m = bytearray(99); put(m, 9, '3-sseldaeh')")

    assert found(ask(names=[f"^{target.path}$"])) == [target.pid]
    assert found(ask(names=[f"^{target.path}$"], contents=["headless-[3]"])) == [target.pid]
    assert found(ask(names=[f"^{target.path}$"], libraries=["libc"])) == [target.pid]


@pytest.mark.parametrize("privileged", [True, False])
@pytest.mark.parametrize("over", ["nothing", "another process"])
def test_a_mount_over_a_process_is_looked_behind_or_said(
    start_target: StartTarget, tmp_path: Path, over: str, privileged: bool
) -> None:
    prefix = [] if privileged else capabilities("checkpoint_restore")
    if os.geteuid() != 0:
        service_missing("mounting needs root")
    target, other = start_target(), start_target("other")
    (tmp_path / "nothing").mkdir()
    cover = f"/proc/{other.pid}" if over == "another process" else str(tmp_path / "nothing")
    subprocess.run(["mount", "--bind", cover, f"/proc/{target.pid}"], check=True)
    try:
        answer = ask(prefix, names=[f"^{target.path}$"])
    finally:
        subprocess.run(["umount", f"/proc/{target.pid}"], check=True)

    assert found(answer) == ([target.pid] if privileged else [])
    assert (f"process {target.pid}" in said(answer)) == (not privileged)
    assert privileged or not answer["coverage"]["complete"]


def test_a_program_below_dev_is_searched(start_target: StartTarget) -> None:
    folder = Path(f"/dev/.mig-test-{os.getpid()}")
    try:
        folder.mkdir()
    except OSError:
        service_missing("folders below /dev need root")
    try:
        target = start_target(folder=folder)
        in_its_code = "PyUnicode_FromForma[t]"

        assert found(ask(names=[f"^{target.path}$"])) == [target.pid]
        assert found(ask(names=[f"^{target.path}$"], contents=[in_its_code])) == [target.pid]
        assert not found(ask(names=[f"^{target.path}$"], libraries=[f"^{target.path}$"]))
        target.close()
    finally:
        shutil.rmtree(folder)


def test_a_process_of_another_pid_namespace_is_found(start_target: StartTarget) -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        service_missing("namespaces need root and unshare (util-linux)")
    target = start_target(prefix=("unshare", "--pid", "--fork", "--kill-child"))
    target.do("m = bytearray(99); put(m, 9, '5-edisni')")

    answer = ask(names=[f"^{target.path}$"], contents=["inside-[5]"])

    [pid] = found(answer)
    assert pid != target.pid
    assert Path(f"/proc/{pid}/status").read_text().partition("NSpid:")[2].split()[:2] == [str(pid), "1"]


def test_whoever_runs_where_proc_has_other_numbers_still_does_not_find_itself() -> None:
    """A PID namespace of its own, and the /proc of the one around it."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        service_missing("namespaces need root and unshare (util-linux)")
    text = f"only-the-question-{os.getpid()}"

    answer = ask(("unshare", "--pid", "--fork", "--kill-child"), contents=[text.replace("only", "onl[y]")])

    assert not found(answer)
    assert "handles this question" in said(answer)


@pytest.mark.parametrize("kind", ["memfd_create('x')", "open('FILE', os.O_RDWR | os.O_CREAT)"])
@pytest.mark.parametrize("who", ["privileged agent", "ordinary user"])
def test_fewer_privileges_make_a_process_no_larger(
    start_target: StartTarget, tmp_path: Path, who: str, kind: str
) -> None:
    prefix = nobody() if who == "ordinary user" else capabilities()
    folder = Path("/var/tmp") / f"mig-test-{os.getpid()}"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    try:
        target = start_target(folder=folder, prefix=tuple(prefix) if who == "ordinary user" else ())
        target.do(f"f = os.{kind.replace('FILE', str(folder / 'file'))}; os.truncate(f, 256 << 20)")
        target.do("m = mmap.mmap(f, 256 << 20); put(m, 5, '9-derahs'); os.closerange(f, f + 9)")
        before = target.resident()

        answer = ask(prefix, names=[f"^{target.path}$"], contents=["share[d]-9|nothing-like-[i]t-anywhere"])
        nothing = ask(prefix, names=[f"^{target.path}$"], contents=["nothing-like-[i]t-anywhere"])

        assert found(answer) == [target.pid]
        assert not found(nothing)
        assert target.resident() - before < 8 << 20
        assert ("has not touched" in said(nothing)) == kind.startswith("memfd")
        target.close()
    finally:
        shutil.rmtree(folder)


def test_a_complete_answer_looked_at_guards_and_the_kernels_pages(start_target: StartTarget, search: Any) -> None:
    target = start_target()
    target.do("m = mmap.mmap(-1, 4 << 20, OWN); put(m, 3 << 20, '6-tsap')")
    target.do("a = ctypes.addressof(ctypes.c_char.from_buffer(m))")
    if target.number("c.madvise(ctypes.c_void_p(a + 4096), ctypes.c_size_t(2 << 20), 102)"):
        pytest.skip("this kernel has no MADV_GUARD_INSTALL (Linux 6.13)")

    result: ModuleResult = search(names=[f"^{target.path}$"], contents=["pas[t]-6"])

    elements: Any = result.elements
    assert [row["process"]["pid"] for row in elements["s"]] == [target.pid]
    reasons = {one.reason for one in result.coverage.skipped if "process that may not be read" not in one.reason}
    assert not [reason for reason in reasons if "could not be read" in reason or "has not touched" in reason]

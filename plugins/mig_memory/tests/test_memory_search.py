"""Looking at real processes: copies of the interpreter that fill their memory as told.

``put`` writes backwards, so that what is looked for exists nowhere but where the target has put it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from mig_core.errors import ParameterError
from mig_core.plugin.module import Context
from mig_memory import MemoryModule

if TYPE_CHECKING:
    from mig_core.domain.result import ModuleResult

PAGE = os.sysconf("SC_PAGE_SIZE")


class Target(Protocol):
    pid: int
    path: str
    process: Any

    def do(self, line: str) -> str: ...


class StartTarget(Protocol):
    def __call__(self, name: str = "target") -> Target: ...


class Search(Protocol):
    def __call__(self, *, threads: int = 1, seconds: float = 60, **keys: Any) -> ModuleResult: ...


def found(result: ModuleResult) -> list[int]:
    elements: Any = result.elements
    return [row["process"]["pid"] for row in elements["s"] if row["process"]["name"]]


def reasons(result: ModuleResult) -> dict[str, int]:
    return {one.reason: one.count for one in result.coverage.skipped}


def test_a_process_is_found_by_the_path_of_its_executable(start_target: StartTarget, search: Search) -> None:
    target = start_target()

    result = search(names=[f"^{target.path}$"])

    assert found(result) == [target.pid]
    assert result.coverage.examined["processes"] > 0


def test_text_across_pages_and_reads_is_found_and_glued_text_is_not(start_target: StartTarget, search: Search) -> None:
    target = start_target()
    target.do("m = mmap.mmap(-1, 4 << 20, OWN)")
    target.do("m[:] = b'x' * (4 << 20)")
    for number, place in enumerate((4096, 1 << 20, 2 << 20, (1 << 20) + 65536, 3 << 20)):
        target.do(f"put(m, {place} - 5, '{number}-segdirb')")
    target.do("put(m, 2048 - 5, '-eulg'); put(m, 6144, 'tsohg')")

    for number in range(5):
        assert found(search(names=[target.path], contents=[f"bridges-{number}"])) == [target.pid]
        assert found(search(names=[target.path], bytes=[f"bridges-{number}".encode().hex()])) == [target.pid]
    assert not search(names=[target.path], contents=["glue-ghost"]).found


def test_text_across_two_mappings_that_touch_is_found(start_target: StartTarget, search: Search) -> None:
    target = start_target()
    target.do("m = mmap.mmap(-1, 8192, OWN); put(m, 4096 - 3, 'egdirb')")
    target.do("a = ctypes.addressof(ctypes.c_char.from_buffer(m)); c = ctypes.CDLL(None)")
    target.do("assert c.mprotect(ctypes.c_void_p(a + 4096), 4096, 1) == 0")

    assert found(search(names=[target.path], contents=["b[r]idge"])) == [target.pid]


def test_memory_that_was_never_touched_reads_as_zeros_and_is_not_touched(
    start_target: StartTarget, search: Search
) -> None:
    target = start_target()
    target.do("m = mmap.mmap(-1, 1 << 30, OWN | 0x4000)")
    target.do("put(m, (1 << 29) - 5, 'enola')")
    before = tables(target.pid)

    result = search(names=[target.path], bytes=[(b"alone" + bytes(5000)).hex()])

    assert found(result) == [target.pid]
    assert not search(names=[target.path], bytes=[(b"alone" + bytes(5000) + b"x").hex()]).found
    assert result.coverage.examined["bytes"] < 200 << 20
    assert tables(target.pid) - before < 64 << 10


def tables(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmPTE:")[2].split()[0]) << 10


def test_the_search_goes_on_behind_memory_that_cannot_be_read(
    start_target: StartTarget, search: Search, tmp_path: Path
) -> None:
    target = start_target()
    shrunken = tmp_path / "shrunken"
    shrunken.write_bytes(b"y" * 3 * PAGE)
    target.do(f"f = open({str(shrunken)!r}, 'r+b'); m = mmap.mmap(f.fileno(), {3 * PAGE}, mmap.MAP_PRIVATE)")
    target.do(f"put(m, {PAGE - 6}, 'dniheb'); f.truncate({PAGE})")
    target.do("n = mmap.mmap(-1, 4096, OWN); put(n, 0, 'hcihwt1')")

    for text in ("behind", "1twhich", "behind$"):
        assert found(search(names=[target.path], contents=[text])) == [target.pid]


@pytest.mark.parametrize("flags", ["mmap.MAP_SHARED | mmap.MAP_ANONYMOUS", "OWN"])
def test_offset_and_maxlength_are_exact(start_target: StartTarget, search: Search, flags: str) -> None:
    target = start_target()
    target.do(f"m = mmap.mmap(-1, 65536, {flags}); put(m, 5000, 'qcaxe')")
    address = int(target.do("print(ctypes.addressof(ctypes.c_char.from_buffer(m)))"))

    def hits(offset: int, maxlength: int) -> bool:
        options = {"offset": address + offset, "maxlength": maxlength}
        results = [
            search(names=[target.path], options=options, contents=["exacq"]),
            search(names=[target.path], options=options, bytes=[b"exacq".hex()]),
        ]
        assert results[0].found == results[1].found
        return results[0].found

    assert hits(0, 5005)
    assert hits(5000, 5)
    assert hits(4999, 0)
    assert not hits(5001, 0)
    assert not hits(0, 5004)
    assert not hits(5000, 4)


def test_it_never_finds_itself(search: Search) -> None:
    secret = "only-the-question-" + "holds-this"

    result = search(contents=[secret.replace("-", "[-]"), secret])

    assert os.getpid() not in found(result)
    assert not set(found(search(names=["."]))) & {os.getpid()}


def test_the_shell_that_was_asked_is_not_found_and_that_is_said(tmp_path: Path) -> None:
    program = tmp_path / "ask.py"
    program.write_text(
        "import json, sys, time\n"
        "from mig_core.plugin.module import Context\n"
        "from mig_memory import MemoryModule\n"
        "m = MemoryModule()\n"
        "s = {'searches': {'s': {'contents': [sys.argv[1]], 'options': {'matchall': True}}}}\n"
        "print(json.dumps(m.run(m.parse_parameters(s), Context(deadline=time.monotonic() + 60)).to_json()))\n",
        encoding="utf-8",
    )
    script = f"true; {sys.executable} {program} typed-into-a-shell-{os.getpid()}; true"
    printed = subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout

    got = json.loads(printed)
    assert not any(row["process"]["name"].endswith("sh") for row in got["elements"]["s"])
    assert any("handles this question" in one["reason"] for one in got["coverage"]["skipped"])


def test_a_deleted_executable_is_shown_and_found_under_both_names(start_target: StartTarget, search: Search) -> None:
    target = start_target("vanished")
    Path(target.path).unlink()

    for expression in (r"^\[vanished\]$", f"^{target.path}$"):
        result = search(names=[expression])
        elements: Any = result.elements
        process = elements["s"][0]["process"]
        assert list(process)[:2] == ["name", "pid"]
        assert process["name"] == "[vanished]"
        assert process["pid"] == target.pid
        assert process["executable"] == target.path
        assert process["deleted"] is True
        assert process["user"]
    lines = list(MemoryModule().lines(result, found_only=True))
    assert lines[0].startswith(f"[vanished] [pid:{target.pid}] in search 's' (deleted executable {target.path}")


def test_memory_of_a_deleted_executable_is_searched(start_target: StartTarget, search: Search) -> None:
    target = start_target("vanished")
    Path(target.path).unlink()
    target.do("m = bytearray(99); put(m, 9, 'dlohtsal')")

    assert found(search(names=["vanished"], contents=["lasthold"])) == [target.pid]


def test_libraries_are_mapped_files_but_not_the_executable(
    start_target: StartTarget, search: Search, tmp_path: Path
) -> None:
    target = start_target()
    (tmp_path / "data.bin").write_bytes(b"z" * 100)
    target.do(f"f = open({str(tmp_path / 'data.bin')!r}, 'rb'); m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)")

    assert found(search(names=[target.path], libraries=[r"data\.bin$"])) == [target.pid]
    assert not search(names=[target.path], libraries=[f"^{target.path}$"]).found


def test_matchany_gives_a_row_for_each_check(start_target: StartTarget, search: Search) -> None:
    target = start_target()
    target.do("m = bytearray(99); put(m, 9, 'htiwereht')")

    result = search(names=[f"^{target.path}$", "/nothing/at/all"], contents=["therewith"], options={"matchall": False})

    elements: Any = result.elements
    rows = [(row["process"]["pid"], row["search"]) for row in elements["s"]]
    assert rows[0] == (target.pid, {"names": [f"^{target.path}$"], "options": {}})
    assert rows[1] == (0, {"names": ["/nothing/at/all"], "options": {}})
    assert (target.pid, {"contents": ["therewith"], "options": {}}) in rows


def test_shared_memory_with_holes_is_searched_without_filling_them(start_target: StartTarget, search: Search) -> None:
    target = start_target()
    target.do("f = os.memfd_create('holes'); os.truncate(f, 1 << 30); m = mmap.mmap(f, 1 << 30)")
    target.do(
        "for n in range(6): os.pwrite(f, b'eloh-a'[5 - n : 6 - n], (700 << 20) + n)"
    )  # written, not touched through the mapping

    result = search(names=[target.path], contents=["a-hole"])

    assert target.do("print(os.fstat(f).st_blocks)") == "8"
    if os.geteuid() == 0:
        assert found(result) == [target.pid]


def test_unchanged_pages_of_files_are_skipped_on_request_and_changed_ones_are_not(
    start_target: StartTarget, search: Search, tmp_path: Path
) -> None:
    target = start_target()
    (tmp_path / "data.bin").write_bytes(b"nodisk"[::-1] + b"z" * 8192)
    target.do(f"f = open({str(tmp_path / 'data.bin')!r}, 'r+b'); m = mmap.mmap(f.fileno(), 0, mmap.MAP_PRIVATE)")
    target.do("put(m, 5000, 'degnahc')")
    stored = "ksi[d]on"

    whole = search(names=[target.path], contents=[stored])
    without = search(names=[target.path], contents=[stored], options={"nofiles": True})
    changed = search(names=[target.path], contents=["change[d]"], options={"nofiles": True})

    assert found(whole) == [target.pid]
    assert not without.found
    assert reasons(without)["KiB that are as in the file they were mapped from"] > 0
    assert found(changed) == [target.pid]


def test_several_threads_find_what_one_finds(start_target: StartTarget, search: Search) -> None:
    targets = [start_target(f"target-{number}") for number in range(4)]
    for number, target in enumerate(targets):
        target.do(f"m = bytearray(3 << 20); put(m, 2 << 20, '{number}-ylgnorts')")
    folder = str(Path(targets[0].path).parent)

    one = search(names=[folder], contents=["strongl[y]-[0-3]"])
    many = search(names=[folder], contents=["strongl[y]-[0-3]"], threads=3)

    assert found(one) == found(many) == sorted(target.pid for target in targets)
    assert one.elements == many.elements


def test_what_was_found_before_time_ran_out_is_returned(start_target: StartTarget) -> None:
    targets = [start_target(f"target-{number}") for number in range(2)]
    for target in targets:
        target.do("m = bytearray(b'x') * (200 << 20)")
    module = MemoryModule()
    folder = str(Path(targets[0].path).parent)
    keys = {"names": [folder], "contents": ["(?i)NOWHERE[0-9]+.{3}z"], "options": {"matchall": False}}
    parameters = module.parse_parameters({"searches": {"s": keys}})

    result = module.run(parameters, Context(deadline=time.monotonic() + 0.03))

    assert result.coverage.examined.get("bytes", 0) < 2 * 200 << 20
    assert not result.coverage.complete
    assert any("time ran out" in reason for reason in reasons(result))


def test_kernel_threads_and_processes_that_have_ended_are_not_failures(search: Search) -> None:
    ended = subprocess.Popen(["true"])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)

    result = search(names=["^/no/such$"])
    ended.wait()

    statistics: Any = result.statistics
    assert not any(str(ended.pid) in failure for failure in statistics.get("failures", []))


def test_a_process_that_ends_during_the_scan_is_no_trouble(start_target: StartTarget, search: Search) -> None:
    target = start_target()
    target.do("u = b'x' * (100 << 20)")
    target.process.kill()

    assert search(names=[target.path], contents=["nothing-like-this[0-9]"]).success


def test_two_searches_of_one_operation_look_at_their_own_part_of_memory(start_target: StartTarget) -> None:
    target = start_target()
    target.do("m = mmap.mmap(-1, 65536, OWN); put(m, 5000, 'traps')")
    address = int(target.do("print(ctypes.addressof(ctypes.c_char.from_buffer(m)))"))
    module = MemoryModule()
    part = {"names": [target.path], "contents": ["spart"]}
    searches = {
        "all": part | {"options": {"matchall": True}},
        "before": part | {"options": {"matchall": True, "offset": address, "maxlength": 5000}},
    }

    result = module.run(module.parse_parameters({"searches": searches}), Context(deadline=time.monotonic() + 60))

    elements: Any = result.elements
    assert elements["all"][0]["process"]["pid"] == target.pid
    assert elements["before"][0]["process"] == {"name": "", "pid": 0}


def test_a_search_stays_small_and_leaves_no_descriptors_open(start_target: StartTarget, search: Search) -> None:
    target = start_target()
    target.do("u = b'x' * (300 << 20)")
    before = len(os.listdir("/proc/self/fd"))

    result = search(names=[target.path], contents=["(?s)nothing.*like[0-9]this"])

    assert result.coverage.examined["bytes"] >= 300 << 20
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_starts_or_becomes_another_program_during_the_search_is_found(
    start_target: StartTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mig_memory.module.PARTIAL_SHARE", 0)  # after each process, however long the last one took
    target = start_target()
    for name in ("became-another", "started"):
        shutil.copy(os.path.realpath("/bin/sleep"), tmp_path / name)
    begun: list[subprocess.Popen[bytes]] = []
    module = MemoryModule(partial_interval=0.0)
    searches = {"s": {"names": [f"^{tmp_path}/"], "options": {"matchall": True}}}

    def meanwhile(so_far: ModuleResult) -> None:
        if not begun and found(so_far) == [target.pid]:
            assert target.process.stdin is not None
            target.process.stdin.write(f"os.execv({str(tmp_path / 'became-another')!r}, ['x', '99'])\n")
            target.process.stdin.flush()
            begun.append(subprocess.Popen([tmp_path / "started", "99"]))
            while os.readlink(f"/proc/{target.pid}/exe") == target.path:
                time.sleep(0.01)

    result = module.run(
        module.parse_parameters({"searches": searches}), Context(deadline=time.monotonic() + 60, on_partial=meanwhile)
    )

    begun[0].kill()
    begun[0].wait()
    elements: Any = result.elements
    assert [(row["process"]["pid"], row["process"]["name"]) for row in elements["s"]] == [
        (target.pid, target.path),
        (target.pid, str(tmp_path / "became-another")),
        (begun[0].pid, str(tmp_path / "started")),
    ]
    statistics: Any = result.statistics
    assert statistics["totalhits"] == 3


def test_wide_finds_utf16_beside_bytes_as_written(start_target: StartTarget, search: Search) -> None:
    target = start_target()
    target.do("m = mmap.mmap(-1, 4 << 20, OWN)")
    target.do("for n, one in enumerate(reversed('44-nekot')): m[(1 << 20) - 7 + 2 * n] = ord(one)")

    asked: dict[str, Any] = {"names": [target.path], "contents": ["token-[0-9]{2}"]}

    assert not search(**asked).found
    wide = search(**asked, options={"wide": True})
    assert found(wide) == [target.pid]
    elements: Any = wide.elements
    assert elements["s"][0]["search"]["options"] == {"matchall": True, "wide": True}


def test_a_question_that_cannot_be_wide_says_why(search: Search) -> None:
    with pytest.raises(ParameterError, match=r"searches\.s\.contents\[1\].*UTF-16"):
        search(contents=["fine", r"\bword"], options={"wide": True})

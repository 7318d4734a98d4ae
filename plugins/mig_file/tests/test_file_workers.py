"""Several processes that read for one run: the same answers as one, whatever happens to them."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from mig_core.plugin.coverage import Tally
from mig_core.plugin.module import Context
from mig_endpoint import coverage
from mig_endpoint.files.batch import Batch
from mig_endpoint.files.interruptions import DeadlinePassed
from mig_endpoint.finding import shares
from mig_endpoint.finding.bundle import Bundle
from mig_endpoint.finding.content import Question, Questions
from mig_endpoint.finding.evaluation import Evaluation
from mig_endpoint.finding.openfile import Group, groups_of
from mig_endpoint.finding.plans import Plan, Planned, SearchRun
from mig_endpoint.finding.search import read_searches
from mig_endpoint.finding.slots import slots_of
from mig_endpoint.finding.workers import Workers
from mig_file import FileModule

if TYPE_CHECKING:
    from pathlib import Path

    from mig_core.domain.result import ModuleResult

MODULE = FileModule()


def _run(processes: int, *searches: dict[str, Any]) -> ModuleResult:
    raw = {"searches": {f"s{number}": search for number, search in enumerate(searches)}}
    context = Context(deadline=time.monotonic() + 60, threads=processes)
    return MODULE.run(MODULE.parse_parameters(raw), context)


def _needle_group() -> tuple[Questions, Group]:
    (search,) = read_searches(
        {"searches": {"s1": {"paths": ["/"], "contents": ["needle"], "options": {"matchall": True}}}}, strict=True
    )
    (slot,) = slots_of(search)
    (group,) = groups_of([slot])
    return Questions([Question("needle", every_line=False)]), group


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """2,000 small files in 40 directories, a needle in each seventh, and what cannot be read among them."""
    for number in range(2000):
        directory = tmp_path / f"d{number % 40:02}"
        directory.mkdir(exist_ok=True)
        (directory / f"{number}.txt").write_bytes(b"hay\r\n" * (number % 50) + (b"needle" if number % 7 == 0 else b""))
    (tmp_path / "d00" / "link").symlink_to("280.txt")
    (tmp_path / "d00" / "nowhere").symlink_to("gone")
    os.mkfifo(tmp_path / "d01" / "fifo")
    (tmp_path / "d02" / os.fsdecode(b"caf\xe9 needle")).write_text("needle")
    (tmp_path / "d03" / ("x" * 255)).write_text("needle")
    return tmp_path


@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize(
    "search",
    [
        {"contents": ["needle"]},
        {"contents": ["!needle"]},
        {"contents": ["needle", "^hay$"], "options": {"matchall": False}},
        {"contents": ["needle"], "sha2": ["0" * 64], "options": {"mismatch": ["sha2"], "returnsha256": True}},
        {"md5": ["0" * 32], "options": {"mismatch": ["md5"], "matchlimit": 0}},
        {"names": ["[02468]\\.txt$"], "contents": ["needle"]},
        {"contents": ["needle"], "sizes": [">100"]},
        {"contents": ["needle"], "options": {"matchlimit": 20}},
    ],
)
def test_more_processes_find_the_same_in_the_same_order(many: Path, search: dict[str, Any], processes: int) -> None:
    search = {"paths": [str(many)], **search}
    search["options"] = {"matchall": True} | search.get("options", {})
    other = {"paths": [str(many / "d02")], "contents": ["n.edle"], "options": {"matchall": True}}

    alone = _run(1, search, other)
    together = _run(processes, search, other)

    assert together.elements == alone.elements
    if not search["options"].get("matchlimit"):  # the walk may be further on before the limit is noticed
        assert together.errors == alone.errors
        assert together.coverage == alone.coverage


def test_a_worker_that_is_killed_is_missed_by_nobody(many: Path) -> None:
    questions, group = _needle_group()
    workers = Workers(3, questions, lambda: False, lambda numbers: group)
    directory = os.open(many / "d00", os.O_RDONLY)
    names = [name for name in sorted(os.listdir(directory)) if name.endswith(".txt")]
    work = [[shares.Part(directory, (0,), [name])] for name in names]
    killed: list[int] = []

    def kill_one() -> None:
        if not killed:
            killed.append(workers.pids[0])
            os.kill(killed[0], signal.SIGKILL)

    try:
        reports = workers.read(work, kill_one)
    finally:
        workers.close()
        os.close(directory)

    found = [name for name, report in zip(names, reports, strict=True) for one in report.seen if one.reading.found]
    assert killed
    assert found == [name for name in names if int(name.removesuffix(".txt")) % 7 == 0]
    assert workers.pids == []


def test_a_worker_that_hangs_in_a_file_is_left_behind_after_the_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mig_endpoint.finding.workers.GRACE", 0.1)
    questions, group = _needle_group()
    started = time.monotonic()
    workers = Workers(2, questions, lambda: time.monotonic() > started + 0.3, lambda numbers: group)
    for number in range(4):
        (tmp_path / f"{number}").write_text("needle")
    directory = os.open(tmp_path, os.O_RDONLY)
    stopped: list[int] = []

    def stop_it() -> None:
        if workers.pids and not stopped:
            stopped.append(workers.pids[0])
            os.kill(stopped[0], signal.SIGSTOP)  # as good as a read that never returns

    try:
        reports = workers.read([[shares.Part(directory, (0,), [str(number)])] for number in range(4)], stop_it)
    finally:
        workers.close()
        os.close(directory)

    assert stopped
    assert any(report.late for report in reports)
    assert all(report.late or report.seen for report in reports)
    assert time.monotonic() - started < 20


def test_workers_do_their_part(many: Path) -> None:
    questions, group = _needle_group()
    workers = Workers(3, questions, lambda: False, lambda numbers: group)
    directory = os.open(many / "d01", os.O_RDONLY)
    names = [name for name in os.listdir(directory) if name.endswith(".txt")]

    try:
        workers.read([[shares.Part(directory, (0,), names)] for _ in range(50)], lambda: None)
        alive, by_workers = len(workers.pids), workers.bytes_read - workers.own_bytes
    finally:
        workers.close()
        os.close(directory)

    assert alive == 2
    assert by_workers > 0


def test_a_run_that_may_fork_nobody_reads_by_itself(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", refuse)  # what RLIMIT_NPROC does; root has no such limit
    search = {"paths": [str(many)], "contents": ["needle"], "options": {"matchall": True, "matchlimit": 0}}

    assert _run(3, search).elements == _run(1, search).elements


def test_no_process_is_left_behind(many: Path) -> None:
    children, descriptors = psutil.Process().children(), os.listdir("/proc/self/fd")

    _run(3, {"paths": [str(many)], "contents": ["needle"]})

    assert psutil.Process().children() == children
    assert len(os.listdir("/proc/self/fd")) == len(descriptors)


def test_a_share_fits_into_the_buffer_of_a_socket_whatever_the_names(tmp_path: Path) -> None:
    (search,) = read_searches({"searches": {"s1": {"paths": ["/"], "md5": ["0" * 32]}}}, strict=True)
    run = SearchRun(search)
    plans = Planned(Plan(((run, run.slots[0]),)))
    names = [os.fsdecode(bytes([0xE9]) * 250 + b"%05d" % number) for number in range(300)]
    directory = os.open(tmp_path, os.O_RDONLY)
    bundle = Bundle()
    try:
        bundle.add(Batch(str(tmp_path), directory, 1, names, (), {}), names, plans)
        sizes = [sum(map(len, part.names)) for share in bundle.work for part in share]
        _ = list(bundle.read(Workers(1, Questions([]), lambda: False, lambda numbers: run_group(run)), lambda: None))
    finally:
        os.close(directory)

    assert sum(sizes) == 300 * 255
    assert max(sizes) <= shares.MOST_CHARACTERS
    assert len(bundle) == 0


def test_every_file_is_in_one_share_and_a_large_one_has_its_own(tmp_path: Path) -> None:
    (search,) = read_searches({"searches": {"s1": {"paths": ["/"], "md5": ["0" * 32]}}}, strict=True)
    run = SearchRun(search)
    plan = Plan(((run, run.slots[0]),))
    folders = {"a": 150, "b": 3, "c": 0, "d": 400, "e": 20}
    large = {"a7", "a149", "b1", "d399"}
    for folder, count in folders.items():
        (tmp_path / folder).mkdir()
        for number in range(count):
            name = f"{folder}{number}"
            (tmp_path / folder / name).write_bytes(b"x" * (100 if name in large else 1))
    bundle = Bundle(large=100)

    for folder, count in folders.items():
        plans = Planned(plan)
        if folder == "e":
            plans.update({"e3": Plan(((run, run.slots[0]),))})
        names = [f"{folder}{number}" for number in range(count)]
        directory = os.open(tmp_path / folder, os.O_RDONLY)
        bundle.add(Batch(folder, directory, 1, names, {"a0"}, {}), names, plans)
        os.close(directory)
    contents = [[(part.directory, name) for part in share for name in part.names] for share in bundle.work]
    read = list(bundle.read(Workers(1, Questions([]), lambda: False, lambda numbers: run_group(run)), lambda: None))

    everywhere = [name for share in contents for _, name in share]
    assert everywhere == [f"{folder}{number}" for folder, count in folders.items() for number in range(count)][1:]
    assert max(map(len, contents)) == shares.MOST_FILES
    assert {"a7", "a149", "b1"} <= {share[0][1] for share in contents if len(share) == 1}
    assert [collected.batch.path for collected, _ in read] == list(folders)
    assert all(not known for _, known in read)  # no file is missing, none has the digest


def test_where_time_ran_out_at_a_file_that_nobody_wants_any_more_what_follows_is_booked(tmp_path: Path) -> None:
    searches = read_searches(
        {"searches": {name: {"paths": ["/"], "md5": [digit * 32]} for name, digit in (("s1", "0"), ("s2", "1"))}},
        strict=True,
    )
    tally = Tally()
    evaluation = Evaluation(searches, tally, lambda: False, 0, lambda *_, **__: 1)
    evaluation.focus(searches)
    full, other = evaluation.runs
    full.matches, evaluation._answer.any_full = full.limit, True
    plans = evaluation._plans.of_batch([], [((full, full.slots[0]), ["a"]), ((other, other.slots[0]), ["b"])])
    batch = Batch(str(tmp_path), -1, 1, ["a", "b"], (), {})

    evaluation._inspection.look_at_all(batch, ["a", "b"], plans, {"a": DeadlinePassed()})

    assert evaluation.stopped()
    assert [(one.reason, one.count) for one in tally.coverage().skipped] == [(coverage.TIME.text, 2)]


def run_group(run: SearchRun) -> Group:
    """The one read of a run."""
    return groups_of(run.slots)[0]


def test_workers_begin_with_what_is_complete_while_more_is_collected(many: Path) -> None:
    questions, group = _needle_group()
    workers = Workers(2, questions, lambda: False, lambda numbers: group)
    directory = os.open(many / "d01", os.O_RDONLY)
    names = [name for name in sorted(os.listdir(directory)) if name.endswith(".txt")]
    work = [[shares.Part(directory, (0,), [name])] for name in names[:3]]

    try:
        workers.offer(work, 2)
        begun = list(workers.pids)
        work += [[shares.Part(directory, (0,), [name])] for name in names[3:]]
        workers.offer(work, len(work) - 1)
        reports = workers.read(work, lambda: None)
        again = workers.read([[shares.Part(directory, (0,), names)]], lambda: None)
    finally:
        workers.close()
        os.close(directory)

    found = [name for name, report in zip(names, reports, strict=True) for one in report.seen if one.reading.found]
    assert len(begun) == 1
    assert found == [name for name in names if int(name.removesuffix(".txt")) % 7 == 0]
    assert len(again[0].seen) == len(found)


def test_a_share_arrives_as_it_was_sent(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    directory = os.open(tmp_path, os.O_RDONLY)
    share = [
        shares.Part(directory, (0, 12), ["a b", "ü\n,", os.fsdecode(b"\xe9")]),
        shares.Part(directory, (3,), ["x"]),
    ]

    with ours, theirs:
        shares.send_share(ours, share)
        got = shares.receive_share(theirs)

    assert got is not None
    assert [part[1:] for part in got] == [part[1:] for part in share]
    for part in got:
        assert os.path.sameopenfile(part.directory, directory)
        os.close(part.directory)
    os.close(directory)

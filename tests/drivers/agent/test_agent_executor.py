"""One operation in a process of its own: every way it can end, and what is left of it."""

from __future__ import annotations

import os
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.agent.operations.executor import Executor, Interruption, Outcome
from mig_core.domain.command import CommandState
from mig_core.errors import ModuleUnknown, ParameterError
from mig_core.testing.eventually import eventually
from mig_core.testing.operations import run
from mig_core.testing.running import alive

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mig_core.agent.operations.launcher import Launcher


def all_gone(pids: list[int]) -> bool:
    return all(not alive(pid) for pid in pids)


LIMITS = (0.5, 5.0, 50.0)
"""Seconds after which a module is out of time: on a busy machine the first ones may be over before it has begun."""


def test_a_module_that_succeeds_gives_its_result_and_its_usage(executor: Executor) -> None:
    outcome = run(executor, "echo", word="hello")

    assert (outcome.state, outcome.reason) == (CommandState.SUCCESS, "")
    assert outcome.result.found
    elements: Any = outcome.result.elements
    assert (elements["word"], elements["tags"]) == ("hello", {"team": "blue"})
    assert outcome.result.coverage.examined == {"words": 1}
    assert outcome.max_rss_kib > 1000


def test_what_a_module_would_like_to_have_ready_is_there_when_nothing_happened_for_a_moment(executor: Executor) -> None:
    run(executor, "echo", word="first")

    def is_ready() -> bool:
        elements: Any = run(executor, "echo", word="next").result.elements
        return bool(elements["preloaded"])

    assert eventually(is_ready, pause=0.3)


def test_the_process_that_has_read_parameters_runs_with_them(executor: Executor) -> None:
    prepared = executor.prepare("echo", {"word": "as read"})

    outcome = executor.run(
        "echo",
        {"word": "as read"},
        seconds=60,
        interruption=Interruption(),
        environment={},
        tags={"team": "red"},
        prepared=prepared,
    )

    elements: Any = outcome.result.elements
    assert (outcome.state, elements["word"], elements["tags"]) == (CommandState.SUCCESS, "as read", {"team": "red"})
    assert prepared.take("echo") is None


def test_a_process_that_waits_to_run_ends_when_nobody_wants_it(executor: Executor) -> None:
    prepared = executor.prepare("echo", {"word": "x"})
    launched = prepared._launched

    prepared.close()

    assert launched is not None
    assert launched.ended.wait(60)
    assert launched.status == 0
    assert prepared.take("echo") is None


def test_where_the_waiting_process_has_died_another_one_runs(executor: Executor) -> None:
    prepared = executor.prepare("echo", {"word": "x"})
    launched = prepared._launched
    assert launched is not None
    assert launched.started.wait(60)
    os.kill(launched.pid, 9)
    assert launched.ended.wait(60)

    outcome = executor.run(
        "echo",
        {"word": "x"},
        seconds=60,
        interruption=Interruption(),
        environment={},
        tags={},
        prepared=prepared,
    )

    assert outcome.state is CommandState.SUCCESS


def test_a_module_that_prints_does_not_spoil_its_result(executor: Executor) -> None:
    outcome = run(executor, "loud")

    assert outcome.state is CommandState.SUCCESS
    assert outcome.result.elements == "said"


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("failing", "the cupboard is empty"),
        ("raising", "RuntimeError: over board"),
        ("exiting", "ended with status 3"),
        ("notjson", "not JSON"),
        ("brokenparser", "ZeroDivisionError"),
        ("absent", "not available"),
    ],
)
def test_a_module_that_fails_says_why(executor: Executor, module: str, words: str) -> None:
    outcome = run(executor, module)

    assert outcome.state is CommandState.FAILED
    assert words in outcome.reason
    assert not outcome.result.success
    assert not outcome.result.coverage.complete


def test_elements_of_a_failed_labelled_module_are_an_object(executor: Executor) -> None:
    outcome = executor.run(
        "labelled", {"searches": {}}, seconds=60, interruption=Interruption(), environment={}, tags={}
    )

    assert outcome.result.elements == {}


def test_what_a_stubborn_module_handed_over_before_its_time_ran_out_is_kept(executor: Executor, tmp_path: Path) -> None:
    for limit in LIMITS:
        began = time.monotonic()
        outcome = run(executor, "stubborn", limit=limit, seconds=600, word=str(tmp_path / "pid"))
        if (tmp_path / "pid").exists():
            break

    assert outcome.state is CommandState.TIMEOUT
    assert outcome.result.elements == ["first", "second"]
    assert outcome.result.found
    assert not outcome.result.coverage.complete
    assert time.monotonic() - began < limit + 60
    assert not alive(int((tmp_path / "pid").read_text().split()[-1]))


def test_a_module_that_heeds_its_deadline_is_not_killed_and_its_answer_counts_as_cut_short(executor: Executor) -> None:
    for limit in LIMITS:
        outcome = run(executor, "heedful", limit=limit)
        if outcome.result.elements:
            break

    assert outcome.state is CommandState.TIMEOUT
    assert outcome.result.elements == ["some"]
    assert outcome.result.success


def test_a_module_that_needs_too_much_memory_is_killed_and_keeps_what_it_had(executor: Executor) -> None:
    outcome = run(executor, "hog")

    assert outcome.state is CommandState.KILLED
    assert "96 MiB of memory" in outcome.reason
    assert outcome.result.elements == ["before"]


def test_a_result_that_cannot_be_sent_is_replaced_by_a_failure_that_says_so(
    make_executor: Callable[..., Executor],
) -> None:
    outcome = run(make_executor(memory_mb=512), "huge", seconds=30)

    assert outcome.state is CommandState.FAILED
    assert "can be sent" in outcome.reason
    assert outcome.result.found


def test_a_large_result_arrives(make_executor: Callable[..., Executor]) -> None:
    outcome = run(make_executor(memory_mb=512), "huge", seconds=8)

    assert outcome.state is CommandState.SUCCESS
    assert len(str(outcome.result.elements)) == 8 << 20


@pytest.mark.parametrize(("seconds", "limits"), [(0, (60.0,)), (600, LIMITS)], ids=["ended", "out of time"])
def test_all_processes_a_module_started_end_with_it(
    executor: Executor, tmp_path: Path, seconds: int, limits: tuple[float, ...]
) -> None:
    for limit in limits:
        file = tmp_path / f"pids{limit}"
        run(executor, "breeder", limit=limit, word=str(file), seconds=seconds)
        pids = [int(line) for line in file.read_text().split()] if file.exists() else []
        assert eventually(partial(all_gone, pids))
        if len(pids) == 10:
            break

    assert len(pids) == 10


def test_an_interruption_ends_the_run_and_keeps_what_was_found(executor: Executor, tmp_path: Path) -> None:
    interruption = Interruption()
    outcomes: list[Outcome] = []
    pid_file = tmp_path / "pid"
    thread = threading.Thread(
        target=lambda: outcomes.append(
            run(executor, "stubborn", limit=600, interruption=interruption, seconds=600, word=str(pid_file))
        )
    )
    thread.start()
    assert eventually(lambda: pid_file.exists() and pid_file.read_text().endswith("\n"))

    began = time.monotonic()
    interruption.interrupt("enough")
    thread.join(120)

    assert time.monotonic() - began < 60
    assert outcomes[0].state is CommandState.CANCELLED
    assert "enough" in outcomes[0].reason
    assert outcomes[0].result.elements == ["first", "second"]
    assert not alive(int(pid_file.read_text()))


def test_the_process_is_confined(make_executor: Callable[..., Executor]) -> None:
    elements: Any = run(make_executor(niceness=7, threads=3), "confined").result.elements

    assert elements["nice"] >= 7
    assert elements["leader"]
    assert elements["stdin"] == os.devnull
    assert elements["environment"] == {"os": "linux"}
    assert elements["threads"] == 3
    assert len(elements["descriptors"]) <= 5


def test_results_are_masked_before_they_leave_the_process_if_the_owner_wants_privacy(
    make_executor: Callable[..., Executor],
) -> None:
    outcome = run(make_executor(extra_privacy=True), "echo", word="secret")

    assert outcome.result.elements == {"word": "masked"}


def test_the_launcher_is_started_again_when_it_dies_and_what_was_found_is_kept(
    executor: Executor, launcher: Launcher
) -> None:
    launcher.start()
    before = launcher.pid

    lost = run(executor, "launcherkiller")
    after = run(executor, "echo", word="again")

    assert lost.state is CommandState.FAILED
    assert lost.result.elements == ["before"]
    assert after.state is CommandState.SUCCESS
    assert launcher.pid != before


def test_parameters_are_parsed_in_a_child_and_the_fault_keeps_its_path(executor: Executor) -> None:
    executor.parse("echo", {"word": "x"})

    with pytest.raises(ParameterError) as caught:
        executor.parse("echo", {"seconds": "many"})
    assert caught.value.path == "seconds"
    with pytest.raises(ParameterError, match="could not be looked at"):
        executor.parse("brokenparser", {})
    with pytest.raises(ModuleUnknown):
        executor.parse("absent", {})


def test_a_plugin_that_cannot_be_loaded_is_reported_and_the_others_work(launcher: Launcher) -> None:
    catalogue = launcher.start()

    assert "no_such_file" in catalogue.failures["broken"]
    assert "echo" in catalogue.modules
    assert "broken" not in catalogue.modules
    assert catalogue.modules["labelled"]


def test_the_facts_are_gathered_in_a_child(executor: Executor) -> None:
    gathered: Any = executor.gather("")

    assert gathered["name"]
    assert gathered["environment"]["os"] == "linux"
    assert {"arch", "ident", "init", "addresses"} <= set(gathered["environment"])

"""A module that runs in a child gives what it gives here, and what it breaks is a failed result."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mig_core.domain.result import Coverage, ModuleResult, Skipped
from mig_core.plugin import apart

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.plugin.apart import HandOver

RESULT = ModuleResult(
    True, True, {"s1": [{"file": "\ufffd"}]}, None, (), Coverage(False, {"files": 1}, (Skipped("x", 1),))
)


@pytest.fixture(autouse=True)
def _served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_may_hang", lambda: True)
    monkeypatch.setattr(apart, "GRACE", 0.0)


def run(work: Callable[[HandOver | None], ModuleResult], seconds: float = 60) -> ModuleResult:
    return apart.run_apart(work, time.monotonic() + seconds)


def test_a_result_comes_back_as_it_is() -> None:
    assert run(lambda _: RESULT) == RESULT


def test_it_is_made_by_another_process_whose_output_goes_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    def work(_: HandOver | None) -> ModuleResult:
        os.write(1, b"printed")
        return ModuleResult(True, True, os.getpid(), None)

    assert run(work).elements != os.getpid()
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("work", "problem"),
    [
        (lambda _: os.kill(os.getpid(), signal.SIGKILL), "ended with status -9"),
        (lambda _: ModuleResult(True, True, lambda: 0, None), "is not JSON"),  # type: ignore[arg-type]
    ],
)
def test_what_breaks_is_a_failed_result(work: Callable[[HandOver | None], ModuleResult], problem: str) -> None:
    result = run(work)

    assert not result.success
    assert problem in result.errors[0]


def test_of_what_does_not_stop_the_last_that_it_handed_over_is_kept() -> None:
    def work(hand_over: HandOver | None) -> ModuleResult:
        assert hand_over is not None
        hand_over(ModuleResult(False, True, [], None))
        hand_over(replace(RESULT, coverage=Coverage()))
        time.sleep(600)
        return ModuleResult.failure("slept")

    result = run(work, 0.3)

    assert (result.found, result.elements) == (True, RESULT.elements)
    assert not result.coverage.complete
    assert "time ran out" in result.errors[0]


def test_what_does_not_stop_and_handed_nothing_over_is_a_failed_result() -> None:
    result = run(lambda _: time.sleep(600), 0.1)  # type: ignore[arg-type,return-value]

    assert not result.success
    assert not result.coverage.complete


def test_only_file_systems_with_a_server_ask_for_it() -> None:
    control = b"34 24 0:30 / /sys/fs/fuse/connections rw - fusectl fusectl rw\n"

    assert not apart._SERVED.search(control)
    assert all(
        apart._SERVED.search(control + b"9 9 0:9 / /m rw shared:1 - %b x rw\n" % kind)
        for kind in (b"fuse", b"fuse.sshfs", b"fuseblk", b"virtiofs")
    )

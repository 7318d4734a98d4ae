"""Who is there and not listed: told of those who hide, and of nobody who only came or went meanwhile."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

from mig_core.plugin.coverage import Tally
from mig_endpoint.processes.proc import Proc
from mig_process.unlisted import _identity, is_thread, unlisted

if TYPE_CHECKING:
    from collections.abc import Iterator

import pytest


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is there until the test has ended it, or ends."""
    with subprocess.Popen(["sleep", "77"]) as process:
        yield process
        process.kill()


class Hiding(Proc):
    """A /proc that leaves one process out of its listings, as a rootkit makes it do."""

    hidden = 0

    def ids(self) -> list[int]:
        return [pid for pid in super().ids() if pid != self.hidden]


class Fleeting(Proc):
    """A /proc that is first listed before one process has come, and then again when it has just gone."""

    passing: subprocess.Popen[bytes] | None = None

    def ids(self) -> list[int]:
        if self.passing is None:
            listed = super().ids()
            self.passing = subprocess.Popen(["sleep", "77"])
            return listed
        self.passing.kill()
        self.passing.wait()
        return super().ids()


def test_who_is_there_and_in_no_listing_is_told(sleeper: subprocess.Popen[bytes]) -> None:
    with contextlib.closing(Hiding(Tally())) as proc:
        proc.hidden = sleeper.pid

        assert list(unlisted(proc, lambda: False)) == [sleeper.pid]


def test_who_came_after_one_listing_and_went_before_the_next_does_not_hide() -> None:
    with contextlib.closing(Fleeting(Tally())) as proc:
        told = list(unlisted(proc, lambda: False))

        assert proc.passing is not None and proc.passing.returncode is not None
        assert proc.passing.pid not in told


def test_nobody_hides_on_a_machine_where_processes_come_and_go() -> None:
    stop = threading.Event()

    def bustle() -> None:
        while not stop.is_set():
            subprocess.run([sys.executable, "-S", "-c", "import os; os.fork()"], check=False)

    crowd = [threading.Thread(target=bustle) for _ in range(2)]
    for one in crowd:
        one.start()
    try:
        with Proc(Tally()) as proc:
            told = list(unlisted(proc, lambda: False))
    finally:
        stop.set()
        for one in crowd:
            one.join()

    assert told == []


def test_who_has_ended_is_neither_a_process_nor_a_thread() -> None:
    with Proc(Tally()) as proc:
        gone = max(proc.ids()) + 1_000_000

        assert not _identity(proc, gone)
        assert not is_thread(proc, gone)

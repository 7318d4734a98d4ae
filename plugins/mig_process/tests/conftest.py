"""Asking the module, and real processes of every kind to ask about."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.plugin.module import Context
from mig_core.testing.eventually import eventually
from mig_process import ProcessModule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_core.domain.result import ModuleResult

    Ask = Callable[..., ModuleResult]
    Rows = Callable[..., list[dict[str, Any]]]
    RowOf = Callable[..., dict[str, Any]]
    Start = Callable[..., int]


@pytest.fixture(scope="session")
def ask() -> Ask:
    """The answer to a question with these parameters."""
    module = ProcessModule()

    def ask(**keys: Any) -> ModuleResult:
        return module.run(module.parse_parameters(keys), Context(deadline=time.monotonic() + 60))

    return ask


@pytest.fixture(scope="session")
def rows(ask: Ask) -> Rows:
    """The rows of an answer."""
    return lambda **keys: list(ProcessModule().rows(ask(**keys)))


@pytest.fixture(scope="session")
def row_of(rows: Rows) -> RowOf:
    """The one row of a process."""

    def row_of(pid: int, **keys: Any) -> dict[str, Any]:
        (found,) = rows(pid=[str(pid)], **keys)
        return found

    return row_of


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a program that lasts until the test ends; it is no copy of this process any more when this returns."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*words: str, **options: Any) -> int:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **options)
        running.append(process)
        return process.pid

    yield start
    for process in running:
        process.kill()
        process.wait()


@pytest.fixture
def start_threads(start: Start) -> Callable[[str], int]:
    """Starts a Python program whose second thread sleeps; returns when there are two threads."""

    def start_threads(python: str) -> int:
        code = "import threading, time\nthreading.Thread(target=time.sleep, args=(77,)).start()\n"
        pid = start(python, "-c", code)
        eventually(lambda: len(os.listdir(f"/proc/{pid}/task")) > 1)
        return pid

    return start_threads


@pytest.fixture(scope="session")
def until_asleep() -> Callable[[int], object]:
    """Waits until sleep(1) does what it is for: nothing about it changes any more."""

    def until_asleep(pid: int) -> object:
        return eventually(lambda: b"(sleep) S " in Path(f"/proc/{pid}/stat").read_bytes())

    return until_asleep

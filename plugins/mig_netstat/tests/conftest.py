"""Asking the module, and real sockets: here, in processes, in network namespaces that a test makes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.plugin.module import Context
from mig_netstat import NetstatModule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_core.domain.result import ModuleResult


@pytest.fixture(scope="session")
def run() -> Callable[..., ModuleResult]:
    """A run with these parameters."""
    module = NetstatModule()

    def run(**keys: Any) -> ModuleResult:
        return module.run(module.parse_parameters(keys), Context(deadline=time.monotonic() + 60))

    return run


@pytest.fixture(scope="session")
def rows(run: Callable[..., ModuleResult]) -> Callable[..., list[dict[str, Any]]]:
    """The rows of a run with these parameters."""

    def rows(**keys: Any) -> list[dict[str, Any]]:
        return list(NetstatModule().rows(run(**keys)))

    return rows


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a Python program; waits for the line that says it is ready, and ends it with the test."""
    running: list[subprocess.Popen[str]] = []

    def start(code: str, *before: str, **options: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*before, sys.executable, "-c", code + "\nprint('ready', flush=True)\nimport time; time.sleep(77)"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **options,
        )
        running.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready"), line
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def netns() -> Iterator[str]:
    """The name of a new network namespace with its loopback interface up."""
    if os.geteuid() != 0:
        pytest.skip("making a network namespace needs root")
    name = f"mig-test-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)

"""Real processes to be looked at: copies of the Python interpreter, each with a name of its own, that do as told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.plugin.module import Context
from mig_memory import MemoryModule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mig_core.domain.result import ModuleResult

# A target obeys lines of Python on its standard input. What a test looks for must be nowhere but where the test wants
# it, not even in such a line: so tests write it backwards, and the target puts it in place byte by byte.
OBEY = """
import ctypes, mmap, os, sys
OWN = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
def put(memory, place, backwards):
    for index, character in enumerate(reversed(backwards)):
        memory[place + index] = ord(character)
print("ready", flush=True)
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
"""


class Target:
    """A process to look at."""

    def __init__(self, executable: Path) -> None:
        libraries = [sysconfig.get_config_var("LIBDIR"), os.environ.get("LD_LIBRARY_PATH")]
        environment = {"PYTHONHOME": sys.base_prefix, "LD_LIBRARY_PATH": ":".join(one for one in libraries if one)}
        self.path = str(executable)
        self.process = subprocess.Popen(
            [self.path, "-S", "-s", "-c", OBEY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self._answer()

    @property
    def pid(self) -> int:
        return self.process.pid

    def do(self, line: str) -> str:
        """Has it execute a line of Python; what that prints is returned."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        printed = ""
        while (line := self.process.stdout.readline()) not in ("ready\n", "done\n"):
            assert line, "the target ended"
            printed += line
        return printed.rstrip("\n")

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def start_target(tmp_path: Path) -> Iterator[Callable[..., Target]]:
    """Starts processes to look at; they are killed afterwards."""
    started: list[Target] = []

    def start(name: str = "target") -> Target:
        executable = tmp_path / name
        if not executable.exists():
            shutil.copy(os.path.realpath(sys.executable), executable)
        started.append(Target(executable))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def search() -> Callable[..., ModuleResult]:
    """Runs one search with ``matchall`` unless told otherwise."""
    module = MemoryModule()

    def run(*, threads: int = 1, seconds: float = 60, **keys: Any) -> ModuleResult:
        options = {"matchall": True} | keys.pop("options", {})
        parameters = module.parse_parameters({"searches": {"s": keys | {"options": options}}})
        return module.run(parameters, Context(deadline=time.monotonic() + seconds, threads=threads))

    return run

"""Real processes to be looked at: copies of the Python interpreter, each with a name of its own, that do as told.

A conftest imports the fixture: ``from mig_endpoint.testing.targets import start_target``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A target obeys lines of Python on its standard input. What a test looks for must be nowhere but where the test wants
# it, not even in such a line: so tests write it backwards, and the target puts it in place byte by byte.
_OBEY = """
import ctypes, mmap, os, sys, threading, time
OWN = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
def put(memory, place, backwards):
    for index, character in enumerate(reversed(backwards)):
        memory[place + index] = ord(character)
def obey(leaderless=False):
    while leaderless and b") Z" not in open(f"/proc/self/task/{os.getpid()}/stat", "rb").read():
        time.sleep(0.01)
    print("ready", flush=True)
    for line in sys.stdin:
        exec(line, globals())
        print("done", flush=True)
def end_this_thread():
    c.syscall({"x86_64": 60}.get(os.uname().machine, 93), 0)
c = ctypes.CDLL(None)
if sys.argv[1:] == ["leaderless"]:
    threading.Thread(target=obey, args=(True,)).start()
    end_this_thread()
obey()
"""


class Target:
    """A process to look at.

    Args:
        executable: a copy of the interpreter.
        leaderless: its main thread ends at once; another one obeys.
        prefix: words before its command line, of a program that becomes it by exec.
    """

    def __init__(self, executable: Path, *, leaderless: bool = False, prefix: tuple[str, ...] = ()) -> None:
        libraries = [sysconfig.get_config_var("LIBDIR"), os.environ.get("LD_LIBRARY_PATH")]
        environment = {"PYTHONHOME": sys.base_prefix, "LD_LIBRARY_PATH": ":".join(one for one in libraries if one)}
        self.path = str(executable)
        self.process = subprocess.Popen(
            [*prefix, self.path, "-S", "-s", "-c", _OBEY, *(["leaderless"] if leaderless else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self._answer()

    @property
    def pid(self) -> int:
        """Its id."""
        return self.process.pid

    def do(self, line: str) -> str:
        """Has it execute a line of Python; what that prints is returned."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self._answer()

    def number(self, expression: str) -> int:
        """The value of an expression that gives a number."""
        return int(self.do(f"print({expression})"))

    def resident(self) -> int:
        """Its resident memory in bytes."""
        with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as file:
            return next(int(line.split()[1]) << 10 for line in file if line.startswith("Rss:"))

    def _answer(self) -> str:
        assert self.process.stdout is not None
        printed = ""
        while (line := self.process.stdout.readline()) not in ("ready\n", "done\n"):
            assert line, "the target ended"
            printed += line
        return printed.rstrip("\n")

    def close(self) -> None:
        """Kills it."""
        self.process.kill()
        self.process.communicate()


class StartTarget(Protocol):
    """The fixture's type."""

    def __call__(
        self,
        name: str = "target",
        *,
        leaderless: bool = False,
        prefix: tuple[str, ...] = (),
        folder: Path | None = None,
    ) -> Target:
        """Starts a target whose executable has this name, in a folder that others may enter if so wanted."""
        ...


@pytest.fixture
def start_target(tmp_path: Path) -> Iterator[StartTarget]:
    """Starts processes to look at; they are killed afterwards."""
    started: list[Target] = []

    def start(
        name: str = "target",
        *,
        leaderless: bool = False,
        prefix: tuple[str, ...] = (),
        folder: Path | None = None,
    ) -> Target:
        executable = (folder or tmp_path) / name
        if not executable.exists():
            shutil.copy(os.path.realpath(sys.executable), executable)
        started.append(Target(executable, leaderless=leaderless, prefix=prefix))
        return started[-1]

    yield start
    for one in started:
        one.close()

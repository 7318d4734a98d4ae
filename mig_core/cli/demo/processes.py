"""The demonstration's processes: started in order, watched, and stopped in reverse order, none left behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from mig_core.errors import MigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""
_POLL = 0.02


def program(name: str) -> str:
    """Path of one of our own programs: beside this interpreter, else on the PATH.

    Raises:
        MigError: it is not installed.
    """
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise MigError(f"{name} is not installed", next_step="pip install 'mig-core[server,cli,embedded]'")
    return found


class Processes:
    """Every process in a session of its own, its output in a file.

    All of them end when this program does, even by SIGKILL.
    """

    def __init__(self, log_folder: Path) -> None:
        self._logs = log_folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(
        self, name: str, argv: Sequence[str], *, cwd: Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Starts one; its output goes to ``NAME.log``."""
        guarded = ["setpriv", "--pdeathsig", "TERM", *argv] if shutil.which("setpriv") else list(argv)
        with (self._logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                guarded,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        self._running[name] = process
        return process

    def pid(self, name: str) -> int:
        """The process id of one that runs."""
        return self._running[name].pid

    def watched(self) -> dict[str, bool]:
        """The names of those that were started and not ended, and whether they run."""
        return {name: process.poll() is None for name, process in self._running.items()}

    def end(self, name: str, number: signal.Signals) -> None:
        """Sends one of them a signal and waits for its end; it is no longer watched."""
        process = self._running.pop(name)
        _signal(process, number)
        process.wait(30)
        _signal(process, signal.SIGKILL)  # what is left of its group

    def wait_for(self, what: str, ready: Callable[[], bool], *, seconds: float) -> None:
        """Returns when ``ready`` says so.

        Raises:
            MigError: not in time, or a process ended in the meantime; carries the end of its output.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise MigError(f"{what}: not ready after {seconds:.0f} s", next_step=f"look into {self._logs}")
            time.sleep(_POLL)

    def check(self) -> None:
        """Returns while all of them run.

        Raises:
            MigError: one has ended.
        """
        for name, process in self._running.items():
            status = process.poll()
            if status is not None:
                log = self._logs / f"{name}.log"
                tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise MigError(f"{name} ended with status {status}:\n{tail}", next_step=f"the whole output: {log}")

    def stop(self) -> None:
        """Ends all of them, the last one first."""
        for process in reversed(self._running.values()):
            _signal(process, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE)
            _signal(process, signal.SIGKILL)  # what is left of its group
            process.wait()
        self._running.clear()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)

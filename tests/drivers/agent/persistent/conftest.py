"""One supervisor after the other on a state directory, and the traces of the modules that it runs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.agent.persistent.plan import Plan
from mig_core.agent.persistent.supervisor import Supervisor
from mig_core.agent.persistent.timing import Timing
from mig_core.domain.agent import AgentFacts
from mig_core.domain.ids import AgentId
from mig_core.plugin.module import Context
from mig_core.plugin.question import ask
from mig_core.testing.eventually import eventually
from mig_core.testing.running import alive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FACTS = AgentFacts(
    AgentId("a" * 32), "web1", "1", "daemon", 1, datetime.now(UTC), environment={"os": "linux"}, tags={"team": "blue"}
)
QUICK = Timing(first_pause=0.05, longest_pause=0.2)
PINGING = replace(QUICK, ping=0.8)
"""For tests of who does not answer; on a busy machine everybody may be late."""


class Site:
    """A state directory, a folder for the modules' traces, and one supervisor after the other on them."""

    QUICK, PINGING = QUICK, PINGING

    def __init__(self, folder: Path, program: tuple[str, ...]) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.state.mkdir(mode=0o700)
        self._program = program
        self._thread: threading.Thread | None = None
        self.supervisor: Supervisor = None  # type: ignore[assignment]  # set by start()

    def start(self, timing: Timing = QUICK, **tables: dict[str, Any]) -> None:
        modules = {name: {"folder": str(self.folder), **table} for name, table in tables.items()}
        plan = Plan(modules, "sink" if "sink" in modules else "", detectors=frozenset({"detector"} & modules.keys()))
        self.supervisor = Supervisor(
            plan,
            self.state,
            facts=lambda: FACTS,
            memory_bytes=512 << 20,
            clock=lambda: datetime.now(UTC),
            program=self._program,
            timing=timing,
        )
        self._thread = threading.Thread(target=self.supervisor.run)
        self._thread.start()

    def stop(self) -> float:
        """Seconds it took."""
        began = time.monotonic()
        if self._thread is not None:
            self.supervisor.stop()
            self._thread.join()
            self._thread = None
        return time.monotonic() - began

    def pid(self, name: str) -> int:
        """Of the module's latest process."""
        return int(self.pids(name)[-1]) if self.pids(name) else 0

    def kill(self, name: str) -> None:
        """Ends the module's latest process, as soon as there is one."""
        eventually(lambda: self.pid(name))
        with contextlib.suppress(ProcessLookupError):  # it fell by itself meanwhile
            os.kill(self.pid(name), signal.SIGKILL)

    def pids(self, name: str) -> list[str]:
        return self.lines(f"{name}.pids").split()

    def lines(self, file: str) -> str:
        """The whole lines of a file that a module may be writing; empty while there is none."""
        path = self.folder / file
        text = path.read_text() if path.exists() else ""
        return text[: text.rfind("\n") + 1]

    def running(self, name: str) -> bool:
        """Whether the module has a process."""
        return self.pid(name) > 0 and alive(self.pid(name))

    def restarted(self, name: str, before: int) -> bool:
        """Whether it has had more processes than so many."""
        return len(self.pids(name)) > before

    def registered(self, name: str) -> bool:
        """Whether it may be asked."""
        with contextlib.suppress(Exception):
            return bool(self.supervisor.socket_of(name))
        return False

    def seen(self) -> list[bytes]:
        """The alerts that the detector has been shown."""
        path = self.folder / "seen"
        return path.read_bytes().splitlines() if path.exists() else []

    def complete(self, name: str, count: int) -> bool:
        """Whether each of so many alerts has come."""
        return set(self.taken(name)) >= set(range(1, count + 1))

    def sent(self, name: str = "source") -> int:
        path = self.folder / f"{name}.sent"
        return len(path.read_bytes().splitlines()) if path.exists() else 0

    def taken(self, name: str = "source") -> list[int]:
        """Numbers of the alerts in the order in which the sink got them."""
        path = self.folder / "taken"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        split = (line.split(b" ", 2) for line in lines)
        return [json.loads(raw)["n"] for _, module, raw in split if module == name.encode()]

    def settled(self, name: str, count: int) -> bool:
        """Whether so many alerts of a source have come, and are all accepted."""
        health = self.health(name)
        return (health["alerts"], health["held"]) == (count, 0)

    def health(self, name: str) -> Any:
        return self.supervisor.health()[name]

    def tell(self, word: str, *, off: bool = False) -> None:
        (self.folder / word).unlink() if off else (self.folder / word).touch()

    def question(self, name: str, parameters: Any, seconds: float = 60.0) -> Any:
        socket = self.supervisor.socket_of(name)
        return ask(Context(deadline=time.monotonic() + seconds, persist_socket=socket), parameters)


@pytest.fixture
def site(tmp_path: Path, plugin_environment: dict[str, str]) -> Iterator[Site]:
    path = f"PYTHONPATH={plugin_environment['PYTHONPATH']}"
    site = Site(tmp_path, ("env", path, sys.executable, "-m", "mig_core.agent.main"))
    yield site
    site.stop()

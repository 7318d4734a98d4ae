"""The agent's side of a persistent module that watches something, for tests of such modules."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mig_core.domain.result import ModuleResult
    from mig_core.plugin.persistent import Incoming


class CollectingService:
    """The agent's side of a persistent module, in memory: keeps alerts as they would travel."""

    def __init__(self, config: Mapping[str, Any], state: Path) -> None:
        self.config = config
        self.hostname = "endpoint"
        self.environment: Mapping[str, Any] = {}
        self.tags: Mapping[str, str] = {}
        self.state = state
        self.stopping = threading.Event()
        self.logged: list[tuple[int, str]] = []
        self.last_status: Mapping[str, Any] = {}
        self.handler: Callable[[object], ModuleResult] | None = None
        self.full = threading.Event()
        """While set, alerts are not taken, as when the window is full."""
        self.refused = 0
        """Times that an alert was not taken."""
        self.arrived = threading.Condition()
        self.alerts: list[dict[str, Any]] = []
        self.failure: BaseException | None = None
        """What ended the module; :meth:`wait_for` raises it."""

    def log(self, level: int, message: str) -> None:
        """Keeps a line."""
        self.logged.append((level, message))

    def status(self, status: Mapping[str, Any]) -> None:
        """Keeps the last one."""
        self.last_status = dict(status)

    def alert(self, alert: Mapping[str, Any], *, timeout: float | None = None) -> bool:
        """Keeps it as it would travel: as JSON of at most 1 MiB; False while ``full`` is set."""
        if self.full.is_set():
            self.refused += 1
            self.stopping.wait(timeout)
            return False
        line = json.dumps(alert, ensure_ascii=False)
        assert len(line.encode("utf-8")) < 1 << 20
        with self.arrived:
            self.alerts.append(json.loads(line))
            self.arrived.notify_all()
        return True

    def answer_with(self, handler: Callable[[object], ModuleResult]) -> None:
        """Keeps who answers questions."""
        self.handler = handler
        with self.arrived:
            self.arrived.notify_all()

    def take_alerts(self, handler: Callable[[Sequence[Incoming]], None]) -> None:
        """For those that forward; this is for those that watch."""
        raise NotImplementedError

    def wait_for(self, happened: Callable[[], object], seconds: float = 60.0) -> None:
        """Waits until something holds, looking again at each alert."""
        deadline = time.monotonic() + seconds
        with self.arrived:
            while not happened():
                if self.failure is not None:
                    raise self.failure
                if time.monotonic() > deadline:
                    told = "\n".join(str(one)[:400] for one in self.alerts[-8:])
                    raise AssertionError(f"did not happen; {len(self.alerts)} alerts, log {self.logged[-3:]}\n{told}")
                self.arrived.wait(0.1)

    def of_type(self, name: str) -> list[dict[str, Any]]:
        """The alerts of one type."""
        return [one for one in self.alerts if one["type"] == name]

"""What the tests of this plugin share: a service that collects, and a watch that runs in a thread."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from mig_fswatch import FswatchModule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
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
        self.arrived = threading.Condition()
        self.alerts: list[dict[str, Any]] = []
        self.failure: BaseException | None = None

    def log(self, level: int, message: str) -> None:
        self.logged.append((level, message))

    def status(self, status: Mapping[str, Any]) -> None:
        self.last_status = dict(status)

    def alert(self, alert: Mapping[str, Any], *, timeout: float | None = None) -> bool:
        if self.full.is_set():
            self.stopping.wait(timeout)
            return False
        line = json.dumps(alert, ensure_ascii=False)
        assert len(line.encode("utf-8")) < 1 << 20
        with self.arrived:
            self.alerts.append(json.loads(line))
            self.arrived.notify_all()
        return True

    def answer_with(self, handler: Callable[[object], ModuleResult]) -> None:
        self.handler = handler

    def take_alerts(self, handler: Callable[[Sequence[Incoming]], None]) -> None:
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
        return [one for one in self.alerts if one["type"] == name]

    def about(self, path: object) -> list[dict[str, Any]]:
        """The alerts for one path, also those that are folded, the short form of it."""
        single = [one for one in self.of_type("file_change") if one["path"] == str(path)]
        folded = [
            short
            for alert in self.alerts
            if alert["type"] in ("file_changes", "package_changes")
            for short in alert["changes"]
            if short["path"] == str(path)
        ]
        return single + folded

    def told(self, path: object, change: str) -> dict[str, Any]:
        """Waits for a change of a path; gives its alert."""
        self.wait_for(lambda: any(one["change"] == change for one in self.about(path)))
        return next(one for one in self.about(path) if one["change"] == change)


@contextlib.contextmanager
def running(service: CollectingService) -> Iterator[CollectingService]:
    """The module serving, past its first comparison."""

    def serve() -> None:
        try:
            FswatchModule().serve(service)
        except BaseException as error:
            service.failure = error

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        service.wait_for(lambda: service.of_type("baseline") or service.of_type("comparison"))
        service.wait_for(lambda: service.last_status.get("compared"))
        yield service
    finally:
        service.stopping.set()
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def watched(tmp_path: Path) -> Path:
    folder = tmp_path / "watched"
    folder.mkdir()
    return folder


@pytest.fixture
def method(request: pytest.FixtureRequest) -> str:
    """Which of the kernel's interfaces is used: tests that depend on it name both."""
    return str(getattr(request, "param", "auto"))


@pytest.fixture
def make_service(state: Path) -> Callable[..., CollectingService]:
    def make(**config: Any) -> CollectingService:
        return CollectingService(config, state)

    return make


@pytest.fixture
def run_service() -> Callable[[CollectingService], AbstractContextManager[CollectingService]]:
    return running


@pytest.fixture
def start_watch(state: Path, method: str) -> Callable[..., AbstractContextManager[CollectingService]]:
    """Starts the module on some paths."""

    def start(*paths: object, **settings: Any) -> AbstractContextManager[CollectingService]:
        config = {"paths": [str(one) for one in paths], "method": method, **settings}
        return running(CollectingService(config, state))

    return start

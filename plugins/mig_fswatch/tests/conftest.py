"""What the tests of this plugin share: a service that collects, and a watch that runs in a thread."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.testing.persistent_service import CollectingService
from mig_fswatch import FswatchModule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path


class WatchService(CollectingService):
    """What the tests ask of the alerts of this module."""

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
def running(service: WatchService) -> Iterator[WatchService]:
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
def make_service(state: Path) -> Callable[..., WatchService]:
    def make(**config: Any) -> WatchService:
        return WatchService(config, state)

    return make


@pytest.fixture
def run_service() -> Callable[[WatchService], AbstractContextManager[WatchService]]:
    return running


@pytest.fixture
def start_watch(state: Path, method: str) -> Callable[..., AbstractContextManager[WatchService]]:
    """Starts the module on some paths."""

    def start(*paths: object, **settings: Any) -> AbstractContextManager[WatchService]:
        config = {"paths": [str(one) for one in paths], "method": method, **settings}
        return running(WatchService(config, state))

    return start

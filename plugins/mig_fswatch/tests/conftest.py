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
        """The alerts for one path in their order, also those that are folded, the short form of it."""
        told = [
            one
            for alert in list(self.alerts)
            if alert["type"] in ("file_change", "file_changes", "package_changes")
            for one in alert.get("changes", [alert])
        ]
        return [one for one in told if one["path"] == str(path)]

    def last(self, path: object, sha256: str) -> dict[str, Any]:
        """Waits until the last alert for a path tells of this content; gives it.

        A file is empty for a moment between its opening and the writing, and on a busy machine the module may look then
        and tell of that first.
        """
        self.wait_for(lambda: any(_content(one) == sha256 for one in self.about(path)[-1:]))
        return self.about(path)[-1]

    def told(self, path: object, change: str) -> dict[str, Any]:
        """Waits for a change of a path; gives its alert."""
        self.wait_for(lambda: any(one["change"] == change for one in self.about(path)))
        return next(one for one in self.about(path) if one["change"] == change)


def _content(alert: dict[str, Any]) -> object:
    return alert.get("after", alert).get("sha256")


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
        thread.join(60)
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

"""A process that watches, to be killed: ``watching_child.py STATE ALERTS PATH``. Alerts are lines of a file."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mig_fswatch import FswatchModule

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Service:
    """As much of a service as it takes."""

    def __init__(self, state: str, alerts: str, path: str) -> None:
        self.config = {"paths": [path]}
        self.state = Path(state)
        self.stopping = threading.Event()
        self._alerts = open(alerts, "a", encoding="utf-8")  # noqa: SIM115 - open until it is killed

    def log(self, level: int, message: str) -> None:
        pass

    def status(self, status: Mapping[str, Any]) -> None:
        pass

    def answer_with(self, handler: object) -> None:
        pass

    def alert(self, alert: Mapping[str, Any], *, timeout: float | None = None) -> bool:
        self._alerts.write(json.dumps(alert) + "\n")
        self._alerts.flush()
        return True


if __name__ == "__main__":
    FswatchModule().serve(_Service(*sys.argv[1:]))  # type: ignore[arg-type]  # it takes no alerts

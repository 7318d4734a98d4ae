"""A process that watches, to be killed: ``watching_child.py STATE ALERTS PATH``. Alerts are lines of a file."""

from __future__ import annotations

import json
import os
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
        self._alerts = os.open(alerts, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        # The last process may have been killed in the middle of an alert, which so nobody has taken.
        os.ftruncate(self._alerts, os.pread(self._alerts, 1 << 30, 0).rfind(b"\n") + 1)

    def log(self, level: int, message: str) -> None:
        pass

    def status(self, status: Mapping[str, Any]) -> None:
        pass

    def answer_with(self, handler: object) -> None:
        pass

    def alert(self, alert: Mapping[str, Any], *, timeout: float | None = None) -> bool:
        os.write(self._alerts, json.dumps(alert).encode() + b"\n")
        return True


if __name__ == "__main__":
    FswatchModule().serve(_Service(*sys.argv[1:]))  # type: ignore[arg-type]  # it takes no alerts

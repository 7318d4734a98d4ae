"""A dispatch in a process of its own, to be killed: lines of alerts on standard input, acknowledgements on standard
output. ``python serving_child.py STATE CONFIG``.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from mig_core.plugin.persistent import Incoming
from mig_dispatch import DispatchModule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mig_core.domain.document import JSON
    from mig_core.domain.result import ModuleResult


class PipeService:
    """A service at the core's protocol."""

    def __init__(self, state: Path, config: Mapping[str, JSON]) -> None:
        self.state = state
        self.config = config
        self.hostname = "web1.example"
        self.environment: Mapping[str, JSON] = {}
        self.tags: Mapping[str, str] = {}
        self.stopping = threading.Event()
        self._answerer: Callable[[object], ModuleResult] | None = None

    def log(self, level: int, message: str) -> None:
        """Nowhere."""

    def status(self, status: Mapping[str, JSON]) -> None:
        """Nowhere."""

    def alert(self, alert: Mapping[str, JSON], *, timeout: float | None = None) -> bool:
        """Not here."""
        raise NotImplementedError

    def answer_with(self, handler: Callable[[object], ModuleResult]) -> None:
        """Kept for ``ask`` lines."""
        self._answerer = handler

    def take_alerts(self, handler: Callable[[Sequence[Incoming]], None]) -> None:
        """Reads lines in a thread."""
        threading.Thread(target=self._read, args=(handler,), daemon=True).start()

    def _read(self, handler: Callable[[Sequence[Incoming]], None]) -> None:
        for line in sys.stdin.buffer:
            message = json.loads(line)
            if message == "ask":
                assert self._answerer is not None
                self._say(self._answerer({}).to_json())
                continue
            handler([Incoming(number, "audit", b'{"n":%d}' % number) for number in message])
            self._say(message[-1])
        self.stopping.set()

    def _say(self, answer: object) -> None:
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    DispatchModule().serve(PipeService(Path(sys.argv[1]), json.loads(sys.argv[2])))

"""The last answers that this agent gave up, and why: the platform is told with each heartbeat, restarts or not."""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mig_core.domain.times import format_time
from mig_core.durable import replace_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mig_core.domain.document import JSON
    from mig_core.domain.ids import CommandId

log = logging.getLogger(__name__)

MOST = 20
DAYS = 7
"""Older ones are not told any more."""
_MAX_REASON = 500


class LostAnswers:
    """A few lines in a file. Thread-safe.

    Args:
        path: the file.
        clock: seconds since 1970.
    """

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._lines: deque[dict[str, JSON]] = deque(self._read(), maxlen=MOST)

    def add(self, command: CommandId, reason: str) -> None:
        """Notes one. Never raises: what cannot be noted is still told until the agent ends."""
        line: dict[str, JSON] = {"command": command, "reason": reason[:_MAX_REASON], "at": self._now()}
        with self._lock:
            self._lines.append(line)
            try:
                replace_file(self._path, json.dumps(list(self._lines)).encode("ascii"))
            except OSError as error:
                log.error("%s cannot be written: %s", self._path, error)

    def lines(self) -> list[JSON]:
        """Those of the last days: ``command``, ``reason``, ``at``."""
        oldest = format_time(datetime.fromtimestamp(max(0.0, self._clock() - DAYS * 86400), UTC))
        with self._lock:
            return [dict(line) for line in self._lines if str(line.get("at", "")) >= oldest]

    def _now(self) -> str:
        return format_time(datetime.fromtimestamp(int(self._clock()), UTC))

    def _read(self) -> list[dict[str, JSON]]:
        try:
            lines = json.loads(self._path.read_bytes()[: 64 << 10])
        except FileNotFoundError:
            return []
        except (OSError, ValueError, RecursionError) as error:
            log.warning("%s cannot be read and begins anew: %s", self._path, error)
            return []
        return [line for line in lines if isinstance(line, dict)] if isinstance(lines, list) else []

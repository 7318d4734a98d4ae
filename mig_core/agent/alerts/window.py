"""The alerts that a source has under way: what bounds them, and what becomes of them when the process ends.

In the process of a persistent module. An alert stays here until the agent says that the sink has it on disk. What is
left when the process ends in good order is kept in a file and comes first the next time.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from mig_core.agent.alerts.lines import MAX_ALERT_BYTES, from_source
from mig_core.durable import remove_file, replace_file
from mig_core.plugin.persistent import WINDOW, WINDOW_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger(__name__)


class AlertWindow:
    """Numbers alerts, sends them, keeps them until they are accepted. Thread-safe.

    Args:
        write: sends a line; False when the agent is gone.
        path: keeps what is left at the end.
    """

    def __init__(self, write: Callable[[bytes], bool], path: Path) -> None:
        self._write = write
        self._path = path
        self._changed = threading.Condition()
        self._kept: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._last = 0
        self._restored = 0
        """The last id of what came from the file; the file is removed when that is accepted."""
        self._closing = False
        self._gone = False

    def restore(self) -> int:
        """Sends what the last process left; how many that were. Called once, before anything is sent."""
        try:
            lines = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return 0
        for raw in filter(None, lines):
            if _is_object(raw):
                with self._changed:
                    self._send(raw)
            else:
                log.error("%s holds a line that is no alert; it is left out", self._path)
        self._restored = self._last
        if not self._restored:
            remove_file(self._path)
        return self._restored

    def send(self, raw: bytes, timeout: float | None) -> bool:
        """Takes an alert when there is room; False when there was none in time, or at the end."""
        with self._changed:
            if not self._has_room(len(raw)):
                end = None if timeout is None else time.monotonic() + timeout
                while not self._closing and not self._has_room(len(raw)):
                    left = None if end is None else end - time.monotonic()
                    if left is not None and left <= 0:
                        break
                    self._changed.wait(left)
                if not self._has_room(len(raw)):
                    return False
            self._send(raw)
            return True

    def accepted(self, through: int) -> None:
        """Forgets what is safe elsewhere now."""
        with self._changed:
            while self._kept and self._kept[0][0] <= through:
                self._bytes -= len(self._kept.popleft()[1])
            if self._restored and through >= self._restored:
                self._restored = 0
                remove_file(self._path)
            self._changed.notify_all()

    def close(self, *, gone: bool) -> None:
        """Nobody waits for room any more. ``gone``: nor does anybody read what is sent."""
        with self._changed:
            self._closing = True
            self._gone = self._gone or gone
            self._changed.notify_all()

    def finish(self, seconds: float) -> int:
        """Waits until all is accepted, at most so long, and keeps the rest in the file; how many that are.

        Raises:
            OSError: they could not be kept.
        """
        end = time.monotonic() + seconds
        with self._changed:
            while self._kept and not self._gone and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)
            rest = [raw for _, raw in self._kept]
        if rest:
            replace_file(self._path, b"\n".join(rest) + b"\n")
        else:
            remove_file(self._path)
        return len(rest)

    def _has_room(self, size: int) -> bool:
        return not self._kept or (len(self._kept) < WINDOW and self._bytes + size <= WINDOW_BYTES)

    def _send(self, raw: bytes) -> None:
        self._last += 1
        self._kept.append((self._last, raw))
        self._bytes += len(raw)
        if not self._gone and not self._write(from_source(self._last, raw)):
            self._gone = True


def _is_object(raw: bytes) -> bool:
    if len(raw) > MAX_ALERT_BYTES:
        return False
    try:
        return isinstance(json.loads(raw), dict)
    except (ValueError, RecursionError):
        return False

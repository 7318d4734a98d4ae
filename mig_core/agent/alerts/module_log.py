"""What persistent modules say, in the agent's log: ``[name] text``, bounded in length and number."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mig_core.text import excerpt

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("mig_core.agent.module")

_MAX_CHARACTERS = 4000
_MAX_ALERT_CHARACTERS = 2000
_BURST = 200
_PER_SECOND = 20.0


class ModuleLog:
    """The lines of one module.

    Args:
        name: the module's.
        clock: seconds that only grow.
    """

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self._name = name
        self._clock = clock
        self._allowed = float(_BURST)
        self._counted = clock()
        self._left_out = 0

    def say(self, level: int, text: str) -> None:
        """Writes a line, unless there have been too many; their number is written then."""
        now = self._clock()
        self._allowed = min(float(_BURST), self._allowed + (now - self._counted) * _PER_SECOND)
        self._counted = now
        if self._allowed < 1:
            self._left_out += 1
            return
        self._allowed -= 1
        if self._left_out:
            log.warning("[%s] %d lines were left out", self._name, self._left_out)
            self._left_out = 0
        log.log(min(max(level, logging.DEBUG), logging.CRITICAL), "[%s] %s", self._name, excerpt(text, _MAX_CHARACTERS))

    def alert(self, raw: bytes) -> None:
        """Writes an alert that no sink takes. None is left out: this is the only place where it will be."""
        text = raw[: 4 * _MAX_ALERT_CHARACTERS].decode("utf-8", "replace")
        log.warning("[%s] alert: %s", self._name, excerpt(text, _MAX_ALERT_CHARACTERS))

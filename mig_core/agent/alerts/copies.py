"""Copies of sources' alerts for one detector: a module that looks at them and may send alerts of its own.

An alert is never held back for a detector: its own way to the sink goes on whatever the detector does. So what waits
for it is bounded, and what does not fit is counted and told to it, as an alert of the module ``agent`` with the type
``alerts_missed``. What it was given and has not accepted comes again after a restart. Used by the supervisor's thread
alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.agent.alerts.queue import AlertQueue, Lane

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST = 50_000
"""Alerts that wait for a detector at most."""
MOST_BYTES = 32 << 20
NOTICE = b"agent"
"""The module that a notice of missed alerts comes from; no module has this name."""


class AlertCopies:
    """What waits for one detector.

    Args:
        first: the number before the first copy's.
    """

    def __init__(self, first: int) -> None:
        self._queue = AlertQueue(first)
        self._lanes: dict[bytes, Lane] = {}
        self._untold = 0
        self.missed = 0
        """Alerts it was not given, since the agent started."""

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, module: bytes, raw: bytes) -> None:
        """A source has sent an alert; copied if there is room."""
        waiting = sum(lane.held_bytes for lane in self._lanes.values())
        if len(self._queue) >= MOST or waiting + len(raw) > MOST_BYTES:
            self.missed += 1
            self._untold += 1
            return
        if self._untold:
            self._add(NOTICE, b'{"type":"alerts_missed","count":%d}' % self._untold)
            self._untold = 0
        self._add(module, raw)

    def take(self) -> bytes:
        """Lines for the detector, as many as its window and one write have room for."""
        return self._queue.take()

    def accepted(self, through: int) -> None:
        """It is done with everything up to this number."""
        self._queue.accepted(through)

    def again(self) -> None:
        """It has been restarted."""
        self._queue.again()

    def health(self) -> Mapping[str, int]:
        """For the heartbeat: how many wait, how many it was not given."""
        return {"unseen": len(self._queue), "missed": self.missed}

    def _add(self, module: bytes, raw: bytes) -> None:
        lane = self._lanes.setdefault(module, Lane(module))
        self._queue.put(lane, 0, raw)

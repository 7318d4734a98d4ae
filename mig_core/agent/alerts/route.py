"""Where an alert goes from a source's pipe: into the queue for the sink, or, where there is no sink, into the log.

Also keeps what only the agent has (:mod:`mig_core.agent.alerts.held`). Used by the supervisor's thread alone.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from mig_core.agent.alerts.module_log import ModuleLog
from mig_core.agent.alerts.queue import AlertQueue, Lane

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.agent.alerts.held import HeldAlerts

log = logging.getLogger(__name__)


class AlertRoute:
    """The way of all alerts.

    Args:
        held: on disk, what nobody else has.
        has_sink: whether a module takes alerts; if none does they are logged, and accepted with that.
        first: the number before the first alert's.
    """

    def __init__(self, held: HeldAlerts, *, has_sink: bool, first: int) -> None:
        self.queue = AlertQueue(first)
        self._held = held
        self._has_sink = has_sink
        self._logs: dict[bytes, ModuleLog] = {}

    def recover(self) -> Iterator[tuple[str, Lane]]:
        """Takes what an earlier agent held; yields module and lane of what is on its way to the sink now."""
        for name, alerts in self._held.load():
            lane = Lane(name.encode("ascii", "replace"), orphaned=True)
            for identifier, raw in enumerate(filter(None, alerts), 1):
                self.take(lane, identifier, raw)
            if lane.held:
                log.info("%d alerts of the module %s are left from before", lane.held, name)
                yield name, lane
            else:
                self._held.forget(name)

    def take(self, lane: Lane, identifier: int, raw: bytes) -> None:
        """An alert has come."""
        if self._has_sink:
            self.queue.put(lane, identifier, raw)
            return
        if lane.module not in self._logs:
            self._logs[lane.module] = ModuleLog(lane.module.decode("ascii", "replace"), time.monotonic)
        self._logs[lane.module].alert(raw)
        lane.accepted = identifier

    def accepted(self, through: int) -> None:
        """The sink has everything up to this number."""
        for lane in self.queue.accepted(through):
            if lane.orphaned and not lane.held and next(self.queue.orphans(lane.module), None) is None:
                self._held.forget(lane.module.decode("ascii", "replace"))

    def source_ended(self, lane: Lane, *, kept: bool) -> None:
        """A source's process is gone; ``kept``: it has what it had under way in its own folder."""
        if lane.held and not kept:
            lane.orphaned = True
            self._held.keep(lane.module.decode("ascii", "replace"), self.queue.orphans(lane.module))

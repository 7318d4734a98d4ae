"""What the supervisor knows of one persistent module, across the processes it has had: state, restarts, health."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING

from mig_core.agent.alerts.module_log import ModuleLog
from mig_core.domain.times import format_time
from mig_core.network.backoff import Backoff
from mig_core.plugin.persistent import WINDOW, WINDOW_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mig_core.agent.alerts.copies import AlertCopies
    from mig_core.agent.alerts.queue import Lane
    from mig_core.agent.persistent.supervised import Supervised
    from mig_core.agent.persistent.timing import Timing
    from mig_core.domain.document import JSON


class State(StrEnum):
    """How a persistent module stands."""

    RUNNING = "running"
    """Its process runs, and answered its last pings."""
    WAITING = "waiting"
    """Its process has ended; the next one comes after a pause."""
    STOPPED = "stopped"
    """The agent stops, or has just begun."""
    MISCONFIGURED = "misconfigured"
    """Its table in the settings cannot be used; it is not started."""


class ModuleRecord:
    """One module. Changed by the supervisor's thread; ``health`` may be read from any."""

    def __init__(
        self,
        name: str,
        takes_alerts: bool,
        timing: Timing,
        clock: Callable[[], datetime],
        copies: AlertCopies | None = None,
    ) -> None:
        self.name = name
        self.state = State.STOPPED
        self.process: Supervised | None = None
        self.restarts = 0
        self.last_error = ""
        self.alerts = 0
        """Taken from its processes since the agent started."""
        self.status: dict[str, JSON] = {}
        self.log = ModuleLog(name, time.monotonic)
        self.lanes: list[Lane] = []
        """Of earlier processes, as long as the sink has not accepted all of their alerts."""
        self.copies = copies
        """What waits for it, if it is a detector."""
        self._takes_alerts = takes_alerts
        self._timing = timing
        self._clock = clock
        self._since = clock()
        self._backoff = Backoff(timing.first_pause, timing.longest_pause)
        self._started = 0.0
        self._next_start = 0.0
        self._next_ping = 0.0
        self._pings = 0
        self._silent_since = 0.0

    def health(self) -> dict[str, JSON]:
        """As the heartbeat reports it."""
        process = self.process
        held = sum(lane.held for lane in tuple(self.lanes)) + (process.lane.held if process else 0)
        return {
            "state": self.state.value,
            "since": format_time(self._since),
            "pid": process.pid if process else 0,
            "restarts": self.restarts,
            "last_error": self.last_error,
            "takes_alerts": self._takes_alerts,
            "alerts": self.alerts,
            "held": held,
            "status": self.status,
            **(self.copies.health() if self.copies is not None else {}),
        }

    def may_start(self, now: float) -> bool:
        """Whether its pause is over, and what earlier processes left is not too much to begin with more."""
        self.lanes = [lane for lane in self.lanes if lane.held]
        left, left_bytes = sum(lane.held for lane in self.lanes), sum(lane.held_bytes for lane in self.lanes)
        return now >= self._next_start and left <= WINDOW // 2 and left_bytes <= WINDOW_BYTES // 2

    def started(self, process: Supervised, now: float) -> None:
        """It has a process."""
        self.process = process
        self.state, self._since = State.RUNNING, self._clock()
        self._started = now
        self._next_ping = now + self._timing.ping

    def running_for(self, now: float) -> float:
        """Seconds since its process was started."""
        return now - self._started

    def not_started(self, why: str, now: float) -> None:
        """It could not be given one."""
        self.last_error = why
        self.state = State.WAITING
        self._next_start = now + self._backoff.next()

    def ended(self, why: str, now: float) -> None:
        """Its process has ended; ``why`` is empty when it was meant to."""
        if self.process is not None:
            self.lanes.append(self.process.lane)
        self.process = None
        self._silent_since = 0.0
        self.state, self._since = State.WAITING if why else State.STOPPED, self._clock()
        if why:
            self.last_error = why[:1000]
            self.restarts += 1
        if self.running_for(now) > self._timing.settled:
            self._backoff.reset()
        self._next_start = now + self._backoff.next()

    def ping_due(self, now: float) -> bool:
        """Whether it is to be pinged."""
        return now >= self._next_ping

    def next_ping(self, now: float) -> int:
        """The number of the ping that is sent now."""
        self._pings += 1
        self._next_ping = now + self._timing.ping
        return self._pings

    def silent_since(self, now: float) -> float:
        """Seconds since this was first asked: how long its standard output has been closed."""
        self._silent_since = self._silent_since or now
        return now - self._silent_since

    def due(self, now: float) -> float:
        """When it needs attention next."""
        if self.process is not None:
            return min(self._next_ping, now + 0.05) if self.process.messages.ended else self._next_ping
        # Held back by what earlier processes left: looked at again now and then.
        return max(self._next_start, now + 0.25)

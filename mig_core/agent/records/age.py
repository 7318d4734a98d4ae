"""How long ago things happened, by what nobody can set: the kernel's time since its start (CLOCK_BOOTTIME).

A clock can be anywhere: no battery, a wrong hand, a server of time that lies. What the journal forgets it forgets for
good, so it never goes by one look at a clock. :class:`Age` keeps two times that can only be behind:

* ``lived``: seconds that have certainly passed, added up over restarts. Time in which the machine was off is missing.
* ``sure``: a moment that has certainly come. It goes with ``lived``, never past the clock, and catches up with the
  clock only by as much as every look at it for a day of ``lived`` agreed to.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from mig_core.domain.times import format_time, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mig_core.domain.document import JSON

AGREEMENT = timedelta(days=1)
"""How long the clock must be ahead, by every look at it, before it is believed."""


@dataclass(frozen=True, slots=True)
class Uptime:
    """How long the kernel has been running. ``boot`` is another at each start of the machine."""

    boot: str
    seconds: float


def uptime() -> Uptime:
    """The machine's, suspended time included; where the system does not tell, this process's own."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return Uptime(file.read(64).strip(), time.clock_gettime(time.CLOCK_BOOTTIME))
    except (OSError, AttributeError):
        return Uptime(f"process {os.getpid()}", time.monotonic())


class Age:
    """The two times. Not thread-safe: the journal holds a lock.

    Args:
        now: by the clock.
        read: the kernel's time.
        saved: what :meth:`to_json` gave before.

    Raises:
        ValueError, KeyError, TypeError: ``saved`` is not that.
    """

    def __init__(
        self, now: datetime, *, read: Callable[[], Uptime] = uptime, saved: Mapping[str, JSON] | None = None
    ) -> None:
        self._read = read
        self._uptime = read()
        self.lived, self.sure = 0.0, now
        self._since, self._least = 0.0, timedelta(0)
        if saved is not None:
            self.lived, self.sure = float(str(saved["lived"])), parse_time(saved["sure"])
            self._since, self._least = float(str(saved["since"])), timedelta(seconds=float(str(saved["least"])))
            self._uptime = Uptime(str(saved["boot"]), float(str(saved["uptime"])))
        self.look(now)

    def look(self, now: datetime) -> None:
        """Takes in what the kernel and the clock say now."""
        found = self._read()
        # After a new start of the machine, at least the time since then has passed.
        before = self._uptime.seconds if found.boot == self._uptime.boot else 0.0
        passed = max(0.0, found.seconds - before)
        self._uptime = found
        self.lived += passed
        self.sure = min(now, self.sure + timedelta(seconds=passed))
        self._least = min(self._least, now - self.sure)
        if self.lived - self._since >= AGREEMENT.total_seconds():
            self.sure += self._least
            self._since, self._least = self.lived, now - self.sure

    def to_json(self) -> dict[str, JSON]:
        """What is to be saved."""
        return {
            "lived": self.lived,
            "sure": format_time(self.sure),
            "since": self._since,
            "least": self._least.total_seconds(),
            "boot": self._uptime.boot,
            "uptime": self._uptime.seconds,
        }

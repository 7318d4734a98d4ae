"""Counts what did not make it, and says so: gaps in the serials, the kernel's own counter, our queue, our absence.

They overlap (what the kernel drops may show as a gap too), so they are never added up. The kernel's counter grows by
one for an event that finds the backlog full (it gets no serial then, so there is no gap), and by one for each single
record that is lost later, by its rate limit for instance (then there may be a gap, or an event without that record). A
gap is an event of which no record at all arrived. From both follow bounds for the number of events:
:meth:`Losses.bounds`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mig_core.domain.document import JSON

SETTLE = 5.0
"""Seconds after which a serial that is missing counts: records of different processors may overtake one another."""
MAX_TRACKED = 10_000
"""Missing serials that are waited for one by one; a wider gap counts at once."""
MAX_RANGES = 20
_WRAP = 1 << 32


@dataclass(slots=True)
class Counters:
    """Totals since the module's start."""

    kernel_lost: int = 0
    """The growth of the kernel's own counter: whole events or single records, it does not say which."""
    missing_events: int = 0
    """Events whose serial never came."""
    incomplete_events: int = 0
    """Events that came without a record that their kind has, or without their end."""
    queue_records: int = 0
    """Records that we dropped, because events left too slowly and the queue was full."""
    unsent_events: int = 0
    """Events that were made and not taken (the module was to stop)."""
    absent_events: int = 0
    """Events that happened, at most, while no module watched: between a kill and the next start."""
    overruns: int = 0
    """Times that the kernel found the socket's buffer full (multicast)."""
    ownership: int = 0
    """Times that the kernel had dropped us as its audit daemon."""

    def to_json(self) -> dict[str, JSON]:
        """The JSON form."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


class Gaps:
    """Finds serials that never came."""

    def __init__(self) -> None:
        self.highest = 0
        self._missing: dict[int, float] = {}
        self._wide: list[tuple[int, int]] = []

    def see(self, serial: int, now: float) -> None:
        """A serial has come; ``now`` in seconds."""
        expected = self.highest + 1
        if serial == expected or not self.highest:
            self.highest = serial
        elif serial > expected:
            if serial - expected > MAX_TRACKED:
                self._wide.append((expected, serial - 1))
            else:
                self._missing.update(dict.fromkeys(range(expected, serial), now))
            self.highest = serial
        elif expected - serial > _WRAP // 2:
            self.highest = serial  # 32 bits were full
        else:
            self._missing.pop(serial, None)

    def earliest(self) -> int:
        """The first serial that is still waited for; 0 when there is none."""
        return next(iter(self._missing), 0)

    def settled(self, now: float) -> list[tuple[int, int]]:
        """The ranges of serials that are given up, each once."""
        ranges, self._wide = self._wide, []
        while self._missing:
            serial, since = next(iter(self._missing.items()))
            if since > now - SETTLE and len(self._missing) <= MAX_TRACKED:
                break
            del self._missing[serial]
            if ranges and ranges[-1][1] == serial - 1:
                ranges[-1] = (ranges[-1][0], serial)
            else:
                ranges.append((serial, serial))
        return ranges


class Losses:
    """All counters, and the events that tell of their growth."""

    def __init__(self) -> None:
        self.total = Counters()
        self.gaps = Gaps()
        self._told = Counters()
        self._kernel_base: int | None = None
        self._ranges: list[tuple[int, int]] = []

    def kernel(self, lost: int) -> None:
        """The kernel's counter now."""
        if self._kernel_base is None or lost < self._kernel_base:  # somebody has reset it
            self._kernel_base = lost if self._kernel_base is None else 0
        self.total.kernel_lost += lost - self._kernel_base
        self._kernel_base = lost

    def absence(self, first: int, last: int) -> None:
        """No module watched while these serials were given."""
        self.total.absent_events += last - first + 1
        self._ranges.append((first, last))

    def settle(self, now: float) -> None:
        """Counts gaps that are old enough."""
        for first, last in self.gaps.settled(now):
            self.total.missing_events += last - first + 1
            self._ranges.append((first, last))

    def bounds(self) -> tuple[int, int]:
        """How many events, at least and at most, are lost as a whole since the module's start, without its absences."""
        total = self.total
        elsewhere = total.queue_records or total.overruns or total.unsent_events
        least = total.missing_events + total.unsent_events
        if elsewhere:  # a gap may be ours: the kernel may have lost others
            return least, least + total.kernel_lost
        # Each event of a gap has cost the kernel's counter one at least: what remains may be an event each.
        return least, max(least, total.kernel_lost)

    def event(self, time_text: str, schema: int) -> dict[str, JSON] | None:
        """An event that tells what was lost since the last one; None when nothing was."""
        grown: dict[str, JSON] = {}
        for one in fields(Counters):
            more = getattr(self.total, one.name) - getattr(self._told, one.name)
            if more:
                grown[one.name] = more
                setattr(self._told, one.name, getattr(self.total, one.name))
        if not grown:
            return None
        ranges, self._ranges = self._ranges, []
        serials: list[JSON] = [[first, last] for first, last in ranges[:MAX_RANGES]]
        least, most = self.bounds()
        return {
            "schema": schema,
            "type": "audit_loss",
            "time": time_text,
            "lost": grown,
            "total": self.total.to_json(),
            "lost_events": {"at_least": least, "at_most": most},
            "serials": serials,
        }

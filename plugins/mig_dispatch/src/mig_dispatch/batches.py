"""What a sink's thread has in hand: records that were read, the alerts they go out as, and what became of each.

Usually a record is an alert. Where the sink chooses, some are nobody's; where it aggregates, one alert stands for many.
A sink settles alerts; receipts count records, in the order of the spool. A batch is what brings the two together: its
records have each a fate, and what may go into the receipt is the front part of which all fates are known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mig_dispatch.record import Alert

MAX_RECORDS = 100_000
MAX_BYTES = 4 << 20
"""What a batch may hold: beyond it, more of the same begin a new count."""


class Fate(IntEnum):
    """What became of a record."""

    WAITING = 0
    DELIVERED = 1
    MERGED = 2
    DEAD = 3
    UNWANTED = 4


@dataclass(frozen=True, slots=True)
class Settlement:
    """What goes into the receipt: so many records of each fate, all before record ``following``."""

    following: int
    delivered: int = 0
    merged: int = 0
    dead: int = 0
    unwanted: int = 0

    @property
    def records(self) -> int:
        """All of them."""
        return self.delivered + self.merged + self.dead + self.unwanted


class Batch:
    """Records in the order of the spool. Not thread-safe."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._received: list[str] = []
        self._fates = bytearray()
        self._alerts: list[Alert] = []
        self._members: list[list[int]] | None = []
        """Of each alert the places of its records; None: an alert is a record, all along."""
        self._places: dict[bytes, int] = {}
        self._sent = 0
        self._settled = 0
        self._bytes = 0
        self.oldest = ""
        """When the first record came that is not settled."""

    @property
    def full(self) -> bool:
        """Whether nothing more fits."""
        return len(self._numbers) >= MAX_RECORDS or self._bytes >= MAX_BYTES

    @property
    def empty(self) -> bool:
        """Whether everything in it is settled."""
        return self._settled == len(self._numbers)

    def leave_out(self, alert: Alert) -> None:
        """Adds a record the sink is not meant to get."""
        self._add(alert, Fate.UNWANTED)

    def take_all(self, alerts: Sequence[Alert]) -> None:
        """Adds records that are alerts of their own, to an empty batch; cheaper than one by one."""
        self._alerts += alerts
        self._numbers += [alert.number for alert in alerts]
        self._received += [alert.received for alert in alerts]
        self._fates += bytes(len(alerts))
        self._members = None
        self.oldest = alerts[0].received if alerts else ""

    def take(self, alert: Alert, key: bytes = b"") -> None:
        """Adds a record. One with the ``key`` of an earlier one goes out in its count; without a key alone."""
        assert self._members is not None
        place = self._places.get(key) if key else None
        if place is None:
            place = len(self._alerts)
            self._alerts.append(replace(alert, count=1, last=alert.received) if key else alert)
            self._members.append([])
            self._bytes += len(alert.event)
            if key:
                self._places[key] = place
        else:
            first = self._alerts[place]
            self._alerts[place] = replace(first, count=first.count + 1, last=alert.received)
        self._members[place].append(len(self._numbers))
        self._add(alert, Fate.WAITING)

    def ready(self, most: int, most_bytes: int) -> list[Alert]:
        """The next alerts to be sent, in order; empty when all were."""
        chosen: list[Alert] = []
        size = 0
        for alert in self._alerts[self._sent : self._sent + most]:
            chosen.append(alert)
            size += len(alert.event)
            if size >= most_bytes:
                break
        return chosen

    def heed(self, settled: int, refused: Mapping[int, str]) -> list[tuple[Alert, str]]:
        """Of the alerts that :meth:`ready` gave, the first ``settled`` are. Gives those refused for good, with why."""
        letters = [(self._alerts[self._sent + place], why) for place, why in sorted(refused.items())]
        if self._members is None:
            self._fates[self._sent : self._sent + settled] = bytes([Fate.DELIVERED]) * settled
            for place in refused:
                self._fates[self._sent + place] = Fate.DEAD
        else:
            for place in range(settled):
                first, *others = self._members[self._sent + place]
                dead = place in refused
                self._fates[first] = Fate.DEAD if dead else Fate.DELIVERED
                for member in others:
                    self._fates[member] = Fate.DEAD if dead else Fate.MERGED
        self._sent += settled
        return letters

    def front(self, before: int = 0) -> Settlement | None:
        """What may go into the receipt now, or of it only the records before ``before``; None: nothing.

        Where ``before`` is given, records of unknown fate do not end it; they are not counted.
        """
        if before:
            end = self._settled
            while end < len(self._numbers) and self._numbers[end] < before:
                end += 1
        else:
            end = self._fates.find(Fate.WAITING, self._settled)
            end = len(self._fates) if end < 0 else end
        part = self._fates[self._settled : end]
        if not part:
            return None
        return Settlement(
            self._numbers[end - 1] + 1,
            part.count(Fate.DELIVERED),
            part.count(Fate.MERGED),
            part.count(Fate.DEAD),
            part.count(Fate.UNWANTED),
        )

    def is_all(self, settlement: Settlement) -> bool:
        """Whether nothing is left behind it."""
        return self._settled + settlement.records == len(self._numbers)

    def settle(self, settlement: Settlement) -> None:
        """It stands in the receipt."""
        self._settled += settlement.records
        waiting = self._fates.find(Fate.WAITING, self._settled)
        self.oldest = self._received[waiting] if waiting >= 0 else ""

    def late(self, limit: str) -> int:
        """The number behind the waiting alerts at the front that were received before ``limit``; 0: none was."""
        following = 0
        for place in range(self._sent, len(self._alerts)):
            alert = self._alerts[place]
            if not "" < (alert.last or alert.received) < limit:
                break
            last = place if self._members is None else self._members[place][-1]
            following = self._numbers[last] + 1
        return following

    def _add(self, alert: Alert, fate: Fate) -> None:
        if fate is Fate.WAITING and not self.oldest:
            self.oldest = alert.received
        self._numbers.append(alert.number)
        self._received.append(alert.received)
        self._fates.append(fate)

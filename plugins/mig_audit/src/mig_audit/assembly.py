"""Joins the records of one event: the kernel sends them one by one, marked with the same time and serial.

An event with several records ends with EOE. Records that come alone have none: they leave after a bounded wait, because
nothing tells them from the first of several. Records of programs (1100 to 1299, 2100 and up) are events by themselves.
Works in the thread that makes events.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from mig_audit.netlink import EOE, REPLACE
from mig_audit.whole import SYSCALL, URINGOP

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Record = tuple[int, str]
    Emit = Callable[[str, list[Record], bool], None]

WAIT = 2.0
"""Seconds after which an event without EOE leaves."""
MAX_PENDING = 20_000
"""Events that wait at once; more than that and the oldest leave."""
MAX_RECORDS = 5000
"""Records of one event; more than that and it leaves in parts."""
FIRST, LAST = 1300, 2099
FIRST_RECORD = 1100
LOGIN = 1006
"""The one kernel record outside that range: it comes with its system call."""
_ENDED = frozenset({SYSCALL, URINGOP})
"""An event with one of these always ends with EOE."""


class Assembly:
    """Collects records until their event is whole."""

    def __init__(self, emit: Emit, on_serial: Callable[[str, float], None]) -> None:
        """Prepares.

        Args:
            emit: gets stamp, records and whether they are all, once for each event.
            on_serial: gets the stamp of each event when its first record is seen, and the time.
        """
        self._emit = emit
        self._on_serial = on_serial
        self._pending: dict[str, list[Record]] = {}
        self._arrived: deque[tuple[float, str]] = deque()

    def add(self, records: Sequence[Record], now: float) -> None:
        """Takes records in the order in which they came; ``now`` in seconds."""
        pending, arrived = self._pending, self._arrived
        for record in records:
            kind, text = record
            end = text.find("): ", 6, 64)
            if end < 0:
                end = text.find("):", 6, 64)
            if end < 0 or not text.startswith("audit("):
                # Below are netlink's own messages; REPLACE is the kernel's question whether we still live.
                if kind >= FIRST_RECORD and kind != REPLACE:
                    self._emit("", [record], True)
                continue
            stamp = text[6:end]
            if kind == EOE:
                whole = pending.pop(stamp, None)
                if whole is not None:
                    self._emit(stamp, whole, True)
            elif FIRST <= kind <= LAST or kind == LOGIN:
                found = pending.get(stamp)
                if found is None:
                    pending[stamp] = [record]
                    arrived.append((now, stamp))
                    self._on_serial(stamp, now)
                else:
                    found.append(record)
                    if len(found) >= MAX_RECORDS:
                        del pending[stamp]
                        self._emit(stamp, found, False)
            else:
                self._on_serial(stamp, now)
                self._emit(stamp, [record], True)
        self.settle(now)

    def settle(self, now: float) -> None:
        """Lets go what has waited long enough."""
        pending, arrived = self._pending, self._arrived
        while arrived and (arrived[0][0] <= now - WAIT or len(pending) > MAX_PENDING or arrived[0][1] not in pending):
            stamp = arrived.popleft()[1]
            records = pending.pop(stamp, None)
            if records is not None:
                # Without the end, some are missing.
                self._emit(stamp, records, all(kind not in _ENDED for kind, _text in records))

    def flush(self) -> None:
        """Lets everything go."""
        self.settle(float("inf"))

    def oldest(self) -> str | None:
        """The stamp of the event that has waited longest."""
        return next(iter(self._pending), None)

    def waiting(self) -> int:
        """How many events wait."""
        return len(self._pending)

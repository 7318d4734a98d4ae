"""Alerts on their way through the agent: from the sources' pipes to the sink's disk.

Everything stays here until the sink has accepted it, so that a sink that was restarted gets again what it may have
lost. A source's own window bounds what there can be of it. Used by the supervisor's thread alone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mig_core.agent.alerts.lines import to_sink
from mig_core.plugin.persistent import WINDOW, WINDOW_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK_BYTES = 256 << 10


@dataclass(slots=True, eq=False)
class Lane:
    """One process of a source, as the queue sees it; or what an earlier agent left of one."""

    module: bytes
    accepted: int = 0
    """All of its alerts up to this id are safe."""
    held: int = 0
    held_bytes: int = 0
    orphaned: bool = False
    """Its process has ended without keeping what it had under way: only the agent has these alerts."""

    @property
    def overfull(self) -> bool:
        """Whether it sent more than its window: a well-behaved source never does."""
        return self.held > WINDOW or (self.held_bytes > WINDOW_BYTES and self.held > 1)


@dataclass(slots=True)
class AlertQueue:
    """What is held, in the order in which it came."""

    last: int
    """The number given out last; the time in microseconds to begin with, so that numbers grow over restarts."""
    sent_bytes: int = 0
    _waiting: deque[tuple[int, Lane, int, bytes]] = field(default_factory=deque)
    _sent: deque[tuple[int, Lane, int, bytes]] = field(default_factory=deque)

    def __len__(self) -> int:
        return len(self._waiting) + len(self._sent)

    def put(self, lane: Lane, identifier: int, raw: bytes) -> None:
        """An alert has come."""
        self.last += 1
        lane.held += 1
        lane.held_bytes += len(raw)
        self._waiting.append((self.last, lane, identifier, raw))

    def take(self) -> bytes:
        """Lines for the sink: as many as its window and one write have room for."""
        lines = []
        size = 0
        while self._waiting and size < _CHUNK_BYTES:
            number, lane, _, raw = self._waiting[0]
            full = len(self._sent) >= WINDOW or self.sent_bytes + len(raw) > WINDOW_BYTES
            if full and self._sent:
                break
            self._sent.append(self._waiting.popleft())
            self.sent_bytes += len(raw)
            size += len(raw)
            lines.append(to_sink(number, lane.module, raw))
        return b"".join(lines)

    def accepted(self, through: int) -> set[Lane]:
        """The sink has everything up to this number; returns the lanes whose ``accepted`` has grown."""
        grown = set()
        while self._sent and self._sent[0][0] <= through:
            _, lane, identifier, raw = self._sent.popleft()
            self.sent_bytes -= len(raw)
            lane.held -= 1
            lane.held_bytes -= len(raw)
            lane.accepted = identifier
            grown.add(lane)
        return grown

    def again(self) -> None:
        """The sink has been restarted: what it did not accept is sent again."""
        self._waiting.extendleft(reversed(self._sent))
        self._sent.clear()
        self.sent_bytes = 0

    def orphans(self, module: bytes) -> Iterator[bytes]:
        """The alerts of a module that nobody but the agent has."""
        for held in (self._sent, self._waiting):
            yield from (raw for _, lane, _, raw in held if lane.orphaned and lane.module == module)

"""Paths where something happened and that were not looked at yet. What happens again meanwhile is counted, not lost.

A path is looked at when it has been quiet for a moment, at the latest after :data:`LATEST` seconds. One that goes on
and on is looked at ever more seldom, up to every :data:`SELDOM` seconds: a busy file must not keep the processor.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mig_fswatch.notice import NOTHING, What

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mig_fswatch.actors import Actor

QUIET = 0.3
LATEST = 2.0
SELDOM = 300.0
CALM = 60.0
"""A path that was quiet for so long begins anew."""
MAX_ACTORS = 20
MAX_REMEMBERED = 20_000


@dataclass(slots=True)
class Waiting:
    """What happened to one path."""

    first: float
    last: float
    what: What = NOTHING
    events: int = 0
    actors: dict[Actor, int] = field(default_factory=dict)
    went_to: str = ""
    """Where a rename has brought it, if that is watched."""


@dataclass(slots=True)
class _Pace:
    pause: float
    until: float
    last: float


class Pending:
    """All of them. Times are seconds of one clock."""

    def __init__(self) -> None:
        self._waiting: dict[str, Waiting] = {}
        self._pace: dict[str, _Pace] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, path: str, what: What, actor: Actor | None, now: float) -> Waiting:
        """Something happened to a path."""
        waiting = self._waiting.get(path)
        if waiting is None:
            waiting = self._waiting[path] = Waiting(now, now)
        waiting.last = now
        waiting.what |= what
        waiting.events += 1
        if actor is not None:
            count = waiting.actors.pop(actor, 0)  # the last one stands last
            if count or len(waiting.actors) < MAX_ACTORS:
                waiting.actors[actor] = count + 1
        return waiting

    def take(self, path: str) -> Waiting | None:
        """Takes a path out because it is looked at now."""
        return self._waiting.pop(path, None)

    def clear(self) -> None:
        """Forgets all: whoever does has everything compared."""
        self._waiting.clear()

    def due(self, now: float, *, all_: bool = False) -> list[str]:
        """Paths to be looked at now, those that came first first; and from where a rename has brought one.

        However seldom that is to be looked at: seen one after the other, the ends of a move are two changes.
        """
        due = [path for path, one in self._waiting.items() if all_ or self._when(path, one) <= now]
        if not all_ and due:
            chosen = set(due)
            due += [path for path, one in self._waiting.items() if one.went_to in chosen and path not in chosen]
        return due

    def next_due(self) -> float | None:
        """When the next one is to be looked at; None if none waits."""
        return min((self._when(path, one) for path, one in self._waiting.items()), default=None)

    def looked(self, paths: Iterable[str], now: float, took: float) -> None:
        """Paths were looked at, which took so many seconds for each of them."""
        for path in paths:
            pace = self._pace.get(path)
            if pace is None or now - pace.last > max(CALM, 2 * pace.pause):
                self._pace[path] = _Pace(max(QUIET, 20 * took), now + 20 * took, now)
            else:
                pace.pause = min(SELDOM, 2 * pace.pause)
                pace.until, pace.last = now + pace.pause, now
        if len(self._pace) > MAX_REMEMBERED:
            self._pace = {path: one for path, one in self._pace.items() if one.until > now or now - one.last < CALM}
            if len(self._pace) > MAX_REMEMBERED:
                self._pace.clear()

    def _when(self, path: str, one: Waiting) -> float:
        when = min(one.last + QUIET, one.first + LATEST)
        pace = self._pace.get(path)
        return max(when, pace.until) if pace else when

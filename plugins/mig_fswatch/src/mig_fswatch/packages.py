"""Runs of package managers: what they change is told in one summary, file by file, when the run is over.

Whose changes: those of a process that is a manager or has one among its ancestors, and, where it is not known who it
was, those that came while a manager's database was changing; the summary says how many of which. What anybody else
changes meanwhile is told as always.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mig_fswatch.events import last_actor

if TYPE_CHECKING:
    from mig_fswatch.changes import Change

OVER = 5.0
"""Seconds of quiet that end a run."""
LONGEST = 60.0
"""Seconds after which what there is so far is told, and the run goes on."""
MOST = 20_000
"""Changes that wait for the end of a run."""


@dataclass(slots=True)
class Run:
    """One run."""

    manager: str
    began: float
    """Seconds since 1970."""
    last: float
    """When something happened last, by a clock that is never set; so is ``told``."""
    told: float
    """When it was last told of."""
    changes: dict[str, Change] = field(default_factory=dict)
    unattributed: set[str] = field(default_factory=set)
    """Of those: paths of which is not known who changed them."""


class Runs:
    """The runs of all managers. Times are seconds of a clock that is never set."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self.ended = 0
        """How many there were."""

    def database_changed(self, manager: str) -> None:
        """Something happened in a manager's database, now."""
        now = time.monotonic()
        self._run(manager, now).last = now

    def waiting(self) -> int:
        """Changes that wait to be told."""
        return sum(len(one.changes) for one in self._runs.values())

    def take(self, change: Change, now: float) -> bool:
        """Takes a change that a manager made; whether it was one."""
        actor = last_actor(change)
        if change.seen != "live":
            return False
        if any(one.manager == "" and one.executable is not None for one in change.actors):
            return False
        manager = next((one.manager for one in change.actors if one.manager), "")
        if manager:
            run = self._run(manager, now)
            run.last = now
        elif (actor is None or actor.executable is None) and self._runs:
            run = max(self._runs.values(), key=lambda one: one.last)
            if now - run.last > OVER:
                return False
            run.unattributed.add(change.path)
        else:
            return False
        earlier = run.changes.get(change.path)
        if earlier is not None:
            change.events += earlier.events
            change.first = min(change.first, earlier.first)
        run.changes[change.path] = change
        return True

    def holds(self, path: str) -> Change | None:
        """The change of a path that waits."""
        return next((one.changes[path] for one in self._runs.values() if path in one.changes), None)

    def drop(self, path: str) -> None:
        """The change of a path need not be told any more, or is told by itself."""
        for one in self._runs.values():
            one.changes.pop(path, None)
            one.unattributed.discard(path)

    def due(self, now: float, *, all_: bool = False) -> list[tuple[Run, bool]]:
        """Runs to be told now, and whether they are over. They are taken out, or go on without what they had."""
        told = []
        for manager, run in list(self._runs.items()):
            over = all_ or now - run.last > OVER
            if over:
                del self._runs[manager]
                self.ended += 1
            elif now - run.told > LONGEST or len(run.changes) > MOST:
                self._runs[manager] = Run(manager, run.began, run.last, now)
            else:
                continue
            told.append((run, over))
        return told

    def active(self) -> bool:
        """Whether a manager works."""
        return bool(self._runs)

    def _run(self, manager: str, now: float) -> Run:
        manager = {"apt": "dpkg", "dnf": "rpm", "zypper": "rpm"}.get(manager, manager)
        return self._runs.setdefault(manager, Run(manager, time.time(), now, now))

"""Tells changes, one by one or folded, and enters into the baseline what was told: in this order, never the other way
round. Whoever is killed in between tells it again.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections import Counter
from typing import TYPE_CHECKING

from mig_fswatch import events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mig_core.domain.document import JSON
    from mig_core.plugin.persistent import Service
    from mig_fswatch.baseline import Baseline
    from mig_fswatch.changes import Change
    from mig_fswatch.entry import Entry
    from mig_fswatch.packages import Run, Runs

FEW = 20
"""As many changes of one look are told one by one; more are folded."""
WAIT = 1.0


class Telling:
    """The way of a change to the agent and into the baseline."""

    def __init__(self, service: Service, baseline: Baseline, runs: Runs, keep: int) -> None:
        """``keep``: how many changes can be asked for."""
        self._service = service
        self._baseline = baseline
        self._runs = runs
        self._keep = keep
        self.counts: Counter[str] = Counter()
        """Changes told, by kind."""
        self.alerts = 0
        self.problem = ""
        """Why the baseline could not be written last; empty if it could."""

    def changes(self, changes: Iterable[Change]) -> bool:
        """Tells changes, but for those that wait for the end of a package manager's run.

        Returns whether all were taken; False: the module is to stop, and they will be found again.
        """
        now = time.monotonic()
        rest = [one for one in changes if not self._runs.take(one, now)]
        if len(rest) > FEW:
            return self._fold(rest, "file_changes", {}, "")
        for one in rest:
            if not self.send(events.one_change(one)):
                return False
            self._enter([one], "")
        return True

    def run(self, run: Run, *, over: bool) -> bool:
        """Tells what a package manager changed; whether it was taken."""
        more: dict[str, JSON] = {
            "package_manager": run.manager, "began": events.time_text(run.began), "over": over,
            "unattributed": len(run.unattributed),
        }  # fmt: skip
        changes = sorted((one for one in run.changes.values() if one.matters()), key=lambda one: one.path)
        return self._fold(changes, "package_changes", more, run.manager)

    def quietly(self, entries: Sequence[tuple[str, Entry]]) -> None:
        """Enters what is nothing to tell: a first look, or the time of a change that was undone."""
        if entries:
            self.write(lambda: self._baseline.put_all(entries))

    def note(self, name: str, value: JSON) -> None:
        """Remembers something."""
        self.write(lambda: self._baseline.keep_note(name, value))

    def send(self, event: dict[str, JSON]) -> bool:
        """Whether the agent has taken an alert; waits while it takes none."""
        while not self._service.alert(event, timeout=WAIT):
            if self._service.stopping.is_set():
                return False
        self.alerts += 1
        return True

    def _fold(self, changes: Sequence[Change], kind: str, more: dict[str, JSON], package: str) -> bool:
        for event, piece in events.folded(changes, kind, more):
            if not self.send(event):
                return False
            self._enter(piece, package)
        return True

    def _enter(self, changes: Sequence[Change], package: str) -> None:
        self.counts.update(one.kind for one in changes)

        def write() -> None:
            for one in changes:
                if one.moved_from:
                    self._baseline.keep_first(one.moved_from, one.old)
                    self._baseline.put(one.moved_from, None)
                    self._baseline.keep_first(one.path, one.replaced)
                else:
                    self._baseline.keep_first(one.path, one.old)
                self._baseline.put(one.path, one.new)
            if self._keep:
                self._baseline.add_changes([events.row(one, package) for one in changes], self._keep)

        self.write(write)

    def write(self, write: Callable[[], None]) -> None:
        """One transaction on the baseline. A disk that is full costs no alert: what is not entered is told again."""
        try:
            with self._baseline.transaction():
                write()
            self.problem = ""
        except sqlite3.Error as error:
            if not self.problem:
                self._service.log(logging.WARNING, f"the baseline cannot be written: {error}")
            self.problem = str(error)

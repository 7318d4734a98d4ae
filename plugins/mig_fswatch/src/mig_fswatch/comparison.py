"""Compares everything that is watched with the baseline: at the start, when events were lost, when mounts changed, and
from time to time. Whatever differs is told, and what the comparison was, too.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mig_fswatch import events, managers
from mig_fswatch.changes import Change, with_moves
from mig_fswatch.folders import Folders
from mig_fswatch.scan import LinksAside, Scan
from mig_fswatch.scope import Finder, Scope, why_not

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.domain.document import JSON
    from mig_core.plugin.coverage import Tally
    from mig_endpoint.files.crossings import Crossings
    from mig_endpoint.files.mounts import Mounts
    from mig_fswatch.baseline import Baseline
    from mig_fswatch.entry import Entry, Looker
    from mig_fswatch.marks import Marks
    from mig_fswatch.scope import Exclusions
    from mig_fswatch.telling import Telling

CHUNK = 1000
"""Entries written, or changes told, at once."""
MOST_HELD = 20_000
"""New entries that wait for what is gone, to be told as moved."""
MAX_SKIPPED = 20


@dataclass(slots=True)
class Comparison:
    """One comparison, and how it went."""

    reason: str
    baseline: Baseline
    telling: Telling
    marks: Marks
    looker: Looker
    excluded: Exclusions
    patterns: tuple[str, ...]
    most: int
    stopped: Callable[[], bool]
    tally: Tally = field(default_factory=LinksAside)
    scope: Scope = field(default_factory=Scope)
    counts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    _before: Scope = field(default_factory=Scope)
    """What the baseline covered already: outside of it nothing can be new."""
    _quiet: list[tuple[str, Entry]] = field(default_factory=list)
    _changed: list[Change] = field(default_factory=list)
    _new: list[Change] = field(default_factory=list)
    _fresh: int = 0
    _dropped: int = 0

    def run(self, crossings: Crossings) -> bool:
        """Does it; whether it came to its end."""
        began = time.monotonic()
        since = self.baseline.note("alive")
        made = self.baseline.note("made")
        # 1. What there is to be watched. Asked again behind the marks: what came in between is in the second answer.
        self._find(crossings.mounts)
        scope = self._find(crossings.mounts)
        noted = self.baseline.note("patterns")
        old = [one for one in noted if one in self.patterns] if isinstance(noted, list) and made else []
        self._before = (
            scope
            if len(old) == len(self.patterns)
            else Finder(crossings.mounts, self.excluded, LinksAside()).find([str(one) for one in old])
        )
        # 2. Everything that is there.
        known = self.baseline.get if self.baseline.count() else _nothing
        scan = Scan(
            self.marks, self.looker, self.excluded, crossings, self.tally, known=known, found=self._found,
            stopped=self.stopped, most=self.most,
        )  # fmt: skip
        for path in sorted(scope.files):
            scan.single(path)
        for path in sorted(scope.flats):
            scan.entries(path)
        for path in sorted(scope.trees):
            scan.tree(path)
        # 3. Everything that is not there any more.
        if not self.stopped():
            self._gone(scan.seen, crossings.mounts)
        done = self._tell(self._new) and self._tell(self._changed) and not self.stopped()
        self.telling.quietly(self._quiet)
        self._quiet.clear()
        self.seconds = time.monotonic() - began
        # 4. What it was.
        if not done:
            return False
        self._say(since, made)
        return True

    def _find(self, mounts: Mounts) -> Scope:
        self.scope = Finder(mounts, self.excluded, LinksAside()).find(self.patterns)
        self.scope.mark_anchors(self.marks, self.tally)
        for directory in managers.DATABASES:
            if os.path.isdir(directory) and not why_not(mounts.covering(directory)):
                self.marks.add(directory, self.tally, names_only=True)
        return self.scope

    def _found(self, path: str, old: Entry | None, new: Entry | None) -> None:
        if new is None:
            return
        if old is None and not self._before.covers(path):
            self._fresh += 1
            self._keep(path, new)
            return
        now = time.time()
        change = Change(path, old, new, self.reason, first=now, last=now)
        if not change.matters():
            self._keep(path, new)
        elif old is None:
            self._new.append(change)
        else:
            self._changed.append(change)
        if len(self._changed) >= CHUNK:
            self._tell(self._changed)
        if len(self._new) >= MOST_HELD:
            self._tell(self._new)

    def _keep(self, path: str, entry: Entry) -> None:
        """Enters what is nothing to tell, many at once."""
        self._quiet.append((path, entry))
        if len(self._quiet) >= CHUNK:
            self.telling.quietly(self._quiet)
            self._quiet.clear()

    def _gone(self, seen: set[str], mounts: Mounts) -> None:
        gone: list[Change] = []
        dropped: list[str] = []
        now = time.time()
        with Folders(mounts) as folders:
            for path in [one for one in self.baseline.paths() if one not in seen]:
                entry = self.baseline.get(path)
                if entry is None:
                    continue
                # Of a directory that is gone no way leads any more to what was in it: that it was watched is known.
                if self.excluded(path):
                    dropped.append(path)
                elif folders.is_there(path) is False:
                    gone.append(Change(path, entry, None, self.reason, first=now, last=now))
                elif not self.scope.covers(path):
                    dropped.append(path)
        self._dropped = len(dropped)
        if dropped:
            self.telling.write(lambda: self.baseline.forget(dropped))
        self._changed[:] = with_moves([*self._new, *self._changed, *gone])
        self._new.clear()

    def _tell(self, changes: list[Change]) -> bool:
        """Tells changes and empties their list; whether they were taken."""
        told = self.telling.changes(changes) if changes else True
        self.counts.update(one.kind for one in changes)
        changes.clear()
        return told

    def _say(self, since: JSON, made: JSON) -> None:
        coverage = self.tally.coverage()
        skipped: list[JSON] = [
            {"reason": one.reason, "count": one.count, "examples": list(one.examples)}
            for one in coverage.skipped[:MAX_SKIPPED]
        ]
        event: dict[str, JSON] = {
            "schema": events.SCHEMA, "type": "comparison", "time": events.time_text(time.time()), "reason": self.reason,
            "entries": self.tally.count("entries"), "bytes": self.tally.count("bytes"),
            "seconds": round(self.seconds, 3), "counts": dict(self.counts), "total": self.counts.total(),
            "complete": coverage.complete, "skipped": skipped,
        }  # fmt: skip
        if self._fresh or not made:
            event["added_to_baseline"] = self._fresh
        if self._dropped:
            event["dropped_from_baseline"] = self._dropped
        if since is not None:
            event["since"] = since
        if not made:
            event["type"] = "baseline"
        if self.telling.send(event):
            now = events.time_text(time.time())
            notes: dict[str, JSON] = {"patterns": list(self.patterns), "compared": now, "alive": now}
            if not made:
                notes["made"] = now
            for name, value in notes.items():
                self.telling.note(name, value)


def _nothing(_path: str) -> None:
    """What an empty baseline knows of any path."""

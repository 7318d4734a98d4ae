"""Answers questions in the running module, in threads of their own: the state, the changes that were told, and what
differs from the baseline now. They read the baseline beside the thread that writes it.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mig_core.domain.result import Coverage, ModuleResult
from mig_core.plugin.coverage import Reason
from mig_endpoint import coverage as reasons
from mig_endpoint.files.crossings import Crossings
from mig_endpoint.files.naming import PathText
from mig_fswatch import events
from mig_fswatch.baseline import Baseline
from mig_fswatch.changes import Change
from mig_fswatch.entry import Looker
from mig_fswatch.folders import Folders
from mig_fswatch.question import Question, read, seconds_at
from mig_fswatch.scan import LinksAside, Scan
from mig_fswatch.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mig_core.domain.document import JSON
    from mig_core.plugin.coverage import Tally
    from mig_core.plugin.persistent import Service
    from mig_fswatch.entry import Entry
    from mig_fswatch.scope import Exclusions
    from mig_fswatch.settings import Settings

OVER_LIMIT = Reason("more rows than the limit")
FULL = Reason("row that the full answer has no room for")
BEING_MADE = Reason("baseline that is still being made")
NOT_KEPT = Reason("older changes that were told and are not kept (keep_changes)", as_asked=True)
NOT_KEPT_SO_LONG = Reason("changes that were told and are not kept as long as was asked for (keep_changes)")
MAX_BYTES = 8 << 20
"""About how large the rows of an answer may become."""


class Answers:
    """What the module can be asked."""

    def __init__(self, service: Service, settings: Settings, patterns: Sequence[str], excluded: Exclusions) -> None:
        self._service = service
        self._settings = settings
        self._patterns = patterns
        self._excluded = excluded
        self._lock = threading.Lock()
        self._status: Mapping[str, JSON] = {}
        self._coverage = Coverage(False, {}, ())
        self._scope = Scope()

    def use(self, scope: Scope) -> None:
        """What is watched from now on."""
        self._scope = scope

    def report(self, status: Mapping[str, JSON], coverage: Coverage) -> None:
        """The state as it is now."""
        with self._lock:
            if status == self._status and coverage == self._coverage:
                return
            self._status, self._coverage = status, coverage
        self._service.status(status)

    def answer(self, raw: object) -> ModuleResult:
        """One question's answer.

        Raises:
            ParameterError: it cannot be understood.
        """
        question = read(raw)
        with self._lock:
            status, watched = dict(self._status), self._coverage
        baseline = Baseline(self._service.state, read_only=True)
        try:
            status["baseline"] = baseline.note("made")
            status["patterns"] = len(self._patterns)
            if question.differs:
                return self._differing(question, baseline, status)
            return self._recent(question, baseline, status, watched)
        finally:
            baseline.close()

    def _recent(
        self, question: Question, baseline: Baseline, status: dict[str, JSON], watched: Coverage
    ) -> ModuleResult:
        tally = LinksAside()
        rows: list[JSON] = []
        room = MAX_BYTES
        now = datetime.now(UTC).timestamp()
        oldest = now
        for row in baseline.changes():
            oldest = min(oldest, seconds_at(row, oldest))
            if not question.wants(row, now):
                continue
            if len(rows) >= question.limit:
                tally.skip(OVER_LIMIT)
                break
            room -= 2 * len(str(row))
            if room < 0:
                tally.skip(FULL)
                break
            rows.append(row)
        else:
            if gone := baseline.changes_gone():
                asked_for = question.since and now - question.since < oldest
                tally.skip(NOT_KEPT_SO_LONG if asked_for else NOT_KEPT, count=gone)
        if not status.get("baseline"):
            tally.skip(BEING_MADE)
        told = tally.coverage()
        coverage = Coverage(told.complete and watched.complete, watched.examined, (*watched.skipped, *told.skipped))
        elements: dict[str, JSON] = {"status": status, "changes": rows}
        return ModuleResult(bool(rows), True, elements, errors=tally.errors(), coverage=coverage)

    def _differing(self, question: Question, baseline: Baseline, status: dict[str, JSON]) -> ModuleResult:
        deadline = time.monotonic() + question.seconds
        tally = LinksAside()
        crossings = Crossings(lambda: max(0.0, deadline - time.monotonic()))
        try:
            now = self._now(question, baseline, tally, crossings, deadline)
        finally:
            crossings.close()
        first = {path: (old, last) for path, old, last in baseline.differing()}
        rows: list[JSON] = []
        room = MAX_BYTES
        for path in sorted({*first, *now}):
            old, last = first[path] if path in first else (baseline.get(path),) * 2
            change = Change(path, old, now.get(path, last), "baseline")
            change.first = change.last = time.time()
            if not change.matters() or (change.old is None and change.new is None):
                continue
            row = events.row(change)
            for name in ("executable", "user", "pid", "events"):
                del row[name]
            if old is not None and old.sha256 is not None and old.sha256 != (change.new and change.new.sha256):
                row["was_sha256"] = old.sha256.hex()
            if not question.wants(row, change.last):
                continue
            room -= 2 * len(str(row))
            if len(rows) >= question.limit or room < 0:
                tally.skip(OVER_LIMIT if room >= 0 else FULL)
                break
            rows.append(row)
        if not status.get("baseline"):
            tally.skip(BEING_MADE)
        elements: dict[str, JSON] = {"status": status, "changes": rows}
        return ModuleResult(bool(rows), True, elements, errors=tally.errors(), coverage=tally.coverage())

    def _now(
        self, question: Question, baseline: Baseline, tally: Tally, crossings: Crossings, deadline: float
    ) -> dict[str, Entry | None]:
        """What is not as it was last accounted for, or is gone."""
        found: dict[str, Entry | None] = {}

        def stopped() -> bool:
            return time.monotonic() > deadline or self._service.stopping.is_set()

        def keep(path: str, _old: Entry | None, new: Entry | None) -> None:
            found[path] = new

        scope = self._scope
        looker = Looker(self._settings.hash_up_to_mb << 20)
        scan = Scan(
            None, looker, self._excluded, crossings, tally, known=baseline.get, found=keep, stopped=stopped,
            most=self._settings.max_files, again=question.again,
        )  # fmt: skip
        for look, paths in ((scan.single, scope.files), (scan.entries, scope.flats), (scan.tree, scope.trees)):
            for path in sorted(paths):
                if stopped():
                    tally.skip(reasons.TIME, PathText(path))
                else:
                    look(path)
        if not stopped():
            with Folders(crossings.mounts) as folders:
                for path in baseline.paths():
                    if path not in scan.seen and scope.covers(path) and folders.is_there(path) is False:
                        found[path] = None
        return found

"""A running watch: marks, reader, pending paths, baseline and alerts put together. The composition root of ``serve``.

Two threads: the reader (see there) and this one, which looks at paths and tells what changed. The rule that nothing is
lost by: a change goes into the baseline only after its alert was taken.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import TYPE_CHECKING

from mig_core.errors import MigError
from mig_endpoint.files.crossings import Crossings
from mig_endpoint.files.mounts import read_mounts
from mig_endpoint.user_names import user_name
from mig_fswatch import baseline as baselines
from mig_fswatch import events
from mig_fswatch import settings as settings_
from mig_fswatch.answers import Answers
from mig_fswatch.comparison import Comparison
from mig_fswatch.entry import Looker
from mig_fswatch.heeding import Heeding
from mig_fswatch.looking import Looking
from mig_fswatch.marks import Marks
from mig_fswatch.packages import Runs
from mig_fswatch.pending import Pending
from mig_fswatch.places import patterns_of
from mig_fswatch.reader import Reader
from mig_fswatch.scan import LinksAside
from mig_fswatch.scope import Exclusions, Finder, Scope
from mig_fswatch.telling import Telling

if TYPE_CHECKING:
    from pathlib import Path

    from mig_core.domain.document import JSON
    from mig_core.plugin.coverage import Tally
    from mig_core.plugin.persistent import Service
    from mig_endpoint.files.mounts import Mounts

TICK = 0.25
"""Seconds between looks at whether the module is to stop."""
AT_ONCE = 20_000
"""Notices heeded before paths are looked at."""
ALIVE = 300.0
"""Seconds between notes that the module still runs: how long it was down is counted from the last."""
LAST_LOOK = 1.0
"""Seconds for what waits when the module is to stop."""
SHARE = 10
"""A comparison is made again after this many times as long as it took: a flood must not make one of the other."""
FOREVER = 1e9
SWITCH = 0.0005
"""Seconds that the reader waits for this thread, at most: who did it is known for moments only."""


class Watch:
    """One run of the module."""

    def __init__(self, service: Service) -> None:
        """Reads the settings, opens the baseline and what the kernel has.

        Raises:
            ConfigurationError: names the key's path.
            MigError: the kernel gives nothing to watch with.
        """
        self._service = service
        self._settings = settings = settings_.read(service.config)
        self._patterns = patterns_of(settings)
        self._excluded = Exclusions((*settings.exclude, _own(service.state)))
        self._looker = Looker(settings.hash_up_to_mb << 20)
        self._baseline, self._problem = _opened(service)
        try:
            self._marks = Marks(settings.method, service.log)
        except OSError as error:
            self._baseline.close()
            raise MigError(f"the kernel gives nothing to watch files with: {error.strerror}") from error
        self._wake = threading.Event()
        self._reader = Reader(self._marks.sources(), self._wake, settings.queue_events)
        self._marks.on_new = self._reader.add
        self._runs = Runs()
        self._pending = Pending()
        self._telling = Telling(service, self._baseline, self._runs, settings.keep_changes)
        self._heeding = Heeding(self._marks, self._pending, self._runs, self._excluded, settings.queue_events)
        self._looking = Looking(
            self._marks, self._looker, self._excluded, self._baseline, self._telling, self._pending, self._runs,
            service.stopping.is_set, settings.max_files,
        )  # fmt: skip
        self._answers = Answers(service, self._settings, self._patterns, self._excluded)
        self._tally: Tally = LinksAside()
        """Of the last comparison."""
        self._compared: dict[str, JSON] = {}
        self._comparisons = self._overflows = 0
        self._not_before = self._next_alive = self._next_rescan = self._next_tick = 0.0
        self._follow_not_before = 0.0
        self._wanted = ""
        """Why everything is to be compared; empty if it need not be."""
        self._mounts: tuple[tuple[str, int], ...] = ()

    def run(self) -> None:
        """Watches until the service is stopping.

        Raises:
            MigError: the reader failed.
        """
        sys.setswitchinterval(SWITCH)
        self._reader.start()
        self._service.answer_with(self._answers.answer)
        try:
            self._begin()
            while not self._service.stopping.is_set():
                self._turn()
            self._end()
        finally:
            self._reader.stop()
            self._marks.close()
            self._baseline.close()

    def status(self) -> dict[str, JSON]:
        """The counters, for the heartbeat and for questions."""
        fanotify = self._marks.fanotify
        return {
            "method": "fanotify" if fanotify else "inotify",
            "entries": self._tally.count("entries"),
            "watched_fanotify": self._marks.count("fanotify"),
            "watched_inotify": self._marks.count("inotify"),
            "whole_file_systems": sum(one.whole_file_systems() for one in fanotify),
            "events": self._reader.read,
            "changes": dict(self._telling.counts),
            "alerts": self._telling.alerts,
            "waiting": len(self._pending) + self._reader.waiting() + self._runs.waiting(),
            "package_runs": self._runs.ended,
            "comparisons": self._comparisons,
            "overflows": self._overflows,
            **self._compared,
            **({"problem": self._telling.problem} if self._telling.problem else {}),
        }

    def _begin(self) -> None:
        if self._problem:
            self._telling.send(
                {
                    "schema": events.SCHEMA, "type": "baseline_lost", "time": events.time_text(time.time()),
                    "problem": self._problem,
                }
            )  # fmt: skip
        if self._baseline.note("setting") != self._settings.baseline and self._baseline.note("made"):
            self._service.log(logging.INFO, "the setting 'baseline' is another one: the baseline is made anew")
            self._baseline.forget_all()
        self._telling.note("setting", self._settings.baseline)
        self._compare("start")

    def _turn(self) -> None:
        """One turn: heed what was read, look at what is due, compare if that is needed."""
        self._wake.wait(self._until_due())
        self._wake.clear()
        if self._reader.failure:
            raise MigError(f"reading the kernel's events failed: {self._reader.failure}")
        while taken := self._reader.take(AT_ONCE):
            now = time.monotonic()  # for all of them: the two ends of a move are looked at together
            for source, notice in taken:
                self._heeding.heed(source, notice, now)
            self._looking.look(time.monotonic())
        self._looking.look(time.monotonic())
        now = time.monotonic()
        if now < self._next_tick:
            return
        self._next_tick = now + 1.0
        self._see_what_is_wanted()
        if self._wanted and now >= self._not_before:
            self._compare(self._wanted)
        self._tell_runs(all_=False)
        if now >= self._next_alive:
            self._next_alive = now + ALIVE
            user_name.cache_clear()  # accounts come and go
            self._telling.note("alive", events.time_text(time.time()))
        self._report()

    def _see_what_is_wanted(self) -> None:
        """Whether everything is to be compared, or the paths are to be followed anew."""
        if self._heeding.lost:
            self._overflows += self._heeding.lost
            self._heeding.lost = 0
            self._wanted = "overflow"
        if self._reader.mounts_changed:
            self._reader.mounts_changed = False
            if self._signature(read_mounts()) != self._mounts:
                self._wanted = self._wanted or "mounts"
        if self._heeding.ways_changed and time.monotonic() >= self._follow_not_before:
            self._heeding.ways_changed = False
            self._find_anew()
        if self._settings.rescan and time.monotonic() >= self._next_rescan:
            self._wanted = self._wanted or "interval"

    def _until_due(self) -> float:
        when = self._pending.next_due()
        return TICK if when is None else max(0.05, min(TICK, when - time.monotonic()))

    def _compare(self, reason: str) -> None:
        self._wanted = ""
        crossings = Crossings(lambda: FOREVER)
        mounts = crossings.mounts
        comparison = Comparison(
            reason, self._baseline, self._telling, self._marks, self._looker, self._excluded, self._patterns,
            self._settings.max_files, self._service.stopping.is_set,
        )  # fmt: skip
        try:
            with self._marks.growing():
                done = comparison.run(crossings)
        finally:
            crossings.close()
        now = time.monotonic()
        self._not_before = now + SHARE * comparison.seconds
        self._next_rescan = now + self._settings.rescan
        if not done:
            return
        self._comparisons += 1
        self._use(comparison.scope)
        self._mounts = self._signature(mounts)
        self._tally, self._heeding.tally, self._looking.tally = comparison.tally, LinksAside(), LinksAside()
        self._compared = {"compared": events.time_text(time.time()), "compared_because": reason}
        self._service.log(
            logging.INFO,
            f"compared ({reason}): {self._tally.count('entries')} entries, {comparison.counts.total()} changes, "
            f"{comparison.seconds:.1f} s",
        )
        self._report()

    def _find_anew(self) -> None:
        """A directory on the way to something came, went or became another: the paths are followed anew."""
        began = time.monotonic()
        mounts = read_mounts()
        before = self._heeding.scope
        scope = Finder(mounts, self._excluded, LinksAside()).find(self._patterns)
        scope.mark_anchors(self._marks, self._tally)
        scope = Finder(mounts, self._excluded, LinksAside()).find(self._patterns)
        self._use(scope)
        with self._marks.growing():
            self._looking.extend(before, scope)
        now = time.monotonic()
        self._follow_not_before = now + SHARE * (now - began)

    def _use(self, scope: Scope) -> None:
        self._heeding.scope = self._looking.scope = scope
        self._answers.use(scope)

    def _signature(self, mounts: Mounts) -> tuple[tuple[str, int], ...]:
        """The mounts that matter: those on the way to something watched, and those over it, or in it."""
        scope = self._heeding.scope
        ways = {*scope.anchors, *scope.flats}
        return tuple(
            sorted((one.point, one.number) for one in mounts.all if one.point in ways or scope.covers(one.point))
        )

    def _tell_runs(self, *, all_: bool) -> None:
        for run, over in self._runs.due(time.monotonic(), all_=all_):
            self._telling.run(run, over=over)

    def _report(self) -> None:
        tally = self._left_out()
        self._answers.report(self.status() | {"complete": tally.complete}, tally.coverage())

    def _left_out(self) -> Tally:
        """What is not watched, or could not be looked at: when everything was compared, and since."""
        tally = LinksAside()
        for one in (self._tally, self._heeding.tally, self._looking.tally):
            tally.add(one)
        return tally

    def _end(self) -> None:
        """What is pending is looked at once more; what there is no room for is found at the next start."""
        for source, notice in self._reader.take(AT_ONCE):
            self._heeding.heed(source, notice, time.monotonic())
        self._looking.look_once_more(LAST_LOOK)
        self._tell_runs(all_=True)
        self._telling.note("alive", events.time_text(time.time()))


def _own(state: Path) -> str:
    """What is not watched because each alert writes there: the agent's state directory."""
    return str(state.parent.parent if state.parent.name == "persistent" else state)


def _opened(service: Service) -> tuple[baselines.Baseline, str]:
    """The baseline, and why the old one could not be used."""
    try:
        return baselines.Baseline(service.state), ""
    except baselines.BaselineUnusable as error:
        service.log(logging.ERROR, f"the baseline cannot be used, another one is made: {error}")
        baselines.set_aside(service.state)
        return baselines.Baseline(service.state), str(error)

"""Looks at files for all slots that want to know something about them: metadata first, then content.

One open and one read of a file serve every search. ``evaluation`` says which files, and with which plans.
"""

from __future__ import annotations

import contextlib
import stat
from typing import TYPE_CHECKING

from mig_endpoint import coverage
from mig_endpoint.files.interruptions import FILES_BETWEEN_LOOKS_AT_THE_CLOCK, DeadlinePassed, Unreadable
from mig_endpoint.files.opening import is_file, open_file
from mig_endpoint.finding.metadata import Attributes
from mig_endpoint.finding.openfile import OpenFile

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from mig_core.plugin.coverage import Tally
    from mig_endpoint.files.batch import Batch
    from mig_endpoint.files.opening import Status
    from mig_endpoint.finding.answer import Answer
    from mig_endpoint.finding.bundle import Known
    from mig_endpoint.finding.plans import Pair, Plan, Plans
    from mig_endpoint.finding.reader import Reader, Reading


class Inspection:
    """Looks at files, one after the other."""

    def __init__(
        self, plans: Plans, reader: Reader, answer: Answer, tally: Tally, expired: Callable[[], bool], now: int
    ) -> None:
        """``expired``: whether time is over. ``now``: what ages are counted from, in nanoseconds since 1970."""
        self._plans = plans
        self._reader = reader
        self._answer = answer
        self._tally = tally
        self._expired = expired
        self._now = now
        self._known: Known | None = None
        self.out_of_time = False
        """Whether the run is over for lack of time."""
        self.unexamined = 0
        """Files that were counted and not looked at, because a limit was reached."""

    def look_at_all(
        self, batch: Batch, order: list[str], plans: Mapping[str, Plan], known: Known | None = None
    ) -> None:
        """Looks at some files of a batch. ``known``: what was read ahead; None when nothing was."""
        self._known = known
        for place, name in enumerate(order):
            plan = plans[name]
            if known is not None and isinstance(known.get(name), DeadlinePassed):
                # whoever wants this file: what follows it was not read for anybody
                self.stop_for_time(batch, name, len(order) - place)
                return
            # 1. without searches that have enough
            if self._answer.any_full:
                plan = self._without_full(plan, batch, name)
                if not plan.pairs:
                    continue
            # 2. the file itself
            try:
                self._look_at(batch, name, plan)
            except DeadlinePassed:
                self.stop_for_time(batch, name, len(order) - place)
                return
            except OSError as failure:  # it went away, or was made unreadable, since it was listed
                coverage.failed(self._tally, batch.path_of(name), failure)
            # 3. whether to go on; what is known was read in time
            look_at_clock = known is None and place % FILES_BETWEEN_LOOKS_AT_THE_CLOCK == 0
            if look_at_clock and self._expired():
                self.stop_for_time(batch, name, len(order) - place - 1)
                return
            if self._answer.is_full:
                self._tally.skip(coverage.FULL, batch.path_of(name), count=len(order) - place)
                return

    def stop_for_time(self, batch: Batch, name: str, unexamined: int) -> None:
        """Books that time ran out, with so many files of a batch to go."""
        self.out_of_time = True
        self.unexamined += unexamined
        self._tally.skip(coverage.TIME, batch.path_of(name), count=unexamined)

    def _without_full(self, plan: Plan, batch: Batch, name: str) -> Plan:
        """The plan without searches that have as many matches as they want."""
        left = tuple(pair for pair in plan.pairs if not pair[0].is_full)
        if len(left) < len(plan.pairs):
            self._tally.skip(coverage.LIMIT, batch.path_of(name))
        return self._plans.of(left)

    def _look_at(self, batch: Batch, name: str, plan: Plan) -> None:
        status: os.stat_result | None = None
        # 1. what its status tells
        if plan.has_metadata:
            status = batch.status(name)
            passing = self._passing(batch, name, plan, status)
            if not passing:
                return
            if len(passing) < len(plan.pairs):
                plan = self._plans.of(passing)
        # 2. what is in it
        if plan.opens:
            self._look_inside(batch, name, plan)
        # 3. nothing else was asked
        elif plan.ready:
            status = status or batch.status(name)
            for pair in plan.ready:
                self._answer.record(pair, batch, name, status)

    def _passing(self, batch: Batch, name: str, plan: Plan, status: os.stat_result) -> tuple[Pair, ...]:
        """Those whose checks on status and attributes a file passes."""
        entry = Attributes(batch, name, follow=name in batch.links) if plan.has_attributes else None
        try:
            return tuple(pair for pair in plan.pairs if pair[1].passes_metadata(status, entry, self._now))
        except Unreadable as unknown:
            self._tally.skip(unknown.reason, batch.path_of(name))
        passing = []
        for pair in plan.pairs:  # those that did not ask for it
            with contextlib.suppress(Unreadable):
                if pair[1].passes_metadata(status, entry, self._now):
                    passing.append(pair)
        return tuple(passing)

    def _look_inside(self, batch: Batch, name: str, plan: Plan) -> None:
        # 1. it was read ahead
        if self._known is not None and name not in batch.links:
            known = self._known.get(name)
            if isinstance(known, Exception):
                raise known
            if known is not None:
                self._conclude(batch, name, plan, *known, -1)
            return
        # 2. open it
        calls = batch.calls_for(name)
        try:
            fd = open_file(name, batch.fd, follow=name in batch.links, calls=calls)
        except OSError as failure:
            coverage.failed(self._tally, batch.path_of(name), failure)
            for pair in plan.ready:  # they lack only the SHA-256
                self._answer.record(pair, batch, name, batch.status(name))
            return
        try:
            # 3. read it; most files of most runs are small, and end here
            first, group = None, plan.groups[0] if plan.is_plain else None
            if group is not None and not calls.guarded:
                first = self._reader.read_small(fd, group.questions, group.algorithms)
                if first is not None and group.is_moot(first):
                    return
            # 4. the others
            status = calls.fstat(fd)
            if group is not None and first is None and is_file(status):
                first = self._reader.read(
                    fd, status.st_size, group.questions, group.algorithms, calls=calls, closely=not calls.guarded
                )
                if group.is_moot(first):
                    return
            # 5. judge it
            self._conclude(batch, name, plan, status, first, fd)
        finally:
            calls.close(fd)

    def _conclude(
        self, batch: Batch, name: str, plan: Plan, status: os.stat_result | Status, first: Reading | None, fd: int
    ) -> None:
        """Judges an open file by its content. ``first`` is its first reading, if it has been read."""
        path = batch.path_of(name)
        if not is_file(status):
            self._tally.skip(coverage.ENDLESS if stat.S_ISREG(status.st_mode) else coverage.CHANGED, path)
            return
        content = OpenFile(fd, status.st_size, path, self._reader, self._tally, batch.calls_for(name))
        right = content.judge(plan.groups, first)
        if not right and not plan.ready:
            return
        for pair in plan.pairs:
            if not pair[1].reading or pair[1] in right:
                self._answer.record(pair, batch, name, status, content.sha256(pair[1]), known=content.known(pair[1]))

"""Batches of the walk, collected until there is enough in them for several processes to read.

``evaluation`` fills a bundle and has it read by its ``workers``; then it judges the batches one after the other.
"""

from __future__ import annotations

import os
from copy import copy
from typing import TYPE_CHECKING, NamedTuple

from mig_endpoint.files.interruptions import DeadlinePassed
from mig_endpoint.files.opening import is_file
from mig_endpoint.finding import shares
from mig_endpoint.finding.shares import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mig_endpoint.files.batch import Batch
    from mig_endpoint.files.opening import Status
    from mig_endpoint.finding.plans import Planned
    from mig_endpoint.finding.reader import Reading
    from mig_endpoint.finding.workers import Workers

    Known = dict[str, tuple[Status, Reading] | Exception]
    """What was seen of a batch's files, by name: status and reading, or why there are none. Others cannot pass."""

ENOUGH_FILES = 1024
ENOUGH_DIRECTORIES = 128
LARGE = 1 << 20
"""Files of at least this many bytes are a share of their own."""
SMALL_IN_A_ROW = 200
"""After so many small files only one of ``SAMPLE`` is asked for its size, until one is large."""
SAMPLE = 16


class Collected(NamedTuple):
    """A batch, its files to be looked at in their order, and what is to be found out about each."""

    batch: Batch
    order: list[str]
    plans: Planned


class Bundle:
    """Collects."""

    def __init__(self, *, large: int = LARGE) -> None:
        """``large`` is for tests."""
        self._large = large
        self._small = 0
        self._collected: list[Collected] = []
        self._files = 0
        self.work: list[list[Part]] = []
        """The shares."""
        self._origin: list[list[int]] = []
        """Of each part of each share: which batch it is of."""
        self._room = (0, 0)
        """Files, and characters of names, that the last share still takes."""
        self._offered = 0
        """Shares that workers know of."""

    def __len__(self) -> int:
        return len(self._collected)

    def is_full(self) -> bool:
        """Whether it is time to read."""
        return self._files >= ENOUGH_FILES or len(self._collected) >= ENOUGH_DIRECTORIES

    def add(self, batch: Batch, order: list[str], plans: Planned) -> None:
        """Takes a batch in; its directory stays open until :meth:`read` is over.

        Raises:
            OSError: too many files are open.
        """
        batch = copy(batch)
        batch.fd = os.dup(batch.fd)
        self._collected.append(Collected(batch, order, plans))
        self._files += len(order)
        part: Part | None = None
        slots, links, work = plans.other.slots, batch.links, self.work
        files, room = self._room
        for name in order:
            if name in links:
                continue
            if plans:
                slots = plans[name].slots
            self._small += 1
            is_asked = self._small <= SMALL_IN_A_ROW or self._small % SAMPLE == 0
            large = is_asked and self._is_large(batch, name)
            if large or not files or len(name) > room:
                work.append([])
                self._origin.append([])
                files, room = shares.MOST_FILES, shares.MOST_CHARACTERS
                part = None
            if part is None or part.slots != slots:
                part = Part(batch.fd, slots, [])
                work[-1].append(part)
                self._origin[-1].append(len(self._collected) - 1)
            part.names.append(name)
            files, room = (0, 0) if large else (files - 1, room - len(name))
        self._room = files, room

    def offer(self, workers: Workers) -> None:
        """Lets workers begin with the shares that are complete."""
        ready = len(self.work) - 1  # the last one may take more
        if ready > self._offered:
            self._offered = ready
            workers.offer(self.work, ready)

    def read(self, workers: Workers, progress: Callable[[], object]) -> Iterator[tuple[Collected, Known]]:
        """Has all files read, and gives the batches back with what was seen; afterwards it is empty."""
        try:
            known: list[Known] = [{} for _ in self._collected]
            reports = workers.read(self.work, progress)
            for share, origin, report in zip(self.work, self._origin, reports, strict=True):
                for (first, second), status, reading in report.seen:
                    known[origin[first]][share[first].names[second]] = (status, reading)
                for (first, second), number in report.failed:
                    known[origin[first]][share[first].names[second]] = OSError(number, os.strerror(number))
                if report.late is not None:
                    first, second = report.late
                    known[origin[first]][share[first].names[second]] = DeadlinePassed()
            yield from zip(self._collected, known, strict=True)
        finally:
            for one in self._collected:
                os.close(one.batch.fd)
            self._collected, self.work, self._origin = [], [], []
            self._files, self._room, self._offered = 0, (0, 0), 0

    def _is_large(self, batch: Batch, name: str) -> bool:
        try:
            status = batch.status(name)
        except OSError:
            return False  # whoever reads it will find out
        large = is_file(status) and status.st_size >= self._large
        if large:
            self._small = 0
        return large

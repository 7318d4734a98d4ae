"""Batches of the walk, collected until there is enough in them for several processes to read.

``evaluation`` fills a bundle and has it read by its ``workers``; then it judges the batches one after the other.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from mig_endpoint.files.batch import Batch
from mig_endpoint.files.interruptions import DeadlinePassed
from mig_endpoint.files.opening import is_file
from mig_endpoint.finding import shares
from mig_endpoint.finding.shares import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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
        batch = Batch(
            batch.path, os.dup(batch.fd), batch.depth, batch.names, batch.links, batch.others,
            batch.specials, batch.named, batch.calls, batch.guarded,
        )  # fmt: skip
        self._collected.append(Collected(batch, order, plans))
        self._files += len(order)
        names = [name for name in order if name not in batch.links] if batch.links else order
        if plans:
            for name in names:
                self._add(batch.fd, plans[name].slots, [name], alone=self._is_large(batch, (name,)))
        elif self._is_large(batch, names):
            for name in names:
                self._add(batch.fd, plans.other.slots, [name], alone=self._is_large(batch, (name,), sure=True))
        else:
            self._add(batch.fd, plans.other.slots, names)

    def _add(self, directory: int, slots: tuple[int, ...], names: list[str], *, alone: bool = False) -> None:
        """Puts files of one directory into shares; ``alone``: into one of their own."""
        files, room = self._room
        while names:
            if alone or not files or len(names[0]) > room:
                self.work.append([])
                self._origin.append([])
                files, room = shares.MOST_FILES, shares.MOST_CHARACTERS
            # 1. as many as there is room for
            some = names[:files]
            length = sum(map(len, some))
            while length > room:
                length -= len(some.pop())
            names = names[len(some) :]
            files, room = files - len(some), room - length
            # 2. with those of the same directory that are there already
            share = self.work[-1]
            if share and share[-1].directory == directory and share[-1].slots == slots:
                share[-1].names.extend(some)
            else:
                share.append(Part(directory, slots, some))
                self._origin[-1].append(len(self._collected) - 1)
        self._room = (0, 0) if alone else (files, room)

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

    def _is_large(self, batch: Batch, names: Sequence[str], *, sure: bool = False) -> bool:
        """Whether any of the files is large: of small ones in a row only some are asked, unless it must be ``sure``."""
        asked: Sequence[str] = names
        if not sure:
            before, self._small = self._small, self._small + len(names)
            if before >= SMALL_IN_A_ROW:
                asked = names[-before % SAMPLE :: SAMPLE]
        for name in asked:
            try:
                status = batch.status(name)
            except OSError:
                continue  # whoever reads it will find out
            if is_file(status) and status.st_size >= self._large:
                self._small = 0
                return True
        return False

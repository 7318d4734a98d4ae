"""The content of one open file, for all slots that want to know something about it.

Between ``evaluation``, which opens files, and ``reader``, which reads them. What has to be read for a given set of
slots is worked out once (:func:`groups_of`), because most files of a run are read for the same set.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mig_core.records import dataclass
from mig_endpoint.files import digests
from mig_endpoint.files.calls import DIRECT
from mig_endpoint.finding import reasons
from mig_endpoint.finding.checks import ContentCheck, HashCheck, KnownCheck
from mig_endpoint.finding.reader import NOTHING_FOUND

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mig_core.plugin.coverage import Tally
    from mig_endpoint.files.calls import Calls
    from mig_endpoint.files.naming import PathText
    from mig_endpoint.finding.content import Question
    from mig_endpoint.finding.reader import Reader, Reading
    from mig_endpoint.finding.slots import Slot


@dataclass(frozen=True, slots=True)
class Group:
    """Slots that one read of a file serves."""

    expand: bool
    every_kind: bool
    """How compressed files are read: expanded at all, and of every kind."""
    questions: tuple[Question, ...]
    algorithms: tuple[str, ...]
    by_digest: dict[tuple[str, str], tuple[Slot, ...]]
    """Slots that want one digest and nothing else, by algorithm and value: lists of known files are long."""
    others: tuple[Slot, ...]
    fails_on_nothing: bool
    """Whether no slot can pass when not one line answers any question."""

    def is_moot(self, reading: Reading) -> bool:
        """Whether no slot can pass, and there is nothing to book either: the end of most files of most runs."""
        if reading is NOTHING_FOUND:
            return self.fails_on_nothing
        if self.others or reading.digests is None:
            return False
        return not any(digest in self.by_digest for digest in reading.digests.items())


def groups_of(slots: Iterable[Slot]) -> tuple[Group, ...]:
    """The reads needed for ``slots``, of which each has something to be read."""
    kinds: dict[tuple[bool, bool], list[Slot]] = {}
    for slot in slots:
        kinds.setdefault(_kind_of(slot), []).append(slot)
    groups = []
    for (expand, every_kind), members in kinds.items():
        algorithms = {name: None for slot in members for name in slot.algorithms}
        if algorithms and any(slot.search.options.returnsha256 for slot in members):
            algorithms[digests.RETURNED] = None
        by_digest: dict[tuple[str, str], tuple[Slot, ...]] = {}
        others = []
        for slot in members:
            wanted = _digests_of(slot)
            for key in wanted:
                by_digest[key] = (*by_digest.get(key, ()), slot)
            if not wanted:
                others.append(slot)
        groups.append(
            Group(
                expand=expand,
                every_kind=every_kind,
                questions=tuple(dict.fromkeys(question for slot in members for question in slot.questions)),
                algorithms=tuple(algorithms),
                by_digest=by_digest,
                others=tuple(others),
                fails_on_nothing=all(_needs_a_line(slot) for slot in members),
            )
        )
    return tuple(groups)


class OpenFile:
    """One open file."""

    __slots__ = ("_calls", "_fd", "_path", "_reader", "_readings", "_size", "_tally", "_used")

    def __init__(self, fd: int, size: int, path: PathText, reader: Reader, tally: Tally, calls: Calls = DIRECT) -> None:
        """``fd`` stands at the beginning and belongs to the caller."""
        self._calls = calls
        self._fd = fd
        self._size = size
        self._path = path
        self._reader = reader
        self._tally = tally
        self._readings: dict[tuple[bool, bool], Reading] = {}
        self._used = False

    def judge(self, groups: Sequence[Group], first: Reading | None = None) -> list[Slot]:
        """The slots whose content checks the file passes. ``first``: the first group's reading, if it is there."""
        passed: list[Slot] = []
        for group in groups:
            if first is not None:
                self._used = True
                reading, first = self._booked(first), None
            else:
                reading = self._read(group.questions, group.algorithms, group.expand, group.every_kind)
            if reading is NOTHING_FOUND and group.fails_on_nothing:
                continue
            self._readings[group.expand, group.every_kind] = reading
            if group.by_digest and reading.digests is not None:
                for digest in reading.digests.items():
                    passed += group.by_digest.get(digest, ())
            for slot in group.others:
                verdict = slot.judge(reading)
                if verdict:
                    passed.append(slot)
                elif verdict is None and reading.problem is None:
                    self._tally.skip(reasons.LONG_LINE, self._path)
        return passed

    def sha256(self, slot: Slot) -> str:
        """The SHA-256 for a slot's row; empty if it is not asked for or cannot be had."""
        if not slot.search.options.returnsha256:
            return ""
        kind = _kind_of(slot)
        reading = self._readings.get(kind)
        if reading is not None and reading.problem is not None:
            return ""
        if reading is None or digests.RETURNED not in (reading.digests or ()):
            reading = self._readings[kind] = self._read((), (digests.RETURNED,), *kind)
        return (reading.digests or {}).get(digests.RETURNED, "")

    def known(self, slot: Slot) -> str:
        """Which hash of the slot's lists it has, in upper case; empty if it was not asked for lists."""
        for check in slot.reading:
            if isinstance(check, KnownCheck) and (reading := self._readings.get(_kind_of(slot))) is not None:
                return check.found(reading)
        return ""

    def _read(
        self, questions: Sequence[Question], algorithms: Sequence[str], expand: bool, every_kind: bool
    ) -> Reading:
        if self._used:
            self._calls.lseek(self._fd, 0, os.SEEK_SET)
        self._used = True
        return self._booked(
            self._reader.read(
                self._fd, self._size, questions, algorithms, expand=expand, every_kind=every_kind, calls=self._calls
            )
        )

    def _booked(self, reading: Reading) -> Reading:
        if reading.problem is not None:
            reason, problem = reading.problem
            self._tally.skip(reason, self._path)
            self._tally.error(f"{self._path}: {problem}")
        return reading


def _kind_of(slot: Slot) -> tuple[bool, bool]:
    options = slot.search.options
    return options.decompress or options.decompressall, options.decompressall


def _digests_of(slot: Slot) -> list[tuple[str, str]]:
    """The digests of which a slot wants any, if that is all it wants of the content."""
    if len(slot.reading) != 1:
        return []
    (check,) = slot.reading
    if isinstance(check, KnownCheck):
        return list(check.known.digests)
    if not isinstance(check, HashCheck) or check.negated:
        return []
    return [(check.algorithm, value) for value in check.values]


def _needs_a_line(slot: Slot) -> bool:
    return any(isinstance(check, ContentCheck) and not check.negated for check in slot.reading)

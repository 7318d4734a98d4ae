"""Rules over data that is seen in pieces only. ``piecewise`` says which rules, and why that is right.

Pieces overlap by the longest match, so a match is found as a whole wherever it lies. What the probes find is kept with
its neighbours, where it lay; at the end that is put together, with gaps of zeros, and the rules judge it.
"""

from __future__ import annotations

import bisect
from itertools import islice
from typing import TYPE_CHECKING

from mig_core.plugin.coverage import MAX_EXAMPLES
from mig_yara import reasons
from mig_yara.engine import Found, Matched
from mig_yara.piecewise import MOST_COUNTED
from mig_yara.rules import namespace_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.plugin.coverage import Reason, Tally
    from mig_yara.engine import Engine, Limits
    from mig_yara.rules import Rules

PIECE = 8 << 20
"""Bytes that are scanned at once."""
MOST_KEPT = 16 << 20
"""Bytes of matches that are kept of one process or file."""
_AROUND = 8
"""Bytes kept on either side: what ``fullword`` and ``\\\\b`` look at, wide characters included."""
_MOST_SEEN = MOST_COUNTED + 2 * _AROUND + 1
"""Matches of a pattern in a piece: those that are counted, those before them (two at a place, if narrow and wide) that
were seen already, and one more."""
_GAP = bytes(256)


class Pieces:
    """Looks at one thing after the other, each fed piece by piece::

    pieces.begin("process 7")
    pieces.feed(0x400000, data)  # as often as need be, by address
    pieces.gap()                 # what comes next does not go on from here
    matched = pieces.finish()
    """

    def __init__(self, rules: Rules, engine: Engine, limits: Limits, tally: Tally, *, piece: int = PIECE) -> None:
        """``piece``: for tests."""
        self._rules = rules
        self._engine = engine
        self._limits = limits
        self._tally = tally
        self.overlap = rules.piecewise.overlap
        self._piece = max(piece, 2 * (self.overlap + _AROUND))
        self._scanner = engine.scanner(rules.probes, _MOST_SEEN)
        self._allowed = {
            (namespace_of(rules.sources, number), rule.name)
            for number, text in enumerate(rules.texts)
            for rule in text.rules
            if (number, rule.name) not in rules.piecewise.refused
        }
        self.begin("")

    def begin(self, subject: object) -> None:
        """Forgets everything: another process or file."""
        self._subject = subject
        self._buffer = bytearray()
        self._start = 0
        """Address of the buffer's first byte."""
        self._fresh = 0
        """Where in the buffer matches begin that have not been seen."""
        self._counts: dict[tuple[int, int], int] = {}
        """Matches of a pattern of a probe."""
        self._uncounted: set[tuple[int, int]] = set()
        """Patterns that have more, which is booked."""
        self._kept: list[tuple[int, bytes]] = []
        self._size = 0

    def book(self, why: Reason, subject: object = "") -> None:
        """Books the rules that are not asked of this. ``subject``: which file, if it is one of several."""
        before = f"{subject}: " if subject else ""
        refused = self._rules.piecewise.refused
        for (_, name), problem in islice(refused.items(), 1 if subject else MAX_EXAMPLES):
            more = f" (and {len(refused) - 1} rules more)" if subject and len(refused) > 1 else ""
            self._tally.skip(why, f"{before}{name}: {problem}{more}")
        if (rest := len(refused) - (1 if subject else MAX_EXAMPLES)) > 0:
            self._tally.skip(why, count=rest)
        for rule in self._rules.piecewise.without_end:
            self._tally.skip(reasons.NO_UPPER_LENGTH, f"{before}{rule}")

    def feed(self, address: int, data: bytes | bytearray | memoryview) -> None:
        """Takes bytes that lie at an address; if others lie between, :meth:`gap` was called.

        Raises:
            DeadlinePassed: time ran out.
        """
        if not self._buffer:
            self._start, self._fresh = address, 0
        self._buffer += data
        if len(self._buffer) >= self._piece:
            self._search(len(self._buffer) - self.overlap - _AROUND)
            drop = max(0, self._fresh - _AROUND)
            del self._buffer[:drop]
            self._start += drop
            self._fresh -= drop

    def gap(self) -> None:
        """Nothing goes on from here.

        Raises:
            DeadlinePassed: time ran out.
        """
        if self._buffer:
            self._search(len(self._buffer))
            self._buffer = bytearray()

    def finish(self) -> list[Matched]:
        """The rules that match what was fed.

        Raises:
            DeadlinePassed: time ran out.
        """
        self.gap()
        islands = list(_islands(self._kept))
        data, starts = bytearray(), []
        for _, text in islands:
            starts.append(len(data))
            data += text + _GAP
        joined = bytes(data)
        doubtful = self._doubtful(joined)
        matched = []
        for one in self._engine.scan(joined, self._subject):
            if (one.namespace, one.rule) not in self._allowed:
                continue
            placed = self._placed(one, islands, starts)
            if placed is None:
                doubtful.add(one.rule)
            else:
                matched.append(placed)
        for rule in sorted(doubtful):
            self._tally.skip(reasons.DOUBTFUL, f"{rule} {self._subject}")
        return matched

    def _doubtful(self, joined: bytes) -> set[str]:
        """Rules that are shown more or less than is there: a pattern matches into a gap, or not beside one."""
        if not self._kept:
            return set()
        shown: dict[tuple[int, int], int] = {}
        for probe in self._engine.run(self._scanner, joined, self._subject) or ():
            for place, pattern in enumerate(probe.patterns):
                shown[int(probe.identifier[1:]), place] = len(pattern.matches)
        keys = (shown.keys() | self._counts.keys()) - self._uncounted
        return {self._rules.probed[key[0]].name for key in keys if shown.get(key, 0) != self._counts.get(key, 0)}

    def _search(self, end: int) -> None:
        """Looks for matches that begin before ``end``."""
        data = bytes(self._buffer)
        for probe in self._engine.run(self._scanner, data, self._subject) or ():
            rule = int(probe.identifier[1:])
            for place, pattern in enumerate(probe.patterns):
                self._keep(data, (rule, place), pattern.matches, end)
        self._fresh = end

    def _keep(self, data: bytes, key: tuple[int, int], matches: object, end: int) -> None:
        count = self._counts.get(key, 0)
        for match in matches:  # type: ignore[attr-defined]  # yara_x.Match, which has no types
            if not self._fresh <= match.offset < end:
                continue
            count += 1
            if count > MOST_COUNTED or self._size > MOST_KEPT:
                if key not in self._uncounted:
                    name = self._rules.probed[key[0]]
                    self._tally.skip(reasons.MANY, f"{name.name} {name.patterns[key[1]].name} {self._subject}")
                    self._uncounted.add(key)
                break
            first = max(0, match.offset - _AROUND)
            text = data[first : match.offset + match.length + _AROUND]
            self._kept.append((self._start + first, text))
            self._size += len(text)
        self._counts[key] = count

    def _placed(self, one: Matched, islands: list[tuple[int, bytes]], starts: list[int]) -> Matched | None:
        """The same with the addresses of what it found; None if a match goes from one island to another."""
        found = []
        for pattern in one.found:
            places = []
            for offset, length, excerpt in pattern.places:
                island = bisect.bisect_right(starts, offset) - 1
                inside = offset - starts[island] if island >= 0 else -1
                if inside < 0 or inside + length > len(islands[island][1]):
                    return None
                places.append((islands[island][0] + inside, length, excerpt))
            found.append(Found(pattern.pattern, pattern.total, places))
        return one._replace(found=found)


def _islands(kept: list[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """What was kept, by address, each byte once."""
    start, data = 0, bytearray()
    for address, text in sorted(kept):
        if data and address <= start + len(data):
            data += text[start + len(data) - address :]
            continue
        if data:
            yield start, bytes(data)
        start, data = address, bytearray(text)
    if data:
        yield start, bytes(data)

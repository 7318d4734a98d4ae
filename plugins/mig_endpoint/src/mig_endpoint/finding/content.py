"""Content checks over blocks of lines: which expressions does a file's content satisfy.

``reader`` cuts a file into :class:`Block` values (whole lines, or windows of a line that is too long to hold) and shows
them to a :class:`ContentScan`, which stops asking for more as soon as everything is decided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mig_endpoint.finding import patterns, syntax

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from mmap import mmap

    from mig_endpoint.finding.patterns import Find

FILTER_FROM = 3
"""From this many undecided expressions on, one search for all of them goes before the single ones."""
QUICK_FILTER_FROM = 12
"""The same where all of them can be ruled out quickly, each by itself."""
MEMORY = 24 << 20
"""What all expressions of a run may use together, in bytes; each gets a share, and at least ``MIN_MEMORY``."""
MIN_MEMORY = 1 << 20


class Question(NamedTuple):
    """One content expression. ``every_line``: must all lines match (``macroal``), and not just any?"""

    regex: str
    every_line: bool


class Block:
    """A run of lines: ``data[start:end]``, without the newline of the last one.

    A window of a longer line has its neighbouring bytes in ``data`` outside the range. After any other block there is a
    newline or nothing.
    """

    __slots__ = ("_is_plain", "_plain", "_valid", "data", "end", "start", "window")

    def __init__(
        self, data: bytes | bytearray | mmap, start: int, end: int, *, window: bool = False, plain: bool = False
    ) -> None:
        self.data = data
        self.start = start
        self.end = end
        self.window = window
        """Whether it is only a part of a line; its ``\\r\\n`` are newlines already."""
        self._valid: bool | None = None
        self._is_plain = plain or window
        self._plain: Block | None = None

    def plain(self) -> Block:
        """The same lines, of each ``\\r\\n`` only the newline, no ``\\r`` at the end; itself if it has none."""
        if self._plain is None and not self._is_plain:
            view = memoryview(self.data)[self.start : self.end]
            data = patterns.without_returns(view)
            if data is view:
                self._is_plain = True
            else:
                self._plain = Block(bytes(data), 0, len(data), plain=True)
        return self._plain or self  # no reference to itself: it must go as soon as nobody needs it

    def is_utf8(self) -> bool:
        """Whether the range is valid UTF-8."""
        if self._valid is None:
            try:
                str(memoryview(self.data)[self.start : self.end], "utf-8")
            except UnicodeDecodeError:
                self._valid = False
            else:
                self._valid = True
        return self._valid

    def lines(self) -> Iterable[bytes]:
        """Each line, without ``\\r`` at its end."""
        plain = self.plain()
        data, position = plain.data, plain.start
        while True:
            end = data.find(b"\n", position, plain.end)
            if end < 0:
                yield bytes(data[position : plain.end])
                return
            yield bytes(data[position:end])
            position = end + 1


class Questions:
    """All content expressions of a run, compiled, each once however many searches ask it."""

    def __init__(self, asked: Iterable[Question]) -> None:
        """Compiles them."""
        unique = list(dict.fromkeys(asked))
        share = max(MIN_MEMORY, min(patterns.DEFAULT_MEMORY, MEMORY // max(1, len(unique))))
        self._share = share
        self.patterns = {one: patterns.Pattern(one.regex, memory=share) for one in unique}
        self.any_length = {one for one in unique if syntax.may_match_any_length(one.regex)}
        self._filters: dict[frozenset[Question], Find | None] = {}

    def filter_for(self, open_questions: Sequence[Question]) -> Find | None:
        """One search that finds something in valid UTF-8 if any of them would; kept for the commonest sets."""
        if len(open_questions) < FILTER_FROM:
            return None
        slow = sum(1 for one in open_questions if not self.patterns[one].finders)
        if slow < FILTER_FROM and len(open_questions) < QUICK_FILTER_FROM:
            return None
        key = frozenset(open_questions)
        if key not in self._filters:
            if len(self._filters) >= 4:
                return None
            self._filters[key] = patterns.any_of([one.regex for one in open_questions], memory=patterns.DEFAULT_MEMORY)
        return self._filters[key]


class ContentScan:
    """The open questions about one file."""

    __slots__ = ("_any", "_every", "_questions", "_windows", "doubtful", "found", "seen_lines")

    def __init__(self, questions: Questions, asked: Iterable[Question]) -> None:
        """Asks ``asked``, a part of ``questions``."""
        self._questions = questions
        self._any: list[Question] = []
        self._every: list[Question] = []
        for one in asked:
            (self._every if one.every_line else self._any).append(one)
        self.found: set[Question] = set()
        """Those that a line answered with yes (``every_line``: complete only after :meth:`finish`)."""
        self.doubtful: set[Question] = set()
        """After :meth:`finish`: those that could not be decided, because of a line longer than a window."""
        self.seen_lines = False
        self._windows = False

    def is_decided(self) -> bool:
        """Whether more content can change nothing."""
        return not self._any and not self._every

    def look_at(self, block: Block) -> None:
        """Looks at the next block."""
        self.seen_lines = True
        self._windows |= block.window
        if self._any:
            self._look_for_any(block)
        if self._every and block.window:
            self.doubtful.update(self._every)
            self._every = []
        for one in tuple(self._every):
            pattern = self._questions.patterns[one]
            if not all(map(pattern.matches, block.lines())):
                self._every.remove(one)

    def look_at_lines(self, view: memoryview, data: bytes | bytearray | mmap, start: int, end: int) -> None:
        """The same for whole lines, ``view`` of ``data[start:end]``: most hold no text that a match contains."""
        if self._every or len(self._any) >= FILTER_FROM:
            self.look_at(Block(data, start, end))
            return
        self.seen_lines = True
        block = None
        for one in tuple(self._any):
            pattern = self._questions.patterns[one]
            verdict = pattern.is_near_texts(view, data, start, end)
            if verdict is None:
                block = block or Block(data, start, end)
                verdict = pattern.is_in_all(block)
            if verdict:
                self.found.add(one)
                self._any.remove(one)

    def are_ruled_out(self, view: memoryview, data: mmap, start: int, end: int) -> bool:
        """Whether whole lines, ``view`` of ``data[start:end]``, answer no open question, if that is quickly seen."""
        if self._every or len(self._any) >= FILTER_FROM:
            return False
        known = self._questions.patterns
        return all(known[one].is_ruled_out(view, data, start, end) for one in self._any)

    def finish(self, *, cut_off: bool = False) -> None:
        """Says that the content has ended, or that there was more that could not be read (``cut_off``)."""
        if cut_off:
            self.doubtful.update(self._any, self._every)
        elif self.seen_lines:
            self.found.update(self._every)
        self._every = []
        if self._windows:
            self.doubtful.update(one for one in self._any if one in self._questions.any_length)
        self._any = []

    def _look_for_any(self, block: Block) -> None:
        together = self._questions.filter_for(self._any)
        if together is not None:
            plain = block.plain()
            if together(plain.data, plain.start, plain.end)[0] < 0 and block.is_utf8():
                return
        for one in tuple(self._any):
            if self._questions.patterns[one].is_in(block):
                self.found.add(one)
                self._any.remove(one)

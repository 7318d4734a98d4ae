"""Regular expressions (RE2 syntax, linear time) and byte strings, ready to be looked for in memory.

The only file that imports google-re2. It calls the compiled object's own ``Match``, because the public ``search`` costs
as much again as a short match; ``test_memory_patterns.py`` pins that private call. ``Match`` releases the interpreter
lock, so threads really search at the same time.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from mig_core.records import dataclass
from mig_endpoint.regex.literals import MAX_LENGTH
from mig_memory import bytesyntax

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mig_endpoint.regex.finder import Finder

    Buffer = bytes | bytearray | memoryview
    Find = Callable[[Buffer, int, int], bool]
    """Whether there is a match in ``buffer[start:end]``; anchors and ``\\b`` look at what surrounds it."""
    _Group = tuple[frozenset[int], Find]
    """Patterns by index, and whether any of them is there."""
    Locate = Callable[[Buffer, int, int], int]
    """Where the first match in ``buffer[start:end]`` begins; negative if there is none."""

LONGEST_UNBOUNDED = 64 << 10
"""How long a match of an expression with ``*``, ``+`` or ``{n,}`` may be and still surely be found across a border."""
_TOTAL_MEMORY = 16 << 20
_MOST_MEMORY = 8 << 20
_LEAST_MEMORY = 256 << 10
_POOL_MEMORY = 8 << 20
_KEPT_POOLS = 2
_CANDIDATE_BYTES = 2048
"""Looking around one required text takes about as long as RE2 needs for so much."""
_SAMPLE = 64 << 10
_PAGE = 4096
_MANY_CANDIDATES = 64
_ZERO_FIRST = re.compile(r"(?:\(\?[a-zA-Z]+\))*(?:\\x00|\\x\{0+\}|\\0+|\x00)")
_WALKING = 0.6e9
"""Bytes a second that RE2 looks at one by one."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Something to look for in memory."""

    find: Find
    overlap: int
    """The longest match that is surely found wherever a border between two reads lies, in bytes."""
    zeros: int
    """How many zeros stand for any longer run of them."""
    source: bytes = b""
    """Source for RE2's Latin-1 mode; empty if it cannot be said in that."""


def check_pattern(text: str) -> None:
    """Checks a regular expression.

    Raises:
        ValueError: it is empty, RE2 refuses it, or it is something that RE2 takes and the original does not.
    """
    if not text:
        raise ValueError("is empty")
    try:
        _compile(text.encode(), _MOST_MEMORY)
    except ValueError as error:
        raise ValueError(f"{text!r:.200} is not a regular expression: {error}") from None
    if problem := bytesyntax.refused_by_go(text):
        raise ValueError(f"{text!r:.200} is not a regular expression: {problem}")


def for_paths(text: str) -> Callable[[str], bool]:
    """A regular expression on names and paths, which are text."""
    find = _compile(text.encode(), 1 << 20, or_more=True)[0]

    def matches(subject: str) -> bool:
        raw = subject.encode("utf-8", "replace")
        return find(raw, 0, len(raw))

    return matches


def memory_for_each(count: int) -> int:
    """The budget of one of ``count`` patterns, in bytes, so that all of them stay within the module's memory."""
    return max(_LEAST_MEMORY, min(_MOST_MEMORY, _TOTAL_MEMORY // max(count, 1)))


def check_wide(text: str) -> None:
    """Checks that a regular expression can be looked for in UTF-16LE as well.

    Raises:
        ValueError: it cannot.
    """
    _compile(bytesyntax.for_wide(text, _takes_any_character).encode("ascii"), _MOST_MEMORY, latin=True, or_more=True)


def for_contents(text: str, *, memory: int, wide: bool = False) -> Pattern:
    """A regular expression on memory, within about ``memory`` bytes.

    Args:
        text: the expression.
        memory: for it and, if ``wide``, once more.
        wide: as characters in UTF-16LE as well; :func:`check_wide` has accepted it.
    """
    if wide:
        return _either(_narrow(text, memory), _wide(text, memory))
    return _narrow(text, memory)


def _narrow(text: str, memory: int) -> Pattern:
    source = bytesyntax.for_bytes(text, _takes_any_character)
    for candidate in (source, text if text.isascii() and source is not None else None):
        if candidate is None:
            continue
        if _ZERO_FIRST.match(candidate):
            candidate = "(?:)" + candidate
        try:
            find, size = _compile(candidate.encode("ascii"), memory, latin=True, or_more=True)
        except ValueError:  # the alternatives that were added have made it too large
            continue
        return _expression(text, find, size, candidate.encode("ascii"))
    find, size = _compile(text.encode(), memory, or_more=True)
    return _expression(text, find, size)


def _wide(text: str, memory: int) -> Pattern:
    source = bytesyntax.for_wide(text, _takes_any_character).encode("ascii")
    find, size = _compile(source, memory, latin=True, or_more=True)
    return _expression(text, find, size, source, wide=True)


def _either(one: Pattern, other: Pattern) -> Pattern:
    def find(buffer: Buffer, start: int, end: int) -> bool:
        return one.find(buffer, start, end) or other.find(buffer, start, end)

    source = b"(?:%b)|(?:%b)" % (one.source, other.source) if one.source and other.source else b""
    return Pattern(find, max(one.overlap, other.overlap), max(one.zeros, other.zeros), source)


class Battery:
    """Several patterns that are looked for together.

    RE2 walks at about 0.6 GB/s, but jumps to the head of a literal many times faster. So a few patterns with literal
    heads are best looked for one by one, and others all at once as an alternation: first whether any of them is there,
    then which. What is faster is measured on a small sample.
    """

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self.patterns = tuple(patterns)
        self.overlap = max((one.overlap for one in patterns), default=0)
        self.zeros = max((one.zeros for one in patterns), default=0)
        self._pooled = frozenset[int]()
        self._pools: dict[frozenset[int], list[_Group]] = {}
        poolable = [index for index, one in enumerate(self.patterns) if one.source]
        if len(poolable) > 1:
            import hashlib  # a search for bytes or names does without

            sample = hashlib.shake_128(b"mig memory").digest(_SAMPLE)
            one_by_one = sum(_cost(self.patterns[index].find, sample) for index in poolable)
            groups = self._compiled(poolable) if one_by_one > _SAMPLE / _WALKING else []
            if groups and sum(_cost(find, sample) for _, find in groups) < one_by_one:
                self._pooled = frozenset(poolable)
                self._pools[self._pooled] = groups

    def search(self, buffer: Buffer, searched: int, first: int, end: int, wanted: set[int]) -> list[int]:
        """Which of the ``wanted`` patterns (by index) have a match that ends in ``buffer[searched:end]``.

        Args:
            buffer: what was read; its borders are where anchors match.
            searched: everything before has been searched already.
            first: where matches may begin at the earliest.
            end: where they must end at the latest.
            wanted: what is still to be found.
        """
        pool = self._pooled & wanted
        if len(pool) > 1:
            for members, anything in self._groups(pool):
                overlap = max(self.patterns[index].overlap for index in members)
                if not anything(buffer, max(first, searched - overlap), end):
                    wanted = wanted - members
        return [
            index
            for index in sorted(wanted)
            if self.patterns[index].find(buffer, max(first, searched - self.patterns[index].overlap), end)
        ]

    def _groups(self, pool: frozenset[int]) -> list[_Group]:
        if pool not in self._pools:
            if len(self._pools) >= _KEPT_POOLS:
                # Parts of the whole come and go with what one process has; the whole comes again with the next.
                self._pools = {key: value for key, value in self._pools.items() if key == self._pooled}
            self._pools[pool] = self._compiled(sorted(pool))
        return self._pools[pool]

    def _compiled(self, members: list[int]) -> list[_Group]:
        """One alternation, or several where one would be too large; single patterns are left out."""
        if len(members) < 2:
            return []
        source = b"|".join(b"(?:%b)" % self.patterns[index].source for index in members)
        try:
            return [(frozenset(members), _compile(source, _POOL_MEMORY, latin=True)[0])]
        except ValueError:
            half = len(members) // 2
            return self._compiled(members[:half]) + self._compiled(members[half:])


def for_bytes(needle: bytes, *, memory: int) -> Pattern:
    """A byte string."""
    source = "".join(f"\\x{byte:02x}" for byte in needle).encode("ascii")
    rest = needle.lstrip(b"\0")
    if not rest or rest == needle:
        find, _ = _compile(source, memory, latin=True, or_more=True)
        return Pattern(find, len(needle), len(needle) + 1, source)
    # Much of memory is zero, and jumping from zero to zero is slow: jump to what follows them. The empty group keeps
    # RE2 from jumping; it is for where even the rest is everywhere.
    steadily, _ = _compile(b"(?:)" + source, memory, latin=True, or_more=True)
    zeros = bytes(len(needle) - len(rest))
    jump, _ = _compile_locate(source[4 * len(zeros) :], memory, latin=True, or_more=True)

    def find_rest(buffer: Buffer, start: int, end: int) -> bool:
        position = start + len(zeros)
        for _ in range(_MANY_CANDIDATES):
            if position > end:
                return False
            found = jump(buffer, position, end)
            if found < 0:
                return False
            if buffer[found - len(zeros) : found] == zeros:
                return True
            position = found + 1
        return steadily(buffer, position - len(zeros), end)

    return Pattern(find_rest, len(needle), len(needle) + 1, source)


def _expression(text: str, find_match: Find, size: int, source: bytes = b"", *, wide: bool = False) -> Pattern:
    """In a program of ``size`` steps without loops a match takes each step at most once, and that is its length.

    With loops no run of zeros that is longer than the program can be told from a still longer one, but for those that
    count modulo something; whole pages are added to be right for powers of two.
    """
    from mig_endpoint.regex.finder import finders_for

    finders = finders_for(text, wide=wide)
    if bytesyntax.is_bounded(text):
        return Pattern(_around_texts(finders, size, find_match), size, size + 1, source)

    def find(buffer: Buffer, start: int, end: int) -> bool:
        view = memoryview(buffer)[start:end]
        return all(one.is_in(view) for one in finders) and find_match(buffer, start, end)

    return Pattern(find, max(LONGEST_UNBOUNDED, size), -(-size // _PAGE) * _PAGE + _PAGE, source)


def _around_texts(finders: Sequence[Finder], longest: int, find_match: Find) -> Find:
    """The same search, done only around texts that a match must contain, where these are few."""

    def find(buffer: Buffer, start: int, end: int) -> bool:
        view = memoryview(buffer)[start:end]
        for finder in finders:
            places = finder.few(view, len(view) // _CANDIDATE_BYTES)
            if places is not None:
                # of texts that overlap only the first is named: the one that counts may begin a little later
                around = ((start + place - longest, start + place + longest + MAX_LENGTH) for place in places)
                return any(find_match(buffer, max(start, first), min(end, last)) for first, last in around)
        return find_match(buffer, start, end)

    return find


def _cost(find: Find, sample: bytes) -> float:
    """Seconds that searching the sample takes; a guess for what is found in it."""
    best = len(sample) / _WALKING
    for _ in range(2):  # the first time it also builds its tables
        started = time.perf_counter()
        if find(sample, 0, len(sample)):
            return len(sample) / _WALKING
        best = min(best, time.perf_counter() - started)
    return best


def _takes_any_character(token: str) -> bool:
    probe = "\U0010fffe".encode()
    return _compile(f"^(?:{token})$".encode(), 1 << 20, or_more=True)[0](probe, 0, len(probe))


def _compile(source: bytes, memory: int, *, latin: bool = False, or_more: bool = False) -> tuple[Find, int]:
    """The compiled form and its size. ``or_more``: a pattern too large for the budget gets the largest there is."""
    locate, size = _compile_locate(source, memory, latin=latin, or_more=or_more)

    def find(buffer: Buffer, start: int, end: int) -> bool:
        return locate(buffer, start, end) >= 0

    return find, size


def _compile_locate(source: bytes, memory: int, *, latin: bool, or_more: bool) -> tuple[Locate, int]:
    import re2

    options = re2.Options()
    options.never_capture = True
    options.log_errors = False
    options.max_mem = memory
    if latin:
        options.encoding = re2.Options.Encoding.LATIN1
    try:
        compiled = re2._Regexp(source, options)  # noqa: SLF001 - re2.compile would keep it in a cache for ever
    except re2.error as error:
        if or_more and memory < 2 * _MOST_MEMORY:
            return _compile_locate(source, 2 * _MOST_MEMORY, latin=latin, or_more=False)
        reason = error.args[0] if error.args else ""
        raise ValueError(reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)) from None
    match = compiled._regexp.Match  # noqa: SLF001 - see the head of this file
    anywhere = re2._Anchor.UNANCHORED  # noqa: SLF001 - the same

    def locate(buffer: Buffer, start: int, end: int) -> int:
        found: int = match(anywhere, buffer, start, end)[0][0]
        return found

    return locate, compiled.programsize

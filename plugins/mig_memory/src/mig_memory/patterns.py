"""Regular expressions (RE2 syntax, linear time) and byte strings, ready to be looked for in memory.

The only file that imports google-re2. It calls the compiled object's own ``Match``, because the public ``search`` costs
as much again as a short match; ``test_memory_patterns.py`` pins that private call. ``Match`` releases the interpreter
lock, so threads really search at the same time.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mig_memory import bytesyntax

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Buffer = bytes | bytearray | memoryview
    Find = Callable[[Buffer, int, int], bool]
    """Whether there is a match in ``buffer[start:end]``; anchors and ``\\b`` look at what surrounds it."""

LONGEST_UNBOUNDED = 64 << 10
"""How long a match of an expression with ``*``, ``+`` or ``{n,}`` may be and still surely be found across a border."""
_TOTAL_MEMORY = 24 << 20
_MOST_MEMORY = 8 << 20
_LEAST_MEMORY = 256 << 10
_SAMPLE = 64 << 10
_FAST = 1.2e9
"""Bytes a second that only patterns with a literal head reach."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Something to look for in memory."""

    find: Find
    overlap: int
    """The longest match that is surely found wherever a border between two reads lies, in bytes."""
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


def for_contents(text: str, *, memory: int) -> Pattern:
    """A regular expression on memory, within about ``memory`` bytes."""
    source = bytesyntax.for_bytes(text, _takes_any_character)
    for candidate in (source, text if text.isascii() and source is not None else None):
        if candidate is None:
            continue
        try:
            find, size = _compile(candidate.encode("ascii"), memory, latin=True, or_more=True)
        except ValueError:  # the alternatives that were added have made it too large
            continue
        return Pattern(find, _overlap(text, size), candidate.encode("ascii"))
    find, size = _compile(text.encode(), memory, or_more=True)
    return Pattern(find, _overlap(text, size))


class Battery:
    """Several patterns that are looked for together.

    RE2 jumps to the first byte of a literal much faster than it can walk, so patterns with a literal head are best
    looked for one by one, and all others as one alternation: first whether any of them is there, then which.
    Which is which is measured on a small sample.
    """

    def __init__(self, patterns: Sequence[Pattern], *, memory: int) -> None:
        """``memory``: budget of an alternation, in bytes."""
        self.patterns = tuple(patterns)
        self.overlap = max((one.overlap for one in patterns), default=0)
        self._memory = memory
        sample = hashlib.shake_128(b"mig memory").digest(_SAMPLE)
        slow = [
            index
            for index, one in enumerate(self.patterns)
            if len(self.patterns) > 1 and one.source and not _is_fast(one.find, sample)
        ]
        self._pooled = frozenset(slow) if len(slow) > 1 else frozenset[int]()
        self._pools: dict[frozenset[int], Find | None] = {}

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
        if len(pool) > 1 and (anything := self._pool(pool)) is not None:
            overlap = max(self.patterns[index].overlap for index in pool)
            if not anything(buffer, max(first, searched - overlap), end):
                wanted = wanted - pool
        return [
            index
            for index in sorted(wanted)
            if self.patterns[index].find(buffer, max(first, searched - self.patterns[index].overlap), end)
        ]

    def _pool(self, members: frozenset[int]) -> Find | None:
        if members not in self._pools:
            if len(self._pools) >= 4:
                # Parts of the whole come and go with what one process has; the whole comes again with the next.
                self._pools = {key: value for key, value in self._pools.items() if key == self._pooled}
            source = b"|".join(b"(?:%b)" % self.patterns[index].source for index in sorted(members))
            try:
                self._pools[members] = _compile(source, self._memory, latin=True)[0]
            except ValueError:
                self._pools[members] = None  # too large together: one by one
        return self._pools[members]


def for_bytes(needle: bytes, *, memory: int) -> Pattern:
    """A byte string."""
    source = "".join(f"\\x{byte:02x}" for byte in needle).encode("ascii")
    if needle.startswith(b"\0"):
        # Jumping from zero to zero is slow where all is zero, and much of memory is. The empty group stops RE2 from it.
        source = b"(?:)" + source
    find, _ = _compile(source, memory, latin=True, or_more=True)
    return Pattern(find, len(needle), source)


def _overlap(text: str, program_size: int) -> int:
    """In a program without loops a match takes each step at most once."""
    if bytesyntax.is_bounded(text):
        return program_size
    return max(LONGEST_UNBOUNDED, program_size)


def _is_fast(find: Find, sample: bytes) -> bool:
    best = float("inf")
    for _ in range(2):  # the first time it also builds its tables
        started = time.perf_counter()
        if find(sample, 0, len(sample)):
            return False  # it has not seen all of the sample
        best = min(best, time.perf_counter() - started)
    return len(sample) / max(best, 1e-9) > _FAST


def _takes_any_character(token: str) -> bool:
    probe = "\U0010fffe".encode()
    return _compile(f"^(?:{token})$".encode(), 1 << 20, or_more=True)[0](probe, 0, len(probe))


def _compile(source: bytes, memory: int, *, latin: bool = False, or_more: bool = False) -> tuple[Find, int]:
    """The compiled form and its size. ``or_more``: a pattern too large for the budget gets the largest there is."""
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
            return _compile(source, 2 * _MOST_MEMORY, latin=latin)
        reason = error.args[0] if error.args else ""
        raise ValueError(reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)) from None
    match = compiled._regexp.Match  # noqa: SLF001 - see the head of this file
    anywhere = re2._Anchor.UNANCHORED  # noqa: SLF001 - the same

    def find(buffer: Buffer, start: int, end: int) -> bool:
        return bool(match(anywhere, buffer, start, end)[0][0] >= 0)

    return find, compiled.programsize

"""Regular expressions with the original's meaning (Go's regexp: RE2 syntax, linear time) on names and lines.

The only file that imports google-re2. It calls the compiled object's own ``Match`` (:func:`_compile`), because the
public ``search`` costs as much again as a short match; ``test_file_patterns.py`` pins that private call.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Protocol

from mig_endpoint.files.naming import text_of
from mig_endpoint.finding import syntax
from mig_endpoint.regex.tokens import Kind, Token, tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from mmap import mmap

    from mig_endpoint.regex.finder import Finder

    Buffer = bytes | bytearray | memoryview | mmap
    Find = Callable[[Buffer, int, int], tuple[int, int]]
    """Where the first match in ``buffer[start:end]`` lies, looking at what surrounds it; (-1, -1) if nowhere."""

DEFAULT_MEMORY = 8 << 20
"""RE2's own default budget for one pattern, in bytes."""
BYTES_FOR_A_LINE = 4 << 10
"""Looking at a single line takes about as long as RE2 needs for so much."""
FAILURES = 3
"""After so many blocks in a row with required texts everywhere, nobody looks for them in the next ``REST``; nor for
required characters."""
REST = 64
MANY_BYTES = 64 << 10
"""From this many bytes of lines on, a further search that rules most of them out is worth its call."""
PROBE = 4 << 10
"""Where a text is frequent, it is in a block's first bytes too."""
MOST_BEGINNINGS = 64
"""With more beginnings of matches in the first bytes, looking for each of them takes longer than looking for all."""
MANY_RETURNS = 200
"""From this many pairs in one block on, ``bytes.replace`` is the faster way."""
_RETURN = ord("\r")


class Lines(Protocol):
    """A run of lines: ``data[start:end]``, without the newline of the last one, which may or may not follow.

    A window of a longer line has its neighbouring bytes in ``data`` outside the range, there for anchors to look at.
    """

    data: bytes | bytearray | mmap
    start: int
    end: int
    window: bool

    def is_utf8(self) -> bool:
        """Whether the range is valid UTF-8."""

    def plain(self) -> Lines:
        """The same lines, of each ``\\r\\n`` only the newline."""


def check_pattern(text: str) -> None:
    """Checks a regular expression.

    Raises:
        ValueError: it is empty, RE2 refuses it, or it is something that RE2 takes and the original does not.
    """
    if not text:
        raise ValueError("is empty")
    try:
        _compile(text)
    except ValueError as error:
        raise ValueError(f"{text!r:.200} is not a regular expression: {error}") from None
    if problem := syntax.refused_by_go(text):
        raise ValueError(f"{text!r:.200} is not a regular expression: {problem}")


class _Trial:
    """Whether a quick search is worth trying at the next block: see ``FAILURES``."""

    __slots__ = ("_failures", "rest")

    def __init__(self) -> None:
        self._failures = 0
        self.rest = 0
        """For so many blocks it is not."""

    def is_due(self) -> bool:
        """Asked once a block."""
        if self.rest > 0:
            self.rest -= 1
            return False
        return True

    def served(self) -> None:
        """It told something."""
        self._failures = 0

    def failed(self) -> None:
        """It was in vain."""
        self._failures += 1
        if self._failures >= FAILURES:
            self._failures, self.rest = FAILURES - 1, REST


class Pattern:
    """A regular expression, ready to be looked for."""

    def __init__(self, text: str, *, memory: int = DEFAULT_MEMORY) -> None:
        """Compiles ``text``, which :func:`check_pattern` has accepted, within about ``memory`` bytes."""
        self.text = text
        self._memory = memory
        source, as_read = syntax.for_lines(text), syntax.for_lines_as_read(text)
        self.find_in_lines = _compile_within(memory, source, never_nl=True)
        self._find_as_read: Find | None = self.find_in_lines
        if as_read != source:
            self._find_as_read = _compile_within(memory, as_read, never_nl=True) if as_read is not None else None
        self._single: Find | None = None
        self._wildcards = any(_is_wildcard(token) for token in tokens(text))
        self._filter: Find | None = None
        if self._wildcards:
            try:
                self._filter = _compile(syntax.filter_for_lines(text, _is_wildcard), never_nl=True, memory=memory)
            except ValueError:
                self._filter = None  # too large with the alternatives added: every line is then looked at
        # What the finders were worth lately: it makes no difference to an answer, only to how soon it comes.
        self._texts_trial = _Trial()
        self._characters_trial = _Trial()
        self._has_ruled_out = False

    @functools.cached_property
    def _characters(self) -> list[tuple[bytes, ...]]:
        """Of each of which every match contains one form; what served last comes first."""
        from mig_endpoint.regex.finder import required_characters

        return required_characters(self.text)

    @functools.cached_property
    def finders(self) -> list[Finder]:
        """For texts of which every match contains one of each finder's; what served last comes first."""
        from mig_endpoint.regex.finder import finders_for

        return finders_for(self.text)

    @functools.cached_property
    def _branches(self) -> list[tuple[bytes, Find]]:
        """Searches in plain bytes as they are read: the pattern is nowhere where none of them finds anything.

        Before each the text with which it begins, in lower case.
        """
        from mig_endpoint.regex.branches import MOST_BRANCHES, branches

        source = syntax.for_lines_as_read(self.text)
        if source is None or self._wildcards:
            return []
        memory = self._memory // MOST_BRANCHES
        try:
            return [
                (one.prefix.lower().encode(), _compile(one.pattern, never_nl=True, memory=memory, by_bytes=True))
                for one in branches(source)
            ]
        except ValueError:
            return []  # too large for its share of memory

    @functools.cached_property
    def _other_forms(self) -> Sequence[bytes]:
        """Bytes with which letters begin that are another form of ASCII's."""
        from mig_endpoint.regex.branches import folds

        return (b"\xc5", b"\xe2") if folds(self.text) else ()

    def matches(self, subject: bytes) -> bool:
        """Whether it is found in one string: a name, a mode, a single line."""
        if self._single is None:
            self._single = _compile_within(self._memory, self.text)
        return self._is_in_text(self._single, subject)

    def is_in(self, lines: Lines) -> bool:
        """Whether it is found in any of the lines."""
        data, start, end = lines.data, lines.start, lines.end
        verdict = None
        if self.finders and not lines.window:
            verdict = self.is_near_texts(memoryview(data)[start:end], data, start, end)
        return self.is_in_all(lines) if verdict is None else verdict

    def is_near_texts(self, view: memoryview, data: bytes | bytearray | mmap, start: int, end: int) -> bool | None:
        """Looks only at lines with a text that every match contains; None if these are too many to be quick.

        Args:
            view: the lines.
            data: where they lie, none of them in part.
            start: where they begin there.
            end: where they end there.
        """
        if not self.finders:
            return None
        if not self._texts_trial.is_due():
            return None
        for finder in self.finders:
            most = 1 + len(view) // BYTES_FOR_A_LINE
            positions = finder.positions(view) if len(view) < MANY_BYTES else finder.few(view, most)
            if positions is None or len(positions) > most:
                continue
            verdict = bool(positions) and self._is_in_lines_at(data, start, end, positions)
            self._texts_trial.served()
            if finder is not self.finders[0]:
                self._comes_first(finder)
            return verdict
        self._texts_trial.failed()
        return None

    def is_ruled_out(self, view: memoryview, data: bytes | bytearray | mmap, start: int, end: int) -> bool:
        """Whether it is in none of the lines, as far as that is seen at several gigabytes a second.

        Args:
            view: see :meth:`is_near_texts`.
            data: as there.
            start: as there.
            end: as there.
        """
        # 1. a single character that every match contains: nothing is found faster
        if self._characters_trial.is_due() and self._lacks_a_character(data, start, end):
            return True
        # 2. texts
        if self._texts_trial.rest > 0:
            return False  # whoever looks at all of the lines counts it
        for finder in self.finders:
            if (self._has_ruled_out or not finder.touches(view[:PROBE])) and not finder.touches(view):
                if finder is not self.finders[0]:
                    self._comes_first(finder)
                self._has_ruled_out = True
                return True
            self._has_ruled_out = False
        return False

    def _lacks_a_character(self, data: bytes | bytearray | mmap, start: int, end: int) -> bool:
        characters = self._characters
        for character in characters:
            for form in character:
                if data.find(form, start, end) >= 0:
                    break
            else:
                if character is not characters[0]:
                    self._characters = [character, *(one for one in characters if one is not character)]
                self._characters_trial.served()
                return True
        self._characters_trial.failed()
        return False

    def _comes_first(self, finder: Finder) -> None:
        self.finders = [finder, *(one for one in self.finders if one is not finder)]

    def _is_in_lines_at(self, data: bytes | bytearray | mmap, start: int, end: int, positions: Sequence[int]) -> bool:
        last = start - 1
        for position in positions:
            if start + position <= last:
                continue  # on the line before
            first = data.rfind(b"\n", start, start + position) + 1 or start
            last = data.find(b"\n", start + position, end)
            last = end if last < 0 else last
            if self._is_in_text(self.find_in_lines, bytes(data[first:last]).removesuffix(b"\r")):
                return True
        return False

    def _is_in_text(self, find: Find, text: bytes) -> bool:
        if self._wildcards:  # as they are, RE2 takes some bytes for characters beyond Unicode, and Go does not
            text = with_replacement_characters(text)
        return find(text, 0, len(text))[0] >= 0

    def is_in_all(self, lines: Lines) -> bool:
        """The same, looking at all of the lines."""
        if self._wildcards and not lines.is_utf8():
            return self._is_in_undecodable(lines.plain())
        find = self.find_in_lines
        if lines.end - lines.start >= MANY_BYTES and not lines.window and self._is_in_no_branch(lines):
            return False
        if self._find_as_read is not None and not lines.window:
            if self._find_as_read(lines.data, lines.start, lines.end)[0] < 0:
                return False
            if lines.plain() is lines:
                return True
        lines = lines.plain()
        return find(lines.data, lines.start, lines.end)[0] >= 0

    def _is_in_no_branch(self, lines: Lines) -> bool:
        """Whether it is in none of the lines, as far as that is seen more quickly than by looking for it."""
        data, start, end = lines.data, lines.start, lines.end
        if not self._branches or any(data.find(one, start, end) >= 0 for one in self._other_forms):
            return False
        probe = bytes(data[start : min(end, start + PROBE)]).lower()
        if sum(probe.count(prefix) for prefix, _ in self._branches) > MOST_BEGINNINGS:
            return False
        return all(find(data, start, end)[0] < 0 for _, find in self._branches)

    def _is_in_undecodable(self, lines: Lines) -> bool:
        """Looks closely at the lines that might match once bytes that are not UTF-8 count as U+FFFD."""
        data, position = lines.data, lines.start
        while position <= lines.end:
            # what matches as it is also passes the filter, so one search for both is enough
            found = self._filter(data, position, lines.end)[0] if self._filter else position
            if found < 0:
                return False
            first = data.rfind(b"\n", lines.start, found) + 1 or lines.start
            last = data.find(b"\n", found, lines.end)
            last = lines.end if last < 0 else last
            before = after = b""
            if lines.window:
                before = with_replacement_characters(bytes(data[: lines.start])) if first == lines.start else b""
                after = with_replacement_characters(bytes(data[lines.end :])) if last == lines.end else b""
            text = before + with_replacement_characters(bytes(data[first:last])) + after
            if self.find_in_lines(text, len(before), len(text) - len(after))[0] >= 0:
                return True
            position = last + 1
        return False


def any_of(patterns: Sequence[str], *, memory: int = DEFAULT_MEMORY) -> Find | None:
    """One search that finds something in valid UTF-8 lines exactly if one of ``patterns`` does; None if too large."""
    try:
        return _compile("|".join(f"(?:{syntax.for_lines(one)})" for one in patterns), never_nl=True, memory=memory)
    except ValueError:
        return None


def without_returns(data: Buffer) -> Buffer:
    """``data`` with each ``\\r\\n`` as ``\\n``, and without a ``\\r`` at its end; itself if there is none.

    In binary files the pairs are few and RE2 finds them twenty times faster than ``bytes.replace``.
    """
    find, end = _returns(), len(data)
    found = find(data, 0, end)[0]
    if found < 0:
        return data[:-1] if end and data[end - 1] == _RETURN else data
    raw = bytes(data)
    parts: list[bytes] = []
    position = 0
    while found >= 0 and len(parts) < MANY_RETURNS:
        parts.append(raw[position:found])
        position = found + 1
        found = find(raw, position, end)[0]
    rest = raw[position:]
    parts.append(rest if found < 0 else rest.replace(b"\r\n", b"\n"))
    return b"".join(parts).removesuffix(b"\r")


@functools.cache
def _returns() -> Find:
    return _compile(r"\r\n")


def with_replacement_characters(raw: bytes) -> bytes:
    """UTF-8 in which each byte that was not part of a valid sequence became one U+FFFD, as Go reads it."""
    if raw.isascii():
        return raw
    return text_of(raw).encode()


@functools.lru_cache(maxsize=1024)
def _is_wildcard(token: Token) -> bool:
    """Whether the token can match U+FFFD."""
    if token.kind is Kind.GROUP or (token.kind is Kind.CHARACTER and token.text.isascii()):
        return False
    return _compile(f"^{token.text}$")("\ufffd".encode(), 0, 3)[0] >= 0


def _compile_within(memory: int, source: str, *, never_nl: bool = False) -> Find:
    """Compiles; a pattern that does not fit gets the default budget, in which it has been checked."""
    try:
        return _compile(source, never_nl=never_nl, memory=memory)
    except ValueError:
        return _compile(source, never_nl=never_nl, memory=2 * DEFAULT_MEMORY)


def _compile(source: str, *, never_nl: bool = False, memory: int = DEFAULT_MEMORY, by_bytes: bool = False) -> Find:
    import re2

    options = re2.Options()
    options.never_capture = True
    options.never_nl = never_nl
    options.log_errors = False
    options.max_mem = memory
    if by_bytes:
        options.encoding = re2.Options.Encoding.LATIN1
    try:
        compiled = re2._Regexp(source.encode(), options)  # noqa: SLF001 - re2.compile would keep it in a cache for ever
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        raise ValueError(reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)) from None
    match = compiled._regexp.Match  # noqa: SLF001 - see the head of this file
    anywhere = re2._Anchor.UNANCHORED  # noqa: SLF001 - the same

    def find(buffer: Buffer, start: int, end: int) -> tuple[int, int]:
        span: tuple[int, int] = match(anywhere, buffer, start, end)[0]
        return span

    return find

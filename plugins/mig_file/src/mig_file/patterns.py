"""Regular expressions with the original's meaning (Go's regexp: RE2 syntax, linear time) on names and lines.

The only file that imports google-re2. It calls the compiled object's own ``Match`` (:func:`_compile`), because the
public ``search`` costs as much again as a short match; ``test_file_patterns.py`` pins that private call.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Protocol

from mig_file import syntax
from mig_file.required import required_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Buffer = bytes | bytearray | memoryview
    Find = Callable[[Buffer, int, int], tuple[int, int]]
    """Where the first match in ``buffer[start:end]`` lies, looking at what surrounds it; (-1, -1) if nowhere."""

DEFAULT_MEMORY = 8 << 20
"""RE2's own default budget for one pattern, in bytes."""
FEW_LINES = 16
"""How many lines of a block are looked at one by one."""
MANY_RETURNS = 200
"""From this many pairs in one block on, ``bytes.replace`` is the faster way."""
_RETURN = ord("\r")
_ESCAPED = re.compile("[\udc80-\udcff]")


class Lines(Protocol):
    """A run of lines to search: ``data[start:end]``, its last newline removed, ``\\r\\n`` already ``\\n``.

    Bytes of ``data`` outside the range are neighbours on the same line, there only to be looked at by anchors.
    """

    data: Buffer
    start: int
    end: int

    def is_utf8(self) -> bool:
        """Whether the range is valid UTF-8."""

    def raw(self) -> bytes:
        """``data`` as bytes; after the range only neighbours on the same line, if there are any."""


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


class Pattern:
    """A regular expression, ready to be looked for."""

    def __init__(self, text: str, *, memory: int = DEFAULT_MEMORY) -> None:
        """Compiles ``text``, which :func:`check_pattern` has accepted, within about ``memory`` bytes."""
        self.text = text
        self._memory = memory
        self.find_in_lines = _compile_within(memory, syntax.for_lines(text), never_nl=True)
        self._single: Find | None = None
        self._wildcards = any(_is_wildcard(token) for token in syntax.tokens(text))
        self._filter: Find | None = None
        if self._wildcards:
            try:
                self._filter = _compile(syntax.filter_for_lines(text, _is_wildcard), never_nl=True, memory=memory)
            except ValueError:
                self._filter = None  # too large with the alternatives added: every line is then looked at
        self._required: Find | None = None
        required = required_text(text)
        if required is not None and (self._wildcards or not required.leads):
            self._required = _compile(required.source(), never_nl=True)

    def matches(self, subject: bytes) -> bool:
        """Whether it is found in one string: a name, a mode, a single line."""
        if self._single is None:
            self._single = _compile_within(self._memory, self.text)
        if self._single(subject, 0, len(subject))[0] >= 0:
            return True
        if not self._wildcards or subject.isascii():
            return False
        text = with_replacement_characters(subject)
        return self._single(text, 0, len(text))[0] >= 0

    def is_in(self, lines: Lines) -> bool:
        """Whether it is found in any of the lines."""
        if self._required is not None:
            return self._is_around_required(lines, self._required)
        return self._is_in(lines)

    def _is_in(self, lines: Lines) -> bool:
        if self._wildcards and not lines.is_utf8():
            return self._is_in_undecodable(lines)
        return self.find_in_lines(lines.data, lines.start, lines.end)[0] >= 0

    def _is_around_required(self, lines: Lines, required: Find) -> bool:
        """Looks at the lines with the text that every match contains, as long as these are few."""
        data, position = lines.data, lines.start
        for _ in range(FEW_LINES):
            found = required(data, position, lines.end)[0]
            if found < 0:
                return False
            raw = data if isinstance(data, bytes | bytearray) else lines.raw()
            first = raw.rfind(b"\n", lines.start, found) + 1 or lines.start
            last = raw.find(b"\n", found, lines.end)
            last = lines.end if last < 0 else last
            if self._wildcards or first == lines.start or last == lines.end:
                break  # neighbours of a window and undecodable bytes need a closer look
            if self.find_in_lines(raw, first, last)[0] >= 0:
                return True
            position = last + 1
        return self._is_in(lines)

    def _is_in_undecodable(self, lines: Lines) -> bool:
        """Looks closely at the lines that might match once bytes that are not UTF-8 count as U+FFFD."""
        data, position = lines.raw(), lines.start
        while position <= lines.end:
            # what matches as it is also passes the filter, so one search for both is enough
            found = self._filter(data, position, lines.end)[0] if self._filter else position
            if found < 0:
                return False
            first = data.rfind(b"\n", lines.start, found) + 1 or lines.start
            last = data.find(b"\n", found, lines.end)
            last = lines.end if last < 0 else last
            before = with_replacement_characters(data[: lines.start]) if first == lines.start else b""
            after = with_replacement_characters(data[lines.end :]) if last == lines.end else b""
            text = before + with_replacement_characters(data[first:last]) + after
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


def text_of(raw: bytes) -> str:
    """``raw`` as text; each byte that is not part of a valid UTF-8 sequence becomes one U+FFFD."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return _ESCAPED.sub("\ufffd", raw.decode("utf-8", "surrogateescape"))


@functools.lru_cache(maxsize=1024)
def _is_wildcard(token: syntax.Token) -> bool:
    """Whether the token can match U+FFFD."""
    if token.kind is syntax.Kind.GROUP or (token.kind is syntax.Kind.CHARACTER and token.text.isascii()):
        return False
    return _compile(f"^{token.text}$")("\ufffd".encode(), 0, 3)[0] >= 0


def _compile_within(memory: int, source: str, *, never_nl: bool = False) -> Find:
    """Compiles; a pattern that does not fit gets the default budget, in which it has been checked."""
    try:
        return _compile(source, never_nl=never_nl, memory=memory)
    except ValueError:
        return _compile(source, never_nl=never_nl, memory=2 * DEFAULT_MEMORY)


def _compile(source: str, *, never_nl: bool = False, memory: int = DEFAULT_MEMORY) -> Find:
    import re2

    options = re2.Options()
    options.never_capture = True
    options.never_nl = never_nl
    options.log_errors = False
    options.max_mem = memory
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

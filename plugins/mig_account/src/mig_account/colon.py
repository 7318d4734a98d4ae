"""Lines of passwd, group, shadow and gshadow as the C library reads them: what it takes is an account, nothing else.

Sources: nss/nss_files/files-parse.c of glibc 2.36 (what it takes was tried out), src/passwd/getpwent_a.c and
getgrent_a.c of musl 1.2.5. The two differ in what decides whether somebody can log in: glibc skips blanks in front of a
name, takes a line of four fields and drops a user id that is no number; musl keeps the blanks, makes an account of a
comment, and counts from 2**32 on from 0 again.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

from mig_account.ground import text_of
from mig_core.records import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Callable

_BLANKS = b" \t\n\v\f\r"
_NUMBER = re.compile(rb"[ \t\n\v\f\r]*([+-]?)0*(\d{1,10})")
_MOST = 0xFFFFFFFF
"""The largest number that glibc takes; it drops lines with a larger or a negative one."""
_FIELDS = range(5, 10)
"""How many fields a line of shadow may have."""


class Library(Enum):
    """The C library whose programs decide who somebody is."""

    GLIBC = "glibc"
    MUSL = "musl"


class NotTaken(ValueError):
    """The library does not take the line for an entry."""


@dataclass(slots=True)
class Line:
    """An entry as the library sees it."""

    name: str
    password: bytes = b""
    numbers: tuple[int | None, ...] = ()
    """User and group id of passwd, the id of a group, the days of shadow."""
    rest: tuple[str, ...] = ()
    """Comment, home and shell; or members; or administrators and members."""
    odd: list[str] = field(default_factory=list)
    """What is unusual about the line, for whoever reads the answer."""


def clipped(raw: bytes) -> bytes:
    """What the library sees of a line: a NUL ends it."""
    return raw.partition(b"\0")[0]


def is_comment(raw: bytes, library: Library) -> bool:
    """Whether the library goes over the line without a word."""
    line = clipped(raw)
    if library is Library.MUSL:
        return not line
    line = line.lstrip(_BLANKS)
    return not line or line.startswith(b"#")


def read_passwd(raw: bytes, library: Library) -> Line:
    """A line of passwd(5).

    Raises:
        NotTaken: it is no account.
    """
    return _musl(raw, 7) if library is Library.MUSL else _glibc(raw, 2, _passwd_rest)


def read_group(raw: bytes, library: Library) -> Line:
    """A line of group(5).

    Raises:
        NotTaken: it is no group.
    """
    return _musl(raw, 4) if library is Library.MUSL else _glibc(raw, 1, _members)


def read_shadow(raw: bytes) -> Line:
    """A line of shadow(5), whose numbers are: last change, minimum, maximum, warning, inactive, expiry.

    Raises:
        NotTaken: it is no entry.
    """
    fields = clipped(raw).lstrip(_BLANKS).split(b":")
    if len(fields) == 6 and not fields[5].strip(_BLANKS):
        fields.pop()  # the old form, which ends here
    elif len(fields) in (6, 7) or (len(fields) in (5, 8) and not fields[-1]):
        raise NotTaken("too few fields")
    if len(fields) not in _FIELDS:
        raise NotTaken("too few or too many fields")
    days = [_days(one) for one in fields[2:]]
    return Line(text_of(fields[0]), fields[1], tuple((*days, None, None, None)[:6]))


def read_gshadow(raw: bytes) -> Line:
    """A line of gshadow(5); ``rest`` are administrators and members.

    Raises:
        NotTaken: it is no entry.
    """
    fields = clipped(raw).lstrip(_BLANKS).split(b":")
    if len(fields) < 2:
        raise NotTaken("one field")
    lists = [text_of(one) for one in fields[2:4]]
    return Line(text_of(fields[0]), fields[1], rest=tuple(lists + [""] * (2 - len(lists))))


def members_of(text: str) -> list[str]:
    """The names in a list of members: blanks in front of a name do not count, empty ones neither."""
    return [one for name in text.split(",") if (one := name.lstrip(" \t\v\f\r"))]


def _days(raw: bytes) -> int | None:
    """A number of shadow, which wraps at 2**31; None where there is none, and for the largest, which says so."""
    if not raw:
        return None
    number = _value(raw)
    days = number - (1 << 32) if number > _MOST >> 1 else number
    return None if days == -1 else days


def _value(raw: bytes) -> int:
    """A number as glibc reads it.

    Raises:
        NotTaken: it is none, or out of range.
    """
    number = _NUMBER.fullmatch(raw)
    if number is None:
        raise NotTaken(f"an id or a day that is no number: {text_of(raw)[:40]!r}")
    value = int(number[2])
    if value > _MOST or (value and number[1] == b"-"):
        raise NotTaken(f"a number that is too large or negative: {text_of(raw)[:40]!r}")
    return value


def _glibc(raw: bytes, numbers: int, read_rest: Callable[[list[bytes]], tuple[str, ...]]) -> Line:
    line = clipped(raw)
    stripped = line.lstrip(_BLANKS)
    fields = stripped.split(b":")
    entry = Line(text_of(fields[0]))
    if entry.name.startswith(("+", "-")):
        return _compat(entry, fields, numbers, read_rest)
    if len(fields) < 2 + numbers:
        raise NotTaken("too few fields")
    entry.password = fields[1]
    entry.numbers = tuple(_value(one) for one in fields[2 : 2 + numbers])
    for text, value in zip(fields[2:], entry.numbers, strict=False):
        if text != str(value).encode():
            entry.odd.append(f"id written as {text_of(text)[:40]!r}")
    entry.rest = read_rest(fields[2 + numbers :])
    _say_what_is_odd(entry, raw, line, stripped)
    return entry


def _compat(
    entry: Line, fields: list[bytes], numbers: int, read_rest: Callable[[list[bytes]], tuple[str, ...]]
) -> Line:
    """A line of nss_compat: only lists have it, and nobody is found under its name. An empty id is 0 there."""
    ids = fields[2 : 2 + numbers]
    if len(fields) > 1 and (len(ids) < numbers or (len(fields) == 2 + numbers and not ids[-1])):
        raise NotTaken("too few fields")
    entry.numbers = tuple(_value(one) if one else 0 for one in ids) or (None,) * numbers
    entry.rest = read_rest(fields[2 + numbers :])
    entry.odd.append("an entry for nss_compat, which only lists have")
    return entry


def _say_what_is_odd(entry: Line, raw: bytes, line: bytes, stripped: bytes) -> None:
    if line != raw:
        entry.odd.append("a NUL, which ends the line")
    if line != stripped:
        entry.odd.append("blanks in front of the name")
    if not entry.name:
        entry.odd.append("no name")
    elif not entry.name.isprintable() or entry.name != entry.name.strip():
        entry.odd.append("a name with control characters or blanks")
    if line.endswith(b"\r"):
        entry.odd.append("a carriage return at its end")


def _passwd_rest(fields: list[bytes]) -> tuple[str, ...]:
    """Comment, home, shell: what has colons in it is the shell."""
    padded = [*fields, b"", b"", b""]
    shell = b":".join(fields[2:])
    return text_of(padded[0]), text_of(padded[1]), text_of(shell)


def _members(fields: list[bytes]) -> tuple[str, ...]:
    return (text_of(b":".join(fields)),)


def _musl(raw: bytes, fields: int) -> Line:
    """An entry as musl has it: fields are cut at colons, the first of which is not looked for in the first byte."""
    line = clipped(raw)
    end = line.find(b":", 1)
    if end < 0:
        raise NotTaken("too few fields")
    parts = line[end + 1 :].split(b":", fields - 2)
    if len(parts) < fields - 1:
        raise NotTaken("too few fields")
    count = 2 if fields == 7 else 1
    numbers: list[int | None] = []
    for text in parts[1 : 1 + count]:
        if text and not text.isdigit():
            raise NotTaken(f"an id that is no number: {text_of(text)[:40]!r}")
        numbers.append(int(text[-400:] or b"0") & _MOST)
    entry = Line(text_of(line[:end]), parts[0], tuple(numbers), tuple(text_of(one) for one in parts[1 + count :]))
    if line.startswith(b"#"):
        entry.odd.append("a comment that musl takes for an account")
    if any(not one.isdigit() or one != str(number).encode() for one, number in zip(parts[1:], numbers, strict=False)):
        entry.odd.append("an id that musl reads in its own way")
    _say_what_is_odd(entry, raw, line, line)
    return entry

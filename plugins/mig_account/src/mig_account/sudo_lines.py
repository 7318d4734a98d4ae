"""The lines of sudoers with what they include, in the order in which sudo reads them (sudoers(5), 1.9.13).

A line that ends in a backslash goes on, unless it is a comment. ``#`` before a digit is a user id. A file that somebody
other than root owns or may write is read by nobody but us: what it says is not in force.
"""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING

from mig_account.ground import NOT_UNDERSTOOD, TOO_MANY, text_of
from mig_core.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_account.ground import Ground

MAX_DEPTH = 128
"""How deep files include one another (``MAX_SUDOERS_DEPTH`` of sudo)."""
MAX_FILES = 2000
MAX_LINES = 100_000
MAX_FILE = 4 << 20
MAX_LINE = 1 << 17
_INCLUDE = re.compile(r"[@#](include|includedir)[ \t]+(.+)")


@dataclass(frozen=True, slots=True)
class SudoLine:
    """A logical line."""

    text: str
    path: str
    line: int
    why_not: str = ""
    """Why the file it is in is not in force."""


class SudoLines:
    """Reads one file of sudoers and all it includes, within limits."""

    def __init__(self, ground: Ground, hostname: str) -> None:
        self._ground = ground
        self._hostname = hostname
        self._files = 0
        self._lines = 0

    def read(self, path: str, depth: int = 0, why_not: str = "") -> Iterator[SudoLine]:
        """The lines of a file and of those it includes, each where it stands."""
        self._files += 1
        if depth > MAX_DEPTH or self._files > MAX_FILES or self._ground.expired():
            self._ground.tally.skip(TOO_MANY, path)
            return
        why_not = why_not or self._why_not(path)
        for number, text in logical_lines(self._ground, path):
            self._lines += 1
            if self._lines > MAX_LINES:
                self._ground.tally.skip(TOO_MANY, path)
                return
            if (found := _INCLUDE.fullmatch(text)) and text[1 + len(found[1])] in " \t":
                for inner in self._included(found[1], found[2], path):
                    yield from self.read(inner, depth + 1, why_not)
            else:
                yield SudoLine(text, path, number, why_not)

    def _included(self, word: str, text: str, path: str) -> list[str]:
        name = unquoted(text).replace("%h", self._hostname.partition(".")[0])
        if not name.startswith("/"):
            name = f"{path.rpartition('/')[0]}/{name}"
        if word == "include":
            if self._ground.status_or_none(name) is None:
                self._ground.tally.failed(NOT_UNDERSTOOD, name, f"included by {path}, and not there")
                return []
            return [name]
        names = [one for one in self._ground.names(name) if "." not in one and not one.endswith("~")]
        return [one for one in (f"{name.rstrip('/')}/{one}" for one in names) if not self._is_directory(one)]

    def _is_directory(self, path: str) -> bool:
        status = self._ground.status_or_none(path)
        return status is not None and stat.S_ISDIR(status.st_mode)

    def _why_not(self, path: str) -> str:
        """Why sudo would not read the file (``sudo_secure_file``)."""
        return unsafe(self._ground, path)


def unsafe(ground: Ground, path: str) -> str:
    """Why a program that becomes root does not trust a file; empty when it does, or there is none."""
    status = ground.status_or_none(path)
    if status is None:
        return ""
    if status.st_uid != 0:
        return f"file of user id {status.st_uid}, which is not read"
    if status.st_mode & stat.S_IWOTH or (status.st_mode & stat.S_IWGRP and status.st_gid != 0):
        return "file that others may write, which is not read"
    return ""


def logical_lines(ground: Ground, path: str) -> Iterator[tuple[int, str]]:
    """The lines that say something, put together where they go on, without comments, by the number of the first."""
    begun, pieces = 0, ""
    for number, raw in ground.lines(path, MAX_FILE):
        if len(raw) + len(pieces) > MAX_LINE:
            ground.tally.failed(NOT_UNDERSTOOD, f"{path}:{number}", "a line that is too long")
            pieces = ""
            continue
        text = text_of(raw)
        if not pieces:
            begun = number
            stripped = text.lstrip()
            if is_comment(stripped):
                continue
        if ends_open(text):
            pieces += text[:-1]
            continue
        whole = (pieces + text).strip()
        pieces = ""
        if whole:
            yield begun, whole
    if pieces.strip():
        yield begun, pieces.strip()


def is_comment(text: str) -> bool:
    """Whether a line is a comment: neither an include nor a user id."""
    return text.startswith("#") and not text[1:2].isdigit() and not _INCLUDE.fullmatch(text.rstrip())


def ends_open(text: str) -> bool:
    """Whether a line goes on: an odd number of backslashes at its end."""
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1


def unquoted(text: str) -> str:
    """A word without its quotes and backslashes."""
    text = text.strip()
    if len(text) > 1 and text.startswith('"') and text.endswith('"'):
        return text[1:-1]
    return re.sub(r"\\(.)", r"\1", text)

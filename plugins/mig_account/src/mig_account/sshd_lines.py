"""The lines of sshd's configuration, included ones where they stand, each with the Match blocks it is under.

A block ends with the next Match line or with its file; a Match in a file that is included from within one cannot widen
it (servconf.c of OpenSSH 9.2; seen with 10.0). Includes that are not there are nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_account.ground import NOT_UNDERSTOOD, TOO_MANY, text_of
from mig_core.records import dataclass
from mig_endpoint.packages.tree import WILD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_account.ground import Ground

PATHS = ("/etc/ssh/sshd_config", "/usr/etc/ssh/sshd_config")
FOLDER = "/etc/ssh"
"""What relative includes are below."""
MAX_DEPTH = 16
"""``SERVCONF_MAX_DEPTH`` of OpenSSH."""
MAX_FILES = 1000
MAX_WILD = 2
"""Parts with wildcards of a path to include: more may stand for the whole disk."""
MAX_LINES = 100_000
MAX_FILE = 4 << 20
_WORD = re.compile(r'"([^"]*)"|((?:\\.|[^\s"\\])+)')
_KEYWORD = re.compile(r"\s*\"?([A-Za-z0-9]+)\"?(?:\s*=\s*|\s+|\Z)(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Criteria:
    """What a Match line asks: pairs of a criterion in lower case and its patterns."""

    tests: tuple[tuple[str, str], ...]
    text: str


@dataclass(frozen=True, slots=True)
class Setting:
    """One line that sets something."""

    keyword: str
    """In lower case."""
    words: tuple[str, ...]
    text: str
    path: str
    line: int
    under: tuple[Criteria, ...] = ()
    """All of these must fit; none for a global line."""


class SshdLines:
    """Reads a configuration, within limits."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._files = 0
        self._lines = 0

    def read(self, path: str, under: tuple[Criteria, ...] = (), depth: int = 0) -> Iterator[Setting]:
        """The settings of a file and of those it includes, in order."""
        self._files += 1
        if depth > MAX_DEPTH or self._files > MAX_FILES or self._ground.expired():
            self._ground.tally.skip(TOO_MANY, path)
            return
        here = under
        for number, raw in self._ground.lines(path, MAX_FILE):
            self._lines += 1
            if self._lines > MAX_LINES:
                self._ground.tally.skip(TOO_MANY, path)
                return
            text = text_of(raw).strip()
            if not text or text.startswith("#"):
                continue
            parts = _KEYWORD.fullmatch(text)
            if parts is None:
                self._ground.tally.failed(NOT_UNDERSTOOD, f"{path}:{number}", "no keyword")
                continue
            keyword, words = parts[1].lower(), words_of(parts[2])
            if keyword == "match":
                here = (*under, _criteria(words))
            elif keyword == "include":
                for pattern in words:
                    for inner in self._included(pattern):
                        yield from self.read(inner, here, depth + 1)
            else:
                yield Setting(keyword, words, text, path, number, here)

    def _included(self, pattern: str) -> list[str]:
        path = pattern if pattern.startswith("/") else f"{FOLDER}/{pattern}"
        found: list[str] = []
        if sum(bool(WILD & set(part)) for part in path.split("/")) > MAX_WILD:
            self._ground.tally.skip(TOO_MANY, path)
            return found
        for one in self._ground.tree.expand((path,)):
            if isinstance(one, str):
                if not _is_hidden(one, path):
                    found.append(one)
            else:
                self._ground.failed(path, one)
        return sorted(found)


def _is_hidden(path: str, pattern: str) -> bool:
    """Whether a name begins with a dot, and the pattern's part that fits it does not (glob(7))."""
    return any(
        one.startswith(".") and not part.startswith(".")
        for one, part in zip(path.split("/"), pattern.split("/"), strict=False)
    )


def words_of(text: str) -> tuple[str, ...]:
    """The words of a line, quotes taken off; a ``#`` that begins a word ends the line."""
    words = []
    for quoted, plain in _WORD.findall(text):
        if plain.startswith("#"):
            break
        words.append(quoted or re.sub(r"\\([\"'\\ ])", r"\1", plain))
    return tuple(words)


def _criteria(words: tuple[str, ...]) -> Criteria:
    tests = []
    rest = list(reversed(words))
    while rest:
        name, equals, value = rest.pop().partition("=")
        if name.lower() in ("all", "invalid-user"):
            tests.append((name.lower(), ""))
        else:
            tests.append((name.lower(), value if equals else rest.pop() if rest else ""))
    return Criteria(tuple(tests), " ".join(words))

"""Settings of unit files and their kin (systemd.syntax(7)), and the words of a command in one (systemd.service(5))."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_core.plugin.coverage import Reason
from mig_core.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True)
class Setting:
    """One assignment."""

    section: str
    key: str
    value: str
    path: str
    line: int


def settings(text: str, path: str) -> Iterator[Setting]:
    """The assignments of a file, in order; lines that end with a backslash are joined."""
    section = ""
    pending: list[str] = []
    began = 0
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.strip()
        if bare.startswith(("#", ";")):
            continue  # also among continued lines
        if not pending:
            if not bare:
                continue
            began = number
        if bare.endswith("\\"):
            pending.append(f"{bare[:-1]} ")
            continue
        joined = "".join((*pending, bare))
        pending.clear()
        if joined.startswith("[") and joined.endswith("]"):
            section = joined[1:-1]
            continue
        key, sign, value = joined.partition("=")
        if sign:
            yield Setting(section, key.strip(), value.strip(), path, began)


class Settings:
    """The assignments of a unit, of its fragment and drop-ins together, in the order in which they are read."""

    def __init__(self, found: Iterable[Setting]) -> None:
        self._all: dict[tuple[str, str], list[Setting]] = {}
        for one in found:
            self._all.setdefault((one.section, one.key), []).append(one)

    def last(self, section: str, key: str) -> str:
        """The value that a setting has which takes only one."""
        values = self._all.get((section, key))
        return values[-1].value if values else ""

    def every(self, section: str, *keys: str) -> list[Setting]:
        """The values of settings that add up: an empty one takes away what came before it."""
        found: list[Setting] = []
        for key in keys:
            kept: list[Setting] = []
            for one in self._all.get((section, key), ()):
                if one.value:
                    kept.append(one)
                else:
                    kept.clear()
            found += kept
        return found

    def words(self, section: str, *keys: str) -> list[str]:
        """The words of such settings."""
        return [word for one in self.every(section, *keys) for word in words(one.value)]


_WORD = re.compile(r"""\s*((?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\])+|['"\\])""", re.DOTALL)
_PIECE = re.compile(r"""'((?:\\.|[^'\\])*)'|"((?:\\.|[^"\\])*)"|((?:\\x[0-9A-Fa-f]{2}|\\.|[^'"\\])+)""", re.DOTALL)
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|[0-7]{3}|.)", re.DOTALL)
_LETTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "s": " "}
MAX_TEXT = 1 << 16
LONG_VALUE = Reason("rest of a setting of more than 64 KiB")


def words(text: str) -> list[str]:
    """The words of a setting, quotes taken off and escapes put in."""
    return [_word(found[1]) for found in _WORD.finditer(text[:MAX_TEXT])]


def _word(raw: str) -> str:
    if "\\" not in raw and "'" not in raw and '"' not in raw:
        return raw
    return "".join(
        _escaped(next(part for part in found.groups() if part is not None)) for found in _PIECE.finditer(raw)
    )


def _escaped(text: str) -> str:
    if "\\" not in text:
        return text
    return _ESCAPE.sub(_escape, text).encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def _escape(found: re.Match[str]) -> str:
    code = found[1]
    if code[0] == "x" and len(code) == 3:
        return _byte(int(code[1:], 16))
    if len(code) == 3:
        return _byte(int(code, 8) & 0xFF)
    return _LETTERS.get(code, code if code in "\\\"'" else f"\\{code}")


def _byte(number: int) -> str:
    """A byte as :func:`os.fsdecode` has it: several of them may be one character of UTF-8."""
    return chr(number) if number < 0x80 else chr(0xDC00 + number)


@dataclass(frozen=True, slots=True)
class Command:
    """A command of an ``Exec…`` setting."""

    words: tuple[str, ...]
    prefix: str
    """``@``, ``-``, ``:``, ``+``, ``!``, ``|`` in front of it."""


def commands(value: str) -> list[Command]:
    """The commands of an ``Exec…`` setting; a single semicolon parts them."""
    found: list[Command] = []
    current: list[str] = []
    for word in [*words(value), ";"]:
        if word != ";":
            current.append(word)
            continue
        if current:
            bare = current[0].lstrip("@-:+!|")
            prefix = current[0][: len(current[0]) - len(bare)]
            rest = [one if one != "\\;" else ";" for one in current[1:]]
            if "@" in prefix:
                rest = rest[1:]  # the name that the program is told
            found.append(Command((bare, *rest), prefix))
        current = []
    return found

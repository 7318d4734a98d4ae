"""The arguments of an execve, from its EXECVE records.

The kernel (audit_log_execve_info in kernel/auditsc.c) writes ``argc=N a0=… a1=…``; a long argument comes in pieces,
``a2_len=9000 a2[0]=… a2[1]=…``, and all may go over several records. ``_len`` counts what is written: characters, or
digits where the pieces are hexadecimal.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from mig_audit.record import raw, unhex

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_TEXT = 200_000
"""Characters of arguments that an event carries; Linux allows megabytes."""

_PIECE = re.compile(r'(?<![^ ])a([0-9]{1,7}|rgc)(_len|\[[0-9]{1,7}\])?=("[^"]*"|[^\s"]*)')
_SAFE = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")
_SAFE_LINE = re.compile(r"[A-Za-z0-9_@%+=:,./ -]+")


class Arguments(NamedTuple):
    """What an event's EXECVE records say."""

    words: list[str]
    """The decoded arguments."""
    cut: bool = False
    """Whether some were cut off at ``MAX_TEXT``."""
    whole: bool = True
    """Whether they are as many, and the long ones as long, as the kernel announced: else a record was lost."""


def arguments(bodies: Sequence[str]) -> Arguments:
    """The arguments."""
    if len(bodies) == 1 and "[" not in bodies[0] and len(bodies[0]) < MAX_TEXT:
        words = bodies[0].rstrip().split(" ")
        found = [
            word[word.find("=") + 2 : -1] if word[-1:] == '"' else unhex(word[word.find("=") + 1 :])
            for word in words
            if word[:1] == "a" and word[:5] != "argc="
        ]
        if f"argc={len(found)}" == words[0]:
            return Arguments(found)
    return _pieces(bodies)


def _pieces(bodies: Sequence[str]) -> Arguments:
    collected: dict[int, list[bytes]] = {}
    awaited: dict[int, int] = {}
    count = -1
    length = 0
    for body in bodies:
        for piece in _PIECE.finditer(body):
            written = piece[3]
            if piece[1] == "rgc":
                count = number_of(written) if count < 0 else count
                continue
            index = int(piece[1])
            if piece[2] == "_len":
                awaited[index] = number_of(written)
                continue
            data = raw(written)
            length += len(data)
            if length > MAX_TEXT:
                return Arguments(_texts(collected), cut=True)
            collected.setdefault(index, []).append(data)
            if index in awaited:
                awaited[index] -= len(written.strip('"'))
    return Arguments(_texts(collected), whole=len(collected) == count and not any(awaited.values()))


def number_of(text: str) -> int:
    """A number as the kernel writes it; -1 for any other text."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else -1


def _texts(collected: dict[int, list[bytes]]) -> list[str]:
    return [b"".join(collected[index]).decode("utf-8", "backslashreplace") for index in sorted(collected)]


def command(words: Sequence[str]) -> str:
    """The arguments as one line that a shell would read as the same arguments."""
    joined = " ".join(words)
    if joined.count(" ") == len(words) - 1 and "" not in words and _SAFE_LINE.fullmatch(joined):
        return joined
    return " ".join(word if _SAFE.fullmatch(word) else "'" + word.replace("'", "'\"'\"'") + "'" for word in words)

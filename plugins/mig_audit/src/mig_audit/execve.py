"""The arguments of an execve, from its EXECVE records.

The kernel (audit_log_execve_info in kernel/auditsc.c) writes ``argc=N a0=… a1=…``; a long argument comes in pieces,
``a2_len=9000 a2[0]=… a2[1]=…``, and all may go over several records.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mig_audit.record import raw, unhex

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_TEXT = 200_000
"""Characters of arguments that an event carries; Linux allows megabytes."""

_PIECE = re.compile(r'a([0-9]{1,7})(?:\[([0-9]{1,7})\])?=("[^"]*"|[^\s"]*)')
_SAFE = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")
_SAFE_LINE = re.compile(r"[A-Za-z0-9_@%+=:,./ -]+")


def arguments(bodies: Sequence[str]) -> tuple[list[str], bool]:
    """The decoded arguments, and whether some were cut off at ``MAX_TEXT``."""
    if len(bodies) == 1 and "[" not in bodies[0] and len(bodies[0]) < MAX_TEXT:
        words = bodies[0].rstrip().split(" ")
        found = [
            word[word.find("=") + 2 : -1] if word[-1:] == '"' else unhex(word[word.find("=") + 1 :])
            for word in words
            if word[:1] == "a" and word[:5] != "argc="
        ]
        if f"argc={len(found)}" == words[0]:
            return found, False
    return _pieces(bodies)


def _pieces(bodies: Sequence[str]) -> tuple[list[str], bool]:
    collected: dict[int, list[bytes]] = {}
    length = 0
    for body in bodies:
        for piece in _PIECE.finditer(body):
            data = raw(piece[3])
            length += len(data)
            if length > MAX_TEXT:
                return _texts(collected), True
            collected.setdefault(int(piece[1]), []).append(data)
    return _texts(collected), False


def _texts(collected: dict[int, list[bytes]]) -> list[str]:
    return [b"".join(collected[index]).decode("utf-8", "backslashreplace") for index in sorted(collected)]


def command(words: Sequence[str]) -> str:
    """The arguments as one line that a shell would read as the same arguments."""
    joined = " ".join(words)
    if joined.count(" ") == len(words) - 1 and "" not in words and _SAFE_LINE.fullmatch(joined):
        return joined
    return " ".join(word if _SAFE.fullmatch(word) else "'" + word.replace("'", "'\"'\"'") + "'" for word in words)

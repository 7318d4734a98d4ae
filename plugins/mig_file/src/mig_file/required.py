r"""Text that every match of a pattern contains: ``\.example\.net`` of ``[a-z.]+@[a-z]+\.example\.net``.

RE2 looks for such a text up to ten times faster than for the pattern, so ``patterns`` looks for it first. Found by a
reading of the pattern's tokens that gives up whenever in doubt; ``test_file_required.py`` compares it with RE2 itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from mig_file.syntax import Kind, tokens

if TYPE_CHECKING:
    from mig_file.syntax import Token

MIN_LENGTH = 3
"""Shorter texts are in too many files to be worth a look."""
_REPEAT = re.compile(r"\{[0-9]+(?:,[0-9]*)?\}")
_SLOW_TO_FIND = "sSkK"
"""Letters that (?i) makes match characters beyond ASCII; RE2 has no fast way to a text that begins with one."""


class Required(NamedTuple):
    """A text that each match contains."""

    text: str
    fold: bool
    """In any case."""
    leads: bool
    """Every match begins with it; RE2 looks for that by itself."""

    def source(self) -> str:
        """It as a pattern."""
        escaped = "".join(one if one.isalnum() else f"\\x{ord(one):02x}" for one in self.text)
        return f"(?i){escaped}" if self.fold else escaped


def required_text(pattern: str) -> Required | None:
    """The longest text that every match of the pattern contains; None if none is certain.

    ASCII only, so it is the same whether undecodable bytes count as U+FFFD or not.
    """
    parts = list(tokens(pattern))
    fold = False
    if parts and parts[0].kind is Kind.GROUP and parts[0].text.endswith(")"):
        fold = "i" in parts.pop(0).text.partition("-")[0]
    runs = _runs(parts)
    if not runs:
        return None
    if fold:
        runs = [(text.lstrip(_SLOW_TO_FIND), leads and text[0] not in _SLOW_TO_FIND) for text, leads in runs if text]
    text, leads = max(runs, key=lambda run: len(run[0]), default=("", False))
    return Required(text, fold, leads) if len(text) >= MIN_LENGTH else None


def _runs(parts: list[Token]) -> list[tuple[str, bool]]:
    """Runs of literal characters outside all groups, and whether they begin the pattern; none if in doubt."""
    runs: list[tuple[str, bool]] = []
    run, begins, depth, place = "", 0, 0, 0
    while place < len(parts):
        token = parts[place]
        literal = _literal(token)
        if not depth and literal:
            begins = begins if run else place
            run += literal
            place += 1
            continue
        character = token.text if token.kind is Kind.CHARACTER else ""
        if not depth and character in ("?", "*"):
            run = run[:-1]
        elif not depth and character == "{":
            count = _REPEAT.match("".join(one.text for one in parts[place : place + 12]))
            if count is None:
                return []
            run = run[:-1]
            place += len(count.group()) - 1
        elif not depth and (character == "|" or (token.kind is Kind.GROUP and token.text.endswith(")"))):
            return []
        elif character == "(" or (token.kind is Kind.GROUP and not token.text.endswith(")")):
            depth += 1
        elif character == ")":
            depth -= 1
        runs.append((run, begins == 0))
        run = ""
        place += 1
    return [*runs, (run, begins == 0)]


def _literal(token: Token) -> str:
    """The one ASCII character that the token stands for; empty if it is none."""
    text = token.text
    if token.kind is Kind.ESCAPE:
        return (
            text[1] if len(text) == 2 and text[1].isascii() and not text[1].isalnum() and text[1].isprintable() else ""
        )
    if token.kind is not Kind.CHARACTER or not text.isascii() or not text.isprintable():
        return ""
    return "" if text in r"\^$.|?*+()[]{}" else text

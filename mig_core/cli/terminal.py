"""Writing to a person's terminal: data on standard output, everything else on standard error.

Text that comes from endpoints may hold anything; control characters are made visible before they reach a terminal.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

from mig_core.text import visible

if TYPE_CHECKING:
    from mig_core.errors import MigError

RED, GREEN, YELLOW, BLUE, DIM = "31", "32", "33", "34", "2"


def data(line: str) -> None:
    """A line of data."""
    sys.stdout.write(line + "\n")


def flush() -> None:
    """Lets the data be seen now."""
    sys.stdout.flush()


def note(line: str, colour: str = "") -> None:
    """A line for the person, not for a pipe. Names from elsewhere may be in it."""
    sys.stdout.flush()
    note_alone(line, colour)


def note_alone(line: str, colour: str = "") -> None:
    """The same when standard output is no more."""
    sys.stderr.write(coloured(visible(line), colour, sys.stderr) + "\n")


def note_error(error: MigError, before: str = "") -> None:
    """What went wrong, and what to try."""
    first, *rest = error.diagnostics().lines()
    for line in (before + first, *rest):
        note(line, RED)


def coloured(text: str, colour: str, stream: TextIO) -> str:
    """``text`` in a colour, where the stream is a terminal and ``NO_COLOR`` is not set."""
    if not colour or os.environ.get("NO_COLOR") or not stream.isatty():
        return text
    return f"\x1b[{colour}m{text}\x1b[0m"


class Progress:
    """One line on standard error that is written over and over; nothing at all when that is no terminal."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._width = 0

    def show(self, text: str) -> None:
        """Replaces the line."""
        if self._shown:
            sys.stderr.write("\r" + text.ljust(self._width))
            sys.stderr.flush()
            self._width = len(text)

    def clear(self) -> None:
        """Removes the line, so that data can be written."""
        if self._shown and self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")
            sys.stderr.flush()
            self._width = 0


def confirm(question: str) -> bool:
    """Asks yes or no; no is the default. Call it on a terminal only."""
    sys.stderr.write(f"{visible(question)} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")

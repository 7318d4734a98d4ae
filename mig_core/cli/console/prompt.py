"""The prompt: reading lines from a terminal with history and completion. The only file that imports prompt_toolkit."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from mig_core.cli.terminal import YELLOW, note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

MAX_WORDS = 2000
"""Names and ids that are remembered for completion."""


class Prompt:
    """A terminal.

    Args:
        path: file (0600) of the lines typed so far; its folder is made.
        commands: words that begin a line.
    """

    def __init__(self, path: Path, commands: Sequence[str]) -> None:
        self._words = list(commands)
        self._kept = _opened(path)
        self._session: PromptSession[str] = PromptSession(
            history=self._kept, completer=WordCompleter(lambda: self._words, WORD=True), complete_while_typing=False
        )

    def lines(self, where: Callable[[], str]) -> Iterator[str]:
        """Lines until Ctrl-D; ``where`` is shown in the prompt. Ctrl-C empties the line."""
        while True:
            try:
                place = where()
                yield self._session.prompt(f"mig {place}> " if place else "mig> ")
            except KeyboardInterrupt:
                continue
            except EOFError:
                return

    def history(self) -> Sequence[str]:
        """The lines typed so far, the oldest first."""
        return self._kept.get_strings()

    def remember(self, words: Iterable[str]) -> None:
        """Words that can be completed from now on."""
        known = set(self._words)
        fresh = [word for word in words if word not in known]
        self._words += fresh[: max(0, MAX_WORDS - len(self._words))]


def _opened(path: Path) -> History:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    except OSError as error:
        note(f"what is typed will be forgotten: {path}: {error.strerror}", YELLOW)
        return InMemoryHistory()
    return FileHistory(path)

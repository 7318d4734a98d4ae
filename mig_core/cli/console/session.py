"""One session of the console: understands a line, asks the platform, remembers which action or agent is looked at."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from mig_core.cli.console import views
from mig_core.cli.formats import Show
from mig_core.domain.target import parse_target
from mig_core.errors import MigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

Document = dict[str, Any]

SHOWN_ACTIONS = 20
SHOWN_HISTORY = 10


class Platform(Protocol):
    """What the console asks of the API: :class:`mig_core.client.client.MigClient`."""

    def dashboard(self) -> Document:
        """Numbers."""
        ...

    def agents(self, *, target: str = "", limit: int | None = None) -> Iterator[Document]:
        """Agents by name."""
        ...

    def agent(self, agent: str) -> Document:
        """One agent, by id."""
        ...

    def agent_id(self, text: str) -> str:
        """The id of an agent given by id or name."""
        ...

    def actions(self, *, name: str = "", limit: int | None = None) -> Iterator[Document]:
        """Actions, latest first."""
        ...

    def action(self, action: str) -> Document:
        """One action."""
        ...

    def commands(self, action: str) -> Iterator[Document]:
        """Commands of an action, with their answers."""
        ...


class ConsoleSession:
    """Obeys lines.

    Args:
        macros: names that may stand for a target.
        history: the lines typed so far; None where nobody keeps them.
        completions: is told names and ids as they are seen.
    """

    def __init__(
        self,
        platform: Platform,
        macros: Mapping[str, str],
        *,
        history: Callable[[], Sequence[str]] | None = None,
        completions: Callable[[Iterable[str]], None] = lambda words: None,
    ) -> None:
        self.ended = False
        self._platform = platform
        self._macros = macros
        self._history = history
        self._completions = completions
        self._lines: list[str] = []
        self._action = ""
        self._agent = ""

    @property
    def where(self) -> str:
        """What is looked at, for the prompt."""
        if self._action:
            return f"action {self._action[-6:]}"
        return f"agent {self._agent[:6]}" if self._agent else ""

    def obey(self, line: str) -> None:
        """Does what a line says; an empty one says nothing.

        Raises:
            MigError: it cannot be understood, or the platform says no.
        """
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise MigError(f"the line cannot be understood: {error}", next_step="close the quotes") from None
        if not words:
            return
        self._lines.append(line.strip())
        command = COMMANDS.get(words[0])
        if command is None:
            raise MigError(f"no such command: {words[0]}", next_step="type help")
        if not command.fewest <= len(words) - 1 <= command.most:
            raise MigError(f"usage: {command.usage}", next_step="type help")
        command.act(self, words[1:])

    def help(self, _: Sequence[str]) -> None:
        """``help``"""
        views.show_help((one.usage, one.about) for one in COMMANDS.values())

    def dashboard(self, _: Sequence[str]) -> None:
        """``dashboard``"""
        views.show_dashboard(self._platform.dashboard())

    def agents(self, words: Sequence[str]) -> None:
        """``agents [TARGET]``"""
        target = parse_target(" ".join(words), macros=self._macros).expanded if words else ""
        rows = list(self._platform.agents(target=target))
        self._completions(text for one in rows for text in (one["name"], one["id"]))
        views.show_agents(rows)

    def agent(self, words: Sequence[str]) -> None:
        """``agent ID``"""
        found = self._platform.agent(self._platform.agent_id(words[0]))
        self._agent, self._action = found["id"], ""
        views.show_document(found)

    def actions(self, words: Sequence[str]) -> None:
        """``actions [NAME]``"""
        rows = list(self._platform.actions(name=" ".join(words), limit=SHOWN_ACTIONS))
        self._completions(one["id"] for one in rows)
        views.show_actions(rows)

    def action(self, words: Sequence[str]) -> None:
        """``action ID``"""
        found = self._platform.action(words[0])
        self._action, self._agent = found["id"], ""
        views.show_document({key: value for key, value in found.items() if key != "envelope"})

    def results(self, words: Sequence[str]) -> None:
        """``results [found|notfound|all]``"""
        if not self._action:
            raise MigError("results of which action?", next_step="choose one first: action ID")
        choices = [one.value for one in Show]
        if words and words[0] not in choices:
            raise MigError(f"results {words[0]}: must be one of {', '.join(choices)}")
        action = self._platform.action(self._action)
        show = Show(words[0]) if words else Show.FOUND
        views.show_results(action, self._platform.commands(self._action), show)

    def history(self, words: Sequence[str]) -> None:
        """``history [N]``"""
        if words and not words[0].isdecimal():
            raise MigError("usage: history [N]", next_step="N is a number")
        lines = self._history() if self._history else self._lines
        views.show_history(lines, int(words[0]) if words else SHOWN_HISTORY)

    def leave(self, _: Sequence[str]) -> None:
        """``exit``: first the action or agent that is looked at, then the console."""
        self.ended = not self.where
        self._action = self._agent = ""


@dataclass(frozen=True, slots=True)
class Command:
    """A word that begins a line."""

    usage: str
    about: str
    act: Callable[[ConsoleSession, Sequence[str]], None]
    fewest: int = 0
    """Words after the first."""
    most: int = 0


COMMANDS: Mapping[str, Command] = {
    "help": Command("help", "this list", ConsoleSession.help),
    "dashboard": Command("dashboard", "the platform in numbers", ConsoleSession.dashboard),
    "agents": Command("agents [TARGET]", "agents, or those a target means", ConsoleSession.agents, most=100),
    "agent": Command("agent ID", "one agent, by id or name", ConsoleSession.agent, 1, 1),
    "actions": Command(
        "actions [NAME]", "the latest actions whose name contains NAME", ConsoleSession.actions, most=100
    ),
    "action": Command("action ID", "one action; results are then about it", ConsoleSession.action, 1, 1),
    "results": Command(
        "results [found|notfound|all]", "what the agents answered to the action", ConsoleSession.results, most=1
    ),
    "history": Command("history [N]", "the last lines that were typed", ConsoleSession.history, most=1),
    "exit": Command("exit", "leave the action or agent, then the console (also: Ctrl-D)", ConsoleSession.leave),
}

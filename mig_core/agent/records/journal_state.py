"""What the journal knows, apart from its file: which actions were run here, and what it cannot know any more."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

from mig_core.agent.records.ledger import NEVER
from mig_core.domain.action import MAX_WINDOW
from mig_core.domain.ids import ActionId, CommandId
from mig_core.domain.times import format_time, parse_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from mig_core.agent.records.age import Age
    from mig_core.agent.records.witness import Witness
    from mig_core.domain.action import Action
    from mig_core.domain.document import JSON

MARGIN = timedelta(days=1)
"""How long after a window's end its action is still remembered."""
MAX_ATTEMPTS = 2
"""A command that was begun so often and never ended is not begun again."""


class Start(Enum):
    """What :meth:`Journal.start` says about a command."""

    RUN = "run"
    """It is noted as begun: run it."""
    FINISHED = "finished"
    """It has been run and answered: do nothing."""
    REPLAY = "replay"
    """Its action was run here under another command id, or its command id stood for another action: refuse it."""
    EXHAUSTED = "exhausted"
    """It took the agent down :data:`MAX_ATTEMPTS` times: answer so, do not run it."""


@dataclass(slots=True)
class Entry:
    """A command that was begun. ``lived``: the agent's own age then; ``payload``: SHA-256 of what was signed."""

    action: ActionId
    begin: datetime
    until: datetime
    lived: float
    payload: str
    attempts: int = 0
    finished: bool = False


@dataclass(slots=True)
class Cancelled:
    """A cancel that was seen."""

    until: datetime
    lived: float


@dataclass(slots=True)
class JournalState:
    """All of it. Not thread-safe."""

    commands: dict[CommandId, Entry] = field(default_factory=dict)
    actions: dict[ActionId, CommandId] = field(default_factory=dict)
    cancelled: dict[ActionId, Cancelled] = field(default_factory=dict)
    floor: datetime = NEVER
    """Of actions whose windows ended by then, some may have been forgotten."""
    doubt: datetime | None = None
    """When it was found that what was run before is not known."""
    doubt_lived: float = 0.0
    ledger: int = 0
    """The number of the newest line that the ledger must have."""

    def standing(self, command: CommandId) -> Start:
        """What the command's id alone says."""
        entry = self.commands.get(command)
        if entry is None:
            return Start.RUN
        if entry.finished:
            return Start.FINISHED
        return Start.EXHAUSTED if entry.attempts >= MAX_ATTEMPTS else Start.RUN

    def objection(self, action: Action, command: CommandId, age: Age, now: datetime) -> str:
        """Why the action may have been run here before under another command; empty: it was not."""
        ran = self.actions.get(action.id)
        if ran is not None:
            return "" if ran == command else f"action {action.id} was already run here"
        if action.expire_after <= self.floor:
            return f"what was run here until {format_time(self.floor)} is not remembered any more"
        if self.doubt is not None:
            # The clock may have been behind when the loss was found: then it was as long ago as was lived since.
            lost = max(self.doubt, now - timedelta(seconds=age.lived - self.doubt_lived))
            if action.valid_from < lost:
                return (
                    f"the record of what was run here was lost at {format_time(lost)}: it cannot be ruled out that this"
                    " action was"
                )
        return ""

    def apply(self, line: Mapping[str, Any]) -> None:
        """Takes in one line.

        Raises:
            ValueError, KeyError, TypeError: it is not one.
        """
        step = line["step"]
        if step == "cancel":
            self.cancelled[ActionId(line["action"])] = Cancelled(parse_time(line["until"]), float(line.get("lived", 0)))
        elif step == "start":
            self._begin(line)
        elif step == "release":
            self.commands[CommandId(line["command"])].attempts -= 1
        elif step == "finish":
            self.commands[CommandId(line["command"])].finished = True
        elif step == "journal":
            self.floor, self.ledger = parse_time(line["floor"]), int(line["ledger"])
            self.doubt = parse_time(line["doubt"]) if line["doubt"] else None
            self.doubt_lived = float(line["doubt_lived"])
        elif step == "go-on":
            self.doubt = None
        elif step != "look":
            raise ValueError(f"unknown step {step!r:.40}")

    def _begin(self, line: Mapping[str, Any]) -> None:
        command, action = CommandId(line["command"]), ActionId(line["action"])
        until = parse_time(line["until"])
        if "lived" in line:
            entry = Entry(action, parse_time(line["begin"]), until, float(line["lived"]), str(line["payload"]))
        else:  # as releases before this one wrote it
            entry = Entry(action, until - MAX_WINDOW, until, 0.0, "")
        known = self.commands.setdefault(command, entry)
        known.attempts += 1
        self.actions.setdefault(action, command)
        self.ledger = max(self.ledger, int(line.get("ledger", 0)))

    def missing(self, witness: Witness) -> bool:
        """Whether the ledger knows of something that this journal should know too, and does not."""
        return any(
            begun.until > self.floor and (command not in self.commands and begun.action not in self.actions)
            for command, begun in witness.begun.items()
        ) or any(until > self.floor and action not in self.cancelled for action, until in witness.cancelled.items())

    def restore(self, witness: Witness, lived: float) -> int:
        """Takes from the ledger what is not known here; returns how many commands and cancels that were."""
        restored = 0
        for command, begun in witness.begun.items():
            entry = self.commands.get(command)
            if entry is None and begun.until > self.floor and begun.action not in self.actions:
                entry = Entry(begun.action, begun.begin, begun.until, lived, begun.digest, attempts=1)
                self.commands[command] = entry
                self.actions[begun.action] = command
                restored += 1
            if entry is not None and begun.finished and entry.action == begun.action:
                entry.finished = True
        for action, until in witness.cancelled.items():
            if until > self.floor and action not in self.cancelled:
                self.cancelled[action] = Cancelled(until, lived)
                restored += 1
        return restored

    def forget(self, age: Age) -> None:
        """Drops what has certainly ended: its end has certainly come, and its window's length has been lived through.

        What is dropped moves the floor: whatever the clock may say later, it is not run again.
        """
        ended = {
            key: one for key, one in self.commands.items() if _over(one.until, one.until - one.begin, one.lived, age)
        }
        if ended:
            self.floor = max(self.floor, *(one.until for one in ended.values()))
            self.commands = {key: one for key, one in self.commands.items() if key not in ended}
            self.actions = {action: key for action, key in self.actions.items() if key in self.commands}
        self.cancelled = {
            action: one for action, one in self.cancelled.items() if not _over(one.until, MAX_WINDOW, one.lived, age)
        }
        if self.doubt is not None and _over(self.doubt + MAX_WINDOW, MAX_WINDOW, self.doubt_lived, age):
            self.doubt = None

    def lines(self, age: Age) -> Iterable[dict[str, JSON]]:
        """All of it, as lines."""
        yield {
            "step": "journal",
            "floor": format_time(self.floor),
            "doubt": format_time(self.doubt) if self.doubt is not None else "",
            "doubt_lived": self.doubt_lived,
            "ledger": self.ledger,
            "age": age.to_json(),
        }
        for action, one in self.cancelled.items():
            yield {"step": "cancel", "action": action, "until": format_time(one.until), "lived": one.lived}
        for command, entry in self.commands.items():
            yield from [start_line(command, entry)] * max(1, entry.attempts)
            if not entry.attempts:
                yield {"step": "release", "command": command}
            if entry.finished:
                yield {"step": "finish", "command": command}


def start_line(command: CommandId, entry: Entry) -> dict[str, JSON]:
    """The line that says that a command is begun."""
    return {
        "step": "start",
        "command": command,
        "action": entry.action,
        "begin": format_time(entry.begin),
        "until": format_time(entry.until),
        "lived": entry.lived,
        "payload": entry.payload,
    }


def _over(until: datetime, window: timedelta, lived: float, age: Age) -> bool:
    return age.sure >= until + MARGIN and age.lived - lived >= (window + MARGIN).total_seconds()

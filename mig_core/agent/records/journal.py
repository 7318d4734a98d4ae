"""The journal: which actions were run here, so that none is run twice, whatever the relay or a crash repeats.

An append-only file of JSON lines, each synced before the agent goes on, rewritten without what has ended when it is
opened and when it has grown. A torn last line (a crash in the middle of a write) is dropped: its step then never
happened.

Entries are kept until the action's validity window has ended, and a margin beyond it in case the clock is set back;
after that the window itself refuses the action.
"""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING

from mig_core.domain.ids import ActionId, CommandId
from mig_core.domain.times import format_time, parse_time
from mig_core.durable import AppendOnly, replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

log = logging.getLogger(__name__)

MARGIN = timedelta(days=1)
"""How long after a window's end its action is still remembered."""
MAX_ATTEMPTS = 2
"""A command that was begun so often and never ended is not begun again."""
COMPACT_AFTER = 5000


class Start(Enum):
    """What :meth:`Journal.start` says about a command."""

    RUN = "run"
    """It is noted as begun: run it."""
    FINISHED = "finished"
    """It has been run and answered: do nothing."""
    REPLAY = "replay"
    """Its action was run here under another command id: refuse it."""
    EXHAUSTED = "exhausted"
    """It took the agent down :data:`MAX_ATTEMPTS` times: answer so, do not run it."""


@dataclass(slots=True)
class _Entry:
    action: ActionId
    until: datetime
    attempts: int = 0
    finished: bool = False


@dataclass(frozen=True, slots=True)
class JournalView:
    """The journal as :func:`mig_core.authorization.authorize` wants it, for one command."""

    journal: Journal
    command: CommandId

    def seen(self, action: ActionId) -> bool:
        """Whether the action was run here under another command."""
        return self.journal.ran_elsewhere(action, self.command)


class Journal:
    """What was run here. Thread-safe."""

    def __init__(self, path: Path, *, now: datetime, compact_after: int = COMPACT_AFTER) -> None:
        """Opens the file, made if it is missing.

        Args:
            path: the journal's file.
            now: entries whose window (and margin) ended before are dropped.
            compact_after: lines written before the file is rewritten.

        Raises:
            OSError: the file cannot be read or written.
        """
        self._path = path
        self._compact_after = compact_after
        self._lock = threading.Lock()
        self._commands: dict[CommandId, _Entry] = {}
        self._actions: dict[ActionId, CommandId] = {}
        self._cancelled: dict[ActionId, datetime] = {}
        self._read(now)
        self._file = self._compact(now)

    def view(self, command: CommandId) -> JournalView:
        """What authorization sees when it looks at this command: its own earlier attempts are no replay."""
        return JournalView(self, command)

    def ran_elsewhere(self, action: ActionId, command: CommandId) -> bool:
        """Whether the action was begun here under another command."""
        with self._lock:
            return self._actions.get(action, command) != command

    def standing(self, command: CommandId) -> Start:
        """What :meth:`start` would say, as far as the command's id alone decides it."""
        with self._lock:
            return self._standing(command)

    def _standing(self, command: CommandId) -> Start:
        entry = self._commands.get(command)
        if entry is None:
            return Start.RUN
        if entry.finished:
            return Start.FINISHED
        return Start.EXHAUSTED if entry.attempts >= MAX_ATTEMPTS else Start.RUN

    def action_of(self, command: CommandId) -> ActionId | None:
        """The action a command was begun for."""
        with self._lock:
            entry = self._commands.get(command)
            return entry.action if entry is not None else None

    def start(self, command: CommandId, action: ActionId, until: datetime, *, now: datetime) -> Start:
        """Notes durably that the command is about to be run, unless it must not be.

        Raises:
            OSError: it could not be noted; do not run it.
        """
        with self._lock:
            standing = self._standing(command)
            if standing is not Start.RUN:
                return standing
            entry = self._commands.get(command)
            if self._actions.get(action, command) != command or (entry is not None and entry.action != action):
                return Start.REPLAY
            self._note(now, "start", command=command, action=action, until=format_time(until))
            return Start.RUN

    def release(self, command: CommandId, *, now: datetime) -> None:
        """Takes back :meth:`start`: the agent was stopped in good order, which is not the command's fault."""
        with self._lock:
            if command in self._commands:
                self._note(now, "release", command=command)

    def finish(self, command: CommandId, *, now: datetime) -> None:
        """Notes durably that the command's answer is safe. Unknown commands are left alone."""
        with self._lock:
            entry = self._commands.get(command)
            if entry is not None and not entry.finished:
                self._note(now, "finish", command=command)

    def cancel(self, action: ActionId, until: datetime, *, now: datetime) -> None:
        """Notes durably that the action is not wanted any more."""
        with self._lock:
            if action not in self._cancelled:
                self._note(now, "cancel", action=action, until=format_time(until))

    def cancelled(self, action: ActionId) -> bool:
        """Whether a cancel for the action has been seen."""
        with self._lock:
            return action in self._cancelled

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._file.close()

    def _note(self, now: datetime, step: str, **fields: str) -> None:
        line = {"step": step, **fields}
        self._file.append(json.dumps(line).encode("ascii"))
        self._apply(line)
        self._lines += 1
        if self._lines >= self._compact_after:
            self._file.close()
            self._file = self._compact(now)

    def _apply(self, line: dict[str, str]) -> None:
        step = line["step"]
        if step == "cancel":
            self._cancelled[ActionId(line["action"])] = parse_time(line["until"])
            return
        command = CommandId(line["command"])
        if step == "start":
            action = ActionId(line["action"])
            entry = self._commands.setdefault(command, _Entry(action, parse_time(line["until"])))
            entry.attempts += 1
            self._actions.setdefault(action, command)
        elif step == "release":
            self._commands[command].attempts -= 1
        elif step == "finish":
            self._commands[command].finished = True
        else:
            raise ValueError(f"unknown step {step!r:.40}")

    def _read(self, now: datetime) -> None:
        try:
            raw = self._path.read_bytes()
        except FileNotFoundError:
            return
        lines = raw.split(b"\n")
        if lines.pop():
            log.warning("the journal's last line was cut short by a crash; that step did not happen")
        for number, line in enumerate(lines, 1):
            try:
                self._apply(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                log.error("line %d of %s is damaged and ignored: %s", number, self._path, error)

    def _compact(self, now: datetime) -> AppendOnly:
        horizon = now - MARGIN
        self._commands = {key: entry for key, entry in self._commands.items() if entry.until > horizon}
        self._actions = {action: key for action, key in self._actions.items() if key in self._commands}
        self._cancelled = {key: until for key, until in self._cancelled.items() if until > horizon}
        replace_file(self._path, b"".join(json.dumps(line).encode("ascii") + b"\n" for line in self._live_lines()))
        self._lines = 0
        return AppendOnly(self._path)

    def _live_lines(self) -> Iterable[dict[str, str]]:
        for action, until in self._cancelled.items():
            yield {"step": "cancel", "action": action, "until": format_time(until)}
        for command, entry in self._commands.items():
            start = {"step": "start", "command": command, "action": entry.action, "until": format_time(entry.until)}
            yield from [start] * max(1, entry.attempts)
            if not entry.attempts:
                yield {"step": "release", "command": command}
            if entry.finished:
                yield {"step": "finish", "command": command}

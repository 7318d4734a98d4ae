"""The journal: which actions were run here, so that none is run twice, whatever the relay or a crash repeats.

An append-only file of JSON lines, each with its number and a sum and synced before the agent goes on, rewritten without
what has ended when it is opened and when it has grown. A torn last line (a crash in the middle of a write) is dropped:
its step then never happened.

An entry is forgotten when its window has certainly ended (``age``), never by one look at a clock; and an action whose
window ended before anything that was forgotten is refused, so that no clock brings it back. When the file is damaged
or gone, the ledger is asked (``witness``); what it cannot vouch for either is in doubt: every action whose window began
before the loss was found is refused, until the owner says to go on or no such window can be open any more.
"""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mig_core.agent.records.age import Age, Uptime, uptime
from mig_core.agent.records.journal_state import MARGIN, MAX_ATTEMPTS, Entry, JournalState, Start, start_line
from mig_core.agent.records.sealed_lines import read_sealed, seal
from mig_core.agent.records.witness import hear
from mig_core.domain.times import format_time
from mig_core.durable import AppendOnly, remove_file, replace_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from mig_core.domain.action import Action
    from mig_core.domain.document import JSON
    from mig_core.domain.ids import ActionId, CommandId

__all__ = ["MARGIN", "MAX_ATTEMPTS", "Journal", "JournalView", "Start"]

log = logging.getLogger(__name__)

COMPACT_AFTER = 5000
_LOOK_SECONDS = 6 * 3600.0
"""How much life may pass before it is noted, though nothing happens."""
_NEWEST = 2
"""Segments of the ledger that are compared at each start; all of it is read only when something is wrong."""


@dataclass(frozen=True, slots=True)
class JournalView:
    """The journal as :func:`mig_core.authorization.authorize` wants it, for one command."""

    journal: Journal
    command: CommandId
    now: datetime

    def objection(self, action: Action) -> str:
        """Why the action may have been run here before; empty: it was not."""
        return self.journal.objection(action, self.command, now=self.now)


class Journal:
    """What was run here. Thread-safe.

    Args:
        path: the journal's file.
        now: by the clock.
        ledger: the ledger's file; None: there is no second witness.
        young: whether an agent without a journal may never have had one.
        read: the kernel's time.
        compact_after: lines written before the file is rewritten.

    Raises:
        OSError: the file cannot be read or written.
    """

    def __init__(
        self,
        path: Path,
        *,
        now: datetime,
        ledger: Path | None = None,
        young: bool = True,
        read: Callable[[], Uptime] = uptime,
        compact_after: int = COMPACT_AFTER,
    ) -> None:
        self._path = path
        self._compact_after = compact_after
        self._lock = threading.Lock()
        self._state = JournalState()
        self._age = Age(now, read=read)
        self._number = self._lines = 0
        self.repaired = ""
        """What was wrong at start and could be set right; empty: nothing."""
        faults = self._load(now, read, young=young)
        if ledger is not None:
            self._compare(ledger, faults, now)
        elif faults:
            self._doubt(now, faults)
        self._noted = self._age.lived
        self._file = self._open_file(rewrite=bool(faults))

    def view(self, command: CommandId, *, now: datetime) -> JournalView:
        """What authorization sees when it looks at this command: its own earlier attempts are no replay."""
        return JournalView(self, command, now)

    def objection(self, action: Action, command: CommandId, *, now: datetime) -> str:
        """Why the action may have been run here before under another command; empty: it was not."""
        with self._lock:
            self._age.look(now)
            return self._state.objection(action, command, self._age, now)

    def standing(self, command: CommandId) -> Start:
        """What :meth:`start` would say, as far as the command's id alone decides it."""
        with self._lock:
            return self._state.standing(command)

    def action_of(self, command: CommandId) -> ActionId | None:
        """The action a command was begun for."""
        with self._lock:
            entry = self._state.commands.get(command)
            return entry.action if entry is not None else None

    def is_another(self, command: CommandId, payload: str) -> bool:
        """Whether the command was begun for something else than this (SHA-256 of what is signed)."""
        with self._lock:
            entry = self._state.commands.get(command)
            return entry is not None and bool(entry.payload) and entry.payload != payload

    def start(self, command: CommandId, action: Action, payload: str, *, now: datetime, ledger: int = 0) -> Start:
        """Notes durably that the command is about to be run, unless it must not be.

        Args:
            command: whose.
            action: what is run.
            payload: SHA-256 of what was signed, hexadecimal.
            now: by the clock.
            ledger: the number of the ledger's line about it.

        Raises:
            OSError: it could not be noted; do not run it.
        """
        with self._lock:
            self._age.look(now)
            standing = self._state.standing(command)
            if standing is not Start.RUN:
                return standing
            known = self._state.commands.get(command)
            objection = self._state.objection(action, command, self._age, now)
            if objection or (known is not None and known.action != action.id):
                return Start.REPLAY
            entry = Entry(action.id, action.valid_from, action.expire_after, self._age.lived, payload)
            self._note({**start_line(command, entry), "ledger": ledger})
            return Start.RUN

    def release(self, command: CommandId) -> None:
        """Takes back :meth:`start`: the agent was stopped in good order, which is not the command's fault."""
        with self._lock:
            if command in self._state.commands:
                self._note({"step": "release", "command": command})

    def finish(self, command: CommandId) -> None:
        """Notes durably that the command's answer is safe. Unknown commands are left alone."""
        with self._lock:
            entry = self._state.commands.get(command)
            if entry is not None and not entry.finished:
                self._note({"step": "finish", "command": command})

    def cancel(self, action: ActionId, until: datetime) -> None:
        """Notes durably that the action is not wanted any more."""
        with self._lock:
            if action not in self._state.cancelled:
                self._note({"step": "cancel", "action": action, "until": format_time(until), "lived": self._age.lived})

    def cancelled(self, action: ActionId) -> bool:
        """Whether a cancel for the action has been seen."""
        with self._lock:
            return action in self._state.cancelled

    @property
    def ledger_lines(self) -> int:
        """How many lines the ledger must have."""
        with self._lock:
            return self._state.ledger

    @property
    def problem(self) -> str:
        """What the owner should know; empty: all is well."""
        with self._lock:
            if self._state.doubt is None:
                return ""
            lost = format_time(self._state.doubt)
        return (
            f"lost at {lost}: actions whose window began before that are refused; mig-agent journal --go-on ends that"
        )

    def look(self, now: datetime) -> None:
        """Call now and then: what has been lived through is noted, though nothing happens.

        Raises:
            OSError: it could not be noted.
        """
        with self._lock:
            self._age.look(now)
            if self._age.lived - self._noted >= _LOOK_SECONDS:
                self._note({"step": "look", "age": self._age.to_json()})

    def go_on(self) -> bool:
        """Does what the owner has said (``go_on_file``): the doubt ends. Returns whether it was said.

        Raises:
            OSError: it could not be noted.
        """
        told = go_on_file(self._path)
        with self._lock:
            said = told.exists() and self._state.doubt is not None
            if said:
                self._note({"step": "go-on"})
            remove_file(told)  # without a doubt it must not end a later one
            return said

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._file.close()

    def _note(self, line: dict[str, JSON]) -> None:
        self._file.append(seal(self._number + 1, line))
        self._state.apply(line)
        if "age" in line:
            self._noted = self._age.lived
        self._number, self._lines = self._number + 1, self._lines + 1
        if self._lines >= self._compact_after:
            self._lines = 0
            try:
                self._rewrite()
            except OSError as error:
                log.error("the journal goes on as it is, it cannot be rewritten: %s", error)
                return
            self._file.close()
            self._file = AppendOnly(self._path)

    def _rewrite(self) -> None:
        """Writes the file anew, without what has ended.

        Raises:
            OSError: it is as it was.
        """
        self._state.forget(self._age)
        lines = [seal(number, line) for number, line in enumerate(self._state.lines(self._age), 1)]
        replace_file(self._path, b"".join(line + b"\n" for line in lines))
        self._number, self._lines, self._noted = len(lines), 0, self._age.lived

    def _load(self, now: datetime, read: Callable[[], Uptime], *, young: bool) -> list[str]:
        """Takes in the file; returns what is wrong with it."""
        try:
            raw = self._path.read_bytes()
        except FileNotFoundError:
            return [] if young else ["it is gone"]
        if not raw:
            return [] if young else ["it is empty"]
        if b'"sum":' not in raw.partition(b"\n")[0]:
            return self._load_old(raw)
        found = read_sealed(raw)
        if found.torn:
            log.warning("the journal's last line was cut short by a crash; that step did not happen")
        faults = list(found.faults)
        for line in found.whole:
            try:
                self._state.apply(line)
                if "age" in line:
                    self._age = Age(now, read=read, saved=line["age"])
            except (ValueError, KeyError, TypeError) as error:
                faults.append(f"a line is not understood: {error!r}"[:200])
        if not found.whole or found.whole[0]["step"] != "journal":
            faults.append("its beginning is missing")
        self._number = len(found.whole)
        return faults

    def _load_old(self, raw: bytes) -> list[str]:
        """As releases before this one wrote it, without numbers and sums."""
        faults = []
        for line in raw.split(b"\n")[:-1]:
            try:
                self._state.apply(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                faults.append(f"a line is damaged: {error!r}"[:200])
        return faults

    def _compare(self, ledger: Path, faults: list[str], now: datetime) -> None:
        """Asks the ledger, and takes from it what is missing here."""
        witness = hear(ledger, newest=_NEWEST)
        if not faults and not self._state.missing(witness):
            self._state.restore(witness, self._age.lived)
            return
        witness = hear(ledger)
        if faults:
            self._state.floor = max(self._state.floor, witness.silent_until)
        restored = self._state.restore(witness, self._age.lived)
        what = "; ".join(faults[:5]) or "lines are missing at its end"
        if witness.fault or not witness.lines or witness.last < self._state.ledger:
            self._doubt(now, [what, witness.fault or "the ledger does not reach far enough"])
            return
        self.repaired = f"the journal was mended from the ledger, {restored} entries were missing: {what}"
        log.error("%s", self.repaired)

    def _doubt(self, now: datetime, why: list[str]) -> None:
        remove_file(go_on_file(self._path))  # it was said of something else
        self._state.doubt, self._state.doubt_lived = now, self._age.lived
        log.error("what was run here is not known any more (%s); old actions are refused from now on", "; ".join(why))

    def _open_file(self, *, rewrite: bool) -> AppendOnly:
        try:
            self._rewrite()
        except OSError as error:
            if rewrite or not self._path.exists():
                raise
            log.error("the journal goes on as it is, it cannot be rewritten: %s", error)
        return AppendOnly(self._path)


def go_on_file(path: Path) -> Path:
    """What the owner makes (``mig-agent journal --go-on``) to end the doubt of the journal at ``path``."""
    return path.with_name(path.name + ".go-on")

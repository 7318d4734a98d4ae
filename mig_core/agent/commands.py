"""What happens to one command, in which order, so that a crash between any two steps loses nothing and repeats nothing.

1. The journal is asked: answered before (acknowledge, do nothing), or twice the agent's end (answer so).
2. Authorization decides. A refusal is an answer too.
3. Ledger and journal note that it begins, durably.
4. The operations run, each in its own process.
5. The answer is signed and put into the spool, durably (``answering``).
6. Ledger and journal note that it ended, durably.
7. The delivery is acknowledged, and the sender sees the answer.

A command's id stands for one signed document for ever: with another it is noted and not run.

When the agent stops in good order in between, the journal takes the attempt back and the relay delivers again.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mig_core.agent.answering import Answering, Ending
from mig_core.agent.claims import NO_ACTION, claimed_action, claimed_end, seconds
from mig_core.agent.operations.executor import Interruption, Prepared
from mig_core.agent.records.journal import MAX_ATTEMPTS, Start
from mig_core.authorization import Check
from mig_core.domain.action import MAX_WINDOW
from mig_core.domain.command import CommandState
from mig_core.domain.document import dump
from mig_core.domain.times import format_time
from mig_core.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mig_core.agent.authority import Authority
    from mig_core.agent.counters import Counters
    from mig_core.agent.execution import Runner
    from mig_core.agent.records.opening import Records
    from mig_core.authorization import Authorized
    from mig_core.domain.command import CancelMessage, CommandMessage
    from mig_core.domain.document import JSON
    from mig_core.domain.ids import ActionId, CommandId
    from mig_core.identity import AgentKey

log = logging.getLogger(__name__)

STOPPING = "the agent stops"
CANCELLED = "cancelled by an investigator"
ROOM_SECONDS = 60.0
"""How long a command waits for room in the spool before its answer says that there is none."""
_MAX_LEDGER_PARAMETERS = 4096
_MAX_LEDGER_BYTES = 256 << 10
"""Of an action's parameters, all together, as the ledger keeps them."""


class Commands:
    """Handles commands and cancels. Thread-safe: each worker calls :meth:`handle` for one command at a time."""

    def __init__(
        self,
        *,
        key: AgentKey,
        authority: Authority,
        runner: Runner,
        records: Records,
        counters: Counters,
        clock: Callable[[], datetime],
        disk_retry_seconds: float = 5.0,
        room_seconds: float = ROOM_SECONDS,
    ) -> None:
        self._room_seconds = room_seconds
        self._authority = authority
        self._runner = runner
        self._journal, self._spool, self._ledger = records.journal, records.spool, records.ledger
        self._folding, self._counters = records.folding, counters
        self._clock = clock
        self._lock = threading.Lock()
        self._active: dict[CommandId, _Active] = {}
        self._running: dict[CommandId, tuple[ActionId, Interruption]] = {}
        self._stopping = threading.Event()
        self.answering = Answering(
            key, records, counters, clock=clock, stopping=self._stopping, retry_seconds=disk_retry_seconds
        )

    def recover(self) -> None:
        """At start: commands whose answers wait in the spool are finished, whatever the journal missed."""
        for command in self._spool.commands():
            self._journal.finish(command)

    def look_after(self, *, everything: bool = False) -> None:
        """Now and then, and with ``everything`` at the end: what is due in the records is noted.

        Raises:
            OSError: the disk does not take it; call again.
        """
        now = self._clock()
        self._journal.look(now)
        if self._journal.go_on():
            log.warning("the owner says to go on without the record of what was run here before")
            self._ledger.add("go-on", {"note": "the owner ended the doubt about what was run before"}, now=now)
        self._folding.flush(now, everything=everything)

    def stop(self) -> None:
        """Nothing further begins; what runs is interrupted and will be delivered again."""
        self._stopping.set()
        with self._lock:
            running = [interruption for _, interruption in self._running.values()]
        for interruption in running:
            interruption.interrupt(STOPPING)

    def cancel(self, message: CancelMessage) -> None:
        """Ends the action if it runs, and keeps it from beginning.

        Raises:
            OSError: it could not be noted; let it be delivered again.
        """
        try:
            authorized = self._authority.authorize_cancel(message.cancel)
        except Refused as error:
            self._counters.count("cancels_refused")
            log.warning("a cancel was %s", error)
            return
        cancel = authorized.cancel
        if not self._journal.cancelled(cancel.action):
            now = self._clock()
            noted: dict[str, JSON] = {
                "action": cancel.action,
                "reason": cancel.reason,
                "signers": list(authorized.signers),
                "until": format_time(now + MAX_WINDOW),
            }
            self._ledger.add("cancel", noted, now=now)
            self._journal.cancel(cancel.action, now + MAX_WINDOW)
        self._counters.count("cancels")
        log.info("action=%s cancelled: %s", cancel.action, cancel.reason or "no reason given")
        with self._lock:
            running = [one for action, one in self._running.values() if action == cancel.action]
        for interruption in running:
            interruption.interrupt(CANCELLED)

    def handle(self, message: CommandMessage, acknowledge: Callable[[], None]) -> None:
        """Handles one command to its end; returns without acknowledging when the agent stops.

        Raises:
            OSError: the disk does not take what must be noted; the command will be delivered again.
        """
        payload = hashlib.sha256(message.action.payload).hexdigest()
        reused = self._journal.is_another(message.command, payload)
        with self._lock:
            active = self._active.get(message.command)
            if active is not None and active.payload == payload:
                # Delivered again while it runs, over a new connection: the old acknowledgement reaches nobody.
                active.acknowledge.append(acknowledge)
                return
            reused = reused or active is not None
            if not reused:
                self._active[message.command] = _Active(payload, [acknowledge])
        if reused:
            self._note_reuse(message, payload)
            acknowledge()
            return
        done = False
        try:
            done = self._handle(message)
        except OSError:
            raise
        except Exception as error:
            # A fault of our own must not keep the command coming back for ever.
            self._counters.count("internal_errors")
            log.exception("command=%s broke the agent's own code", message.command)
            reason = f"the agent could not handle it: {type(error).__name__}"
            action = claimed_action(message.action.payload)
            ending = Ending(message.command, action, CommandState.FAILED, reason, fold="failed")
            done = self.answering.give(ending, self._clock())
        finally:
            with self._lock:
                waiting = self._active.pop(message.command).acknowledge
        # 7. To every connection that delivered it.
        if done:
            for one in waiting:
                one()

    def _handle(self, message: CommandMessage) -> bool:
        command, started = message.command, self._clock()
        # 1. Has it been here before?
        standing = self._journal.standing(command)
        if standing is Start.FINISHED:
            self._counters.count("commands_repeated")
            log.info("command=%s was answered before; acknowledged", command)
            return True
        if standing is Start.EXHAUSTED:
            return self._say_that_it_kills(message, started)
        # Nothing begins whose answer could not be kept.
        while not self._spool.wait_for_room(self._room_seconds) and not self._stopping.is_set():
            if not self._spool.brimful:
                return self._say_that_it_is_full(message, started)
        if self._stopping.is_set():
            return False
        if self._journal.problem:
            self.look_after()
        with contextlib.ExitStack() as at_the_end:
            return self._decide(message, started, at_the_end)

    def _decide(self, message: CommandMessage, started: datetime, at_the_end: contextlib.ExitStack) -> bool:
        """Steps 2 to 6; the process that waits for the decision is given up at the end."""
        command = message.command
        # It takes as long to get ready as to verify. Whoever cannot sign gains nothing: it goes on for some time then.
        self._runner.get_ready()
        # 2. May it run here? And 3., if nobody has cancelled it meanwhile, it is noted that it begins.
        try:
            authorized = self._authority.authorize(message.action, command)
            prepared = next((one for one in authorized.parameters if isinstance(one, Prepared)), None)
            if prepared is not None:
                at_the_end.callback(prepared.close)
            if not self._journal.cancelled(authorized.action.id):
                payload = hashlib.sha256(message.action.payload).hexdigest()
                standing = self._start(command, authorized, payload)
        except Refused as error:
            # While the agent stops, parameters cannot be looked at any more: that refusal would not be a true one.
            return not self._stopping.is_set() and self._refuse(message, error, started)
        # A cancel may have come before the command, or between the two looks.
        action = authorized.action
        if self._journal.cancelled(action.id):
            until = seconds(action.expire_after)
            ending = Ending(command, action.id, CommandState.CANCELLED, CANCELLED, until=until, fold="cancelled")
            return self.answering.give(ending, started)
        # 4. to 6.
        return standing is Start.FINISHED or self._run(command, authorized, started, prepared)

    def _start(self, command: CommandId, authorized: Authorized, payload: str) -> Start:
        """Step 3: the ledger first, so that whatever runs is in it."""
        action = authorized.action
        operations: list[JSON] = []
        room = _MAX_LEDGER_BYTES
        for operation in action.operations:
            raw = dump(operation.parameters)
            keep = len(raw) <= min(_MAX_LEDGER_PARAMETERS, room)
            room -= len(raw) if keep else 0
            shown: JSON = operation.parameters if keep else "(too long to be kept here)"
            operations.append(
                {"module": operation.module, "parameters": shown, "sha256": hashlib.sha256(raw).hexdigest()}
            )
        asked: dict[str, JSON] = {
            "command": command,
            "action": action.id,
            "name": action.name,
            "from": format_time(action.valid_from),
            "until": format_time(action.expire_after),
            "signers": list(authorized.signers),
            "payload": payload,
            "operations": operations,
        }
        line = self._ledger.add("asked", asked, now=self._clock())
        standing = self._journal.start(command, action, payload, now=self._clock(), ledger=line)
        if standing is Start.REPLAY:
            raise Refused(Check.REPLAY, f"action {action.id} was already run here")
        return standing

    def _run(self, command: CommandId, authorized: Authorized, started: datetime, prepared: Prepared | None) -> bool:
        """Step 4, and the answer. False: the agent stops; the command will come again."""
        action = authorized.action
        modules = ",".join(operation.module for operation in action.operations)
        log.info("action=%s command=%s modules=%s begins", action.id, command, modules)
        interruption = Interruption()
        with self._lock:
            self._running[command] = (action.id, interruption)
        if self._stopping.is_set():
            interruption.interrupt(STOPPING)
        elif self._journal.cancelled(action.id):
            interruption.interrupt(CANCELLED)
        begun = time.monotonic()
        try:
            done = self._runner.execute(action, interruption, prepared)
        finally:
            with self._lock:
                del self._running[command]
        if interruption.why == STOPPING and done.state is CommandState.CANCELLED:
            self._journal.release(command)
            log.info("action=%s command=%s interrupted: the agent stops; it will come again", action.id, command)
            return False
        log.info(
            "action=%s command=%s modules=%s state=%s found=%s seconds=%.3f cpu=%.3f rss_kib=%d",
            action.id,
            command,
            modules,
            done.state,
            any(one.found for one in done.results),
            time.monotonic() - begun,
            done.cpu_seconds,
            done.max_rss_kib,
        )
        until = seconds(action.expire_after)
        return self.answering.give(Ending(command, action.id, done.state, done.reason, done.results, until), started)

    def _refuse(self, message: CommandMessage, error: Refused, started: datetime) -> bool:
        action = claimed_action(message.action.payload)
        log.warning("action=%s command=%s %s", action, message.command, error)
        reason = f"{error.check}: {error.problem}"
        until = self._claimed_end(message)
        ending = Ending(
            message.command, action, CommandState.REFUSED, reason, until=until, fold=f"refused {error.check}"
        )
        return self.answering.give(ending, started)

    def _say_that_it_kills(self, message: CommandMessage, started: datetime) -> bool:
        action = self._journal.action_of(message.command) or NO_ACTION
        reason = f"it took the agent down {MAX_ATTEMPTS} times; it is not run again"
        log.error("action=%s command=%s %s", action, message.command, reason)
        until = self._claimed_end(message)
        return self.answering.give(Ending(message.command, action, CommandState.KILLED, reason, until=until), started)

    def _say_that_it_is_full(self, message: CommandMessage, started: datetime) -> bool:
        """The investigator learns why nothing is looked at here, instead of waiting for the window's end."""
        self._counters.count("commands_without_room")
        waiting, mib = self._spool.waiting(), self._spool.held >> 20
        why = f": {waiting[0].problem}" if waiting and waiting[0].problem else ""
        reason = f"nothing was begun: {len(waiting)} answers ({mib} MiB) fill this agent's spool, and wait{why}"
        log.error("command=%s %s", message.command, reason)
        action = claimed_action(message.action.payload)
        until = self._claimed_end(message)
        ending = Ending(message.command, action, CommandState.FAILED, reason, until=until, fold="no room")
        return self.answering.give(ending, started)

    def _claimed_end(self, message: CommandMessage) -> int:
        """When the window ends, as the unverified action says; decides only how long its answer is worth sending."""
        return claimed_end(message.action.payload, self._clock())

    def _note_reuse(self, message: CommandMessage, payload: str) -> None:
        """A command's id came again with something else to do: nothing is run, and the owner can read that it came."""
        self._counters.count("commands_reused")
        action = claimed_action(message.action.payload)
        log.warning("action=%s command=%s was another action's command: not run", action, message.command)
        noted: dict[str, JSON] = {"command": message.command, "action": action, "payload": payload}
        self._folding.add("reused", "reused", noted, now=self._clock())


@dataclass(slots=True)
class _Active:
    """A command that is being handled: what it asks (SHA-256), and whom to tell at its end."""

    payload: str
    acknowledge: list[Callable[[], None]]

"""What happens to one command, in which order, so that a crash between any two steps loses nothing and repeats nothing.

1. The journal is asked: answered before (acknowledge, do nothing), or twice the agent's end (answer so).
2. Authorization decides. A refusal is an answer too.
3. Ledger and journal note that it begins, durably.
4. The operations run, each in its own process.
5. The answer is signed and put into the spool, durably.
6. Ledger and journal note that it ended, durably.
7. The delivery is acknowledged, and the sender sees the answer.

When the agent stops in good order in between, the journal takes the attempt back and the relay delivers again.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mig_core.agent.operations.executor import MAX_PAYLOAD_BYTES, Interruption
from mig_core.agent.records.journal import MAX_ATTEMPTS, Start
from mig_core.authorization import Check
from mig_core.domain import envelope as envelopes
from mig_core.domain.action import MAX_WINDOW
from mig_core.domain.command import CommandState
from mig_core.domain.document import dump, load
from mig_core.domain.ids import ActionId, CommandId, check_uuid
from mig_core.domain.result import Answer, ModuleResult
from mig_core.errors import InvalidDocument, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from mig_core.agent.authority import Authority
    from mig_core.agent.counters import Counters
    from mig_core.agent.execution import Runner
    from mig_core.agent.records.journal import Journal
    from mig_core.agent.records.ledger import Ledger
    from mig_core.agent.records.spool import Spool, Spooled
    from mig_core.authorization import Authorized
    from mig_core.domain.command import CancelMessage, CommandMessage
    from mig_core.domain.document import JSON
    from mig_core.identity import AgentKey

log = logging.getLogger(__name__)

STOPPING = "the agent stops"
CANCELLED = "cancelled by an investigator"
NO_ACTION = ActionId("00000000-0000-0000-0000-000000000000")
"""Stands for the action's id in the refusal of an envelope that does not even say which action it is."""
_MAX_LEDGER_PARAMETERS = 4096


@dataclass(frozen=True, slots=True)
class Records:
    """Where things are noted down."""

    journal: Journal
    spool: Spool
    ledger: Ledger
    counters: Counters


class Commands:
    """Handles commands and cancels. Thread-safe: each worker calls :meth:`handle` for one command at a time."""

    def __init__(
        self,
        *,
        key: AgentKey,
        authority: Authority,
        runner: Runner,
        records: Records,
        clock: Callable[[], datetime],
        disk_retry_seconds: float = 5.0,
    ) -> None:
        self._key = key
        self._authority = authority
        self._runner = runner
        self._journal, self._spool, self._ledger = records.journal, records.spool, records.ledger
        self._counters = records.counters
        self._clock = clock
        self._disk_retry_seconds = disk_retry_seconds
        self._lock = threading.Lock()
        self._active: dict[CommandId, list[Callable[[], None]]] = {}
        self._running: dict[CommandId, tuple[ActionId, Interruption]] = {}
        self._stopping = threading.Event()

    def recover(self) -> None:
        """At start: commands whose answers wait in the spool are finished, whatever the journal missed."""
        now = self._clock()
        for command in self._spool.commands():
            self._journal.finish(command, now=now)

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
            cancel = self._authority.authorize_cancel(message.cancel)
        except Refused as error:
            self._counters.count("cancels_refused")
            log.warning("a cancel was %s", error)
            return
        now = self._clock()
        self._journal.cancel(cancel.action, now + MAX_WINDOW, now=now)
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
        with self._lock:
            if message.command in self._active:
                # Delivered again while it runs, over a new connection: the old acknowledgement reaches nobody.
                self._active[message.command].append(acknowledge)
                return
            self._active[message.command] = [acknowledge]
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
            action = _claimed_action(message.action.payload)
            done = self._answer(message.command, action, CommandState.FAILED, reason, (), self._clock())
        finally:
            with self._lock:
                waiting = self._active.pop(message.command)
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
            action = self._journal.action_of(command) or NO_ACTION
            reason = f"it took the agent down {MAX_ATTEMPTS} times; it is not run again"
            log.error("action=%s command=%s %s", action, command, reason)
            return self._answer(command, action, CommandState.KILLED, reason, (), started)
        # Nothing begins whose answer could not be kept.
        if not self._spool.wait_for_room() or self._stopping.is_set():
            return False
        # 2. May it run here? And 3., if nobody has cancelled it meanwhile, it is noted that it begins.
        try:
            authorized = self._authority.authorize(message.action, command)
            if not self._journal.cancelled(authorized.action.id):
                standing = self._start(command, authorized)
        except Refused as error:
            # While the agent stops, parameters cannot be looked at any more: that refusal would not be a true one.
            return not self._stopping.is_set() and self._refuse(message, error, started)
        # A cancel may have come before the command, or between the two looks.
        action = authorized.action.id
        if self._journal.cancelled(action):
            if standing is Start.RUN:
                self._journal.finish(command, now=self._clock())
            return self._answer(command, action, CommandState.CANCELLED, CANCELLED, (), started)
        if standing is Start.FINISHED:
            return True
        # 4. to 6.
        return self._run(command, authorized, started)

    def _start(self, command: CommandId, authorized: Authorized) -> Start:
        """Step 3: the ledger first, so that whatever runs is in it."""
        action = authorized.action
        operations: list[JSON] = []
        for operation in action.operations:
            raw = dump(operation.parameters)
            shown: JSON = operation.parameters if len(raw) <= _MAX_LEDGER_PARAMETERS else "(too long to be kept here)"
            operations.append(
                {"module": operation.module, "parameters": shown, "sha256": hashlib.sha256(raw).hexdigest()}
            )
        asked: dict[str, JSON] = {
            "command": command,
            "action": action.id,
            "name": action.name,
            "signers": list(authorized.signers),
            "operations": operations,
        }
        self._ledger.add("asked", asked, now=self._clock())
        standing = self._journal.start(command, action.id, action.expire_after, now=self._clock())
        if standing is Start.REPLAY:
            raise Refused(Check.REPLAY, f"action {action.id} was already run here")
        return standing

    def _run(self, command: CommandId, authorized: Authorized, started: datetime) -> bool:
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
            done = self._runner.execute(action, interruption)
        finally:
            with self._lock:
                del self._running[command]
        if interruption.why == STOPPING and done.state is CommandState.CANCELLED:
            self._journal.release(command, now=self._clock())
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
        return self._answer(command, action.id, done.state, done.reason, done.results, started)

    def _refuse(self, message: CommandMessage, error: Refused, started: datetime) -> bool:
        action = _claimed_action(message.action.payload)
        log.warning("action=%s command=%s %s", action, message.command, error)
        reason = f"{error.check}: {error.problem}"
        return self._answer(message.command, action, CommandState.REFUSED, reason, (), started)

    def _answer(
        self,
        command: CommandId,
        action: ActionId,
        state: CommandState,
        reason: str,
        results: Sequence[ModuleResult],
        started: datetime,
    ) -> bool:
        """Steps 5 and 6, and the answer's way to the sender. False: the agent stops and it could not be stored."""
        reason = reason.replace("\x00", "\N{REPLACEMENT CHARACTER}")[:4000]
        answer = Answer(command, action, self._key.agent_id, state, reason, tuple(results), started, self._clock())
        payload = answer.to_payload()
        if len(payload) > MAX_PAYLOAD_BYTES:
            problem = f"the answer has {len(payload)} bytes, more than can be sent"
            answer = replace(
                answer, state=CommandState.FAILED, reason=problem, results=(ModuleResult.failure(problem),)
            )
            payload = answer.to_payload()
        signed = self._key.sign(envelopes.RESULT, payload).to_bytes()
        written: dict[str, JSON] = {
            "command": command,
            "action": action,
            "state": answer.state.value,
            "reason": answer.reason,
            "found": answer.found,
            "sha256": hashlib.sha256(signed).hexdigest(),
        }
        stored: list[Spooled] = []
        steps: tuple[Callable[[], object], ...] = (
            lambda: stored.append(self._spool.store(command, signed)),
            lambda: self._ledger.add("answered", written, now=self._clock()),
            lambda: self._journal.finish(command, now=self._clock()),
        )
        for step in steps:
            if not self._insist(step, command):
                # What is not in the spool yet is run again; what is there counts as finished at the next start.
                return False
        self._counters.count(f"commands_{answer.state}")
        self._spool.offer(stored[0])
        return True

    def _insist(self, step: Callable[[], object], command: CommandId) -> bool:
        """Tries a step until the disk takes it; False when the agent stops before."""
        while True:
            try:
                step()
                return True
            except OSError as error:
                log.error("the answer to command %s cannot be kept on disk, trying again: %s", command, error)
                self._counters.count("disk_errors")
                if self._stopping.wait(self._disk_retry_seconds):
                    return False


def _claimed_action(payload: bytes) -> ActionId:
    """The id an unverified payload claims; an echo that tells the reader which refusal this is, and decides nothing."""
    try:
        document = load(payload, subject="action", max_bytes=envelopes.MAX_ACTION_BYTES)
        claimed = document.get("id") if isinstance(document, dict) else None
        return ActionId(check_uuid(claimed, subject="action", path="id"))
    except InvalidDocument:
        return NO_ACTION

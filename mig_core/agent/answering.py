"""How an answer is given: signed, made durable in the spool, noted in ledger and journal, and only then shown to the
sender.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mig_core.agent.claims import NO_ACTION
from mig_core.agent.operations.executor import MAX_PAYLOAD_BYTES
from mig_core.domain import envelope as envelopes
from mig_core.domain.command import CommandState
from mig_core.domain.document import has_too_many_values
from mig_core.domain.result import Answer, ModuleResult, claimed_action

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from mig_core.agent.counters import Counters
    from mig_core.agent.records.opening import Records
    from mig_core.agent.records.spool import Spooled
    from mig_core.domain.document import JSON
    from mig_core.domain.ids import ActionId, CommandId
    from mig_core.identity import AgentKey

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a command ended."""

    command: CommandId
    action: ActionId
    state: CommandState
    reason: str = ""
    results: Sequence[ModuleResult] = ()
    until: int = 0
    """When nobody waits for the answer any more, in seconds since 1970; 0: not known."""
    fold: str = ""
    """Not empty: nothing was begun, and what of this kind follows becomes a number in the ledger."""


class Answering:
    """Gives answers. Thread-safe.

    Args:
        key: signs.
        records: where they are kept and noted.
        counters: what is counted.
        clock: the time now.
        stopping: nothing is insisted on once it is set.
        retry_seconds: until a disk that was full is tried again.
    """

    def __init__(
        self,
        key: AgentKey,
        records: Records,
        counters: Counters,
        *,
        clock: Callable[[], datetime],
        stopping: threading.Event,
        retry_seconds: float,
    ) -> None:
        self._key = key
        self._records = records
        self._counters = counters
        self._clock = clock
        self._stopping = stopping
        self._retry_seconds = retry_seconds

    def give(self, ending: Ending, started: datetime) -> bool:
        """Makes the answer safe and shows it to the sender; False: the agent stops and it could not be stored."""
        answer, signed = self._made(ending, started)
        written = _entry(answer, signed)
        records, stored = self._records, list["Spooled"]()
        steps: tuple[Callable[[], object], ...] = (
            lambda: stored.append(records.spool.store(answer.command, signed, until=ending.until)),
            lambda: self._note(ending.fold, written),
            lambda: records.journal.finish(answer.command),
        )
        for step in steps:
            if not self._insist(step, answer.command):
                # What is not in the spool yet is run again; what is there counts as finished at the next start.
                return False
        self._counters.count(f"commands_{answer.state}")
        records.spool.offer(stored[0])
        return True

    def stand_in(self, spooled: Spooled, problem: str) -> Spooled:
        """Stores a short answer that says why the one that was given cannot be sent; the ledger has both.

        Raises:
            OSError: the disk does not take it.
        """
        action = self._records.journal.action_of(spooled.command) or _action_in(spooled) or NO_ACTION
        now = self._clock()
        answer, signed = self._made(Ending(spooled.command, action, CommandState.FAILED, problem), now)
        self._records.ledger.add("answered", _entry(answer, signed), now=now)
        return self._records.spool.store(answer.command, signed, until=spooled.until)

    def _made(self, ending: Ending, started: datetime) -> tuple[Answer, bytes]:
        """The answer, and what is sent of it: signed, and no larger than can be sent."""
        reason = ending.reason.replace("\x00", "\N{REPLACEMENT CHARACTER}")[:4000]
        answer = Answer(
            ending.command,
            ending.action,
            self._key.agent_id,
            ending.state,
            reason,
            tuple(ending.results),
            started,
            self._clock(),
        )
        payload = answer.to_payload()
        many = has_too_many_values(payload)
        if len(payload) > MAX_PAYLOAD_BYTES or many:
            problem = f"the answer has {'too many values' if many else f'{len(payload)} bytes'}, more than can be sent"
            failure = (ModuleResult.failure(problem),)
            answer = replace(answer, state=CommandState.FAILED, reason=problem, results=failure)
            payload = answer.to_payload()
        return answer, self._key.sign(envelopes.RESULT, payload).to_bytes()

    def _note(self, fold: str, written: dict[str, JSON]) -> None:
        if fold:
            self._records.folding.add(fold, "answered", written, now=self._clock())
        else:
            self._records.ledger.add("answered", written, now=self._clock())

    def _insist(self, step: Callable[[], object], command: CommandId) -> bool:
        """Tries a step until the disk takes it; False when the agent stops before."""
        while True:
            try:
                step()
                return True
            except OSError as error:
                log.error("the answer to command %s cannot be kept on disk, trying again: %s", command, error)
                self._counters.count("disk_errors")
                if self._stopping.wait(self._retry_seconds):
                    return False


def _entry(answer: Answer, signed: bytes) -> dict[str, JSON]:
    """What the ledger says of an answer."""
    return {
        "command": answer.command,
        "action": answer.action,
        "state": answer.state.value,
        "reason": answer.reason,
        "found": answer.found,
        "sha256": hashlib.sha256(signed).hexdigest(),
    }


def _action_in(spooled: Spooled) -> ActionId | None:
    """The action that a stored answer names at its beginning, as far as that can still be read."""
    try:
        with spooled.path.open("rb") as file:
            return claimed_action(file.read(4096))
    except OSError:
        return None

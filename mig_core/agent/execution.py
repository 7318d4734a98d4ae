"""An action's operations, one after another, each in its own process: what comes of them together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mig_core.agent.operations.executor import MAX_PAYLOAD_BYTES
from mig_core.domain.command import CommandState
from mig_core.domain.document import dump
from mig_core.domain.times import format_time

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mig_core.agent.counters import Counters
    from mig_core.agent.operations.executor import Executor, Interruption, Outcome, Prepared
    from mig_core.agent.platform.facts import FactsHolder
    from mig_core.domain.action import Action
    from mig_core.domain.result import ModuleResult

_LEAST_ROOM = 4096
"""Bytes that an operation's result may have, however much those before it have used up."""


@dataclass(slots=True)
class Execution:
    """What has come of the operations so far. The first one that did not succeed says state and reason."""

    state: CommandState = CommandState.SUCCESS
    reason: str = ""
    results: list[ModuleResult] = field(default_factory=list)
    cpu_seconds: float = 0.0
    max_rss_kib: int = 0

    def add(self, outcome: Outcome) -> None:
        """One more operation has ended. That it was cancelled counts more than what happened before."""
        self.results.append(outcome.result)
        self.cpu_seconds += outcome.cpu_seconds
        self.max_rss_kib = max(self.max_rss_kib, outcome.max_rss_kib)
        if outcome.state is CommandState.CANCELLED or self.state is CommandState.SUCCESS:
            self.state, self.reason = outcome.state, outcome.reason

    def cancel(self, why: str) -> None:
        """The operations that are left are not begun."""
        self.state, self.reason = CommandState.CANCELLED, self.reason or why


class Runner:
    """Executes actions that were authorized. Thread-safe."""

    def __init__(
        self, executor: Executor, facts: FactsHolder, counters: Counters, clock: Callable[[], datetime]
    ) -> None:
        self._executor = executor
        self._facts = facts
        self._counters = counters
        self._clock = clock

    def get_ready(self) -> None:
        """Something may have to be executed in a moment. Harmless if not: what is started for it goes to rest again."""
        self._executor.get_ready()

    def execute(self, action: Action, interruption: Interruption, prepared: Prepared | None = None) -> Execution:
        """Runs the operations. After an interruption, or the end of the window, those that are left are not begun.

        Args:
            prepared: the process that has read the first operation's parameters; its owner closes it.
        """
        facts = self._facts.current()
        done = Execution()
        room = MAX_PAYLOAD_BYTES
        for operation in action.operations:
            if interruption.why:
                done.cancel(interruption.why)
                break
            outcome = self._executor.run(
                operation.module,
                operation.parameters,
                seconds=(action.expire_after - self._clock()).total_seconds(),
                interruption=interruption,
                environment=facts.environment,
                tags=facts.tags,
                max_bytes=room,
                action=action.id,
                window_ends=format_time(action.expire_after),
                prepared=prepared,
            )
            prepared = None
            self._counters.count("operations")
            done.add(outcome)
            if len(action.operations) > 1:
                room = max(_LEAST_ROOM, room - len(dump(outcome.result.to_json())))
        return done

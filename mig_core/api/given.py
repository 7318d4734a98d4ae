"""What agents were given over the ``https`` relay and have not acknowledged: not given again while they are at work.

An answer may be lost: a proxy has taken it and dies, or a network fails. Its agent finds its connection broken and
comes back with a poll that does not wait; then what the last answer brought is given again, and the agent knows by its
number what it has all the same. What is not acknowledged for :data:`LEASE` seconds is given again in any case.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mig_core.domain.ids import AgentId

LEASE = 120.0
"""Seconds after which a message that was fetched and not acknowledged is delivered again."""


@dataclass(eq=False, slots=True)
class _Held:
    session: str
    numbers: set[int] = field(default_factory=set)
    last: Sequence[int] = ()
    """What the last answer brought: nobody knows yet whether it arrived."""


class Given:
    """Of one process. Nothing in it has to outlive that: what is given twice does no harm.

    Args:
        clock: seconds that never run backwards.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._held: dict[AgentId, _Held] = {}
        self._leases: deque[tuple[float, AgentId, Sequence[int]]] = deque()
        """The earliest first."""

    def held_by(self, agent: AgentId, session: str) -> Sequence[int]:
        """What this process of the agent has."""
        held = self._held.get(agent)
        return tuple(held.numbers) if held is not None and held.session == session else ()

    def gave(self, agent: AgentId, session: str, numbers: Sequence[int]) -> None:
        """They are in the answer that goes out now."""
        held = self._held.get(agent)
        if held is None or held.session != session:
            held = self._held[agent] = _Held(session)
        held.numbers.update(numbers)
        held.last = numbers
        self._leases.append((self._clock() + LEASE, agent, numbers))

    def acknowledged(self, agent: AgentId, numbers: Sequence[int]) -> None:
        """They are settled."""
        held = self._held.get(agent)
        if held is not None:
            held.numbers.difference_update(numbers)
            if not held.numbers:
                del self._held[agent]

    def doubt_last(self, agent: AgentId, session: str) -> bool:
        """The last answer may not have arrived; whether it brought anything that was not acknowledged."""
        held = self._held.get(agent)
        if held is None or held.session != session or held.numbers.isdisjoint(held.last):
            return False
        held.numbers.difference_update(held.last)
        return True

    def some(self) -> bool:
        """Whether anybody was given anything within a lease."""
        return bool(self._leases)

    def ended(self) -> Sequence[AgentId]:
        """Agents for whom a lease has ended since it was last asked."""
        agents = []
        while self._leases and self._leases[0][0] <= self._clock():
            _, agent, numbers = self._leases.popleft()
            held = self._held.get(agent)
            if held is not None and not held.numbers.isdisjoint(numbers):
                held.numbers.difference_update(numbers)
                agents.append(agent)
            if held is not None and not held.numbers:
                del self._held[agent]  # it may never come back
        return agents

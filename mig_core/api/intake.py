"""How much may be on its way in: bytes of bodies in memory, and of messages that no scheduler has recorded yet.

Everything is counted in bytes: for each party (an agent, an investigator, a stranger's address) and for all together. A
body's share is taken before its first byte is read, whole, so that nobody who holds a part waits for somebody who holds
another; a small body never waits.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mig_core.domain.messages import Backlog, Kind
from mig_core.errors import ApiError, StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """In bytes, unless said otherwise."""

    small: int = 64 << 10
    """Bodies up to this size never wait."""
    in_memory: int = 64 << 20
    """Of larger bodies, all together."""
    in_memory_a_party: int = 4 << 20
    requests_a_party: int = 16
    """Requests with a body that one party may have under way; strangers of one address may be many parties."""
    requests_an_address: int = 1024
    patience: float = 20.0
    """Seconds a larger body waits for its share."""
    stored: int = 2 << 30
    """Messages that wait for a scheduler. Heartbeats may fill half of it: answers are worth more."""
    stored_an_agent: int = 64 << 20
    look_every: float = 2.0
    """Seconds between two looks at what is stored, while anything arrives."""

    def share_of(self, parts: int) -> IntakeLimits:
        """For one of so many processes: memory is divided; what is stored, all of them see."""
        return replace(self, in_memory=max(2 * self.in_memory_a_party, self.in_memory // parts)) if parts > 1 else self


class Intake:
    """The budgets of one process. For one event loop.

    Args:
        backlog: says what is stored and not recorded.
        limits: the budgets.
        now: seconds that never run backwards.
    """

    def __init__(
        self,
        backlog: Callable[[], Awaitable[Backlog]],
        limits: IntakeLimits | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits or IntakeLimits()
        self.in_memory = 0
        """Bytes of larger bodies now."""
        self._backlog = backlog
        self._now = now
        self._requests: Counter[str] = Counter()
        self._held: Counter[str] = Counter()
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._stored = Backlog(0, {})
        self._added: Counter[str] = Counter()
        """Stored since the last look began."""
        self._looked_for: Counter[str] = Counter()
        """What the look that is under way will find."""
        self._next_look = 0.0
        self._looking: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def share(self, party: str, size: int, *, known: bool = True) -> AsyncIterator[None]:
        """A body's room in memory, for as long as it is read and worked on.

        Args:
            party: who sends it.
            size: what it declares, or the most it may have.
            known: whether the party is one, and not the strangers of one address.

        Raises:
            ApiError: 429 this party has too much under way, 503 everybody together has for too long.
        """
        limits = self.limits
        large = size if size > limits.small else 0
        most = limits.requests_a_party if known else limits.requests_an_address
        if self._requests[party] >= most or (
            large and self._held[party] and self._held[party] + large > limits.in_memory_a_party
        ):
            raise ApiError(429, "too much of yours is under way already", next_step="wait for the answers")
        self._requests[party] += 1
        self._held[party] += large
        try:
            if large:
                await self._take(large)
            try:
                yield
            finally:
                self._give_back(large)
        finally:
            self._forget(self._requests, party, 1)
            self._forget(self._held, party, large)

    def begin(self, party: str) -> None:
        """Counts a small body of a known party as under way, until :meth:`end`.

        Raises:
            ApiError: 429 this party has too much under way.
        """
        if self._requests[party] >= self.limits.requests_a_party:
            raise ApiError(429, "too much of yours is under way already", next_step="wait for the answers")
        self._requests[party] += 1

    def end(self, party: str) -> None:
        """It is worked on."""
        self._forget(self._requests, party, 1)

    def check_stored(self, agent: str, kind: Kind, size: int) -> None:
        """Returns when one more message may be stored, and counts it.

        Raises:
            ApiError: 503, of this agent or of all together too much waits for a scheduler.
        """
        limits = self.limits
        most = limits.stored if kind is Kind.RESULT else limits.stored // 2
        mine = self._stored.by_agent.get(agent, 0) + self._added[agent] + self._looked_for[agent]
        every = self._stored.total + self._added.total() + self._looked_for.total()
        if mine + size > limits.stored_an_agent or every + size > most:
            self._look_soon()
            raise ApiError(503, "too much waits to be recorded", next_step="does a scheduler run? Try again later")
        self._added[agent] += size
        self._look_soon()

    async def _take(self, size: int) -> None:
        if not self._waiting and self.in_memory + size <= self.limits.in_memory:
            self.in_memory += size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            async with asyncio.timeout(self.limits.patience):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._give_back(size)  # its turn came at the same moment
            else:
                turn.cancel()
                self._next_turns()
            if isinstance(error, TimeoutError):
                raise ApiError(503, "too much is being received from everybody", next_step="try again later") from None
            raise

    def _give_back(self, size: int) -> None:
        self.in_memory -= size
        self._next_turns()

    def _next_turns(self) -> None:
        while self._waiting:
            size, turn = self._waiting[0]
            if not turn.done():
                if self.in_memory and self.in_memory + size > self.limits.in_memory:
                    return
                self.in_memory += size
                turn.set_result(None)
            self._waiting.popleft()

    def _look_soon(self) -> None:
        if self._looking is None and self._now() >= self._next_look:
            self._looking = asyncio.get_running_loop().create_task(self._look(), name="mig-api-backlog")

    async def _look(self) -> None:
        began = self._now()
        self._looked_for, self._added = self._added, Counter()
        try:
            self._stored = await self._backlog()
        except StoreError as error:
            self._added += self._looked_for
            log.debug("what is stored is not known: %s", error)
        finally:
            self._looked_for = Counter()
            # A look at very much takes its time, and is worth less often.
            self._next_look = self._now() + max(self.limits.look_every, 20 * (self._now() - began))
            self._looking = None

    @staticmethod
    def _forget(counter: Counter[str], party: str, number: int) -> None:
        counter[party] -= number
        if not counter[party]:
            del counter[party]

"""All agents' exchanges of this process: what they hand in is stored and what waits for them fetched, many at once.

An exchange that comes is put into the next transaction together with all that came meanwhile: tokens are looked up,
then messages, acknowledgements and claims are one commit. One that gets nothing stays as one of :mod:`.visits`, a small
object without a task or a timer of its own, until the database says that a message waits for its agent, its time is
over, a newer poll of the agent takes its place, or its client hangs up. :mod:`.relay_protocol` brings most of them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, cast

from mig_core.api.given import Given
from mig_core.api.polls import Woken
from mig_core.api.visits import Visit
from mig_core.domain.exchanges import write_answer
from mig_core.domain.messages import Exchange
from mig_core.errors import ApiError, MigError, StatementRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from mig_core.api.intake import Intake
    from mig_core.api.metrics import Metrics
    from mig_core.api.middleware import AgentTokens
    from mig_core.api.polls import Waiters
    from mig_core.api.visits import Port
    from mig_core.domain.exchanges import Request
    from mig_core.domain.ids import AgentId
    from mig_core.domain.messages import Claimed
    from mig_core.relay.base import RelayQueue
    from mig_core.store.base import Wakeups

log = logging.getLogger(__name__)

MOST_TOGETHER = 250
"""Exchanges of one transaction."""
BELIEVED = 10.0
"""Seconds in which a process that may receive is not asked about again."""
DRAINED = 60.0
"""Seconds in which nobody looks again for whom nothing was found and nothing was announced since: a wakeup that was
lost costs no more."""
MOST_REMEMBERED = 200_000
MOST_BYTES = 4 << 20
"""What they hand in together, unless one alone has more."""
GATHER = 0.002
"""Seconds, for each exchange of a transaction, in which others are waited for before the next one begins: whoever comes
alone goes at once, and of a thousand that come together many share a commit."""
LONGEST_GATHER = 0.1

TWO_PROCESSES = "two processes of this agent receive its messages in turn; this one is not served while the other is"
TAKEN_OVER = "another poll of this agent took over: this process was replaced, or there are two of them"
TWICE = "is its state directory in use on another machine?"


class RelayHub:
    """For one event loop.

    Args:
        tokens: knows agents' tokens.
        waiters: knows who else waits, and ends all.
    """

    def __init__(
        self,
        queue: RelayQueue,
        wakeups: Callable[[], Wakeups],
        tokens: AgentTokens,
        waiters: Waiters,
        metrics: Metrics,
        intake: Intake,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._queue = queue
        self._wakeups = wakeups
        self._tokens = tokens
        self._waiters = waiters
        self._metrics = metrics
        self._intake = intake
        self._clock = clock
        self._arrived: deque[Visit] = deque()
        self._parked: dict[AgentId, Visit] = {}
        self._due: dict[int, dict[Visit, None]] = {}
        """Parked visits by the second in which their time is over."""
        self._batch: asyncio.Task[None] | None = None
        self._starting = False
        self._next_start = 0.0
        self._ticking: asyncio.TimerHandle | None = None
        self._hears = False
        self._given = Given(time.monotonic)
        self._drained: dict[AgentId, tuple[str, float]] = {}
        """The session that found nothing for its agent, and until when that is believed if nobody says otherwise."""
        self._receives: dict[AgentId, tuple[str, float]] = {}
        """The session that receives an agent's messages, and until when that is believed."""
        self._finish = self.finish
        """The method, bound once for all visits."""

    def bring(self, port: Port, agent: AgentId, digest: bytes, request: Request, *, at_once: bool = False) -> Visit:
        """Takes in an exchange; the port hears what becomes of it.

        Args:
            digest: of the token that came with it, which is not checked yet.
            at_once: whether it is not to wait, whatever it says.
        """
        if not self._hears:
            self._hears = True
            self._wakeups().hear("relay", self._wake)
        visit = Visit(self._finish, port, agent, digest, request, at_once=at_once)
        self._arrived.append(visit)
        self._start_soon()
        return visit

    def leave(self, visit: Visit) -> None:
        """Its client has gone: it takes nothing any more."""
        visit.ended = visit.ended or Woken.GONE
        self._unpark(visit)

    def finish(self, visit: Visit, claimed: Sequence[Claimed]) -> None:
        """Answers a visit."""
        self._unpark(visit)
        if not claimed and visit.ended in (Woken.RETIRED, Woken.TAKEN_OVER):
            retired = visit.ended is Woken.RETIRED
            visit.port.fail(
                ApiError(401, "this agent was retired") if retired else ApiError(409, TAKEN_OVER, next_step=TWICE)
            )
        elif visit.ended is not Woken.GONE:
            visit.port.answer(write_answer(claimed))

    def _wake(self, keys: Iterable[str]) -> None:
        """Called with the agents for whom messages wait; with none, when somebody may have been missed."""
        if keys:
            for key in keys:
                self._drained.pop(cast("AgentId", key), None)
        else:
            self._drained.clear()
            for visit in self._parked.values():
                visit.unsure = True
        parked: Mapping[str, Visit] = self._parked  # type: ignore[assignment]  # an id that is none is in no mapping
        for visit in [parked[one] for one in keys if one in parked] if keys else list(parked.values()):
            if visit.busy:
                visit.again = True
            else:
                visit.busy = True
                self._arrived.append(visit)
        self._start_soon()

    def _start_soon(self) -> None:
        """Begins a transaction when everybody whose request is already here has had a turn."""
        if self._arrived and not self._starting and self._batch is None:
            self._starting = True
            loop = asyncio.get_running_loop()
            pause = self._next_start - loop.time()
            if pause > 0 and len(self._arrived) < MOST_TOGETHER:
                loop.call_later(pause, self._start)
            else:
                loop.call_soon(self._start)

    def _start(self) -> None:
        self._starting = False
        batch: list[Visit] = []
        size = 0
        while self._arrived and len(batch) < MOST_TOGETHER:
            request = self._arrived[0].request
            size += sum(len(body) for _, body in request.messages) if request is not None else 0
            if batch and size > MOST_BYTES:
                break
            batch.append(self._arrived.popleft())
        self._batch = asyncio.get_running_loop().create_task(self._work_on(batch), name="mig-api-exchanges")
        self._batch.add_done_callback(lambda _: self._done(len(batch)))

    def _done(self, size: int) -> None:
        self._batch = None
        if size > 1:
            self._next_start = asyncio.get_running_loop().time() + min(GATHER * size, LONGEST_GATHER)
        self._start_soon()

    async def _work_on(self, batch: Sequence[Visit]) -> None:
        try:
            visits = [one for one in await self._admitted(batch) if self._may_be_stored(one)]
        except Exception as error:
            self._fail(batch, error)
            return
        for one in visits:
            if one.limit and one.ended is None:
                self._park(one)
        await self._exchange(visits)

    async def _admitted(self, batch: Sequence[Visit]) -> list[Visit]:
        """Those whose token is right."""
        unsure = [one for one in batch if one.unsure]
        for one in unsure:
            one.unsure = False
        right = await self._tokens.match_all([(one.agent, one.digest) for one in unsure]) if unsure else ()
        wrong = {id(one) for one, matches in zip(unsure, right, strict=True) if not matches}
        admitted = []
        for one in batch:
            try:
                if id(one) in wrong:
                    raise ApiError(401, f"the relay token of agent {one.agent} is not valid", next_step="enrol again")
                if one.request is not None:
                    one.port.admit()
                admitted.append(one)
            except ApiError as error:
                self._fail([one], error)
        return admitted

    def _may_be_stored(self, visit: Visit) -> bool:
        try:
            for kind, body in visit.request.messages if visit.request is not None else ():
                self._intake.check_stored(visit.agent, kind, len(body))
        except ApiError as error:
            self._fail([visit], error)
            return False
        return True

    async def _exchange(self, visits: Sequence[Visit]) -> None:
        exchanges = [self._exchange_of(one) for one in visits]
        try:
            results = await self._queue.exchange(exchanges, now=self._clock()) if exchanges else ()
        except StatementRefused as error:
            if len(visits) == 1:
                self._fail(visits, error)
                return
            # One of them is to blame, and the others are not to suffer for it.
            await self._exchange(visits[: len(visits) // 2])
            await self._exchange(visits[len(visits) // 2 :])
            return
        except Exception as error:
            self._fail(visits, error)
            return
        for one, exchange, claimed in zip(visits, exchanges, results, strict=True):
            self._remember(one, exchange, claimed)
            self._settle(one, claimed)

    def _exchange_of(self, visit: Visit) -> Exchange:
        """What of it the database is asked."""
        agent, session, request = visit.agent, visit.session, visit.request
        polls = bool(visit.limit) and visit.ended is not Woken.GONE
        now = time.monotonic()
        # It does not wait because its connection has just failed, perhaps with an answer on it.
        if polls and request is not None and not request.wait and self._given.doubt_last(agent, session):
            self._drained.pop(agent, None)
        found_nothing, nothing_until = self._drained.get(agent, ("", 0.0))
        limit = visit.limit if polls and not (found_nothing == session and now < nothing_until) else 0
        receives, until = self._receives.get(agent, ("", 0.0))
        check = polls and not (receives == session and now < until)
        held = self._given.held_by(agent, session) if limit else ()
        messages, acknowledged = ((), ()) if request is None else (request.messages, request.acknowledged)
        return Exchange(agent, session, limit, messages, acknowledged, held, check)

    def _remember(self, visit: Visit, exchange: Exchange, claimed: Sequence[Claimed] | None) -> None:
        """What need not be asked next time."""
        agent, session = visit.agent, visit.session
        if max(len(self._drained), len(self._receives)) >= MOST_REMEMBERED:
            self._drained.clear()
            self._receives.clear()
        if exchange.acknowledged:
            self._given.acknowledged(agent, exchange.acknowledged)
        if claimed is None:
            self._receives.pop(agent, None)
            return
        if exchange.check:
            self._receives[agent] = (session, time.monotonic() + BELIEVED)
        if not exchange.limit or visit.ended is Woken.GONE:
            return  # what was found for one that is gone was given to nobody
        # One that was taken over would not have heard of what came meanwhile.
        if len(claimed) < exchange.limit and visit.ended is None and not visit.again:
            self._drained[agent] = (session, time.monotonic() + DRAINED)
        if claimed:
            self._given.gave(agent, session, [one.id for one in claimed])
            self._tick_soon()

    def _settle(self, visit: Visit, claimed: Sequence[Claimed] | None) -> None:
        request, visit.request = visit.request, None
        carried = request is not None and request.carries
        visit.busy = False
        if claimed is None:
            if carried:
                visit.port.stored()
            self._fail([visit], ApiError(409, TWO_PROCESSES, next_step=TWICE))
            return
        if claimed or not visit.limit or visit.ended is not None or visit.deadline <= time.monotonic():
            if carried and visit.ended in (Woken.RETIRED, Woken.TAKEN_OVER):
                visit.port.stored()
            self.finish(visit, claimed)
            return
        if visit.again:
            visit.again = False
            visit.busy = True
            self._arrived.append(visit)
            self._start_soon()
        if carried:
            visit.port.stored()

    def _fail(self, visits: Iterable[Visit], error: Exception) -> None:
        if not isinstance(error, MigError):
            log.error("exchanges of agents failed", exc_info=error)
        for one in visits:
            self._unpark(one)
            one.port.fail(error)

    def _park(self, visit: Visit) -> None:
        if self._parked.get(visit.agent) is visit:
            return
        self._waiters.park(visit, visit.agent)
        self._parked[visit.agent] = visit
        self._metrics.polls += 1
        self._due.setdefault(int(visit.deadline) + 1, {})[visit] = None
        self._tick_soon()

    def _unpark(self, visit: Visit) -> None:
        if (second := self._due.get(int(visit.deadline) + 1)) is not None and second.pop(visit, 0) is None:
            self._metrics.polls -= 1
            self._waiters.leave(visit, visit.agent)
            if self._parked.get(visit.agent) is visit:
                del self._parked[visit.agent]

    def _tick_soon(self) -> None:
        if self._ticking is None:
            self._ticking = asyncio.get_running_loop().call_later(1.0, self._tick)

    def _tick(self) -> None:
        """Once a second: answers those whose time is over, and gives again what was not acknowledged for long."""
        self._ticking = None
        now = time.monotonic()
        for second in [one for one in self._due if one <= now]:
            for visit in tuple(self._due[second]):
                if not visit.busy:
                    self.finish(visit, ())
            if not self._due[second]:
                del self._due[second]
        for agent in self._given.ended():
            self._wake([agent])
        if self._due or self._given.some():
            self._tick_soon()

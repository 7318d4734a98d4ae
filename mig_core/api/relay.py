"""The ``https`` relay's server side: agents fetch commands by long polling and hand in what they have to say.

Nothing here looks into the messages: the scheduler verifies what agents sign, agents verify what investigators sign. A
command stays in the queue until its agent acknowledges it; a claim is a lease of :data:`LEASE` seconds.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mig_core.api.exchange import MAX_SMALL_BODY, Access, Bound, Call, Parameter, Reply, Route
from mig_core.api.given import LEASE
from mig_core.api.middleware import digest_of
from mig_core.api.polls import Woken
from mig_core.api.problems import problem_of
from mig_core.api.relay_hub import TAKEN_OVER, TWICE, TWO_PROCESSES
from mig_core.domain.exchanges import (
    MAX_ACKNOWLEDGED,
    MAX_BYTES,
    MAX_MESSAGES,
    MAX_WAIT,
    check_session,
    read_request,
    write_answer,
    write_problem,
)
from mig_core.domain.messages import MAX_PIECE_BYTES, Kind
from mig_core.errors import ApiError, InvalidDocument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from mig_core.api.intake import Intake
    from mig_core.api.metrics import Metrics
    from mig_core.api.polls import Waiters
    from mig_core.api.relay_hub import RelayHub
    from mig_core.domain.ids import AgentId
    from mig_core.relay.base import RelayQueue
    from mig_core.store.base import Wakeups

DEFAULT_WAIT = 30
OCTETS = "application/octet-stream"
RECEIVING_BELIEVED = 10.0
"""Seconds in which a process that may receive is not asked about again: whoever was given a message polls anew."""
MAX_RECEIVING = 200_000


class RelayResources:
    """Fetch, acknowledge, hand in."""

    def __init__(
        self,
        queue: RelayQueue,
        wakeups: Wakeups,
        waiters: Waiters,
        metrics: Metrics,
        intake: Intake,
        hub: RelayHub,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._queue = queue
        self._wakeups = wakeups
        self._waiters = waiters
        self._metrics = metrics
        self._intake = intake
        self._hub = hub
        self._clock = clock
        self._receiving: dict[AgentId, tuple[str, float]] = {}

    def routes(self) -> Iterable[Bound]:
        """What this file answers."""
        yield Bound(
            Route(
                "POST",
                "/relay/exchange",
                "Hands in messages and acknowledgements, and waits for messages to the calling agent",
                Access.AGENT,
                response="ExchangeAnswer",
                body=MAX_BYTES,
                body_seconds=120.0,
                takes=OCTETS,
                request="Octets",
            ),
            self.exchange,
        )
        yield Bound(
            Route(
                "GET",
                "/relay/commands",
                "Waits for messages to the calling agent; 409 when a newer poll took over",
                Access.AGENT,
                response="Messages",
                query=(
                    Parameter("session", "names the agent's process"),
                    Parameter("wait", f"seconds, at most {MAX_WAIT}", "integer"),
                    Parameter("max", f"most messages, at most {MAX_MESSAGES}", "integer"),
                ),
            ),
            self.fetch,
        )
        yield Bound(
            Route(
                "POST",
                "/relay/acknowledge",
                "Removes messages whose answers are safe",
                Access.AGENT,
                204,
                body=MAX_SMALL_BODY,
                request="Acknowledgement",
            ),
            self.acknowledge,
        )
        for kind in Kind:
            yield Bound(
                Route(
                    "POST",
                    f"/relay/messages/{kind.value}",
                    f"Hands in a signed {kind.value}",
                    Access.AGENT,
                    204,
                    body=MAX_PIECE_BYTES,
                    body_seconds=120.0,
                    request="Envelope",
                ),
                self.receive,
            )

    async def exchange(self, call: Call) -> Reply:
        """POST /relay/exchange, when it did not go the short way (:mod:`.relay_protocol`).

        One that carries anything is answered at once: only there can the head of an answer go before its body.
        """
        request = read_request(call.body)
        port = _FuturePort()
        for kind, body in request.messages:
            self._intake.check_stored(call.calling_agent, kind, len(body))
        # Large messages share no transaction with other agents' small ones.
        for kind, body in request.messages:
            await self._queue.put_inbound(call.calling_agent, kind, body)
        _, _, token = call.headers.get("authorization", "").partition(":")
        visit = self._hub.bring(
            port,
            call.calling_agent,
            digest_of(token.strip()),
            replace(request, messages=()),
            at_once=request.carries,
        )
        gone = asyncio.ensure_future(call.disconnected())
        both: set[asyncio.Future[Any]] = {port.content, gone}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not port.content.done():
                return Reply(data=write_answer(()))  # which nobody hears
            return Reply(data=port.content.result())
        except ApiError as error:
            if not request.messages:
                raise
            return Reply(data=write_problem(problem_of(error, call.request_id).to_json(call.request_id)))
        finally:
            self._hub.leave(visit)
            gone.cancel()
            port.content.cancel()

    async def fetch(self, call: Call) -> Reply:
        """GET /relay/commands"""
        agent = call.calling_agent
        session = check_session(call.query.get("session", ""))
        wait = call.whole_number("wait", default=DEFAULT_WAIT, minimum=0, maximum=MAX_WAIT)
        limit = call.whole_number("max", default=10, minimum=1, maximum=MAX_MESSAGES)
        deadline = time.monotonic() + wait
        if not await self._may_receive(agent, session):
            raise ApiError(409, TWO_PROCESSES, next_step=TWICE)
        self._metrics.polls += 1
        try:
            # Registered before the look at the table, so that nothing falls between.
            with self._waiters.enter(call.disconnected, agent) as waiter:
                async with self._wakeups.watch("relay", agent) as watch:
                    while (why := waiter.ended) is None:
                        claimed = await self._queue.claim(agent, session, limit=limit, lease=LEASE, now=self._clock())
                        left = deadline - time.monotonic()
                        if claimed or left <= 0:
                            return Reply(data=write_answer(claimed))
                        why = await waiter.wait(watch, left)
        finally:
            self._metrics.polls -= 1
        if why is Woken.RETIRED:
            raise ApiError(401, "this agent was retired")
        if why is Woken.TAKEN_OVER:
            raise ApiError(409, TAKEN_OVER, next_step=TWICE)
        return Reply(data=write_answer(()))

    async def _may_receive(self, agent: AgentId, session: str) -> bool:
        """Whether this process of the agent is the one that receives; asked anew now and then, and at every change."""
        now = time.monotonic()
        known = self._receiving.get(agent)
        if known is not None and known[0] == session and now - known[1] < RECEIVING_BELIEVED:
            return True
        if not await self._queue.may_receive(agent, session, now=self._clock()):
            return False
        if len(self._receiving) >= MAX_RECEIVING:
            self._receiving.clear()
        self._receiving[agent] = (session, now)
        return True

    async def acknowledge(self, call: Call) -> Reply:
        """POST /relay/acknowledge"""
        fields = call.document()
        check_session(fields.text("session", max_length=64))
        ids: list[int] = []
        for index, one in enumerate(fields.items("ids", minimum=0, maximum=MAX_ACKNOWLEDGED)):
            if isinstance(one, bool) or not isinstance(one, int) or not 0 <= one < 1 << 63:
                fields.refuse(f"ids[{index}]", f"must be the id of a message, got {one!r:.60}")
            ids.append(one)
        fields.close()
        await self._queue.acknowledge(call.calling_agent, ids)
        return Reply()

    async def receive(self, call: Call) -> Reply:
        """POST /relay/messages/{kind}"""
        if not call.body:
            raise InvalidDocument("message", "is empty")
        agent, kind = call.calling_agent, Kind(call.route.path.rpartition("/")[2])
        self._intake.check_stored(agent, kind, len(call.body))
        await self._queue.put_inbound(agent, kind, call.body)
        return Reply()


class _FuturePort:
    """What the hub says of one exchange, for a coroutine that waits."""

    def __init__(self) -> None:
        self.content: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def admit(self) -> None:
        """Was done before."""

    def stored(self) -> None:
        """Said together with the rest."""

    def answer(self, content: bytes) -> None:
        """The answer."""
        if not self.content.done():
            self.content.set_result(content)

    def fail(self, error: Exception) -> None:
        """There is none."""
        if not self.content.done():
            self.content.set_exception(error)

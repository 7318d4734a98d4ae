"""The ``https`` relay's server side: agents fetch commands by long polling and hand in what they have to say.

Nothing here looks into the messages: the scheduler verifies what agents sign, agents verify what investigators sign. A
command stays in the queue until its agent acknowledges it; a claim is a lease of :data:`LEASE` seconds.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from mig_core.api.exchange import MAX_SMALL_BODY, Access, Bound, Call, Parameter, Reply, Route
from mig_core.api.polls import Woken
from mig_core.domain.messages import MAX_PIECE_BYTES, Kind
from mig_core.errors import ApiError, InvalidDocument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from mig_core.api.intake import Intake
    from mig_core.api.metrics import Metrics
    from mig_core.api.polls import Waiters
    from mig_core.domain.ids import AgentId
    from mig_core.domain.messages import Claimed
    from mig_core.relay.base import RelayQueue
    from mig_core.store.base import Wakeups

MAX_WAIT = 60
"""Longest poll in seconds."""
DEFAULT_WAIT = 30
LEASE = 120.0
"""Seconds after which a command that was fetched and not acknowledged is delivered again."""
MAX_MESSAGES = 50
RECEIVING_BELIEVED = 10.0
"""Seconds in which a process that may receive is not asked about again: whoever was given a message polls anew."""
MAX_RECEIVING = 200_000
MAX_ACKNOWLEDGED = 1000

_SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")


class RelayResources:
    """Fetch, acknowledge, hand in."""

    def __init__(
        self,
        queue: RelayQueue,
        wakeups: Wakeups,
        waiters: Waiters,
        metrics: Metrics,
        intake: Intake,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._queue = queue
        self._wakeups = wakeups
        self._waiters = waiters
        self._metrics = metrics
        self._intake = intake
        self._clock = clock
        self._receiving: dict[AgentId, tuple[str, float]] = {}

    def routes(self) -> Iterable[Bound]:
        """What this file answers."""
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

    async def fetch(self, call: Call) -> Reply:
        """GET /relay/commands"""
        agent = call.calling_agent
        session = _session(call.query.get("session", ""))
        wait = call.whole_number("wait", default=DEFAULT_WAIT, minimum=0, maximum=MAX_WAIT)
        limit = call.whole_number("max", default=10, minimum=1, maximum=MAX_MESSAGES)
        deadline = time.monotonic() + wait
        if not await self._may_receive(agent, session):
            raise ApiError(
                409,
                "two processes of this agent receive its messages in turn; this one is not served while the other is",
                next_step="is its state directory in use on another machine?",
            )
        self._metrics.polls += 1
        try:
            # Registered before the look at the table, so that nothing falls between.
            with self._waiters.enter(call.disconnected, agent) as waiter:
                async with self._wakeups.watch("relay", agent) as watch:
                    while (why := waiter.ended) is None:
                        claimed = await self._queue.claim(agent, session, limit=limit, lease=LEASE, now=self._clock())
                        left = deadline - time.monotonic()
                        if claimed or left <= 0:
                            return Reply(data=_messages(claimed))
                        why = await waiter.wait(watch, left)
        finally:
            self._metrics.polls -= 1
        if why is Woken.RETIRED:
            raise ApiError(401, "this agent was retired")
        if why is Woken.TAKEN_OVER:
            raise ApiError(
                409,
                "another poll of this agent took over: this process was replaced, or there are two of them",
                next_step="is its state directory in use on another machine?",
            )
        return Reply(data=_messages(()))

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
        _session(fields.text("session", max_length=64))
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


def _session(text: str) -> str:
    if not _SESSION.fullmatch(text):
        raise InvalidDocument("request", f"must be 1 to 64 letters, digits, - or _, got {text!r:.80}", path="session")
    return text


def _messages(claimed: Sequence[Claimed]) -> bytes:
    """``{"messages": [{"id", "body"}]}``. The bodies are JSON of the scheduler's own making and go out as they are."""
    return b'{"messages":[' + b",".join(b'{"id":%d,"body":%b}' % (one.id, one.body) for one in claimed) + b"]}"

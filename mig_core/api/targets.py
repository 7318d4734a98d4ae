"""Target evaluation: which agents would an action reach?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.api.exchange import MAX_SMALL_BODY, Bound, Call, Reply, Route
from mig_core.domain.agent import AgentState
from mig_core.domain.target import MAX_TEXT, parse_target
from mig_core.store.rows import Permission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from mig_core.domain.document import JSON
    from mig_core.store.base import Agents

MAX_SHOWN = 1000
REACHABLE = (AgentState.ONLINE, AgentState.IDLE, AgentState.OFFLINE)
"""States of agents that an action reaches sooner or later."""


class TargetResources:
    """Counts and shows what a target means now."""

    def __init__(self, agents: Agents, *, clock: Callable[[], datetime]) -> None:
        self._agents = agents
        self._clock = clock

    def routes(self) -> Iterable[Bound]:
        """What this file answers."""
        yield Bound(
            Route(
                "POST",
                "/targets/evaluate",
                "How many agents a target means, and the first of them",
                Permission.READ,
                body=MAX_SMALL_BODY,
                request="TargetQuestion",
                response="TargetEvaluation",
            ),
            self.evaluate,
        )

    async def evaluate(self, call: Call) -> Reply:
        """POST /targets/evaluate"""
        fields = call.document()
        target = parse_target(fields.text("target", max_length=MAX_TEXT))
        limit = fields.integer("limit", minimum=0, maximum=MAX_SHOWN, default=20)
        fields.close()
        now = self._clock()
        count = await self._agents.count(target, now=now)
        shown: list[JSON] = []
        if limit:
            rows, _ = await self._agents.list(target=target, states=REACHABLE, now=now, limit=limit)
            shown = [{"id": row.id, "name": row.shown_name, "state": row.state.value} for row in rows]
        return Reply({"count": count, "agents": shown})

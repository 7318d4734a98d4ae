"""Agents, as investigators see them: list, show, approve, retire."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mig_core.api.documents import agent_document, event_document, page
from mig_core.api.exchange import CURSOR, LIMIT, Bound, Call, Parameter, Reply, Route
from mig_core.domain.agent import AgentState
from mig_core.domain.ids import AgentId, check_agent_id
from mig_core.domain.target import parse_target
from mig_core.store.rows import Permission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from mig_core.api.middleware import AgentTokens
    from mig_core.api.polls import Waiters
    from mig_core.store.base import Agents

log = logging.getLogger(__name__)


class AgentResources:
    """Endpoints that enrolled."""

    def __init__(self, agents: Agents, tokens: AgentTokens, waiters: Waiters, *, clock: Callable[[], datetime]) -> None:
        self._agents = agents
        self._tokens = tokens
        self._waiters = waiters
        self._clock = clock

    def routes(self) -> Iterable[Bound]:
        """What this file answers."""
        yield Bound(
            Route(
                "GET",
                "/agents",
                "Agents, by name",
                Permission.READ,
                response="AgentList",
                query=(
                    Parameter("target", "only those a target means"),
                    Parameter("state", "states, separated by commas"),
                    CURSOR,
                    LIMIT,
                ),
            ),
            self.list,
        )
        yield Bound(Route("GET", "/agents/{agent}", "One agent", Permission.READ, response="Agent"), self.show)
        yield Bound(
            Route(
                "POST",
                "/agents/{agent}/approve",
                "Admits an agent that enrolled without the secret",
                Permission.AGENTS,
                response="Agent",
            ),
            self.approve,
        )
        yield Bound(
            Route(
                "POST",
                "/agents/{agent}/retire",
                "Takes an agent out for good: its key and token are refused from now on",
                Permission.AGENTS,
                response="Agent",
            ),
            self.retire,
        )

    async def list(self, call: Call) -> Reply:
        """GET /agents"""
        text = call.query.get("target", "")
        rows, cursor = await self._agents.list(
            target=parse_target(text) if text else None,
            states=call.words("state", AgentState),
            now=self._clock(),
            cursor=call.query.get("cursor", ""),
            limit=call.whole_number("limit", default=100, minimum=1, maximum=1000),
        )
        return Reply(page([agent_document(row) for row in rows], cursor))

    async def show(self, call: Call) -> Reply:
        """GET /agents/{agent}"""
        agent = _agent(call)
        document = agent_document(await self._agents.get(agent))
        document["events"] = [event_document(event) for event in await self._agents.events(agent)]
        return Reply(document)

    async def approve(self, call: Call) -> Reply:
        """POST /agents/{agent}/approve"""
        row = await self._agents.approve(_agent(call), self._clock())
        log.info("agent %s (%s) approved by %s", row.id, row.shown_name, call.caller.name)
        return Reply(agent_document(row))

    async def retire(self, call: Call) -> Reply:
        """POST /agents/{agent}/retire"""
        agent = _agent(call)
        row = await self._agents.retire(agent, self._clock())
        self._tokens.forget(agent)
        self._waiters.drop(agent)
        log.info("agent %s (%s) retired by %s", row.id, row.shown_name, call.caller.name)
        return Reply(agent_document(row))


def _agent(call: Call) -> AgentId:
    return check_agent_id(call.path["agent"], subject="request", path="agent")

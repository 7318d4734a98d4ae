"""Agents, as investigators see them: list, show, approve, retire."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mig_core.api.documents import agent_document, event_document, page
from mig_core.api.exchange import CURSOR, LIMIT, MAX_SMALL_BODY, Bound, Call, Parameter, Reply, Route
from mig_core.domain.agent import AgentState
from mig_core.domain.ids import AgentId, check_agent_id
from mig_core.domain.target import parse_target
from mig_core.domain.times import format_time
from mig_core.store.rows import Permission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime, timedelta

    from mig_core.api.middleware import AgentTokens
    from mig_core.api.polls import Waiters
    from mig_core.domain.document import Members
    from mig_core.store.base import Agents

log = logging.getLogger(__name__)

MOST_AT_ONCE = 500
"""Agents that one request may retire."""


class AgentResources:
    """Endpoints that enrolled.

    Args:
        keep_retired: How long retired ones stay in lists that do not ask for them.
        digests: Gives those of the platform's copies of ACL and keys.
    """

    def __init__(
        self,
        agents: Agents,
        tokens: AgentTokens,
        waiters: Waiters,
        *,
        keep_retired: timedelta,
        digests: Callable[[], Mapping[str, str]],
        clock: Callable[[], datetime],
    ) -> None:
        self._keep_retired = keep_retired
        self._digests = digests
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
                "GET",
                "/trust",
                "Digests of the platform's copies of the agents' ACL and keys, to compare agents' own with",
                Permission.READ,
                response="Trust",
            ),
            self.trust,
        )
        yield Bound(
            Route(
                "POST",
                "/agents/retire",
                "Retires those of these agents of which nothing was heard since",
                Permission.AGENTS,
                body=MAX_SMALL_BODY,
                request="AgentsToRetire",
                response="RetiredAgents",
            ),
            self.retire_silent,
        )
        yield Bound(
            Route(
                "POST",
                "/agents/renew-tokens",
                "Makes the relay tokens of these agents worthless: each enrols again, by its key, for another",
                Permission.AGENTS,
                body=MAX_SMALL_BODY,
                request="AgentsToRenew",
                response="RenewedAgents",
            ),
            self.renew_tokens,
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
        text, now = call.query.get("target", ""), self._clock()
        states = call.words("state", AgentState)
        rows, cursor = await self._agents.list(
            target=parse_target(text) if text else None,
            states=states,
            now=now,
            retired_after=None if AgentState.RETIRED in states else now - self._keep_retired,
            cursor=call.query.get("cursor", ""),
            limit=call.whole_number("limit", default=100, minimum=1, maximum=1000),
        )
        return Reply(page([agent_document(row) for row in rows], cursor))

    async def show(self, call: Call) -> Reply:
        """GET /agents/{agent}"""
        agent = _agent(call)
        row = await self._agents.get(agent)
        document = agent_document(row)
        document["samemachine"] = [
            {
                "id": other.id,
                "name": other.shown_name,
                "state": other.state.value,
                "enrolled": format_time(other.enrolled_at),
                "later": other.enrolled_at > row.enrolled_at,
            }
            for other in await self._agents.same_machine(row)
            if other.enrolled_at is not None and row.enrolled_at is not None
        ]
        document["events"] = [event_document(event) for event in await self._agents.events(agent)]
        return Reply(document)

    async def approve(self, call: Call) -> Reply:
        """POST /agents/{agent}/approve"""
        row = await self._agents.approve(_agent(call), self._clock())
        log.info("agent %s (%s) approved by %s", row.id, row.shown_name, call.caller.name)
        return Reply(agent_document(row))

    async def trust(self, call: Call) -> Reply:
        """GET /trust"""
        return Reply(dict(self._digests()))

    async def retire_silent(self, call: Call) -> Reply:
        """POST /agents/retire"""
        fields = call.document()
        agents = _agents(fields)
        now = self._clock()
        since = fields.time("notheardsince") if fields.has("notheardsince") else now
        fields.close()
        retired = await self._agents.retire_silent(agents, since, now)
        for agent in retired:
            self._tokens.forget(agent)
            self._waiters.drop(agent)
        log.info("%d of %d agents retired by %s", len(retired), len(agents), call.caller.name)
        return Reply({"retired": [*retired]})

    async def renew_tokens(self, call: Call) -> Reply:
        """POST /agents/renew-tokens"""
        fields = call.document()
        agents = _agents(fields)
        fields.close()
        renewed = await self._agents.renew_tokens(agents)
        for agent in renewed:
            self._tokens.forget(agent)
            self._waiters.drop(agent)
        log.info("the relay tokens of %d agents are renewed by %s", len(renewed), call.caller.name)
        return Reply({"renewed": [*renewed]})

    async def retire(self, call: Call) -> Reply:
        """POST /agents/{agent}/retire"""
        agent = _agent(call)
        row = await self._agents.retire(agent, self._clock())
        self._tokens.forget(agent)
        self._waiters.drop(agent)
        log.info("agent %s (%s) retired by %s", row.id, row.shown_name, call.caller.name)
        return Reply(agent_document(row))


def _agents(fields: Members) -> list[AgentId]:
    return [
        check_agent_id(one, subject="request", path=f"agents[{index}]")
        for index, one in enumerate(fields.texts("agents", maximum=MOST_AT_ONCE, max_length=40))
    ]


def _agent(call: Call) -> AgentId:
    return check_agent_id(call.path["agent"], subject="request", path="agent")

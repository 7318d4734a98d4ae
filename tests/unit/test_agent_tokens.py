"""Which relay tokens are believed without asking the store."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from mig_core.api.middleware import AgentTokens
from mig_core.domain.ids import AgentId

if TYPE_CHECKING:
    from collections.abc import Sequence

AGENT = AgentId("a" * 32)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class OneAgent:
    """A store that looks, and only then takes its time; meanwhile the agent may be retired."""

    def __init__(self) -> None:
        self.retired = False
        self.looked = asyncio.Event()
        self.go = asyncio.Event()

    async def token_matches(self, _agent: AgentId, _digest: bytes) -> bool:
        found = not self.retired
        self.looked.set()
        await self.go.wait()
        return found

    async def tokens_match(self, given: Sequence[tuple[AgentId, bytes]]) -> Sequence[bool]:
        return [await self.token_matches(*one) for one in given]


@pytest.mark.parametrize("together", [False, True])
def test_an_agent_that_is_retired_while_its_token_is_looked_up_is_not_believed_afterwards(together: bool) -> None:
    async def work() -> tuple[bool, bool]:
        store = OneAgent()
        tokens = AgentTokens(cast("Any", store), clock=lambda: NOW, lifetime=timedelta(minutes=1))

        async def right() -> bool:
            return (await tokens.match_all([(AGENT, b"x")]))[0] if together else await tokens.match(AGENT, b"x")

        first = asyncio.ensure_future(right())
        await store.looked.wait()
        store.retired = True
        tokens.forget(AGENT)
        store.go.set()
        return await first, await right()

    assert asyncio.run(work()) == (True, False)

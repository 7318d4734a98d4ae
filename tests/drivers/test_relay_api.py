"""The ``https`` relay as it is in production: mig-api's own routes on the queue in PostgreSQL."""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from mig_core.domain.agent import AgentFacts, Enrolment
from mig_core.errors import Conflict
from mig_core.relay.https_agent import HttpsAgentRelay
from mig_core.relay.https_platform import HttpsPlatformRelay
from mig_core.store.postgres import PostgresStore
from mig_core.testing.relay_contract import RelayContract
from mig_core.testing.relay_ends import RelayPair

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from mig_core.domain.ids import AgentId
    from mig_core.domain.messages import Outgoing
    from mig_core.relay.base import Batch
    from mig_core.testing.api_site import ApiSite

TOKEN = "the relay token of every agent here"
LEASE = 1.5


class Platform:
    """A scheduler's end together with the store it stands on, as ``mig-scheduler`` puts them together."""

    name = "https"
    epoch = 0

    def __init__(self, url: str, lease: float = LEASE) -> None:
        self._url = url
        self._lease = lease
        self._stack = contextlib.AsyncExitStack()
        self._relay: HttpsPlatformRelay | None = None

    async def open(self) -> None:
        store = await self._stack.enter_async_context(PostgresStore(self._url, pool_size=2))
        inbound = await self._stack.enter_async_context(store.wakeups.watch("inbound"))

        async def arrival(seconds: float) -> None:
            await inbound.wait(seconds)

        self._relay = HttpsPlatformRelay(store.relay_queue, arrival, lease=self._lease, interval=0.3)
        await self._relay.open()

    @property
    def relay(self) -> HttpsPlatformRelay:
        assert self._relay is not None
        return self._relay

    async def trouble(self) -> str:
        """None."""
        return ""

    async def admit(self, agents: Sequence[AgentId]) -> None:
        await self.relay.admit(agents)

    async def dismiss(self, agents: Sequence[AgentId]) -> None:
        await self.relay.dismiss(agents)

    async def vacant(self, agents: Sequence[AgentId]) -> Sequence[AgentId]:
        return await self.relay.vacant(agents)

    async def publish(self, messages: Sequence[Outgoing]) -> Sequence[int]:
        return await self.relay.publish(messages)

    async def batches(self, *, limit: int = 200) -> AsyncIterator[Batch]:
        async for batch in self.relay.batches(limit=limit):
            yield batch

    async def close(self) -> None:
        if self._relay is not None:
            await self._relay.close()
        await self._stack.aclose()


class TestHttpsRelayOfTheApi(RelayContract):
    @pytest.fixture
    def relay_pair(self, api_site: ApiSite, scheduler_store_url: str) -> RelayPair:
        def new_agent(agent: AgentId, prefetch: int) -> HttpsAgentRelay:
            now = datetime.now(UTC)
            facts = AgentFacts(agent, "one", "1", "daemon", 1, now)
            enrolment = Enrolment(facts, hashlib.sha256(agent.encode()).digest(), "https", "", now)
            digest = hashlib.sha256(TOKEN.encode()).digest()
            with contextlib.suppress(Conflict):  # it is known already: the contract makes the same agent's end twice
                api_site.platform(
                    lambda store: store.agents.enrol(enrolment, approved=True, token_digest=digest, now=now)
                )
            return HttpsAgentRelay(api_site.url, agent, TOKEN, prefetch=prefetch, session=os.urandom(16).hex())

        def restart() -> None:
            port = api_site.address
            api_site.stop()
            api_site.settings = replace(api_site.settings, listen=port)
            api_site.start()

        def patient() -> Platform:
            return Platform(scheduler_store_url, lease=60.0)

        return RelayPair(lambda: Platform(scheduler_store_url), new_agent, restart, patient)

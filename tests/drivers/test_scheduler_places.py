"""A retired agent's place at RabbitMQ goes, with what was handed over while it was retired."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mig_core.domain.messages import Outgoing
from mig_core.errors import RelayDenied, RelayError
from mig_core.relay import topology
from mig_core.relay.amqp_platform import AmqpPlatformRelay
from mig_core.scheduler.places import AGAIN, Places
from mig_core.store.postgres import PostgresStore
from mig_core.testing.relay_ends import body
from mig_core.testing.store_samples import NOW, enrolled, later

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from mig_core.domain.ids import AgentId
    from mig_core.relay.private_rabbitmq import PrivateRabbitMQ


class Site:
    """A store, a RabbitMQ, and a clock."""

    def __init__(self, store: PostgresStore, relay: AmqpPlatformRelay) -> None:
        self.store = store
        self.relay = relay
        self.time = NOW
        self.places = Places(store, relay, lambda: self.time)

    async def send(self, agent: AgentId) -> None:
        """Hands a command over, as one who had claimed it before does."""
        message = Outgoing(agent, body(n=1), datetime.now(UTC) + timedelta(minutes=5))
        assert not await self.relay.publish([message])

    async def waiting(self, agent: AgentId) -> int:
        """Messages in its queue; -1 without one."""
        async with self.relay._channel() as channel:
            try:
                return await channel.ready(topology.agent_queue(agent))
            except RelayError:
                if channel.reply_code != 404:
                    raise
                return -1


def at_a_site(url: str, broker: str, scenario: Callable[[Site], Awaitable[None]]) -> None:
    async def run() -> None:
        relay = AmqpPlatformRelay(broker)
        await relay.open()
        try:
            async with PostgresStore(url, pool_size=3) as store:
                await scenario(Site(store, relay))
        finally:
            await relay.close()

    asyncio.run(run())


def test_what_is_handed_over_while_an_agent_is_retired_does_not_stay_at_rabbitmq(
    store_url: str, rabbitmq_server: PrivateRabbitMQ
) -> None:
    async def scenario(site: Site) -> None:
        gone, stays = await enrolled(site.store, "web1", "web2", relay="amqp")
        await site.places.look()
        await site.send(gone)
        await site.send(stays)

        await site.store.agents.retire(gone, NOW)
        await site.places.look()
        after = await site.waiting(gone)
        await site.send(gone)  # makes its queue anew
        late = await site.waiting(gone)
        site.time = later(121)
        await site.places.look()

        assert (after, late) == (-1, 1)
        assert await site.waiting(gone) == -1
        assert await site.waiting(stays) == 1
        await site.relay.dismiss([stays])

    at_a_site(store_url, rabbitmq_server.scheduler_url, scenario)


def test_a_place_that_cannot_be_removed_is_tried_again_and_holds_up_nobody(
    store_url: str, rabbitmq_server: PrivateRabbitMQ
) -> None:
    async def scenario(site: Site) -> None:
        first, second = await enrolled(site.store, "web1", "web2", relay="amqp")
        await site.places.look()
        refusing = _RefusesOnce(site.relay, first)
        places = Places(site.store, refusing, lambda: site.time)  # type: ignore[arg-type]  # by __getattr__
        for one in (first, second):
            await site.store.agents.retire(one, NOW)

        await places.look()
        refused = await site.waiting(first), await site.waiting(second)
        refusing.refuses = False
        site.time = NOW + AGAIN
        await places.look()

        assert refused == (0, -1)
        assert await site.waiting(first) == -1

    at_a_site(store_url, rabbitmq_server.scheduler_url, scenario)


class _RefusesOnce:
    """A RabbitMQ of which a node is down."""

    def __init__(self, relay: AmqpPlatformRelay, agent: AgentId) -> None:
        self._relay = relay
        self._agent = agent
        self.refuses = True

    def __getattr__(self, name: str) -> object:
        return getattr(self._relay, name)

    async def dismiss(self, agents: Sequence[AgentId]) -> None:
        if self.refuses and self._agent in agents:
            raise RelayDenied("its node is down")
        await self._relay.dismiss(agents)

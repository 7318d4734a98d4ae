"""The relay over a real RabbitMQ, whose logins are decided by the rules mig-api uses."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

import pytest

from mig_core.relay import topology
from mig_core.relay.amqp_agent import AmqpAgentRelay
from mig_core.relay.amqp_broker import Broker
from mig_core.relay.amqp_connection import AmqpConnection
from mig_core.relay.amqp_platform import AmqpPlatformRelay
from mig_core.testing.relay_ends import RelayPair

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mig_core.domain.ids import AgentId
    from mig_core.relay.private_rabbitmq import PrivateRabbitMQ
    from mig_core.testing.rabbitmq import LoginAuthority


class Tokens:
    """Who may log in, and the answers mig-api gives to RabbitMQ."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def issue(self, agent: AgentId) -> str:
        return self.known.setdefault(agent, secrets.token_urlsafe())

    def decide(self, question: str, fields: Mapping[str, str]) -> bool:
        agent = fields["username"]
        match question:
            case "user":
                return self.known.get(agent) == fields["password"]
            case "vhost":
                return topology.may_enter(agent, fields["vhost"])
            case "resource":
                return topology.may(agent, fields["resource"], fields["name"], fields["permission"])
        return False


@pytest.fixture
def tokens(login_authority: LoginAuthority) -> Iterator[Tokens]:
    tokens = Tokens()
    login_authority.decide = tokens.decide
    yield tokens
    login_authority.decide = lambda question, fields: False


@pytest.fixture
def amqp(rabbitmq_server: PrivateRabbitMQ, tokens: Tokens) -> Iterator[RelayPair]:
    """Both ends over a broker without messages."""

    def agent_end(agent: AgentId, prefetch: int) -> AmqpAgentRelay:
        return AmqpAgentRelay(rabbitmq_server.amqp_url("", ""), agent, tokens.issue(agent), prefetch=prefetch)

    def restart() -> None:
        rabbitmq_server.stop()
        rabbitmq_server.start()

    asyncio.run(forget_shared_queues(rabbitmq_server))

    def platform_end(lease: float = 1.5) -> AmqpPlatformRelay:
        return AmqpPlatformRelay(rabbitmq_server.scheduler_url, lease=lease)

    yield RelayPair(platform_end, agent_end, restart, lambda: platform_end(60.0))
    asyncio.run(forget_shared_queues(rabbitmq_server))


async def forget_shared_queues(server: PrivateRabbitMQ) -> None:
    connection = await AmqpConnection.open(Broker.from_url(server.scheduler_url))
    channel = await connection.channel()
    for queue in topology.SHARED_QUEUES:
        await channel.call("queue_delete", queue=queue)
    await connection.close()

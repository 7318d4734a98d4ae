"""What an agent's login may do at a real RabbitMQ, whose logins are decided by the rules mig-api uses."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.domain.messages import Kind
from mig_core.errors import RelayDenied
from mig_core.relay import topology
from mig_core.relay.amqp_agent import AmqpAgentRelay
from mig_core.relay.amqp_broker import Broker
from mig_core.relay.amqp_connection import AmqpConnection, Outcome
from mig_core.relay.amqp_platform import AmqpPlatformRelay
from mig_core.testing.relay_ends import AgentEnd, Ends, PlatformEnd, RelayPair, body, new_agent_id

if TYPE_CHECKING:
    from mig_core.domain.ids import AgentId
    from mig_core.relay.amqp_connection import Channel
    from mig_core.relay.private_rabbitmq import PrivateRabbitMQ
    from mig_core.testing.rabbitmq import LoginAuthority


Tokens = Any
"""It lives in conftest.py, which cannot be imported under this import mode."""


async def attempt(server: PrivateRabbitMQ, agent: AgentId, token: str, what: str, **arguments: object) -> Channel:
    """One method as this agent; gives the channel, closed if the broker said no."""
    connection = await AmqpConnection.open(Broker.from_url(server.amqp_url("", ""), login=(agent, token)))
    channel = await connection.channel()
    try:
        if what == "publish":
            outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
            channel.publish(str(arguments["exchange"]), str(arguments["key"]), b"{}", outcome.set_result, user_id=agent)
            assert await outcome is Outcome.DENIED
        elif what == "consume":
            await channel.consume(str(arguments["queue"]), lambda *_: None)
        else:
            await channel.call(what, **arguments)
    except RelayDenied:
        pass
    finally:
        await connection.close()
    return channel


@pytest.mark.parametrize(
    ("what", "arguments"),
    [
        ("consume", {"queue": "mig.agent.{other}"}),
        ("consume", {"queue": topology.RESULTS}),
        ("consume", {"queue": topology.HEARTBEATS}),
        ("publish", {"exchange": topology.COMMANDS, "key": "{other}"}),
        ("publish", {"exchange": topology.COMMANDS, "key": "{agent}"}),
        ("publish", {"exchange": "", "key": "mig.agent.{other}"}),
        ("publish", {"exchange": "", "key": topology.RESULTS}),
        ("queue_declare", {"queue": "mig.mine", "durable": True}),
        ("queue_delete", {"queue": "mig.agent.{agent}"}),
        ("queue_purge", {"queue": topology.RESULTS}),
        ("queue_bind", {"queue": "mig.agent.{agent}", "exchange": topology.INBOUND, "routing_key": "result"}),
        ("exchange_declare", {"exchange": "mig.mine"}),
        ("exchange_bind", {"destination": topology.COMMANDS, "source": topology.INBOUND, "routing_key": "result"}),
        ("exchange_delete", {"exchange": topology.INBOUND}),
    ],
)
def test_an_agents_login_is_refused_everything_but_its_own(
    rabbitmq_server: PrivateRabbitMQ, amqp: RelayPair, tokens: Tokens, what: str, arguments: dict[str, object]
) -> None:
    agent, other = new_agent_id(), new_agent_id()
    platform = PlatformEnd(amqp.new_platform()).open()
    platform.call(platform.relay.admit([agent, other]))
    filled = {
        key: value.format(agent=agent, other=other) if isinstance(value, str) else value
        for key, value in arguments.items()
    }

    channel = asyncio.run(attempt(rabbitmq_server, agent, tokens.issue(agent), what, **filled))

    assert channel.reply_code == 403
    platform.close()


async def publish_as(broker: Broker, user_id: str | None) -> tuple[Outcome, int]:
    """One result with this ``user_id``: what became of it, and why the broker closed the channel."""
    connection = await AmqpConnection.open(broker)
    channel = await connection.channel()
    outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    channel.publish(topology.INBOUND, Kind.RESULT, body(by=user_id), outcome.set_result, user_id=user_id)
    await outcome
    await connection.close()
    return outcome.result(), channel.reply_code


@pytest.mark.parametrize("claim", ["{other}", "scheduler", ""])
def test_an_agent_cannot_speak_in_anothers_name(
    rabbitmq_server: PrivateRabbitMQ, amqp: RelayPair, tokens: Tokens, claim: str
) -> None:
    agent, other = new_agent_id(), new_agent_id()
    platform = PlatformEnd(amqp.new_platform()).open()
    broker = Broker.from_url(rabbitmq_server.amqp_url("", ""), login=(agent, tokens.issue(agent)))

    refused = asyncio.run(publish_as(broker, claim.format(other=other)))
    taken, _ = asyncio.run(publish_as(broker, agent))

    assert refused == (Outcome.DENIED, 406)
    assert taken is Outcome.TAKEN
    assert [(one.agent, one.body) for one in platform.take(1)] == [(agent, body(by=agent))]
    platform.close()


def test_a_message_that_names_no_agent_is_from_nobody(
    rabbitmq_server: PrivateRabbitMQ, amqp: RelayPair, tokens: Tokens
) -> None:
    agent = new_agent_id()
    platform = PlatformEnd(amqp.new_platform()).open()
    as_agent = Broker.from_url(rabbitmq_server.amqp_url("", ""), login=(agent, tokens.issue(agent)))
    as_scheduler = Broker.from_url(rabbitmq_server.scheduler_url)

    asyncio.run(publish_as(as_agent, None))
    asyncio.run(publish_as(as_scheduler, "scheduler"))

    assert [(one.kind, one.agent) for one in platform.take(2)] == [(Kind.RESULT, "")] * 2
    platform.close()


def test_an_agent_that_says_what_nobody_collects_is_told(
    rabbitmq_server: PrivateRabbitMQ, amqp: RelayPair, tokens: Tokens
) -> None:
    agent = new_agent_id()
    platform = PlatformEnd(amqp.new_platform()).open()
    broker = Broker.from_url(rabbitmq_server.amqp_url("", ""), login=(agent, tokens.issue(agent)))

    async def publish() -> Outcome:
        connection = await AmqpConnection.open(broker)
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        channel = await connection.channel()
        channel.publish(topology.INBOUND, "command", b"{}", outcome.set_result, user_id=agent)
        await outcome
        await connection.close()
        return outcome.result()

    assert asyncio.run(publish()) is Outcome.RETURNED
    platform.close()


def test_the_broker_asks_nothing_more_for_an_agents_second_kind_of_message(
    amqp: RelayPair, login_authority: LoginAuthority
) -> None:
    agent = new_agent_id()
    ends = Ends(amqp)
    platform = ends.platform()
    platform.call(platform.relay.admit([agent]))
    sender = ends.agent(agent)
    sender.relay.publish(Kind.HEARTBEAT, body(beat=1))
    before = len(login_authority.asked)

    sender.relay.publish(Kind.RESULT, body(answer=1))

    assert login_authority.asked[before:] == []
    asked = sorted(question for question, fields in login_authority.asked if fields["username"] == agent)
    asked = [question for question, fields in login_authority.asked if fields["username"] == agent]
    assert sorted(set(asked)) == ["resource", "user", "vhost"]
    assert asked.count("resource") == 2  # its queue and the exchange
    ends.close()


def test_a_wrong_token_is_denied_until_it_is_known(rabbitmq_server: PrivateRabbitMQ, tokens: Tokens) -> None:
    agent = new_agent_id()
    relay = AmqpAgentRelay(rabbitmq_server.amqp_url("", ""), agent, "issued later")
    relay.start(lambda delivery: None)

    with pytest.raises(RelayDenied, match="login refused"):
        relay.publish(Kind.HEARTBEAT, b"{}")

    tokens.known[agent] = "issued later"
    platform = PlatformEnd(AmqpPlatformRelay(rabbitmq_server.scheduler_url)).open()
    platform.call(platform.relay.admit([agent]))
    AgentEnd(relay, agent).wait_connected()
    relay.close()
    platform.close()

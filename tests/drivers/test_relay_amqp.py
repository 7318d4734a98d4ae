"""The relay over a real RabbitMQ, whose logins are decided by the rules mig-api uses."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from mig_core.domain.messages import Kind, Outgoing
from mig_core.errors import ConfigurationError, RelayDenied, RelayUnavailable
from mig_core.relay import topology
from mig_core.relay.amqp_agent import AmqpAgentRelay, trouble_of
from mig_core.relay.amqp_broker import Broker
from mig_core.relay.amqp_connection import AmqpConnection, Outcome
from mig_core.relay.amqp_platform import AmqpPlatformRelay
from mig_core.testing.relay_contract import RelayContract
from mig_core.testing.relay_ends import PATIENCE, AgentEnd, Ends, PlatformEnd, RelayPair, body, new_agent_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mig_core.domain.ids import AgentId
    from mig_core.relay.amqp_connection import Channel
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


class TestAmqpRelay(RelayContract):
    @pytest.fixture
    def relay_pair(self, amqp: RelayPair) -> RelayPair:
        return amqp


# -- what a login may do, asked of the real broker


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


# -- an agent that is early


def test_an_agent_without_a_queue_sends_heartbeats_and_receives_once_admitted(amqp: RelayPair) -> None:
    agent = new_agent_id()
    ends = Ends(amqp)
    platform = ends.platform()
    early = AgentEnd(amqp.new_agent(agent, 8), agent)
    early.relay.start(early.inbox.put)

    early.relay.publish(Kind.HEARTBEAT, body(beat=1))
    assert not early.relay.connected
    assert platform.take(1)[0].agent == agent

    platform.call(platform.relay.admit([agent]))
    platform.send(agent, body(n=1))
    assert early.take(1) == [body(n=1)]
    early.relay.close()
    ends.close()


def test_a_queue_that_cannot_be_made_keeps_no_other_agent_from_its_own(amqp: RelayPair) -> None:
    first, second = sorted((new_agent_id(), new_agent_id()))
    ends = Ends(amqp)
    platform = ends.platform()
    relay = platform.relay
    assert isinstance(relay, AmqpPlatformRelay)

    async def in_the_way(method: str, **options: object) -> None:  # as one on a node that is down is
        async with relay._channel() as channel:
            await channel.call(method, queue=topology.agent_queue(first), **options)

    platform.call(in_the_way("queue_declare", durable=False))
    expires = datetime.now(UTC) + timedelta(minutes=1)
    messages = [Outgoing(one, body(n=number), expires) for number, one in enumerate((first, second))]
    failed = platform.call(relay.publish(messages))

    assert list(failed) == [0]
    assert ends.agent(second).take(1) == [body(n=1)]
    with pytest.raises(RelayDenied):
        platform.call(relay.admit([first]))
    platform.call(in_the_way("queue_delete"))
    ends.close()


def test_an_agent_that_was_dismissed_and_admitted_again_receives_again(amqp: RelayPair) -> None:
    agent = new_agent_id()
    ends = Ends(amqp)
    platform = ends.platform()
    platform.call(platform.relay.admit([agent]))
    receiver = ends.agent(agent)

    platform.call(platform.relay.dismiss([agent]))
    receiver.wait_connected(connected=False)
    platform.call(platform.relay.admit([agent]))
    platform.send(agent, body(n=1))

    assert receiver.take(1) == [body(n=1)]
    ends.close()


def test_answers_wait_in_the_agent_until_somebody_has_made_the_exchange(
    rabbitmq_server: PrivateRabbitMQ, amqp: RelayPair
) -> None:
    async def forget_exchange() -> None:
        connection = await AmqpConnection.open(Broker.from_url(rabbitmq_server.scheduler_url))
        await (await connection.channel()).call("exchange_delete", exchange=topology.INBOUND)
        await connection.close()

    asyncio.run(forget_exchange())
    agent = new_agent_id()
    early = amqp.new_agent(agent, 8)
    early.start(lambda delivery: None)
    done = threading.Event()

    def publish() -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            # As the spool does. It is refused once when it comes between the exchange's making and its queue's binding.
            with contextlib.suppress(RelayUnavailable):
                early.publish(Kind.RESULT, body(answer=1), timeout=PATIENCE)
                done.set()
                return

    thread = threading.Thread(target=publish)
    thread.start()
    assert not done.wait(0.5)
    platform = PlatformEnd(amqp.new_platform()).open()

    assert done.wait(PATIENCE)
    assert platform.take(1)[0].body == body(answer=1)
    thread.join()
    early.close()
    platform.close()


# -- the scheduler's end


def test_nobody_there_is_unavailable_and_a_wrong_login_is_denied(rabbitmq_server: PrivateRabbitMQ) -> None:
    async def open_at(url: str) -> None:
        await AmqpPlatformRelay(url).open()

    with pytest.raises(RelayUnavailable):
        asyncio.run(open_at("amqp://scheduler:x@127.0.0.1:9/mig"))
    with pytest.raises(RelayDenied, match="login refused"):
        asyncio.run(open_at(rabbitmq_server.amqp_url("scheduler", "wrong")))
    with pytest.raises(RelayDenied, match="virtual host"):
        asyncio.run(open_at(rabbitmq_server.scheduler_url.removesuffix("mig") + "elsewhere"))


@pytest.mark.parametrize(
    "url", ["http://broker/mig", "amqp://", "amqp://broker:x/mig", "amqp://broker/mig?heartbeat=0"]
)
def test_an_unusable_url_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigurationError, match="amqps://broker"):
        AmqpPlatformRelay(url)


def test_passwords_do_not_appear_in_errors_or_representations() -> None:
    broker = Broker.from_url("amqp://scheduler:geheim@127.0.0.1:9/mig")

    assert "geheim" not in f"{broker} {broker!r}"


def test_what_its_sender_keeps_is_forgotten_by_a_broker_that_ends_and_that_can_be_told(amqp: RelayPair) -> None:
    """The rest is on disk."""
    assert amqp.restart is not None
    ends = Ends(amqp)
    kept, unkept = new_agent_id(), new_agent_id()
    expires = datetime.now(UTC) + timedelta(seconds=60)
    try:
        platform = ends.platform()
        relay = platform.relay
        platform.call(relay.admit([kept, unkept]))
        messages = [Outgoing(kept, body(n=1), expires, kept=True), Outgoing(unkept, body(n=2), expires)]
        assert not platform.call(relay.publish(messages))
        epoch, vacant = relay.epoch, platform.call(relay.vacant([kept, unkept, new_agent_id()]))

        amqp.restart()
        deadline = time.monotonic() + PATIENCE
        while relay.epoch == epoch and time.monotonic() < deadline:
            time.sleep(0.02)

        assert relay.epoch > epoch > 0
        assert len(vacant) == 1, "nothing waits for an agent without a queue"
        assert platform.call(relay.vacant([kept, unkept])) == [kept]
        assert ends.agent(unkept).take(1) == [body(n=2)]
    finally:
        ends.close()


def test_ten_thousand_confirmed_commands_take_a_few_seconds(amqp: RelayPair) -> None:
    agents = [new_agent_id() for _ in range(20)]
    ends = Ends(amqp)
    platform = ends.platform()
    platform.call(platform.relay.admit(agents))

    began = time.monotonic()
    for agent in agents:
        platform.send(agent, *(body(n=n, filling="x" * 1500) for n in range(500)))
    seconds = time.monotonic() - began

    platform.call(platform.relay.dismiss(agents))
    ends.close()
    assert seconds < 20


def test_an_agents_queue_has_one_consumer_and_a_second_one_is_told_why_it_receives_nothing(amqp: RelayPair) -> None:
    agent = new_agent_id()
    platform = PlatformEnd(amqp.new_platform()).open()
    platform.call(platform.relay.admit([agent]))
    first = AgentEnd(amqp.new_agent(agent, 8), agent).start()
    second = AgentEnd(amqp.new_agent(agent, 8), agent)
    second.relay.start(second.inbox.put)
    try:
        deadline = time.monotonic() + PATIENCE
        while not second.relay.trouble and time.monotonic() < deadline:
            time.sleep(0.02)
        assert "in use twice" in second.relay.trouble
        assert not first.relay.trouble and not second.relay.connected
        platform.send(agent, b'{"n":1}', b'{"n":2}')
        assert first.take(2) == [b'{"n":1}', b'{"n":2}']
        second.expect_silence()

        first.relay.close()

        second.wait_connected()
        assert not second.relay.trouble
        platform.send(agent, b'{"n":3}')
        assert second.take(1) == [b'{"n":3}']
    finally:
        for end in (first, second):
            end.relay.close()
        platform.close()


@pytest.mark.parametrize(
    ("code", "text", "said"),
    [
        (404, "NOT_FOUND - home node 'rabbit@mq1' of durable queue 'q' in vhost 'mig' is down or inaccessible", "down"),
        (404, "NOT_FOUND - no queue 'mig.agent.x' in vhost 'mig'", ""),
        (403, "ACCESS_REFUSED - queue 'q' in vhost 'mig' in exclusive use", "in use twice"),
        (403, "ACCESS_REFUSED - read access to queue 'q' in vhost 'mig' refused for user 'x'", ""),
        (0, "lost", ""),
    ],
)
def test_what_keeps_an_agent_from_receiving_is_told_to_the_platform(code: int, text: str, said: str) -> None:
    told = trouble_of(code, RelayUnavailable(f"RabbitMQ at b:5672, virtual host mig: {code} {text}"))

    assert said in told and bool(said) == bool(told)

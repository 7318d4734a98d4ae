"""The relay over a real RabbitMQ, whose logins are decided by the rules mig-api uses."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from mig_core.domain.messages import Kind, Outgoing
from mig_core.errors import ConfigurationError, RelayDenied, RelayUnavailable
from mig_core.relay import topology
from mig_core.relay.amqp_agent import trouble_of
from mig_core.relay.amqp_broker import Broker
from mig_core.relay.amqp_connection import AmqpConnection
from mig_core.relay.amqp_platform import AmqpPlatformRelay
from mig_core.testing.relay_contract import RelayContract
from mig_core.testing.relay_ends import PATIENCE, AgentEnd, Ends, PlatformEnd, RelayPair, body, new_agent_id

if TYPE_CHECKING:
    from mig_core.relay.private_rabbitmq import PrivateRabbitMQ


class TestAmqpRelay(RelayContract):
    @pytest.fixture
    def relay_pair(self, amqp: RelayPair) -> RelayPair:
        return amqp


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


def test_commands_that_are_handed_over_together_are_confirmed_together(amqp: RelayPair) -> None:
    agents = [new_agent_id() for _ in range(4)]
    ends = Ends(amqp)
    platform = ends.platform()
    platform.call(platform.relay.admit(agents))

    began = time.monotonic()
    for agent in agents:
        platform.send(agent, *(body(n=n, filling="x" * 1500) for n in range(500)))
    together = (time.monotonic() - began) / 2000
    began = time.monotonic()
    for n in range(200):
        platform.send(agents[0], body(n=n, filling="x" * 1500))
    alone = (time.monotonic() - began) / 200

    platform.call(platform.relay.dismiss(agents))
    ends.close()
    assert together < alone / 2, "each waits for no round trip of its own"


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

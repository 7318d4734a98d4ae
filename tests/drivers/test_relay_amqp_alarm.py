"""RabbitMQ in an alarm of memory, for real: it takes no messages, and everything that empties it goes on."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

import pytest

from mig_core.domain.messages import Kind
from mig_core.errors import RelayRefused, RelayUnavailable
from mig_core.relay import amqp_inbound
from mig_core.relay.amqp_agent import AmqpAgentRelay
from mig_core.relay.amqp_platform import AmqpPlatformRelay
from mig_core.relay.private_rabbitmq import PrivateRabbitMQ
from mig_core.testing.eventually import eventually
from mig_core.testing.rabbitmq import OperatedBroker
from mig_core.testing.relay_ends import Ends, RelayPair, bodies_of, body, new_agent_id
from mig_core.testing.services import service_missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mig_core.domain.ids import AgentId
    from mig_core.testing.rabbitmq import LoginAuthority


class Broker(OperatedBroker):
    """A broker of this file alone: an alarm is everybody's."""

    @contextlib.contextmanager
    def alarm(self) -> Iterator[None]:
        """Memory is short."""
        self.control("set_vm_memory_high_watermark", "0.0001")
        try:
            yield
        finally:
            self.control("set_vm_memory_high_watermark", "0.4")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, login_authority: LoginAuthority) -> Iterator[Broker]:
    if not PrivateRabbitMQ.available():
        service_missing("no RabbitMQ here (apt-get install rabbitmq-server)")
    with PrivateRabbitMQ(tmp_path_factory.mktemp("alarm"), auth_url=login_authority.url) as server:
        yield Broker(server)


@pytest.fixture
def ends(broker: Broker, login_authority: LoginAuthority) -> Iterator[Ends]:
    login_authority.decide = lambda question, fields: True

    def agent_end(agent: AgentId, prefetch: int) -> AmqpAgentRelay:
        return AmqpAgentRelay(broker.server.amqp_url("", ""), agent, "token", prefetch=prefetch)

    ends = Ends(RelayPair(lambda: AmqpPlatformRelay(broker.server.scheduler_url, lease=60.0), agent_end))
    yield ends
    ends.close()
    login_authority.decide = lambda question, fields: False


@pytest.mark.fault("alarm")
def test_in_an_alarm_answers_are_still_taken_in_and_commands_wait_with_a_word(broker: Broker, ends: Ends) -> None:
    agent = new_agent_id()
    platform = ends.platform()
    platform.call(platform.relay.admit([agent]))
    sender = ends.agent(agent)
    platform.send(agent, body(n=0))
    for n in range(1000):
        sender.relay.publish(Kind.RESULT, body(answer=n))
    platform.close()

    with broker.alarm():
        scheduler = ends.platform()
        began = time.monotonic()
        with pytest.raises(RelayUnavailable):
            scheduler.send(agent, body(n=1))
        first = time.monotonic() - began
        with pytest.raises(RelayUnavailable, match="takes no messages now: low on memory"):
            scheduler.send(agent, body(n=2))
        again = time.monotonic() - began - first
        arrived = scheduler.take(1000)
        trouble = scheduler.call(scheduler.relay.trouble())
        scheduler.call(scheduler.relay.admit([new_agent_id()]))  # what is no message is not blocked either
        scheduler.close()

        left = ends.platform()
        assert left.inbox.empty()

    assert first < 20  # it waits for half a minute for a confirm that may come
    assert again < 20
    assert set(bodies_of(arrived, Kind.RESULT)) == {body(answer=n) for n in range(1000)}
    assert "takes no messages now: low on memory" in trouble


def test_when_the_alarm_is_over_everything_goes_on_by_itself(broker: Broker, ends: Ends) -> None:
    agent = new_agent_id()
    platform = ends.platform()
    platform.call(platform.relay.admit([agent]))
    receiver = ends.agent(agent)
    with broker.alarm(), pytest.raises(RelayUnavailable):
        platform.send(agent, body(n=1))

    deadline = time.monotonic() + 60
    while platform.call(platform.relay.trouble()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    platform.send(agent, body(n=2))

    bodies = {receiver.next().body}
    while body(n=2) not in bodies:
        bodies.add(receiver.next().body)


def test_a_scheduler_that_has_nothing_to_send_finds_an_alarm_out_too(
    broker: Broker, ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mig_core.relay.amqp_platform._IDLE", 0.0)  # does not wait ten seconds to ask
    platform = ends.platform()
    before = platform.call(platform.relay.trouble())

    with broker.alarm():
        during = platform.call(platform.relay.trouble())

    assert before == ""
    assert "low on memory" in during


def test_an_agent_goes_on_receiving_while_its_answers_wait(broker: Broker, ends: Ends) -> None:
    agent = new_agent_id()
    platform = ends.platform()
    platform.call(platform.relay.admit([agent]))
    platform.send(agent, *(body(n=n) for n in range(20)))

    with broker.alarm():
        receiver = ends.agent(agent, prefetch=2)
        relay = receiver.relay
        assert isinstance(relay, AmqpAgentRelay)
        answering = threading.Thread(target=relay.publish, args=(Kind.RESULT, body(answer=1)))
        answering.start()  # the first message is what the broker answers with the alarm
        eventually(lambda: relay._blocked)
        with pytest.raises(RelayUnavailable, match="takes no messages now: low on memory"):
            relay.publish(Kind.HEARTBEAT, body(beat=1), timeout=0.5)
        taken = receiver.take(20)
        assert answering.is_alive()
    answering.join(60)

    assert sorted(taken) == sorted(body(n=n) for n in range(20))
    assert [one.body for one in platform.take(1)] == [body(answer=1)]  # once, and nothing that was given up


def test_large_answers_wait_at_the_broker_and_not_in_the_schedulers_memory(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(amqp_inbound, "MOST_HELD", 8 << 20)
    monkeypatch.setattr(amqp_inbound, "_BATCH_BYTES", 2 << 20)
    agent = new_agent_id()
    platform = ends.platform()
    platform.call(platform.relay.admit([agent]))
    sender = ends.agent(agent)
    relay = platform.relay
    assert isinstance(relay, AmqpPlatformRelay)
    held: list[int] = []
    for n in range(30):
        sender.relay.publish(Kind.RESULT, body(n=n, text="x" * (1 << 20)))
        held.append(relay._arrivals._held)

    arrived = platform.take(30)

    assert max(held) <= (8 << 20) + (2 << 20)
    assert {len(one.body) for one in arrived} <= {len(body(n=n, text="x" * (1 << 20))) for n in range(30)}
    assert len(arrived) == 30


def test_a_message_larger_than_the_broker_takes_is_refused_and_takes_no_other_along(
    tmp_path: Path, login_authority: LoginAuthority
) -> None:
    login_authority.decide = lambda question, fields: True
    with PrivateRabbitMQ(tmp_path / "small", auth_url=login_authority.url) as server:
        configuration = server.state_dir / "rabbitmq.conf"
        assert configuration.exists()
        small = Broker(server)
        small.control("eval", "application:set_env(rabbit, max_message_size, 100000).")
        ends = Ends(
            RelayPair(
                lambda: AmqpPlatformRelay(server.scheduler_url),
                lambda agent, prefetch: AmqpAgentRelay(server.amqp_url("", ""), agent, "token", prefetch=prefetch),
            )
        )
        agent = new_agent_id()
        platform = ends.platform()
        platform.call(platform.relay.admit([agent]))
        sender = ends.agent(agent)

        others = [threading.Thread(target=sender.relay.publish, args=(Kind.RESULT, body(answer=n))) for n in range(50)]
        for thread in others:
            thread.start()
        with pytest.raises(RelayRefused, match="larger than it takes"):
            sender.relay.publish(Kind.RESULT, body(text="x" * 200_000))
        for thread in others:
            thread.join(60)
        with pytest.raises(RelayRefused):
            platform.send(agent, body(text="x" * 200_000))
        platform.send(agent, body(n=1))

        arrived: set[bytes] = set()
        while len(arrived) < 50:
            arrived.update(bodies_of(platform.take(1), Kind.RESULT))
        assert arrived == {body(answer=n) for n in range(50)}
        assert sender.take(1) == [body(n=1)]
        ends.close()
    login_authority.decide = lambda question, fields: False

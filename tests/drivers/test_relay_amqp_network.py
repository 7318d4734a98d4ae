"""What lies between an end and RabbitMQ: TLS, cut lines, and a broker that has stopped talking."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING

import pytest

from mig_core.domain.messages import Kind
from mig_core.errors import RelayUnavailable
from mig_core.relay import topology
from mig_core.relay.amqp_agent import AmqpAgentRelay
from mig_core.relay.amqp_broker import Broker
from mig_core.relay.amqp_connection import AmqpConnection
from mig_core.relay.amqp_platform import AmqpPlatformRelay
from mig_core.relay.tls import TlsOptions
from mig_core.testing.certificates import make_certificates
from mig_core.testing.eventually import eventually
from mig_core.testing.relay_ends import AgentEnd, PlatformEnd, body, new_agent_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mig_core.relay.private_rabbitmq import PrivateRabbitMQ
    from mig_core.testing.rabbitmq import LoginAuthority


class Line:
    """Forwards TCP to the broker; can be cut, or go silent while connections stay open. Optionally speaks TLS."""

    def __init__(self, target: int, context: ssl.SSLContext | None = None) -> None:
        self._target = target
        self._context = context
        self._open: set[socket.socket] = set()
        self._left: int | None = None
        self.torn = False
        self.connections = 0
        """Made so far."""
        self._flowing = threading.Event()
        self._flowing.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def tear(self, after: int) -> None:
        """Forwards so many bytes more towards the broker, then cuts."""
        self._left = after

    def silence(self) -> None:
        self._flowing.clear()

    def cut(self) -> None:
        for one in tuple(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._flowing.set()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _address = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        try:
            if self._context is not None:
                near = self._context.wrap_socket(near, server_side=True)
            far = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            near.close()
            return
        self._open |= {near, far}
        back = threading.Thread(target=self._pump, args=(far, near), daemon=True)
        back.start()
        self._pump(near, far)
        back.join()
        for one in (near, far):
            self._open.discard(one)
            one.close()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flowing.wait()
                if self._left is not None and sink.getpeername()[1] == self._target:
                    data, self._left = data[: self._left], max(0, self._left - len(data))
                sink.sendall(data)
                if self._left == 0:
                    self._left, self.torn = None, True
                    self.cut()
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def line(rabbitmq_server: PrivateRabbitMQ) -> Iterator[Line]:
    line = Line(rabbitmq_server.port)
    yield line
    line.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def secure_line(rabbitmq_server: PrivateRabbitMQ, certificates: Path) -> Iterator[Line]:
    """Asks for a client certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates / "ca.pem")
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    line = Line(rabbitmq_server.port, context)
    yield line
    line.close()


def through(line: Line, url: str, scheme: str = "amqp") -> str:
    login = url.removeprefix("amqp://").rpartition("@")[0]
    return f"{scheme}://{login}@127.0.0.1:{line.port}/mig"


def everybody(question: str, fields: object) -> bool:
    return True


@pytest.fixture
def admitted(rabbitmq_server: PrivateRabbitMQ, login_authority: LoginAuthority) -> Iterator[PlatformEnd]:
    """A scheduler next to the broker; every login is good."""
    login_authority.decide = everybody
    platform = PlatformEnd(AmqpPlatformRelay(rabbitmq_server.scheduler_url)).open()
    yield platform
    platform.close()
    login_authority.decide = lambda question, fields: False


def test_both_ends_speak_tls_with_a_client_certificate(
    rabbitmq_server: PrivateRabbitMQ, secure_line: Line, certificates: Path, admitted: PlatformEnd
) -> None:
    agent = new_agent_id()
    tls = TlsOptions(certificates / "ca.pem", certificates / "client.pem", certificates / "client.key")
    admitted.close()  # the scheduler under test is the one behind TLS
    platform = PlatformEnd(
        AmqpPlatformRelay(through(secure_line, rabbitmq_server.scheduler_url, "amqps"), tls=tls)
    ).open()
    platform.call(platform.relay.admit([agent]))
    relay = AmqpAgentRelay(f"amqps://127.0.0.1:{secure_line.port}/mig", agent, "token", tls=tls)
    receiver = AgentEnd(relay, agent).start()

    platform.send(agent, body(n=1))
    relay.publish(Kind.RESULT, body(answer=1, agent=agent))

    assert receiver.take(1) == [body(n=1)]
    assert platform.take(1)[-1].agent == agent
    relay.close()
    platform.close()


@pytest.mark.parametrize("papers", ["none", "authority only"])
def test_without_the_right_papers_there_is_no_connection(
    rabbitmq_server: PrivateRabbitMQ, secure_line: Line, certificates: Path, papers: str
) -> None:
    tls = TlsOptions() if papers == "none" else TlsOptions(certificates / "ca.pem")
    url = through(secure_line, rabbitmq_server.scheduler_url, "amqps")

    with pytest.raises(RelayUnavailable):
        asyncio.run(AmqpPlatformRelay(url, tls=tls).open())


def test_both_ends_come_back_after_the_line_was_cut(
    rabbitmq_server: PrivateRabbitMQ, line: Line, admitted: PlatformEnd
) -> None:
    agent = new_agent_id()
    platform = PlatformEnd(AmqpPlatformRelay(through(line, rabbitmq_server.scheduler_url))).open()
    platform.call(platform.relay.admit([agent]))
    receiver = AgentEnd(AmqpAgentRelay(f"amqp://127.0.0.1:{line.port}", agent, "token"), agent).start()
    platform.send(agent, body(n=1))
    lost = receiver.next()

    before = line.connections
    line.cut()
    eventually(lambda: line.connections > before)
    lost.acknowledge()  # over a connection that is gone: comes again
    receiver.relay.publish(Kind.HEARTBEAT, body(beat=1))
    platform.send(agent, body(n=2))

    assert sorted(receiver.take(2)) == [body(n=1), body(n=2)]
    receiver.relay.close()
    platform.close()


@pytest.mark.fault("torn upload")
def test_an_answer_that_is_torn_in_the_middle_is_no_message_and_comes_whole_later(
    line: Line, admitted: PlatformEnd
) -> None:
    agent = new_agent_id()
    admitted.call(admitted.relay.admit([agent]))
    sender = AgentEnd(AmqpAgentRelay(f"amqp://127.0.0.1:{line.port}", agent, "token"), agent).start()
    answer = body(large="x" * (2 << 20))

    line.tear(1 << 20)
    sender.relay.publish(Kind.RESULT, answer)
    sender.relay.publish(Kind.RESULT, body(n=2))

    arrived: list[bytes] = []
    while len(arrived) < 2:  # what earlier tests left behind may come as well
        arrived += [one.body for one in admitted.take(1) if one.agent == agent]
    assert set(arrived) == {answer, body(n=2)}
    assert line.torn
    sender.relay.close()


def test_a_broker_that_stopped_talking_holds_up_neither_publish_nor_close(line: Line, admitted: PlatformEnd) -> None:
    agent = new_agent_id()
    admitted.call(admitted.relay.admit([agent]))
    receiver = AgentEnd(AmqpAgentRelay(f"amqp://127.0.0.1:{line.port}", agent, "token"), agent).start()
    line.silence()

    with pytest.raises(RelayUnavailable, match=r"not taken within 0\.3 s"):
        receiver.relay.publish(Kind.HEARTBEAT, body(beat=1), timeout=0.3)
    began = time.monotonic()
    receiver.relay.close()

    assert time.monotonic() - began < 20
    assert not receiver.relay.connected


def test_a_scheduler_learns_that_a_silent_broker_confirmed_nothing(
    rabbitmq_server: PrivateRabbitMQ, line: Line, admitted: PlatformEnd
) -> None:
    agent = new_agent_id()
    platform = PlatformEnd(AmqpPlatformRelay(through(line, rabbitmq_server.scheduler_url), patience=0.3)).open()
    platform.call(platform.relay.admit([agent]))
    line.silence()

    with pytest.raises(RelayUnavailable, match="none of 2 messages"):
        platform.send(agent, body(n=1), body(n=2))
    began = time.monotonic()
    platform.close()

    assert time.monotonic() - began < 20


@pytest.mark.slow
def test_heartbeats_find_out_that_the_broker_is_dead(rabbitmq_server: PrivateRabbitMQ, line: Line) -> None:
    broker = dataclasses.replace(Broker.from_url(through(line, rabbitmq_server.scheduler_url)), heartbeat=1)

    async def lifetime() -> float:
        connection = await AmqpConnection.open(broker)
        channel = await connection.channel()
        line.silence()
        began = time.monotonic()
        assert isinstance(await asyncio.wait_for(channel.closed, 60), RelayUnavailable)
        await connection.close()
        return time.monotonic() - began

    assert asyncio.run(lifetime()) > 1


def test_the_rules_name_every_place_and_nothing_else() -> None:
    agent, other = new_agent_id(), new_agent_id()

    allowed = {
        (resource, name, permission)
        for resource in ("queue", "exchange")
        for name in (
            *(topology.agent_queue(one) for one in (agent, other)),
            *topology.SHARED_QUEUES,
            topology.COMMANDS,
            topology.INBOUND,
            "amq.default",
            "",
        )
        for permission in ("configure", "write", "read")
        if topology.may(agent, resource, name, permission)
    }

    assert allowed == {("queue", f"mig.agent.{agent}", "read"), ("exchange", topology.INBOUND, "write")}
    assert not topology.may("results", "queue", "mig.agent.results", "read")
    assert not topology.may_enter(agent, "/")
    assert not topology.may_enter("scheduler", "mig")
    assert topology.sender(agent) == agent
    assert [topology.sender(one) for one in ("", "scheduler", f"{agent}\n", f"result.{agent}")] == [""] * 4

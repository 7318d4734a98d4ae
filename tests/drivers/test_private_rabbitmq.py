"""The private RabbitMQ is started for real, and its questions about agents' logins are answered over HTTP."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import logging
import os
import secrets
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pika
import pytest

from mig_core.errors import ConfigurationError, RelayUnavailable
from mig_core.relay.private_rabbitmq import PrivateRabbitMQ, speaks_amqp
from mig_core.relay.private_rabbitmq_files import password_hash

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping

    from mig_core.testing.ordinary_user import OrdinaryUser
    from mig_core.testing.rabbitmq import LoginAuthority

TOKENS: dict[str, str] = {}
"""Of the agents of the test that runs. Each test has its own: the broker remembers for a while what it was told."""


def rules(question: str, fields: Mapping[str, str]) -> bool:
    """What mig-api would say: an agent reads its own queue and publishes to one exchange."""
    agent = fields["username"]
    match question:
        case "user":
            return TOKENS.get(agent) == fields["password"]
        case "vhost":
            return agent in TOKENS and fields["vhost"] == "mig"
        case "resource":
            wanted = (fields["resource"], fields["name"], fields["permission"])
            return wanted in {
                ("queue", f"mig.agent.{agent}", "read"),
                ("exchange", "mig.t.toscheduler", "write"),
                ("exchange", "mig.t.topics", "write"),
            }
    return False


@contextlib.contextmanager
def connected(url: str) -> Iterator[pika.BlockingConnection]:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        yield connection
    finally:
        if connection.is_open:
            connection.close()


@pytest.fixture(autouse=True)
def quiet_pika() -> Iterator[None]:
    logger = logging.getLogger("pika")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(before)


@pytest.fixture
def agents() -> Iterator[list[str]]:
    """The logins of two agents that the broker has never heard of."""
    TOKENS.update({f"agent-{secrets.token_hex(8)}": "right-token" for _ in range(2)})
    yield list(TOKENS)
    TOKENS.clear()


@pytest.fixture
def broker(
    agents: list[str], rabbitmq_server: PrivateRabbitMQ, login_authority: LoginAuthority
) -> Iterator[PrivateRabbitMQ]:
    """The shared broker with what the scheduler's relay driver would have declared for these tests."""
    login_authority.decide = rules
    with connected(rabbitmq_server.scheduler_url) as connection:
        channel = connection.channel()
        channel.exchange_declare("mig.t.toscheduler", "direct")
        channel.exchange_declare("mig.t.topics", "topic")
        for agent in agents:
            channel.queue_declare(f"mig.agent.{agent}")
    yield rabbitmq_server
    with connected(rabbitmq_server.scheduler_url) as connection:
        channel = connection.channel()
        channel.exchange_delete("mig.t.toscheduler")
        channel.exchange_delete("mig.t.topics")
        for agent in agents:
            channel.queue_delete(f"mig.agent.{agent}")
    login_authority.decide = lambda question, fields: False


# -- who may log in


def test_an_agent_with_its_token_connects(
    broker: PrivateRabbitMQ, agents: list[str], login_authority: LoginAuthority
) -> None:
    with connected(broker.amqp_url(agents[0], "right-token")) as connection:
        assert connection.is_open

    asked = [fields for question, fields in login_authority.asked if question == "vhost"]
    assert {"username": agents[0], "vhost": "mig"}.items() <= asked[-1].items()


def test_a_wrong_token_is_refused(broker: PrivateRabbitMQ, agents: list[str]) -> None:
    with pytest.raises(pika.exceptions.ProbableAuthenticationError):
        pika.BlockingConnection(pika.URLParameters(broker.amqp_url(agents[0], "wrong-token")))


def test_a_refusal_is_not_remembered_so_an_agent_approved_later_gets_in(
    broker: PrivateRabbitMQ, agents: list[str], login_authority: LoginAuthority
) -> None:
    url = broker.amqp_url(f"approved-later-{agents[0]}", "token")
    with pytest.raises(pika.exceptions.ProbableAuthenticationError):
        pika.BlockingConnection(pika.URLParameters(url))

    login_authority.decide = lambda question, fields: True

    with connected(url) as connection:
        assert connection.is_open


def test_each_login_is_asked_about_and_what_it_may_touch_only_once(
    broker: PrivateRabbitMQ, agents: list[str], login_authority: LoginAuthority
) -> None:
    url = broker.amqp_url(agents[0], "right-token")
    with connected(url) as connection:
        connection.channel().basic_get(f"mig.agent.{agents[0]}")
    login_authority.asked.clear()

    with connected(url) as connection:
        connection.channel().basic_get(f"mig.agent.{agents[0]}")
    again = [question for question, _ in login_authority.asked]
    login_authority.decide = lambda question, fields: False
    with pytest.raises(pika.exceptions.ProbableAuthenticationError):
        pika.BlockingConnection(pika.URLParameters(url))

    assert again == ["user"]


def test_the_default_account_guest_does_not_exist(broker: PrivateRabbitMQ) -> None:
    with pytest.raises(pika.exceptions.ProbableAuthenticationError):
        pika.BlockingConnection(pika.URLParameters(broker.amqp_url("guest", "guest")))


def test_the_scheduler_is_never_asked_about_but_a_wrong_password_of_it_is(
    broker: PrivateRabbitMQ, login_authority: LoginAuthority
) -> None:
    login_authority.asked.clear()
    with connected(broker.scheduler_url):
        asked_for_the_right_one = list(login_authority.asked)
    with pytest.raises(pika.exceptions.ProbableAuthenticationError):
        pika.BlockingConnection(pika.URLParameters(broker.amqp_url("scheduler", "guess")))

    assert asked_for_the_right_one == []
    assert [fields["username"] for _, fields in login_authority.asked] == ["scheduler"]


# -- who may do what


def test_an_agent_may_not_consume_another_agents_queue(broker: PrivateRabbitMQ, agents: list[str]) -> None:
    with connected(broker.amqp_url(agents[0], "right-token")) as connection:
        with pytest.raises(pika.exceptions.ChannelClosedByBroker) as refused:
            connection.channel().basic_get(f"mig.agent.{agents[1]}")
        own = connection.channel().basic_get(f"mig.agent.{agents[0]}")

    assert refused.value.reply_code == 403
    assert own == (None, None, None)


def test_an_agent_may_not_declare_anything(broker: PrivateRabbitMQ, agents: list[str]) -> None:
    with connected(broker.amqp_url(agents[0], "right-token")) as connection:
        for attempt in ("mig.agent.agent-9", "anything"):
            with pytest.raises(pika.exceptions.ChannelClosedByBroker) as refused:
                connection.channel().queue_declare(attempt)
            assert refused.value.reply_code == 403


def test_an_agent_that_claims_to_be_another_is_found_out_without_a_question_for_each_message(
    broker: PrivateRabbitMQ, agents: list[str], login_authority: LoginAuthority
) -> None:
    with connected(broker.amqp_url(agents[0], "right-token")) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish("mig.t.toscheduler", "heartbeat", b"mine", pika.BasicProperties(user_id=agents[0]))
        before = len(login_authority.asked)
        channel.basic_publish("mig.t.toscheduler", "result", b"mine", pika.BasicProperties(user_id=agents[0]))
        with pytest.raises(pika.exceptions.ChannelClosedByBroker) as refused:
            channel.basic_publish("mig.t.toscheduler", "result", b"forged", pika.BasicProperties(user_id=agents[1]))

    assert refused.value.reply_code == 406
    assert login_authority.asked[before:] == []


def test_a_topic_exchanges_routing_keys_are_asked_about_and_refused(
    broker: PrivateRabbitMQ, agents: list[str], login_authority: LoginAuthority
) -> None:
    with connected(broker.amqp_url(agents[0], "right-token")) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        with pytest.raises(pika.exceptions.ChannelClosedByBroker) as refused:
            channel.basic_publish("mig.t.topics", f"result.{agents[0]}", b"{}")

    assert refused.value.reply_code == 403
    asked = [fields for question, fields in login_authority.asked if question == "topic"]
    wanted = {"name": "mig.t.topics", "permission": "write", "routing_key": f"result.{agents[0]}"}
    assert wanted.items() <= asked[-1].items()


def test_the_scheduler_may_touch_only_what_begins_with_mig(broker: PrivateRabbitMQ) -> None:
    with connected(broker.scheduler_url) as connection:
        channel = connection.channel()
        channel.queue_declare("mig.own")
        channel.queue_delete("mig.own")
        with pytest.raises(pika.exceptions.ChannelClosedByBroker) as refused:
            channel.queue_declare("own")

    assert refused.value.reply_code == 403


# -- what it leaves open


def test_it_listens_on_loopback_only_and_runs_no_management(broker: PrivateRabbitMQ) -> None:
    assert broker.pid is not None
    inodes = set()
    for entry in Path(f"/proc/{broker.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            inodes.add(os.readlink(entry).removeprefix("socket:[").removesuffix("]"))
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    listening = [row[1] for row in rows if row[3] == "0A" and row[9] in inodes]

    # AMQP and Erlang's distribution, both on 127.0.0.1.
    assert len(listening) == 2
    assert all(address.startswith("0100007F:") for address in listening)
    plugins = (broker.state_dir / "enabled_plugins").read_text()
    assert plugins == "[rabbitmq_auth_backend_cache,rabbitmq_auth_backend_http].\n"


def test_files_with_secrets_are_private(broker: PrivateRabbitMQ) -> None:
    password = json.loads((broker.state_dir / "credentials.json").read_text())["scheduler"]

    assert broker.state_dir.stat().st_mode & 0o777 == 0o700
    assert (broker.state_dir / "credentials.json").stat().st_mode & 0o777 == 0o600
    assert (broker.state_dir / "home" / ".erlang.cookie").stat().st_mode & 0o777 == 0o400
    assert password not in (broker.state_dir / "definitions.json").read_text()


# -- life and death


@pytest.mark.slow
@pytest.mark.usefixtures("rabbitmq_server")  # only for its answer to "is there a RabbitMQ?"
def test_an_ordinary_users_broker_keeps_password_port_and_queues_and_ends_with_its_parent(
    ordinary_user: OrdinaryUser,
) -> None:
    # One test for several facts, because each start takes seconds. It has no auth_url: only `scheduler` may log in.
    state_dir = ordinary_user.home / "broker"
    first = ordinary_user.popen(START_AND_WAIT, str(state_dir), needs=NEEDED_FILES)
    uid, url = read_two_lines(first)
    with connected(url) as connection:
        connection.channel().queue_declare("mig.kept", durable=True)
    _, errors = first.communicate("stop\n")
    assert (uid, errors) == (str(ordinary_user.uid), "")
    assert processes_of(state_dir) == set()

    second = ordinary_user.popen(START_AND_WAIT, str(state_dir), needs=NEEDED_FILES)
    assert read_two_lines(second) == (uid, url)
    with connected(url) as connection:
        connection.channel().queue_declare("mig.kept", passive=True)
    assert {name for _, name in processes_of(state_dir)} >= {"epmd", "beam.smp"}
    second.kill()
    second.communicate()

    deadline = time.monotonic() + 60
    while processes_of(state_dir) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_of(state_dir) == set()


def test_a_second_broker_on_the_same_state_directory_is_refused(broker: PrivateRabbitMQ) -> None:
    with pytest.raises(RelayUnavailable, match="in use by another"):
        PrivateRabbitMQ(broker.state_dir, lock_wait=0.1).start()

    assert speaks_amqp(broker.port)


NEEDED_FILES = ["private_server.py", "relay/private_rabbitmq.py", "relay/private_rabbitmq_files.py"]

START_AND_WAIT = """
import sys
from pathlib import Path
from mig_core.relay.private_rabbitmq import PrivateRabbitMQ
with PrivateRabbitMQ(Path(sys.argv[1])) as broker:
    print(Path(f"/proc/{broker.pid}").stat().st_uid)
    print(broker.scheduler_url, flush=True)
    sys.stdin.readline()
"""


def read_two_lines(process: subprocess.Popen[str]) -> tuple[str, str]:
    assert process.stdout is not None
    first, second = process.stdout.readline().strip(), process.stdout.readline().strip()
    assert second, process.communicate()[1]
    return first, second


def processes_of(state_dir: Path) -> set[tuple[int, str]]:
    """Pid and name of every process whose home is the broker's, zombies aside."""
    home = f"HOME={state_dir / 'home'}".encode()
    found = set()
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdecimal() and home in (process / "environ").read_bytes().split(b"\0"):
                found.add((int(process.name), (process / "comm").read_text().strip()))
    return found


# -- without a broker


def test_its_own_address_is_unknown_before_the_start(tmp_path: Path) -> None:
    with pytest.raises(RelayUnavailable, match="does not run"):
        PrivateRabbitMQ(tmp_path).amqp_url("agent", "token")


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "http://127.0.0.1/x\nloopback_users = none", "127.0.0.1:80"])
def test_an_auth_url_that_could_change_the_configuration_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigurationError, match="auth_url"):
        PrivateRabbitMQ(tmp_path, auth_url=url)


def test_a_server_that_is_not_a_broker_does_not_speak_amqp() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(8)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()

        assert not speaks_amqp(server.getsockname()[1])
        thread.join()


def test_the_password_hash_is_salt_and_digest() -> None:
    raw = base64.b64decode(password_hash("secret", b"salt"))

    assert raw == b"salt" + hashlib.sha256(b"saltsecret").digest()

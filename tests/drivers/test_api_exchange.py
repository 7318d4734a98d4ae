"""The https relay's one route over a real mig-api: an exchange hands in and fetches, whichever way it takes inside.

Small ones are answered where HTTP is read, others by the application; both must do the same.
"""

from __future__ import annotations

import json
import socket
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPResponse
from queue import Queue
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from mig_core.domain.exchanges import Request
from mig_core.domain.messages import Kind, Outgoing
from mig_core.relay.https_agent import HttpsAgentRelay
from mig_core.relay.https_outbox import Patience
from mig_core.testing.api_site import SampleAgent
from mig_core.testing.nginx import LOCATION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mig_core.domain.messages import Inbound
    from mig_core.relay.base import Delivery
    from mig_core.store.postgres import PostgresStore
    from mig_core.testing.api_site import ApiSite
    from mig_core.testing.nginx import Nginx

SHORT, LONG = "short", "long"
"""The ways inside; what takes the second is larger than the first takes of anybody, or comes in chunks."""


@pytest.fixture
def agent(api_site: ApiSite) -> SampleAgent:
    agent = SampleAgent(api_site)
    assert agent.enrol().status == 200
    return agent


class Connection:
    """One connection of an agent, on which tests see every byte's time."""

    def __init__(self, agent: SampleAgent, token: str = "") -> None:
        host, _, port = agent.site.address.rpartition(":")
        self._login = f"{agent.id}:{token or agent.token}"
        self.socket = socket.create_connection((host, int(port)), timeout=60)

    def send(self, request: Request, way: str = SHORT, version: str = "1.1", more: bytes = b"") -> None:
        body = request.to_bytes()
        length = f"Content-Length: {len(body)}"
        if way == LONG:
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
            length = "Transfer-Encoding: chunked"
        head = (
            f"POST /api/v1/relay/exchange HTTP/{version}\r\nHost: x\r\nAuthorization: Bearer {self._login}\r\n"
            f"Content-Type: application/octet-stream\r\n{length}\r\n\r\n"
        )
        self.socket.sendall(head.encode("ascii") + body + more)

    def head(self) -> HTTPResponse:
        response = HTTPResponse(self.socket)
        response.begin()
        return response

    def answer(self) -> tuple[int, Any]:
        response = self.head()
        return response.status, json.loads(response.read())

    def ask(self, request: Request, way: str = SHORT) -> tuple[int, Any]:
        self.send(request, way)
        return self.answer()


@contextmanager
def connected(agent: SampleAgent, token: str = "") -> Iterator[Connection]:
    connection = Connection(agent, token)
    try:
        yield connection
    finally:
        connection.socket.close()


def poll(wait: int = 0, *, session: str = "one", acknowledged: Sequence[int] = (), limit: int = 8) -> Request:
    return Request(session, wait, limit, acknowledged)


def handing_in(*bodies: bytes, wait: int = 0, session: str = "one", limit: int = 8) -> Request:
    return Request(session, wait, limit, (), [(Kind.RESULT, one) for one in bodies])


def queue(agent: SampleAgent, *numbers: int) -> None:
    expires = datetime.now(UTC) + timedelta(minutes=5)
    messages = [Outgoing(agent.id, json.dumps({"number": one}).encode(), expires) for one in numbers]
    agent.site.platform(lambda store: store.relay_queue.put_commands(messages))


def stored(agent: SampleAgent) -> list[tuple[str, bytes]]:
    async def take(store: PostgresStore) -> Sequence[tuple[int, Inbound]]:
        return await store.relay_queue.take_inbound(limit=100, lease=60, now=datetime.now(UTC))

    return [(one.agent, one.body) for _, one in agent.site.platform(take)]


def metric(site: ApiSite, name: str) -> int:
    text = site.ask("GET", "/metrics").body.decode()
    return next((int(float(line.rpartition(" ")[2])) for line in text.splitlines() if line.startswith(f"{name} ")), 0)


def wait_for_polls(site: ApiSite, number: int) -> None:
    deadline = time.monotonic() + 60
    while metric(site, "mig_poll_waiters") != number:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def numbers(content: Any) -> list[int]:
    return [one["body"]["number"] for one in content["messages"]]


@pytest.mark.parametrize("way", [SHORT, LONG])
def test_one_exchange_hands_in_acknowledges_and_fetches(agent: SampleAgent, way: str) -> None:
    queue(agent, 1, 2)
    with connected(agent) as connection:
        _, first = connection.ask(poll(limit=1), way)
        queue(agent, 3)
        request = Request("one", 20, 8, [first["messages"][0]["id"]], [(Kind.RESULT, b"\x00not read")])

        status, second = connection.ask(request, way)

    assert (status, numbers(first), numbers(second)) == (200, [1], [2, 3])
    assert stored(agent) == [(agent.id, b"\x00not read")]
    with connected(agent) as connection:
        assert numbers(connection.ask(poll(session="two"), way)[1]) == [2, 3]  # and not what was acknowledged


@pytest.mark.parametrize("way", [SHORT, LONG])
def test_an_exchange_waits_until_a_message_is_there(agent: SampleAgent, way: str) -> None:
    with connected(agent) as connection:
        connection.send(poll(50), way)
        wait_for_polls(agent.site, 1)

        queue(agent, 7)

        began = time.monotonic()
        assert connection.answer() == (200, {"messages": [{"id": 1, "body": {"number": 7}}]})
        assert time.monotonic() - began < 30


@pytest.mark.parametrize("way", [SHORT, LONG])
def test_what_the_last_answer_brought_is_given_again_to_a_poll_that_does_not_wait(agent: SampleAgent, way: str) -> None:
    with connected(agent) as connection:
        queue(agent, 1)
        connection.ask(poll(20), way)
        queue(agent, 2)
        connection.ask(poll(20), way)  # so the answer with 1 has arrived

    # ... and this one perhaps not: the connection broke.
    with connected(agent) as connection:
        again = connection.ask(poll(0), way)[1]
        queue(agent, 3)
        after = connection.ask(poll(20), way)[1]

    assert (numbers(again), numbers(after)) == ([2], [3])


def test_an_exchange_waits_no_longer_than_it_is_asked_to(agent: SampleAgent) -> None:
    with connected(agent) as connection:
        began = time.monotonic()

        assert connection.ask(poll(1)) == (200, {"messages": []})

        assert 0.9 < time.monotonic() - began < 30


def test_the_answers_head_says_that_what_came_is_safe_long_before_the_body(agent: SampleAgent) -> None:
    with connected(agent) as connection:
        connection.send(handing_in(b"safe", wait=50))

        response = connection.head()

        assert response.status == 200
        assert stored(agent) == [(agent.id, b"safe")]
        queue(agent, 9)
        assert numbers(json.loads(response.read())) == [9]
        assert connection.ask(poll())[0] == 200  # the connection is still good


def test_through_a_proxy_that_speaks_http_1_0_the_answer_ends_with_the_connection(agent: SampleAgent) -> None:
    with connected(agent) as connection:
        connection.send(handing_in(b"old", wait=50), version="1.0")
        response = connection.head()
        queue(agent, 9)

        assert numbers(json.loads(response.read())) == [9]
        assert connection.socket.recv(1) == b""


@pytest.mark.parametrize("way", [SHORT, LONG])
def test_a_wrong_token_hands_in_nothing(agent: SampleAgent, way: str) -> None:
    with connected(agent, token="wrong") as connection:
        status, problem = connection.ask(handing_in(b"forged"), way)

    assert (status, problem["status"], problem["next_step"]) == (401, 401, "enrol again")
    assert stored(agent) == []


def test_nobody_acknowledges_anothers_messages(api_site: ApiSite, agent: SampleAgent) -> None:
    other = SampleAgent(api_site, "web2")
    other.enrol()
    queue(agent, 1)
    with connected(agent) as mine, connected(other) as foreign:
        _, first = mine.ask(poll())

        foreign.ask(poll(acknowledged=[first["messages"][0]["id"]]))

        assert numbers(mine.ask(poll(session="two"))[1]) == [1]


@pytest.mark.parametrize("carrying", [False, True])
def test_the_newest_exchange_of_an_agent_ends_the_older_one(agent: SampleAgent, carrying: bool) -> None:
    with connected(agent) as older, connected(agent) as newer:
        older.send(handing_in(b"x", wait=50, session="old") if carrying else poll(50, session="old"))
        wait_for_polls(agent.site, 1)
        newer.send(poll(50, session="new"))

        status, content = older.answer()

        assert (status, content.get("problem", content)["status"]) == (200 if carrying else 409, 409)
        queue(agent, 5)
        assert numbers(newer.answer()[1]) == [5]


def test_an_exchange_and_a_poll_of_the_release_before_end_one_another(agent: SampleAgent) -> None:
    with connected(agent) as connection:
        connection.send(poll(50, session="new"))
        wait_for_polls(agent.site, 1)

        old = agent.ask("GET", "/commands?session=old&wait=0")

        assert old.status == 200
        assert connection.answer()[0] == 409


def test_of_two_processes_that_take_turns_one_is_told_and_what_it_brings_is_kept(agent: SampleAgent) -> None:
    with connected(agent) as one, connected(agent) as two:
        answers = [
            connection.ask(poll(session=session))[0]
            for _ in range(4)
            for session, connection in (("a", one), ("b", two))
        ]

        status, content = one.ask(handing_in(b"of a copy", session="a"))

    assert answers[:4] == [200] * 4
    assert 409 in answers
    assert (status, content["messages"], content["problem"]["status"]) == (200, [], 409)
    assert "another machine" in content["problem"]["next_step"]
    assert stored(agent) == [(agent.id, b"of a copy")]


def test_a_retired_agents_exchange_ends_and_its_token_is_worth_nothing(api_site: ApiSite, agent: SampleAgent) -> None:
    alice = api_site.first_investigator()
    with connected(agent) as connection:
        connection.send(poll(50))
        wait_for_polls(api_site, 1)

        alice.retire_agent(agent.id)

        assert connection.answer()[0] == 401
        assert connection.ask(handing_in(b"late"))[0] == 401
    assert stored(agent) == []


def test_who_was_retired_while_nothing_was_heard_is_sent_away_with_the_next_word(
    api_site: ApiSite, agent: SampleAgent
) -> None:
    with connected(agent) as connection:
        connection.send(poll(30))
        wait_for_polls(api_site, 1)

        with psycopg.connect(api_site.owner_url, autocommit=True) as database:
            database.execute("UPDATE agents SET status = 'retired', token_digest = NULL")  # and nobody is told
            ended = database.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE application_name = 'mig-wakeups' AND datname = current_database()"
            ).fetchone()

        assert ended == (1,)
        assert connection.answer()[0] == 401
        assert connection.ask(handing_in(b"late"))[0] == 401
    assert stored(agent) == []


def test_an_exchange_whose_agent_has_gone_takes_no_messages(agent: SampleAgent) -> None:
    with connected(agent) as connection:
        connection.send(poll(50))
        wait_for_polls(agent.site, 1)
    wait_for_polls(agent.site, 0)

    queue(agent, 9)

    with connected(agent) as connection:
        assert numbers(connection.ask(poll(20))[1]) == [9]


def test_the_api_stops_at_once_and_answers_every_exchange(api_site: ApiSite, agent: SampleAgent) -> None:
    with connected(agent) as connection:
        connection.send(handing_in(b"x", wait=50))
        wait_for_polls(api_site, 1)

        took = api_site.stop()

        assert connection.answer() == (200, {"messages": []})
        assert took < 20  # a poll may wait for fifty


@pytest.mark.parametrize("size", [9_000, 60_000, 300_000])
def test_larger_messages_go_through_like_small_ones(agent: SampleAgent, size: int) -> None:
    with connected(agent) as connection:
        status, content = connection.ask(handing_in(b"x" * size))

    assert (status, content) == (200, {"messages": []})
    assert [len(body) for _, body in stored(agent)] == [size]


@pytest.mark.parametrize("way", [SHORT, LONG])
def test_an_exchange_that_makes_no_sense_is_refused(agent: SampleAgent, way: str) -> None:
    with connected(agent) as connection:
        status, problem = connection.ask(poll(session="a b"), way)

        assert (status, problem["field"]) == (400, "session")
        assert connection.ask(poll(), way)[0] == 200


def test_a_request_behind_one_that_awaits_its_answer_ends_the_connection(agent: SampleAgent) -> None:
    with connected(agent) as connection:
        connection.send(poll(50), more=b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")

        answered = b""
        while piece := connection.socket.recv(65536):
            answered += piece

    assert answered.startswith(b"HTTP/1.1 400")
    wait_for_polls(agent.site, 0)


def test_a_body_that_is_torn_hands_in_nothing(agent: SampleAgent) -> None:
    with connected(agent) as connection:
        whole = handing_in(b"torn" * 100).to_bytes()
        head = (
            f"POST /api/v1/relay/exchange HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {agent.id}:{agent.token}\r\n"
            f"Content-Type: application/octet-stream\r\nContent-Length: {len(whole)}\r\n\r\n"
        )
        connection.socket.sendall(head.encode("ascii") + whole[:-1])

    with connected(agent) as connection:
        connection.ask(handing_in(b"whole"))
    assert stored(agent) == [(agent.id, b"whole")]


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_through_an_nginx_with_its_defaults_an_answer_is_safe_before_the_next_command_comes(
    agent: SampleAgent, nginx_before: Callable[..., Nginx], version: str
) -> None:
    location = LOCATION.replace("proxy_http_version 1.1", f"proxy_http_version {version}")
    nginx = nginx_before(agent.site.address, location)
    inbox: Queue[Delivery] = Queue()
    relay = HttpsAgentRelay(
        nginx.url, agent.id, agent.token, patience=Patience(linger=20.0, afterwards=20.0, head=600.0)
    )
    relay.start(inbox.put)
    try:
        queue(agent, 1)
        inbox.get(timeout=60).acknowledge()

        relay.publish(Kind.RESULT, b"safe", timeout=60)  # would not return: no other connection is tried before that

        assert stored(agent) == [(agent.id, b"safe")]
        queue(agent, 2)
        assert json.loads(inbox.get(timeout=60).body) == {"number": 2}
    finally:
        relay.close()

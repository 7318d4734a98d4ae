"""The https relay's server side over a real mig-api: long polls, leases, acknowledgements, limits."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from mig_core.domain.exchanges import MAX_WAIT
from mig_core.domain.messages import Outgoing
from mig_core.testing.api_site import Answer, SampleAgent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_core.domain.messages import Inbound
    from mig_core.store.postgres import PostgresStore
    from mig_core.testing.api_site import ApiSite


@pytest.fixture
def agent(api_site: ApiSite) -> SampleAgent:
    agent = SampleAgent(api_site)
    assert agent.enrol().status == 200
    return agent


def queue(site: ApiSite, agent: SampleAgent, *numbers: int) -> None:
    """The scheduler hands messages over."""
    expires = datetime.now(UTC) + timedelta(minutes=5)
    messages = [Outgoing(agent.id, json.dumps({"number": one}).encode(), expires) for one in numbers]

    async def put(store: PostgresStore) -> None:
        await store.relay_queue.put_commands(messages)

    site.platform(put)


def polling(agent: SampleAgent, session: str = "one", wait: int = 50) -> tuple[threading.Thread, list[Answer]]:
    """A poll in the background; returns when the API knows of it."""
    answers: list[Answer] = []
    before = polls_open(agent.site)
    poll = threading.Thread(
        target=lambda: answers.append(agent.ask("GET", f"/commands?session={session}&wait={wait}", timeout=120))
    )
    poll.start()
    deadline = time.monotonic() + 60
    while polls_open(agent.site) <= before and poll.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    return poll, answers


def polls_open(site: ApiSite) -> int:
    text = site.ask("GET", "/metrics").body.decode()
    return int(float(next(line for line in text.splitlines() if line.startswith("mig_poll_waiters ")).split()[1]))


def numbers(answer: Answer) -> list[int]:
    return [one["body"]["number"] for one in answer.json["messages"]]


def test_a_waiting_poll_gets_a_message_as_soon_as_it_is_queued(api_site: ApiSite, agent: SampleAgent) -> None:
    poll, answers = polling(agent)

    queue(api_site, agent, 7)
    began = time.monotonic()
    poll.join(60)

    assert time.monotonic() - began < 30  # it would have waited for fifty
    assert [numbers(one) for one in answers] == [[7]]


def test_messages_stay_until_they_are_acknowledged(api_site: ApiSite, agent: SampleAgent) -> None:
    queue(api_site, agent, 1, 2, 3)
    first = agent.ask("GET", "/commands?session=one&wait=0&max=2")
    same_process = agent.ask("GET", "/commands?session=one&wait=0")
    ids = [one["id"] for one in first.json["messages"]]

    acknowledged = agent.ask("POST", "/acknowledge", body={"session": "one", "ids": ids[:1]})
    restarted = agent.ask("GET", "/commands?session=two&wait=0")

    assert numbers(first) == [1, 2]
    assert numbers(same_process) == [3]
    assert acknowledged.status == 204
    assert numbers(restarted) == [2, 3]


def test_nobody_reads_or_acknowledges_anothers_messages(api_site: ApiSite, agent: SampleAgent) -> None:
    other = SampleAgent(api_site, "web2")
    other.enrol()
    queue(api_site, agent, 1)
    mine = agent.ask("GET", "/commands?session=one&wait=0")
    ids = [one["id"] for one in mine.json["messages"]]

    seen = other.ask("GET", "/commands?session=x&wait=0")
    other.ask("POST", "/acknowledge", body={"session": "x", "ids": ids})
    again = agent.ask("GET", "/commands?session=two&wait=0")
    borrowed = api_site.ask("GET", "/api/v1/relay/commands?session=x&wait=0", token=f"{agent.id}:{other.token}")

    assert numbers(seen) == []
    assert numbers(again) == [1]
    assert borrowed.status == 401


def test_the_newest_poll_of_an_agent_ends_the_older_one(api_site: ApiSite, agent: SampleAgent) -> None:
    older, older_answers = polling(agent, "old")
    newer = threading.Thread(target=lambda: newer_answers.append(agent.ask("GET", "/commands?session=new&wait=50")))
    newer_answers: list[Answer] = []
    newer.start()
    older.join(60)

    queue(api_site, agent, 5)
    newer.join(60)

    assert [one.status for one in older_answers] == [409]
    assert [numbers(one) for one in newer_answers] == [[5]]


def test_a_poll_whose_agent_has_gone_takes_no_commands(api_site: ApiSite, agent: SampleAgent) -> None:
    connection = http.client.HTTPConnection(api_site.address, timeout=60)
    connection.request(
        "GET",
        "/api/v1/relay/commands?session=one&wait=50",
        headers={"Authorization": f"Bearer {agent.id}:{agent.token}"},
    )
    _wait_for(lambda: polls_open(api_site) == 1)

    connection.close()
    _wait_for(lambda: polls_open(api_site) == 0)
    queue(api_site, agent, 9)
    same_session = agent.ask("GET", "/commands?session=one&wait=0")

    assert numbers(same_session) == [9]


def test_a_retired_agents_poll_ends(api_site: ApiSite, agent: SampleAgent) -> None:
    alice = api_site.first_investigator()
    poll, answers = polling(agent)

    alice.retire_agent(agent.id)
    poll.join(60)

    assert [one.status for one in answers] == [401]
    assert agent.ask("GET", "/commands?session=one&wait=0").status == 401


def test_of_two_processes_that_take_turns_one_is_served_and_the_other_told_why(
    api_site: ApiSite, agent: SampleAgent
) -> None:
    alice = api_site.first_investigator()
    turns = ["one", "two"] * 4
    answers = [agent.ask("GET", f"/commands?session={session}&wait=0") for session in turns]
    queue(api_site, agent, 5)

    refused = agent.ask("GET", "/commands?session=one&wait=0")
    served = agent.ask("GET", "/commands?session=two&wait=0")

    assert [one.status for one in answers] == [200] * 4 + [409, 200] * 2
    assert refused.status == 409
    assert "two processes of this agent" in refused.json["detail"] and "another machine" in refused.json["next_step"]
    assert numbers(served) == [5]
    shown = alice.agent(agent.id)
    assert shown["twosessions"]
    assert [one["event"] for one in shown["events"]] == ["two_sessions"]
    assert alice.dashboard()["alarms"]["agents_in_two_sessions"] == 1
    assert alice.dashboard()["counters"]["agent.two_sessions"] == 1


def test_an_agent_that_was_started_again_is_no_second_one(api_site: ApiSite, agent: SampleAgent) -> None:
    alice = api_site.first_investigator()

    answers = [agent.ask("GET", f"/commands?session=s{number // 2}&wait=0") for number in range(20)]

    assert {one.status for one in answers} == {200}
    assert alice.agent(agent.id)["twosessions"] is None


def test_results_and_heartbeats_are_stored_as_they_came(api_site: ApiSite, agent: SampleAgent) -> None:
    bodies = {"result": b"\x00not looked at", "heartbeat": b'{"a": "b"}'}

    statuses = [agent.ask("POST", f"/messages/{kind}", body=body).status for kind, body in bodies.items()]

    async def take(store: PostgresStore) -> Sequence[tuple[int, Inbound]]:
        return await store.relay_queue.take_inbound(limit=10, lease=10, now=datetime.now(UTC))

    inbound = [one for _, one in api_site.platform(take)]
    assert statuses == [204, 204]
    assert {one.kind.value: one.body for one in inbound} == bodies
    assert {one.agent for one in inbound} == {agent.id}


def test_a_body_that_is_declared_too_large_is_refused_before_it_is_read(api_site: ApiSite, agent: SampleAgent) -> None:
    host, _, port = api_site.address.rpartition(":")
    head = (
        "POST /api/v1/relay/messages/result HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {agent.id}:{agent.token}\r\nContent-Length: 100000000\r\n\r\n"
    )

    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(head.encode() + b"only the beginning")
        status = connection.recv(65536).split(b"\r\n")[0]

    assert status.startswith(b"HTTP/1.1 413")


def test_a_body_without_a_declared_length_is_cut_off_at_the_limit(api_site: ApiSite, agent: SampleAgent) -> None:
    host, _, port = api_site.address.rpartition(":")
    head = (
        "POST /api/v1/relay/messages/heartbeat HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {agent.id}:{agent.token}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"

    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(head.encode())
        for _ in range(17):
            connection.sendall(chunk)
        status = connection.recv(65536).split(b"\r\n")[0]

    assert status.startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "path", ["/commands?session=&wait=0", "/commands?session=a%20b&wait=0", "/commands?session=a&wait=-1"]
)
def test_a_poll_that_makes_no_sense_is_refused(agent: SampleAgent, path: str) -> None:
    assert agent.ask("GET", path).status == 400


def test_a_poll_waits_no_longer_than_it_was_asked_to(agent: SampleAgent) -> None:
    began = time.monotonic()

    answer = agent.ask("GET", "/commands?session=one&wait=1")

    assert answer.json == {"messages": []}
    assert 0.9 < time.monotonic() - began < 30
    assert MAX_WAIT == 60


def test_the_api_stops_at_once_and_answers_every_open_poll(api_site: ApiSite, agent: SampleAgent) -> None:
    agents = [agent, *(SampleAgent(api_site, f"web{number}") for number in range(5))]
    for one in agents[1:]:
        one.enrol()
    open_polls = [polling(one) for one in agents]

    took = api_site.stop()

    for poll, answers in open_polls:
        poll.join(60)
        assert [one.status for one in answers] == [200]
        assert answers[0].json == {"messages": []}
    assert took < 20  # polls may wait for fifty


def _wait_for(condition: object, seconds: float = 60) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)

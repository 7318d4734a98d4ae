"""Long polling over real HTTP, against a small server with the API's three routes on a queue in memory.

mig-api's own routes, on the real queue in PostgreSQL, run the same contract in their tests.
"""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mig_core.domain.messages import Kind
from mig_core.errors import (
    RelayDenied,
    RelayRefused,
    RelayUnavailable,
    RelayUnwanted,
    StoreUnavailable,
)
from mig_core.relay.https_agent import HttpsAgentRelay
from mig_core.relay.https_outbox import Patience
from mig_core.relay.https_platform import HttpsPlatformRelay
from mig_core.testing.eventually import eventually
from mig_core.testing.https_relay_site import Site
from mig_core.testing.relay_contract import RelayContract
from mig_core.testing.relay_ends import AgentEnd, Ends, PlatformEnd, RelayPair, body, new_agent_id

if TYPE_CHECKING:
    from collections.abc import Iterator


ESTABLISHED, KEEPALIVE = "01", "02"


def incompressible(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.server.stop()


@pytest.fixture
def ends(site: Site) -> Iterator[Ends]:
    ends = Ends(RelayPair(site.platform_end, site.agent_end))
    yield ends
    ends.close()


class TestHttpsRelay(RelayContract):
    @pytest.fixture
    def relay_pair(self, site: Site) -> RelayPair:
        return RelayPair(site.platform_end, site.agent_end, site.restart, lambda: site.platform_end(60.0))


def test_a_wrong_token_is_denied(site: Site) -> None:
    relay = HttpsAgentRelay(site.server.url, new_agent_id(), "wrong")

    with pytest.raises(RelayDenied, match="401 unknown agent"):
        relay.publish(Kind.RESULT, body(answer=1))
    relay.close()


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_server_in_trouble_is_asked_again_within_the_callers_time(site: Site, ends: Ends, status: int) -> None:
    agent = new_agent_id()
    platform = ends.platform()
    relay = site.agent_end(agent)
    site.server.faults += [status, status]

    relay.publish(Kind.RESULT, body(answer=1), timeout=60)

    assert platform.take(1)[0].body == body(answer=1)
    relay.close()


@pytest.mark.parametrize("size", [10, 60_000, 300_000], ids=["exchanged", "alone", "in pieces"])
def test_a_page_that_a_proxy_shows_instead_is_not_taken_for_the_relay(site: Site, ends: Ends, size: int) -> None:
    platform = ends.platform()
    relay = site.agent_end(new_agent_id())
    site.server.faults += ["<html>We are back soon</html>"] * 2
    message = body(answer=incompressible(size).hex())

    relay.publish(Kind.RESULT, message, timeout=60)

    assert platform.take(1)[0].body == message
    assert not site.server.faults
    relay.close()


@pytest.mark.parametrize("largest", [500_000, 64_000, 20_000])
def test_pieces_become_as_small_as_what_is_on_the_way_takes(site: Site, ends: Ends, largest: int) -> None:
    agent = new_agent_id()
    platform = ends.platform()
    relay = site.agent_end(agent)
    site.server.largest = largest
    small, large = incompressible(100_000), incompressible(700_000)

    relay.publish(Kind.RESULT, large, timeout=60)
    relay.publish(Kind.RESULT, small, timeout=60)

    assert {one.body for one in platform.take(2)} == {small, large}
    relay.close()


def test_a_message_that_fits_nowhere_is_refused_and_the_next_one_is_not(site: Site, ends: Ends) -> None:
    agent = new_agent_id()
    platform = ends.platform()
    relay = site.agent_end(agent)
    site.server.largest = 1000

    with pytest.raises(RelayRefused, match="413"):
        relay.publish(Kind.RESULT, incompressible(50_000), timeout=60)
    relay.publish(Kind.RESULT, body(answer=1), timeout=60)

    assert platform.take(1)[0].body == body(answer=1)
    relay.close()


def test_a_connection_that_breaks_in_the_middle_of_a_large_message_costs_one_piece(site: Site, ends: Ends) -> None:
    agent = new_agent_id()
    platform = ends.platform()
    relay = site.agent_end(agent)
    site.server.largest = 20_000
    large = incompressible(200_000)
    with pytest.raises(RelayRefused):
        relay.publish(Kind.HEARTBEAT, large)  # never in pieces
    relay.publish(Kind.RESULT, large, timeout=60)  # finds out how small pieces must be
    platform.take(1)
    pieces = sum(request.startswith("PUT") for request in site.server.requests)
    site.server.requests.clear()
    another = incompressible(200_001)

    site.server.breaks_after = 5
    with pytest.raises(RelayUnavailable):
        relay.publish(Kind.RESULT, another, timeout=0.5)
    site.server.breaks_after = None
    relay.publish(Kind.RESULT, another, timeout=60)

    assert platform.take(1)[0].body == another
    sent = [request for request in site.server.requests if request.startswith("PUT")]
    assert len(set(sent)) <= pieces
    assert len(sent) <= len(set(sent)) + 4
    relay.close()


@pytest.mark.parametrize(("status", "kind"), [(410, RelayUnwanted), (400, RelayRefused), (404, RelayRefused)])
def test_a_message_that_is_refused_is_told_from_a_login_that_is(
    site: Site, status: int, kind: type[RelayRefused]
) -> None:
    relay = site.agent_end(new_agent_id())
    site.server.faults += [status, 403]

    with pytest.raises(kind) as refused:
        relay.publish(Kind.RESULT, body(answer=1))
    with pytest.raises(RelayDenied):
        relay.publish(Kind.RESULT, body(answer=1))

    assert type(refused.value) is kind
    relay.close()


def test_without_a_server_publishing_is_given_up_in_time() -> None:
    relay = HttpsAgentRelay("http://127.0.0.1:9", new_agent_id(), "token")
    began = time.monotonic()

    with pytest.raises(RelayUnavailable):
        relay.publish(Kind.RESULT, body(answer=1), timeout=1.0)

    assert time.monotonic() - began < 30
    relay.close()


@pytest.mark.parametrize(
    "nonsense",
    [
        b"not JSON",
        b'{"messages": [{"id": "1", "body": {}}]}',
        b'{"messages": [{"id": 1, "body": "text"}]}',
        b'{"messages": [{"id": 1, "body": {"n": 1e999}}]}',
        b'{"messages": [' + b"[" * 5000 + b"]" * 5000 + b"]}",
        b'{"messages": "' + b"x" * (12 << 20) + b'"}',
    ],
    ids=["text", "id", "body", "number", "depth", "size"],
)
def test_nonsense_from_the_server_is_survived(site: Site, ends: Ends, nonsense: bytes) -> None:
    agent = new_agent_id()
    platform = ends.platform()
    site.server.faults.append(nonsense)

    receiver = ends.agent(agent)
    platform.send(agent, body(n=1))

    assert receiver.take(1) == [body(n=1)]


def test_a_lease_that_ends_while_a_command_is_worked_on_does_not_hand_it_over_twice(site: Site, ends: Ends) -> None:
    agent = new_agent_id()
    platform = ends.platform()
    receiver = ends.agent(agent)
    platform.send(agent, body(n=1))
    held = receiver.next()

    site.queue.end_leases()
    platform.send(agent, body(n=2))

    assert receiver.take(1) == [body(n=2)]
    receiver.expect_silence()
    held.acknowledge()


def test_acknowledgements_are_sent_while_the_poll_waits(site: Site, ends: Ends) -> None:
    agent = new_agent_id()
    platform = ends.platform()
    receiver = ends.agent(agent)
    platform.send(agent, *(body(n=n) for n in range(5)))

    receiver.take(5)

    eventually(lambda: not site.queue.commands)


def test_one_connection_carries_commands_answers_and_acknowledgements(site: Site, ends: Ends) -> None:
    agent = new_agent_id()
    platform = ends.platform()
    relay = site.agent_end(agent, patience=Patience(linger=20.0, afterwards=20.0))
    receiver = AgentEnd(relay, agent).start()

    for number in range(5):
        platform.send(agent, body(n=number))
        receiver.next().acknowledge()
        relay.publish(Kind.RESULT, body(answer=number))

    assert {one.body for one in platform.take(5)} == {body(answer=number) for number in range(5)}
    assert site.server.connections == 1
    assert set(site.server.requests) == {"POST /api/v1/relay/exchange"}
    assert not site.queue.commands
    relay.close()


def test_while_a_poll_waits_the_kernel_asks_whether_the_other_side_is_still_there(site: Site, ends: Ends) -> None:
    agent = new_agent_id()
    ends.agent(agent)
    server = f":{site.server.server_port:04X}"

    def timers() -> set[str]:
        # https://docs.kernel.org/networking/proc_net_tcp.html: addresses, state, queues, and which timer is running
        rows = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
        return {row[5][:2] for row in rows if row[2].endswith(server) and row[3] == ESTABLISHED}

    eventually(lambda: timers() == {KEEPALIVE})


def test_an_answer_that_comes_while_the_poll_is_away_does_not_wait_for_it(site: Site, ends: Ends) -> None:
    agent = new_agent_id()
    platform = ends.platform()
    receiver = ends.agent(agent)
    platform.send(agent, body(n=1))
    held = receiver.next()
    platform.send(agent, body(n=2))
    receiver.next()  # so the poll went on without waiting for the first one's answer

    receiver.relay.publish(Kind.RESULT, body(answer=1), timeout=60)
    held.acknowledge()

    assert platform.take(1)[0].body == body(answer=1)


def test_where_heads_are_kept_back_answers_arrive_and_polls_travel_apart_from_then_on(site: Site, ends: Ends) -> None:
    agent = new_agent_id()
    platform = ends.platform()
    site.server.heads_late = True
    relay = site.agent_end(agent, patience=Patience(linger=20.0, afterwards=20.0, head=0.2))
    receiver = AgentEnd(relay, agent).start()

    for number in range(3):
        platform.send(agent, body(n=number))
        receiver.next().acknowledge()
        relay.publish(Kind.RESULT, body(answer=number), timeout=60)

    expected = {body(answer=number) for number in range(3)}
    arrived: set[bytes] = set()
    while arrived != expected:  # one came twice: with the poll whose head was late, and beside it
        arrived.update(one.body for one in platform.take(1))
    assert site.server.connections == 2
    relay.close()


def test_a_message_that_is_refused_does_not_take_others_with_it(site: Site, ends: Ends) -> None:
    agent = new_agent_id()
    platform = ends.platform()
    relay = site.agent_end(agent)
    site.server.largest = 5_000
    bad, good = incompressible(9_000), body(answer=1)
    refused: list[Exception] = []

    def publish_bad() -> None:
        with pytest.raises(RelayRefused) as error:
            relay.publish(Kind.HEARTBEAT, bad, timeout=60)
        refused.append(error.value)

    thread = threading.Thread(target=publish_bad)
    thread.start()
    relay.publish(Kind.RESULT, good, timeout=60)
    thread.join()

    assert platform.take(1)[0].body == good
    assert len(refused) == 1
    relay.close()


def test_a_second_process_of_the_same_agent_takes_over_the_first_ones_messages(site: Site, ends: Ends) -> None:
    agent = new_agent_id()
    platform = ends.platform()
    first = ends.agent(agent)
    platform.send(agent, body(n=1))
    first.next()

    second = ends.agent(agent)

    assert second.take(1) == [body(n=1)]
    first.relay.close()


def test_redirects_are_not_followed_with_the_token(site: Site) -> None:
    relay = site.agent_end(new_agent_id())
    site.server.faults += [307] * 99

    with pytest.raises(RelayUnavailable, match="307"):
        relay.publish(Kind.RESULT, body(answer=1), timeout=2.0)

    assert set(site.server.requests) == {"POST /api/v1/relay/exchange"}
    relay.close()


# -- the scheduler's end


def test_a_queue_that_is_away_is_unavailable_and_found_again(site: Site, ends: Ends) -> None:
    platform = ends.platform()
    agent = new_agent_id()
    site.queue.away = True

    with pytest.raises(RelayUnavailable):
        platform.send(agent, body(n=1))
    with pytest.raises(RelayUnavailable):
        platform.call(platform.relay.dismiss([agent]))

    site.server.tokens[agent] = "token"
    sender = HttpsAgentRelay(site.server.url, agent, "token")
    sender.publish(Kind.RESULT, body(answer=1))
    site.queue.away = False
    assert platform.take(1)[0].body == body(answer=1)
    sender.close()


def test_a_listener_that_fails_at_once_does_not_spin(site: Site) -> None:
    calls = 0

    async def broken(_seconds: float) -> None:
        nonlocal calls
        calls += 1
        raise StoreUnavailable("no connection to listen on")

    platform = PlatformEnd(HttpsPlatformRelay(site.queue, broken)).open()
    began = time.monotonic()
    time.sleep(0.5)
    platform.close()

    assert calls <= 8 * (time.monotonic() - began)

"""What agents hand in, over a real mig-api (and nginx): large results in pieces, torn bodies, budgets."""

from __future__ import annotations

import base64
import random
import resource
import socket
import threading
import time
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from mig_core.domain.command import ActionState
from mig_core.domain.messages import Kind
from mig_core.errors import RelayUnwanted
from mig_core.relay.https_agent import HttpsAgentRelay
from mig_core.testing.api_site import SampleAgent
from mig_core.testing.store_samples import SIGNER, action

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mig_core.domain.messages import Backlog, Inbound
    from mig_core.store.postgres import PostgresStore
    from mig_core.testing.api_site import ApiSite
    from mig_core.testing.nginx import Nginx

UPLOAD = "ab" * 16


@pytest.fixture
def agent(api_site: ApiSite) -> SampleAgent:
    agent = SampleAgent(api_site)
    assert agent.enrol().status == 200
    return agent


def stored(site: ApiSite) -> Sequence[Inbound]:
    async def take(store: PostgresStore) -> Sequence[Inbound]:
        taken = []
        while some := await store.relay_queue.take_inbound(limit=99, lease=60, now=datetime.now(UTC)):
            taken += [message for _, message in some]
        return taken

    return site.platform(take)


def backlog(site: ApiSite) -> Backlog:
    async def look(store: PostgresStore) -> Backlog:
        return await store.relay_queue.backlog()

    return site.platform(look)


def end(url: str, agent: SampleAgent) -> HttpsAgentRelay:
    return HttpsAgentRelay(url, agent.id, agent.token)


def put(agent: SampleAgent, piece: int, pieces: int, body: bytes, *, query: str = "") -> int:
    path = f"/api/v1/relay/uploads/{UPLOAD}/{piece}?pieces={pieces}{query}"
    headers = {"Content-Type": "application/octet-stream"}
    return agent.site.ask("PUT", path, body=body, token=f"{agent.id}:{agent.token}", headers=headers).status


def test_a_large_result_fits_through_a_proxy_with_its_defaults(
    api_site: ApiSite, agent: SampleAgent, nginx_before: Callable[..., Nginx]
) -> None:
    large = random.Random(1).randbytes(20 << 20)
    relay = end(nginx_before(api_site.address).url, agent)

    relay.publish(Kind.RESULT, large, timeout=60)

    (message,) = stored(api_site)
    assert message.body == large
    assert message.agent == agent.id
    relay.close()


def test_a_proxy_that_takes_very_little_is_coped_with(
    api_site: ApiSite, agent: SampleAgent, nginx_before: Callable[..., Nginx]
) -> None:
    location = """
        client_max_body_size 100k;
        location / { proxy_pass http://UPSTREAM; }
    """
    large, small = random.Random(1).randbytes(1 << 20), random.Random(2).randbytes(150_000)
    relay = end(nginx_before(api_site.address, location).url, agent)

    relay.publish(Kind.RESULT, large, timeout=60)
    relay.publish(Kind.RESULT, small, timeout=60)

    assert {message.body for message in stored(api_site)} == {large, small}
    relay.close()


@pytest.mark.fault("torn upload")
@pytest.mark.parametrize("declared", [b"Content-Length: 90000", b"Transfer-Encoding: chunked"])
@pytest.mark.parametrize("path", ["POST /api/v1/relay/messages/result", "PUT /api/v1/relay/uploads/{}/0?pieces=1"])
def test_a_body_that_is_torn_in_the_middle_is_no_message(
    api_site: ApiSite, agent: SampleAgent, declared: bytes, path: str
) -> None:
    host, _, port = api_site.address.rpartition(":")
    head = f"{path.format(UPLOAD)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {agent.id}:{agent.token}\r\n".encode()
    piece = b"8000\r\n" + b"x" * 0x8000 + b"\r\n" if b"chunked" in declared else b"x" * 40_000

    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(head + declared + b"\r\n\r\n" + piece)
        time.sleep(0.3)  # so that some of it has been read

    assert agent.ask("POST", "/messages/heartbeat", body=b"after it").status == 204
    assert [message.body for message in stored(api_site)] == [b"after it"]
    assert backlog(api_site).total == len(b"after it")


def test_a_result_that_no_command_waits_for_is_refused_at_its_first_piece(
    api_site: ApiSite, agent: SampleAgent
) -> None:
    other = SampleAgent(api_site, "web2.example.net")
    other.enrol()
    asked = action()

    async def ask(store: PostgresStore) -> str:
        now = datetime.now(UTC)
        await store.actions.create(asked, b"{}", signers=[SIGNER], state=ActionState.SCHEDULED, now=now)
        await store.actions.fan_out(asked.id, asked.parsed_target(), now=now)
        return (await store.commands.get(asked.id, agent.id)).id

    command = api_site.platform(ask)

    assert put(agent, 0, 2, b"x", query=f"&command={command}") == 200
    assert put(other, 0, 2, b"x", query=f"&command={command}") == 410
    assert put(agent, 0, 2, b"x", query=f"&command={asked.id}") == 410
    relay = end(api_site.url, other)
    beginning = b'{"payloadType":"application/vnd.mig.result.v3+json","payload":"'
    claim = b'{"command":"%b","action":"%b",' % (command.encode(), asked.id.encode())
    payload = base64.b64encode(claim + bytes(400_000))
    with pytest.raises(RelayUnwanted, match="foreign"):
        relay.publish(Kind.RESULT, beginning + payload + b'"}')
    relay.close()


@pytest.mark.parametrize(
    ("piece", "pieces", "body"),
    [(1, 1, b"x"), (0, 0, b"x"), (0, 5000, b"x"), (0, 1, b""), (0, 1, b"x" * 1_000_001)],
    ids=["beyond the last", "no pieces", "too many", "empty", "too large"],
)
def test_a_piece_that_makes_no_sense_is_refused(agent: SampleAgent, piece: int, pieces: int, body: bytes) -> None:
    assert put(agent, piece, pieces, body) in (400, 413)
    assert backlog(agent.site).total == 0


def test_an_agent_that_stores_without_end_is_told_to_wait_and_others_are_not(
    api_site: ApiSite, agent: SampleAgent
) -> None:
    other = SampleAgent(api_site, "web2.example.net")
    other.enrol()
    body = random.Random(1).randbytes(1_000_000)

    statuses = [agent.ask("POST", "/messages/result", body=body).status for _ in range(70)]

    assert statuses[0] == 204
    assert statuses[-1] == 503
    assert backlog(api_site).total <= (64 << 20) + len(body)  # one may be on its way while the sums are looked at
    assert other.ask("POST", "/messages/result", body=body).status == 204
    stored(api_site)


def test_many_large_results_at_once_neither_fill_the_memory_nor_block_others(
    api_site: ApiSite, agent: SampleAgent
) -> None:
    agents = [SampleAgent(api_site, f"web{number}") for number in range(10)]
    for one in agents:
        one.enrol()
    message = zlib.compress(random.Random(1).randbytes(1000), 0) + random.Random(2).randbytes(15 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    relays = [end(api_site.url, one) for one in agents]
    threads = [
        threading.Thread(target=one.publish, args=(Kind.RESULT, message), kwargs={"timeout": 60}) for one in relays
    ]

    for thread in threads:
        thread.start()
    waits = []
    while any(thread.is_alive() for thread in threads):
        began = time.monotonic()
        assert agent.ask("POST", "/messages/heartbeat", body=b"beat", timeout=60).status == 204
        waits.append(time.monotonic() - began)
        time.sleep(0.05)
    for relay in relays:
        relay.close()

    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    assert max(waits) < 30
    # This process plays the agents too: each holds its message and the compressed stream.
    assert grown < 10 * 2 * len(message) + (200 << 20)
    assert backlog(api_site).total > 10 * (15 << 20)

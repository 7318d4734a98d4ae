"""What mig-api takes from a peer that never comes to the end of a head, or of the trailers behind a body."""

from __future__ import annotations

import contextlib
import http.client
import socket
from typing import TYPE_CHECKING

import pytest

from mig_core.api.http_protocol import MAX_HEAD_BYTES
from mig_core.domain.exchanges import Request
from mig_core.domain.messages import Kind
from mig_core.testing.api_site import SampleAgent

if TYPE_CHECKING:
    from mig_core.testing.api_site import ApiSite

POST = b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
ENOUGH = 8 << 20
"""Bytes that are far more than the socket's buffers and the bound together."""


def talk(site: ApiSite, beginning: bytes, piece: bytes, *, sizes: int = ENOUGH) -> tuple[bytes, int]:
    """Sends the beginning, then the piece again and again; gives the answer, and how many bytes could be sent."""
    host, _, port = site.address.rpartition(":")
    sent = 0
    answer = b""
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        with contextlib.suppress(ConnectionError):  # cut off, as it should be
            connection.sendall(beginning)
            while sent < sizes:
                connection.sendall(piece)
                sent += len(piece)
        with contextlib.suppress(ConnectionError):  # what was still under way made the system drop the answer
            answer = connection.recv(65536)
    return answer, sent


@pytest.mark.parametrize(
    ("beginning", "piece"),
    [
        (b"GET /", b"a" * 8192),
        (b"GET / HTTP/1.1\r\nX-Endless: ", b"a" * 8192),
        (b"GET / HTTP/1.1\r\n", b"X-Another: one\r\n" * 512),
        (POST + b"0\r\n", b"X-Trailer: one\r\n" * 512),
        (POST + b"1;", b"a" * 8192),
    ],
    ids=["address", "one header", "many headers", "trailers", "a chunk's extension"],
)
def test_a_peer_that_never_comes_to_an_end_is_cut_off(api_site: ApiSite, beginning: bytes, piece: bytes) -> None:
    answer, sent = talk(api_site, beginning, piece)

    assert sent < ENOUGH
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
    assert api_site.ask("GET", "/healthz").status == 200


def test_a_head_that_is_large_but_ends_is_answered(api_site: ApiSite) -> None:
    head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Large: "

    answer, _ = talk(api_site, head, b"a" * (MAX_HEAD_BYTES // 2) + b"\r\n\r\n", sizes=1)

    assert answer.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "line",
    [
        b"GET /healthz",
        b"GET /healthz HTTP/0.9",
        b"GET /healthz HTTP/2.0",
        b"GET /healthz HTTP/1.9",
        b"GET /healthz ICY/1.0",
    ],
)
def test_another_version_of_http_is_a_400(api_site: ApiSite, line: bytes) -> None:
    answer, _ = talk(api_site, line + b"\r\n\r\n", b"", sizes=0)

    assert answer.startswith(b"HTTP/1.1 400")
    assert b"Traceback" not in answer
    assert api_site.ask("GET", "/healthz").status == 200


UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"
NEXT = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_a_wish_for_another_protocol_is_ignored(api_site: ApiSite, pieces: int) -> None:
    agent = SampleAgent(api_site)
    agent.enrol()
    body = Request("s", 0, 1, (), ((Kind.HEARTBEAT, NEXT),)).to_bytes()
    exchange = (
        b"POST /api/v1/relay/exchange HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"
        + f"Authorization: Bearer {agent.id}:{agent.token}\r\nContent-Length: {len(body)}\r\n".encode()
    )
    login = b"POST /api/v1/login/nonce HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    sent = (
        *(exchange + UPGRADE + b"\r\n" + body, login + UPGRADE + b"\r\n2\r\n{}\r\n0\r\n\r\n"),
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + UPGRADE + b"\r\n",
        NEXT,
    )

    host, _, port = api_site.address.rpartition(":")
    statuses = []
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        for request in sent:
            size = -(-len(request) // pieces)
            for start in range(0, len(request), size):
                connection.sendall(request[start : start + size])
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            answer.read()
            statuses.append(answer.status)

    assert statuses == [200, 201, 200, 200]


def test_a_tunnel_is_a_400(api_site: ApiSite) -> None:
    answer, _ = talk(api_site, b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n", NEXT, sizes=1)

    assert answer.startswith(b"HTTP/1.1 400") and answer.count(b"HTTP/1.1") == 1

"""HTTP straight to mig-api: connections are used again, what is cut short is no answer, only GET is repeated."""

from __future__ import annotations

import re
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from mig_core.client.transport import Transport
from mig_core.config.client import ClientSettings
from mig_core.errors import ApiUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
KEPT, CUT = True, False


class Server:
    """Says what it is told to, request by request, and closes the connection after some of them."""

    def __init__(self, says: Sequence[tuple[bytes, bool]]) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.closed = threading.Semaphore(0)
        """Released for each connection that was closed, so that a test can wait until the client's side sees it."""
        self._says = list(says)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/behind"

    def run(self) -> None:
        """Until all is said."""
        while self._says:
            connection, _ = self._listener.accept()
            self.connections += 1
            with connection:
                self._talk(connection)
            self.closed.release()
        self._listener.close()

    def _talk(self, connection: socket.socket) -> None:
        while self._says:
            request = b""
            while not whole(request):
                piece = connection.recv(65536)
                if not piece:
                    return
                request += piece
            self.requests.append(request)
            answer, kept = self._says.pop(0)
            connection.sendall(answer)
            if not kept:
                return


def whole(request: bytes) -> bool:
    """Head and body are there; a socket closed over unread bytes resets the connection instead of ending it."""
    head, end, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\nContent-Length: (\d+)", head)
    return bool(end) and len(body) >= (int(length[1]) if length else 0)


@contextmanager
def serving(*says: tuple[bytes, bool]) -> Iterator[tuple[Transport, Server]]:
    server = Server(says)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    transport = Transport(ClientSettings(api=server.url), {})
    yield transport, server
    transport.close()
    thread.join(60)


def test_one_connection_carries_many_requests() -> None:
    with serving((OK, KEPT), (OK, KEPT), (OK, CUT)) as (transport, server):
        answers = [transport.request("POST", "/actions", body=b"", token="t") for _ in range(3)]

    assert answers == [{}, {}, {}]
    assert server.connections == 1
    assert all(one.startswith(b"POST /behind/api/v1/actions HTTP/1.1\r\n") for one in server.requests)
    assert b"\r\nAuthorization: Bearer t\r\n" in server.requests[0]


def test_a_connection_opened_ahead_is_the_first_requests() -> None:
    with serving((OK, CUT)) as (transport, server):
        transport.connect()
        transport.request("GET", "/dashboard", query={"a": "é b", "none": ""})

    assert server.connections == 1
    assert server.requests[0].startswith(b"GET /behind/api/v1/dashboard?a=%C3%A9+b HTTP/1.1\r\n")


def test_a_connection_that_was_closed_meanwhile_is_replaced_even_for_what_must_not_be_repeated() -> None:
    with serving((OK, CUT), (OK, CUT)) as (transport, server):
        transport.request("POST", "/actions", body=b"1")
        assert server.closed.acquire(timeout=60)
        transport.request("POST", "/actions", body=b"2")

    assert len(server.requests) == 2


def test_only_what_changes_nothing_is_asked_again() -> None:
    with serving((b"", CUT), (b"", CUT), (OK, CUT)) as (transport, server):
        assert transport.request("GET", "/dashboard") == {}
    assert len(server.requests) == 3

    with serving((b"", CUT)) as (transport, server), pytest.raises(ApiUnavailable, match="RemoteDisconnected"):
        transport.request("POST", "/actions", body=b"1")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"found": []',
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n40\r\n{"fou',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n",
    ],
)
def test_an_answer_that_is_cut_short_is_none(answer: bytes) -> None:
    with serving((answer, CUT)) as (transport, _), pytest.raises(ApiUnavailable, match="cannot be reached"):
        transport.request("POST", "/actions", body=b"")


def test_a_redirection_is_not_followed_with_the_token() -> None:
    elsewhere = b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n"
    with serving((elsewhere, CUT)) as (transport, _), pytest.raises(ApiUnavailable, match="status 302"):
        transport.request("GET", "/dashboard", token="t")


def test_that_nothing_can_be_reached_is_said_once_and_by_the_request() -> None:
    transport = Transport(ClientSettings(api="http://127.0.0.1:1"), {})
    transport.connect()

    with pytest.raises(ApiUnavailable, match=r"Failed to establish a new connection.*refused"):
        transport.request("GET", "/dashboard")

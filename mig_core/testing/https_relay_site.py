"""The API's part of the ``https`` relay in one process: its routes over real HTTP, on a queue in memory.

For tests of agents and of the relay driver that need neither mig-api nor a database. It must answer as mig-api does.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections import deque
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import parse_qs, urlsplit

from mig_core.domain.exchanges import read_request, write_answer, write_problem
from mig_core.domain.ids import AgentId
from mig_core.domain.messages import MAX_PIECE_BYTES, Claimed, Kind, Piece
from mig_core.relay.https_agent import HttpsAgentRelay
from mig_core.relay.https_platform import HttpsPlatformRelay
from mig_core.testing.queue_in_memory import QueueInMemory

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from mig_core.domain.exchanges import Request
    from mig_core.relay.https_outbox import Patience

T = TypeVar("T")


class Server(ThreadingHTTPServer):
    """The three routes; ``fault`` may answer instead: a status, before anything is done."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, queue: QueueInMemory, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        super().__init__(address, Routes)
        self.queue = queue
        self.tokens: dict[str, str] = {}
        self.faults: deque[int | bytes | str] = deque()
        self.requests: list[str] = []
        self.connections = 0
        """Made so far."""
        self.ending = False
        self.heads_late = False
        """Whether something on the way keeps an answer's head back until its body is there."""
        self.breaks_after: int | None = None
        """So many pieces are taken; then connections break."""
        self.largest = MAX_PIECE_BYTES
        """More than this, in one request, a proxy before it would not take."""
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self.server_port}"

    def start(self) -> Server:
        """Begins to serve."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Answers all polls, then stops."""
        self.ending = True
        with self.queue.changed:
            self.queue.changed.notify_all()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """A new connection."""
        self.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that end in the middle are the subject of some tests."""


class Routes(BaseHTTPRequestHandler):
    """What mig-api serves under /api/v1/relay/."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """``commands``: the poll."""
        server = cast("Server", self.server)
        agent = self._agent()
        if agent is None:
            return
        asked = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
        deadline = time.monotonic() + float(asked["wait"])
        with server.queue.changed:
            server.queue.polls[agent] = poll = object()
            server.queue.changed.notify_all()
            while True:
                claim = server.queue.claim(
                    agent, asked["session"], limit=int(asked["max"]), lease=10.0, now=datetime.now(UTC)
                )
                claimed = run(claim)
                left = deadline - time.monotonic()
                if claimed or left <= 0 or server.ending:
                    break
                server.queue.changed.wait(left)
                if server.queue.polls[agent] is not poll:
                    self._answer(409, {"title": "superseded by a newer poll"})
                    return
        self._answer(200, {"messages": [{"id": one.id, "body": json.loads(one.body)} for one in claimed]})

    def do_POST(self) -> None:
        """``exchange``, ``acknowledge`` and ``messages/KIND``."""
        server = cast("Server", self.server)
        content = self.rfile.read(int(self.headers["Content-Length"]))
        agent = self._agent()
        if agent is None:
            return
        if self.path.endswith("/exchange"):
            self._exchange(agent, content)
            return
        if self.path.endswith("/acknowledge"):
            run(server.queue.acknowledge(agent, json.loads(content)["ids"]))
        else:
            if len(content) > server.largest:
                self._answer(413, {"title": "too large"})
                return
            kind = Kind(self.path.rpartition("/")[2])
            if (refusal := self.refusal(kind, len(content))) is not None:
                self._answer(refusal[0], {"title": refusal[1]})
                return
            run(server.queue.put_inbound(agent, kind, content))
        self._answer(204)

    def refusal(self, kind: Kind, size: int) -> tuple[int, str] | None:
        """A status and a title instead of taking a message; for tests to override."""
        return None

    def _exchange(self, agent: AgentId, content: bytes) -> None:
        server = cast("Server", self.server)
        if len(content) > server.largest + 200:
            self._answer(413, {"title": "too large"})
            return
        request = read_request(content)
        for kind, body in request.messages:
            if (refusal := self.refusal(kind, len(body))) is not None:
                self._answer(refusal[0], {"title": refusal[1]})
                return
        for kind, body in request.messages:
            run(server.queue.put_inbound(agent, kind, body))
        run(server.queue.acknowledge(agent, request.acknowledged))
        early = request.carries and not server.heads_late
        if early:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
        claimed = self._wait_for_messages(agent, request) if request.limit else []
        if early:
            answer = (
                write_problem({"status": 409, "detail": "superseded"}) if claimed is None else write_answer(claimed)
            )
            self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(answer), answer))
        elif claimed is None:
            self._answer(409, {"title": "superseded by a newer poll"})
        else:
            self._answer(200, raw=write_answer(claimed))

    def _wait_for_messages(self, agent: AgentId, request: Request) -> Sequence[Claimed] | None:
        server = cast("Server", self.server)
        deadline = time.monotonic() + request.wait
        with server.queue.changed:
            server.queue.polls[agent] = poll = object()
            server.queue.changed.notify_all()
            while True:
                claim = server.queue.claim(
                    agent, request.session, limit=request.limit, lease=10.0, now=datetime.now(UTC)
                )
                claimed = run(claim)
                left = deadline - time.monotonic()
                if claimed or left <= 0 or server.ending:
                    return claimed
                server.queue.changed.wait(left)
                if server.queue.polls[agent] is not poll:
                    return None

    def do_PUT(self) -> None:
        """``uploads/UPLOAD/PIECE``."""
        server = cast("Server", self.server)
        content = self.rfile.read(int(self.headers["Content-Length"]))
        agent = self._agent()
        if agent is None:
            return
        if len(content) > server.largest:
            self._answer(413, {"title": "too large"})
            return
        if server.breaks_after is not None:
            server.breaks_after -= 1
            if server.breaks_after < 0:
                self.close_connection = True
                return
        asked = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
        *_, upload, number = urlsplit(self.path).path.split("/")
        count = int(asked["pieces"])
        piece = Piece(f"{upload}.{count}", int(number), count, content)
        self._answer(200, {"complete": run(server.queue.put_piece(agent, piece, datetime.now(UTC)))})

    def _agent(self) -> AgentId | None:
        server = cast("Server", self.server)
        server.requests.append(f"{self.command} {urlsplit(self.path).path}")
        if server.faults:
            fault = server.faults.popleft()
            if isinstance(fault, int):
                self._answer(fault)
            elif isinstance(fault, bytes):
                self._answer(200, raw=fault)
            else:
                self._answer(200, raw=fault.encode(), media="text/html; charset=utf-8")
            return None
        agent, _, token = self.headers["Authorization"].removeprefix("Bearer ").partition(":")
        if server.tokens.get(agent) != token:
            self._answer(401, {"title": "unknown agent or token"})
            return None
        return AgentId(agent)

    def _answer(self, status: int, value: object = None, *, raw: bytes = b"", media: str = "application/json") -> None:
        content = raw or (json.dumps(value).encode() if value is not None else b"")
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Type", media)
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content if status != 204 else b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is http.server's
        """Say nothing."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine that never waits returns."""
    try:
        work.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    raise AssertionError("it waited")


class Site:
    """A queue and a server in front of it, which may be replaced by another on the same port."""

    def __init__(self) -> None:
        self.queue = QueueInMemory()
        self.server = Server(self.queue).start()

    def agent_end(self, agent: AgentId, prefetch: int = 8, patience: Patience | None = None) -> HttpsAgentRelay:
        """An agent's end, whose token is known."""
        token = self.server.tokens.setdefault(agent, secrets.token_urlsafe())
        return HttpsAgentRelay(self.server.url, agent, token, prefetch=prefetch, patience=patience)

    def platform_end(self, lease: float = 1.0) -> HttpsPlatformRelay:
        """A scheduler's end with short leases."""
        return HttpsPlatformRelay(self.queue, self.queue.wait, lease=lease, interval=0.5)

    def restart(self) -> None:
        """Another server on the same port; the queue stays."""
        old = self.server
        old.stop()
        self.server = Server(self.queue, ("127.0.0.1", old.server_port))
        self.server.tokens = old.tokens
        self.server.start()

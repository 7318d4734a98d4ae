"""The hottest route, ``POST /api/v1/relay/exchange``, answered where HTTP is read: no ASGI, no task, no falcon for it.

An exchange goes this way when it is an ordinary one: alone on its connection, with a login of the usual form and a
small body of known length. Every other one, and all that is wrong with a request, goes on to the application, whose
route of the same name does the same and tells what is wrong. A parked exchange is the connection, its protocol, and a
:class:`~mig_core.api.relay_hub.Visit`.
"""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING, Any

from mig_core.api.connections import Who
from mig_core.api.exchange import PREFIX
from mig_core.api.http_protocol import BoundedHttpProtocol
from mig_core.api.middleware import SECURITY_HEADERS, agent_login
from mig_core.api.problems import MEDIA_TYPE, is_expected, problem_of
from mig_core.domain.document import dump
from mig_core.domain.exchanges import read_request, write_problem
from mig_core.errors import ApiError, InvalidDocument

if TYPE_CHECKING:
    import asyncio

    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from mig_core.api.connections import Connection
    from mig_core.api.intake import Intake
    from mig_core.api.metrics import Metrics
    from mig_core.api.relay_hub import RelayHub
    from mig_core.api.visits import Visit
    from mig_core.domain.ids import AgentId

log = logging.getLogger(__name__)

PATH = f"{PREFIX}/relay/exchange"
MEDIA = b"application/octet-stream"
MAX_BODY = 64 << 10
"""Larger ones go to the application, which waits for room."""
MAX_STRANGERS_BODY = 8 << 10
"""Of a connection that showed no valid login yet."""
BODY_SECONDS = 60.0
"""Longest time a body may take to arrive."""

_URL = PATH.encode("ascii")
_OK = b"HTTP/1.1 200 OK\r\n"
_SECURITY = "".join(f"{name.lower()}: {value}\r\n" for name, value in SECURITY_HEADERS.items()).encode("ascii")
_JSON = b"content-type: application/json\r\n"
_NO_HEADERS: list[tuple[bytes, bytes]] = []


class RelayHttpProtocol(BoundedHttpProtocol):
    """One connection.

    Args:
        hub: works on exchanges.
    """

    _login: tuple[AgentId, bytes] | None = None
    """Who sends the exchange whose body is arriving."""
    _body = b""
    _visit: Visit | None = None
    """The exchange whose answer is awaited."""
    _counted = False
    """Whether it counts as under way for its agent."""
    _early = False
    """Whether its answer's head is sent already."""
    _keep = True
    _old = False
    """HTTP/1.0: the end of the answer is the end of the connection."""
    _slow: asyncio.TimerHandle | None = None
    _unread = False
    """Whether nothing more is read until the answers so far have left."""

    def __init__(
        self,
        connection: Connection,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        hub: RelayHub,
        metrics: Metrics,
        intake: Intake,
    ) -> None:
        super().__init__(connection, config, server_state, app_state)
        self._hub = hub
        self._metrics = metrics
        self._intake = intake

    # -- what comes in

    def data_received(self, data: bytes) -> None:
        """Takes in what the peer sent."""
        self._connection.stirs()
        super().data_received(data)
        if self._login is not None and self._slow is None:
            self._slow = self.loop.call_later(BODY_SECONDS, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        self._uncount()
        visit, self._visit = self._visit, None
        if visit is not None:
            self._hub.leave(visit)
        self._forget_body()
        super().connection_lost(exc)

    def is_answering(self) -> bool:
        """Whether a request is here whose answer is not complete."""
        return self._visit is not None or self._login is not None or super().is_answering()

    def on_message_begin(self) -> None:
        """A request begins."""
        if self._visit is not None:
            raise ValueError("nothing may follow a request whose answer is awaited")
        super().on_message_begin()

    def begin_request(self) -> None:
        """Its head is here: is it an exchange that can be answered here?"""
        if self.url == _URL and not super().is_answering():
            self._login = self._ordinary()
        if self._login is None:
            super().begin_request()
            return
        self._old = self.parser.get_http_version() == "1.0"
        self._keep = not self._old and self.parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        """A piece of its body."""
        if self._login is None:
            super().on_body(body)
            return
        self._came_on = True
        self._body += body

    def end_request(self) -> None:
        """The request is complete."""
        if self._login is None:
            super().end_request()
            return
        agent, digest = self._login
        body = self._body
        self._forget_body()
        # It may be parked for long: what it was read from is not kept.
        self.headers = _NO_HEADERS
        self.scope = {}  # type: ignore[typeddict-item]  # the next request makes its own
        try:
            request = read_request(body)
        except InvalidDocument as error:
            self.fail(error)
            return
        self._visit = self._hub.bring(self, agent, digest, request)

    def shutdown(self) -> None:
        """The server stops: who waits has been answered."""
        if self._visit is not None:
            self._keep = False
        elif self._login is not None:
            self.transport.close()
        else:
            super().shutdown()

    def resume_writing(self) -> None:
        """The answers so far have left."""
        super().resume_writing()
        if self._unread:
            self._unread = False
            self.flow.resume_reading()

    # -- what goes out: the hub's port

    def admit(self) -> None:
        """The token is right."""
        visit = self._visit
        if visit is not None:
            self._connection.admit(Who.AGENT)
            self._intake.begin(visit.agent)
            self._counted = True

    def stored(self) -> None:
        """Sends the answer's head: what came is safe."""
        self._uncount()
        if self._visit is not None and not self._early and not self.transport.is_closing():
            self._early = True
            length = b"" if self._old else b"transfer-encoding: chunked\r\n"
            # An nginx in between would keep the head until there is a body.
            self.transport.write(self._head(_OK, _JSON, length + b"x-accel-buffering: no\r\n"))

    def answer(self, content: bytes) -> None:
        """Sends the answer."""
        self._send(200, _OK, _JSON, content)

    def fail(self, error: Exception) -> None:
        """Sends a problem document; when the head is gone already, as a member of the answer."""
        request_id = secrets.token_hex(8)
        problem = problem_of(error, request_id)
        if not is_expected(error) or problem.status >= 500:
            log.error("POST %s: %s (request %s)", PATH, error, request_id)
        document = problem.to_json(request_id)
        if self._early:
            self.answer(write_problem(document))
            return
        head = f"content-type: {MEDIA_TYPE}\r\nx-request-id: {request_id}\r\n"
        if problem.status == 401:
            head += "www-authenticate: Bearer\r\n"
        if problem.status in (429, 503):
            head += "retry-after: 5\r\n"
        line = f"HTTP/1.1 {problem.status} {document['title']}\r\n"
        self._send(problem.status, line.encode("ascii"), head.encode("ascii"), dump(document))

    def _send(self, status: int, line: bytes, head: bytes, content: bytes) -> None:
        self._uncount()
        self._visit = None
        early, self._early = self._early, False
        self._metrics.requests["POST", PATH, status] += 1
        if self.transport.is_closing():
            return
        if not early:
            length = b"content-length: %d\r\n" % len(content)
            self.transport.write(self._head(line, head, length) + content)
        elif self._old:
            self.transport.write(content)
        else:
            self.transport.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content))
        self.server_state.total_requests += 1
        if self._keep:
            self._connection.rests()
            if self.flow.write_paused and not self.flow.read_paused:
                # Whoever does not read its answers gets no more of them, so that they do not fill the memory.
                self._unread = True
                self.flow.pause_reading()
        else:
            self.transport.close()

    def _head(self, line: bytes, kind: bytes, length: bytes) -> bytes:
        date = b"".join(b"%b: %b\r\n" % header for header in self.server_state.default_headers)
        close = b"" if self._keep else b"connection: close\r\n"
        return b"".join((line, date, kind, _SECURITY, length, close, b"\r\n"))

    # -- whether it can be answered here

    def _ordinary(self) -> tuple[AgentId, bytes] | None:
        """The agent and its token's digest, if this is an exchange like nearly all of them."""
        if self.parser.get_method() != b"POST" or self.expect_100_continue:
            return None
        credential = media = b""
        length = -1
        for name, value in self.headers:
            if name == b"authorization":
                credential = value
            elif name == b"content-length":
                length = int(value) if value.isdigit() else -1
            elif name == b"content-type":
                media = value
            elif name == b"transfer-encoding":
                return None
        most = MAX_STRANGERS_BODY if self._connection.who is Who.GUEST else MAX_BODY
        if media != MEDIA or not 0 < length <= most or not credential.startswith(b"Bearer "):
            return None
        try:
            return agent_login(credential[7:].decode("latin-1"))
        except ApiError:
            return None

    def _uncount(self) -> None:
        if self._counted and self._visit is not None:
            self._counted = False
            self._intake.end(self._visit.agent)

    def _forget_body(self) -> None:
        self._login = None
        self._body = b""
        slow, self._slow = self._slow, None
        if slow is not None:
            slow.cancel()

    def _too_slow(self) -> None:
        self._forget_body()
        self._keep = False
        self.fail(ApiError(408, f"the body did not arrive within {BODY_SECONDS:.0f} s"))

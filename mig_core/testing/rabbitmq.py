"""pytest plugin: a real RabbitMQ for tests, and somebody who answers its questions about logins.

Name it in a conftest (``pytest_plugins = ["mig_core.testing.rabbitmq"]``). The broker takes 4 to 8 seconds to start, so
there is one for the whole run; tests keep apart by using names of their own, and logins of their own too, because the
broker remembers for 15 seconds that something was allowed.
"""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import parse_qsl

import pytest

from mig_core.relay.private_rabbitmq import SERVER, PrivateRabbitMQ
from mig_core.relay.private_rabbitmq_files import broker_environment
from mig_core.testing.services import service_missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

QUESTION_LIMIT = 64 * 1024
"""Bytes a question of the broker may have."""


class OperatedBroker:
    """A broker of a test's own, and the program that operates it."""

    def __init__(self, server: PrivateRabbitMQ) -> None:
        self.server = server

    def control(self, *arguments: str) -> str:
        """What ``rabbitmqctl`` prints; fails when it fails."""
        ports = json.loads((self.server.state_dir / "ports.json").read_text())
        command = [str(SERVER.with_name("rabbitmqctl")), "-q", *arguments]
        environment = broker_environment(self.server.state_dir, ports)
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


class LoginAuthority:
    """Stands where mig-api stands for RabbitMQ: an HTTP server on loopback that says `allow` or `deny`.

    ``decide(question, fields)`` is asked for everything; ``question`` is `user`, `vhost`, `resource` or `topic`, and
    ``fields`` are what rabbitmq_auth_backend_http posts (``username``, ``password``, ``vhost``, ``resource``, ``name``,
    ``permission``, ``routing_key``, ...). Until a test sets it, everything is refused. ``asked`` lists all questions.

    Args:
        tls: answers over TLS, as ``localhost``. The attribute may be changed: the next connection gets the new one.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.decide: Callable[[str, Mapping[str, str]], bool] = lambda question, fields: False
        self.asked: list[tuple[str, dict[str, str]]] = []
        self._server = _Server(("127.0.0.1", 0), _Answer)
        self._server.authority = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def url(self) -> str:
        """What to give :class:`PrivateRabbitMQ` as ``auth_url``."""
        place = "http://127.0.0.1" if self.tls is None else "https://localhost"
        return f"{place}:{self._server.server_port}/api/v1/relay/rabbitmq"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    authority: LoginAuthority

    def finish_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:
        tls = self.authority.tls
        if tls is not None and isinstance(request, socket.socket):
            request.settimeout(60)
            try:
                request = tls.wrap_socket(request, server_side=True)
            except OSError:
                return  # the broker does not believe us
        super().finish_request(request, client_address)
        if isinstance(request, ssl.SSLSocket):
            request.close()


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        authority = cast("_Server", self.server).authority
        body = self.rfile.read(min(int(self.headers.get("Content-Length", "0")), QUESTION_LIMIT))
        fields = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        question = self.path.rpartition("/")[2]
        authority.asked.append((question, fields))
        answer = b"allow" if authority.decide(question, fields) else b"deny"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(answer)))
        # Each question shows its certificate; and none comes on a connection that is ending because it was idle.
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing: the questions are in ``asked``."""


def pytest_report_header() -> str:
    """Which RabbitMQ the tests run on."""
    if PrivateRabbitMQ.available():
        return f"broker: RabbitMQ {PrivateRabbitMQ.version()} (system: {SERVER.parent})"
    return f"broker: none ({SERVER} or epmd is missing)"


@pytest.fixture(scope="session")
def login_authority() -> Iterator[LoginAuthority]:
    """Decides the logins and permissions on ``rabbitmq_server``, except those of `scheduler`."""
    with LoginAuthority() as authority:
        yield authority


@pytest.fixture(scope="session")
def rabbitmq_server(
    tmp_path_factory: pytest.TempPathFactory, login_authority: LoginAuthority
) -> Iterator[PrivateRabbitMQ]:
    """One RabbitMQ for the whole run, with the account `scheduler` (``scheduler_url``)."""
    if not PrivateRabbitMQ.available():
        service_missing(f"no RabbitMQ here: {SERVER} or epmd is missing (apt-get install rabbitmq-server)")
    with PrivateRabbitMQ(tmp_path_factory.mktemp("rabbitmq"), auth_url=login_authority.url) as server:
        yield server

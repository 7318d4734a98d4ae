"""The other side of everything the module speaks to: a service at the core's protocol, and real receivers."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.plugin.persistent import Incoming
from mig_core.testing.certificates import make_certificates
from mig_core.testing.eventually import eventually
from mig_dispatch.record import Alert, RecordMaker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mig_core.domain.document import JSON
    from mig_core.domain.result import ModuleResult


class FakeService:
    """A service at the core's protocol, without an agent: alerts come from :meth:`send`."""

    def __init__(self, state: Path, config: Mapping[str, JSON]) -> None:
        self.config = config
        self.hostname = "web1.example"
        self.environment: Mapping[str, JSON] = {"os": "linux"}
        self.tags: Mapping[str, str] = {"operator": "it"}
        self.state = state
        self.stopping = threading.Event()
        self.logged: list[tuple[int, str]] = []
        self.statuses: list[Mapping[str, JSON]] = []
        self.ready = threading.Event()
        self._taker: Callable[[Sequence[Incoming]], None] | None = None
        self._answerer: Callable[[object], ModuleResult] | None = None
        self._next = 1

    def log(self, level: int, message: str) -> None:
        self.logged.append((level, message))

    def status(self, status: Mapping[str, JSON]) -> None:
        self.statuses.append(status)

    def alert(self, alert: Mapping[str, JSON], *, timeout: float | None = None) -> bool:
        raise NotImplementedError

    def answer_with(self, handler: Callable[[object], ModuleResult]) -> None:
        self._answerer = handler

    def take_alerts(self, handler: Callable[[Sequence[Incoming]], None]) -> None:
        self._taker = handler
        self.ready.set()

    def send(self, *raws: bytes, module: str = "audit") -> None:
        """Hands alerts over; returns when they are safe."""
        assert self.ready.wait(60)
        assert self._taker is not None
        batch = [Incoming(self._next + place, module, raw) for place, raw in enumerate(raws)]
        self._next += len(raws)
        self._taker(batch)

    def ask(self) -> ModuleResult:
        assert self._answerer is not None
        return self._answerer({})

    def sink(self, name: str) -> dict[str, Any]:
        """One sink's counters."""
        elements: Any = self.ask().elements
        found: dict[str, Any] = next(one for one in elements["sinks"] if one["name"] == name)
        return found


@dataclass
class Received:
    """One request an HTTP receiver got."""

    path: str
    headers: dict[str, str]
    body: bytes

    def records(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines()]


@dataclass
class HttpReceiver:
    """A real HTTP server. ``answer`` decides on each request: a status, with its text where that matters, or None to
    hang until it is closed."""

    answer: Callable[[Received], int | tuple[int, str] | None]
    requests: list[Received] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    said: str = "no,\r\nnot this"
    """What it says with an answer that is no."""
    tls: ssl.SSLContext | None = None
    closing: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                received = Received(self.path, dict(self.headers.items()), body)
                decided = receiver.answer(received)
                status, text = decided if isinstance(decided, tuple) else (decided, None)
                receiver.requests.append(received)
                if status is None:
                    receiver.closing.wait(60)
                    self.close_connection = True
                    return
                said = b"as you say" if status < 300 else receiver.said.encode()
                if text is not None:
                    said = text.encode()
                self.send_response(status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 50

            def handle_error(self, *_: object) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        if self.tls is not None:
            self.server.socket = self.tls.wrap_socket(self.server.socket, server_side=True)
        self.port = int(self.server.server_address[1])
        self.url = f"{'https://localhost' if self.tls else 'http://127.0.0.1'}:{self.port}/alerts"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def records(self) -> list[Any]:
        return [record for one in self.requests for record in one.records()]

    def close(self) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(name="eventually")
def _eventually() -> Callable[..., None]:
    return eventually


@pytest.fixture
def http_receiver() -> Iterator[Callable[..., HttpReceiver]]:
    """Makes real HTTP receivers, which accept everything unless told otherwise."""
    made: list[HttpReceiver] = []

    def make(
        answer: Callable[[Received], int | tuple[int, str] | None] = lambda _: 200, *, tls: ssl.SSLContext | None = None
    ) -> HttpReceiver:
        made.append(HttpReceiver(answer, tls=tls))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Callable[..., FakeService]]:
    """Starts the module's ``serve`` in a thread; ends it after the test."""
    from mig_dispatch import DispatchModule

    running: list[tuple[FakeService, threading.Thread]] = []

    def start(*sinks: dict[str, JSON], **more: JSON) -> FakeService:
        config: dict[str, JSON] = {"sinks": list(sinks), **more}
        service = FakeService(tmp_path / "state", config)
        thread = threading.Thread(target=DispatchModule().serve, args=(service,), daemon=True)
        running.append((service, thread))
        thread.start()
        assert service.ready.wait(60)
        return service

    yield start
    for service, thread in running:
        service.stopping.set()
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture
def stop(serving: object) -> Callable[[FakeService], None]:
    """Ends one service and waits until its folder is free."""

    def end(service: FakeService) -> None:
        import fcntl

        service.stopping.set()
        with open(service.state / "spool" / "lock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)

    return end


@pytest.fixture
def maker() -> RecordMaker:
    return RecordMaker("web1.example", {"os": "linux"}, {"operator": "it"})


@pytest.fixture
def alerts() -> Callable[..., list[Alert]]:
    """Makes alerts with the given events, or so many small ones."""

    def make(*events: bytes, count: int = 0, first: int = 1) -> list[Alert]:
        chosen = events or tuple(b'{"n":%d}' % (first + place) for place in range(count))
        return [
            Alert(first + place, "2026-11-23T06:28:15.214492Z", "audit", event) for place, event in enumerate(chosen)
        ]

    return make


@dataclass
class Certificates:
    """PEM files made by openssl: an authority, a server for localhost, a client."""

    folder: Path

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def server_context(self, *, clients: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path("server.pem"), self.path("server.key"))
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.path("ca.pem"))
        return context


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = make_certificates(tmp_path_factory.mktemp("certificates"), names="DNS:localhost")
    return Certificates(folder)


@pytest.fixture
def needs_program() -> Callable[[str], str]:
    """The path of a program; without it the test is skipped, and fails in CI."""

    def find(name: str) -> str:
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
        if path is None:
            if os.environ.get("CI"):
                pytest.fail(f"{name} is not installed")
            pytest.skip(f"{name} is not installed")
        return path

    return find

"""pytest plugin: a real mig-api for tests, over HTTP, on a database of the test's own.

Name it in a conftest together with ``mig_core.testing.postgres``, ``.store_fixture`` and ``.keys``. The API runs in a
thread, put together exactly as ``mig-api`` does it; the platform behind it (scheduler, agents) is played by the test,
through :meth:`ApiSite.platform` and :class:`SampleAgent`.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from mig_core.client.client import MigClient
from mig_core.config.client import ClientSettings
from mig_core.config.server import ApiSettings, DatabaseSettings
from mig_core.domain import envelope as envelopes
from mig_core.domain.agent import AgentFacts, Enrolment
from mig_core.identity import AgentKey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from pathlib import Path

    from mig_core.api.connections import ConnectionLimits
    from mig_core.api.server import Server
    from mig_core.domain.document import JSON
    from mig_core.domain.envelope import Envelope
    from mig_core.pgp.base import Signer
    from mig_core.store.postgres import PostgresStore
    from mig_core.testing.keys import InvestigatorKeys

T = TypeVar("T")

ENROLMENT_SECRET = "let me in, I am one of yours"  # noqa: S105  of a platform that lives as long as a test
START_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API answered to a plain request."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        """The body's document."""
        return json.loads(self.body)


@dataclass
class ApiSite:
    """One running mig-api."""

    state: Path
    owner_url: str
    """Of the store, for the parts the test plays itself."""
    settings: ApiSettings
    keys: InvestigatorKeys
    address: str = ""
    offset: timedelta = timedelta()
    """Added to the API's clock."""
    monotonic: Callable[[], float] = time.monotonic
    """By which its buckets of failures refill."""
    limits: ConnectionLimits | None = None
    """Of its connections; none: what the descriptors allow."""
    _server: Server | None = None
    _thread: threading.Thread | None = None
    _failure: list[BaseException] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://{self.address}"

    def start(self) -> None:
        """Starts the API and returns when it answers."""
        from mig_core.api.main import serve  # here, because every test session loads this file

        ready = threading.Event()

        def started(server: Server, address: str) -> None:
            self._server, self.address = server, address
            ready.set()

        def run() -> None:
            try:
                clock = lambda: datetime.now(UTC) + self.offset  # noqa: E731  short, and used once
                asyncio.run(
                    serve(self.settings, clock=clock, started=started, limits=self.limits, monotonic=self.monotonic)
                )
            except BaseException as error:
                self._failure.append(error)
                ready.set()

        # A daemon: a test run that is interrupted while this starts must end all the same.
        self._thread = threading.Thread(target=run, name="mig-api", daemon=True)
        self._thread.start()
        if not ready.wait(START_SECONDS) or self._failure:
            raise RuntimeError(f"mig-api did not start: {self._failure}")

    def stop(self) -> float:
        """Stops the API as a signal would; returns the seconds it took."""
        began = time.monotonic()
        if self._server is not None:
            self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(START_SECONDS)
            assert not self._thread.is_alive(), "mig-api did not stop"
        self._server = self._thread = None
        if self._failure:
            raise RuntimeError("mig-api failed") from self._failure[0]
        return time.monotonic() - began

    @property
    def bootstrap_secret(self) -> str:
        """The one-time secret, as an operator reads it."""
        return (self.state / "bootstrap-secret").read_text(encoding="ascii").strip()

    def client(self, signer: Signer) -> MigClient:
        """A client that keeps its session in memory."""
        settings = ClientSettings(api=self.url, fingerprint=signer.fingerprint)
        return MigClient(settings, lambda: signer, keep_session=False, environment={})

    def first_investigator(self) -> MigClient:
        """Alice, bootstrapped and with all permissions."""
        client = self.client(self.keys.alice)
        client.bootstrap(self.bootstrap_secret, "Alice", self.keys.alice.public_key())
        return client

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes | JSON = None,
        token: str = "",
        headers: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> Answer:
        """One plain request, without the client library. ``path`` begins with ``/``, and is not below ``/api/v1``
        by itself. Bodies that are not bytes become JSON."""
        connection = http.client.HTTPConnection(self.address, timeout=timeout)
        sent = dict(headers or {})
        if token:
            sent["Authorization"] = f"Bearer {token}"
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if raw is not None:
            sent.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, raw, sent)
            response = connection.getresponse()
            return Answer(
                response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
            )
        finally:
            connection.close()

    def platform(self, work: Callable[[PostgresStore], Awaitable[T]]) -> T:
        """Runs ``work`` on the store with the owner's rights, in an event loop of its own."""

        from mig_core.store.postgres import PostgresStore

        async def scenario() -> T:
            async with PostgresStore(self.owner_url, pool_size=2) as store:
                return await work(store)

        return asyncio.run(scenario())


class SampleAgent:
    """An endpoint with a real key, played by the test."""

    def __init__(self, site: ApiSite, name: str = "web1.example.net") -> None:
        self.site = site
        self.name = name
        self.key = AgentKey.generate()
        self.id = self.key.agent_id
        self.token = ""

    def facts(self) -> AgentFacts:
        """What it says of itself."""
        return AgentFacts(
            id=self.id,
            name=self.name,
            version="1.0",
            mode="daemon",
            pid=4242,
            started=datetime.now(UTC),
            environment={"os": "linux"},
            modules=("file",),
        )

    def enrolment(self, *, secret: str = ENROLMENT_SECRET, sent: datetime | None = None) -> Envelope:
        """A signed request to be known."""
        moment = sent or datetime.now(UTC)
        payload = Enrolment(self.facts(), self.key.public_key, "https", secret, moment).to_payload()
        return self.key.sign(envelopes.ENROL, payload)

    def enrol(self, *, secret: str = ENROLMENT_SECRET) -> Answer:
        """Enrols over HTTP and keeps the token."""
        answer = self.site.ask("POST", "/api/v1/enrol", body=self.enrolment(secret=secret).to_bytes())
        if answer.status == 200:
            self.token = str(answer.json["token"])
        return answer

    def ask(self, method: str, path: str, *, body: bytes | JSON = None, timeout: float = 60.0) -> Answer:
        """A request to the relay, with its token. ``path`` is below ``/api/v1/relay``."""
        return self.site.ask(
            method, f"/api/v1/relay{path}", body=body, token=f"{self.id}:{self.token}", timeout=timeout
        )


@pytest.fixture
def api_settings(tmp_path: Path, api_store_url: str) -> ApiSettings:
    """The settings of ``api_site``; a test module may override this fixture."""
    secret = tmp_path / "enrolment-secret"
    secret.write_text(ENROLMENT_SECRET + "\n", encoding="utf-8")
    return ApiSettings(
        state=tmp_path / "api",
        listen="127.0.0.1:0",
        database=DatabaseSettings(url=api_store_url, pool_size=4),
        enrolment_secret_file=secret,
    )


@pytest.fixture
def api_site(api_settings: ApiSettings, store_url: str, investigator_keys: InvestigatorKeys) -> Iterator[ApiSite]:
    """A running mig-api that nobody has used yet."""
    site = ApiSite(api_settings.state, store_url, api_settings, investigator_keys)
    site.start()
    try:
        yield site
    finally:
        site.stop()

"""mig-api behind real proxies, with the very files that operators are given; and the PROXY protocol by hand."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from mig_core.api.connections import ConnectionLimits
from mig_core.client.client import MigClient
from mig_core.config.client import ClientSettings
from mig_core.config.server import ServerTlsSettings
from mig_core.domain import envelope as envelopes
from mig_core.domain.envelope import Envelope, Signature
from mig_core.errors import ApiError, ApiUnavailable, RelayUnavailable
from mig_core.relay.https_transport import HttpsTransport
from mig_core.relay.tls import TlsOptions
from mig_core.testing.api_site import ApiSite, SampleAgent
from mig_core.testing.certificates import make_certificates
from mig_core.testing.ports import free_port
from mig_core.testing.proxies import KINDS, Kind, Proxy
from mig_core.testing.store_samples import action as sample_action

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from mig_core.client.follow import Event
    from mig_core.config.server import ApiSettings
    from mig_core.testing.keys import InvestigatorKeys

SOURCE = Path(__file__).parents[2] / "packaging" / "proxies"
PAGE = (Path(__file__).parents[2] / "docs" / "proxies.md").read_text(encoding="utf-8")
STRANGER, NEIGHBOUR = "127.0.0.7", "127.0.0.8"
FAILED_LOGIN = Envelope(envelopes.LOGIN, b"{}", (Signature("A" * 40, b"nonsense"),)).to_bytes()
BOUNDED = ConnectionLimits(guests=40, guests_an_address=20, agents=5, all=60, head_seconds=60.0, grace_seconds=60.0)


@pytest.fixture
def make_site(
    api_settings: ApiSettings, store_url: str, investigator_keys: InvestigatorKeys
) -> Iterator[Callable[..., ApiSite]]:
    started: list[ApiSite] = []

    def make(limits: ConnectionLimits | None = None, **settings: object) -> ApiSite:
        # Buckets do not refill, however slow the machine is.
        site = ApiSite(
            api_settings.state,
            store_url,
            replace(api_settings, **settings),  # type: ignore[arg-type]  # a test's own words
            investigator_keys,
            monotonic=lambda: 0.0,
            limits=limits,
        )
        started.append(site)
        site.start()
        return site

    yield make
    for one in started:
        one.stop()


@contextlib.contextmanager
def standing_before(kind: Kind, folder: Path, upstream: str) -> Iterator[Proxy]:
    """With the lines of the manual that refuse agents where everybody is let in."""
    more = re.search(rf"```{kind.name}\n(.*?)```", PAGE, re.DOTALL)
    assert more is not None
    certificates = make_certificates(folder, names="DNS:localhost,IP:127.0.0.1")
    proxy = Proxy(kind, SOURCE, certificates, upstream, more=more[1])
    try:
        proxy.wait_until_it_answers()
        yield proxy
    finally:
        proxy.stop()


class Caller:
    """Requests over TLS from an address of loopback."""

    def __init__(self, folder: Path, port: int, source: str) -> None:
        self._context = ssl.create_default_context(cafile=folder / "ca.pem")
        self._port, self._source = port, source

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> int:
        raw = socket.create_connection(("127.0.0.1", self._port), timeout=60, source_address=(self._source, 0))
        connection = http.client.HTTPConnection("localhost", self._port)
        connection.sock = self._context.wrap_socket(raw, server_hostname="localhost")
        try:
            connection.request(method, path, body, {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def sent(self, size: int) -> int:
        """The status of a body of so many bytes; 0: the other side hung up, as mig-api does to who has no login."""
        try:
            return self.ask("POST", "/api/v1/actions", b" " * size)
        except (OSError, http.client.HTTPException):
            return 0


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_behind_a_proxy_everything_works_and_everybody_is_himself(
    kind: Kind, make_site: Callable[..., ApiSite], tmp_path: Path
) -> None:
    site = make_site(trusted_proxies=("127.0.0.1",), proxy_protocol=kind.proxy_protocol)
    folder = tmp_path / "proxy"
    folder.mkdir()
    with standing_before(kind, folder, site.address) as proxy:
        settings = ClientSettings(
            api=f"https://localhost:{proxy.port}",
            fingerprint=site.keys.alice.fingerprint,
            ca_file=folder / "ca.pem",
        )
        alice = MigClient(settings, lambda: site.keys.alice, keep_session=False, environment={})
        alice.bootstrap(site.bootstrap_secret, "Alice", site.keys.alice.public_key())
        stranger, neighbour = (Caller(folder, proxy.port, source) for source in (STRANGER, NEIGHBOUR))

        # Numbers stay inside, health does not; a body of almost a megabyte is not too large.
        assert [stranger.ask("GET", path) for path in ("/metrics", "/healthz")] == [403, 200]
        assert stranger.sent(990_000) != 413

        # Whatever a stranger writes, he is counted, and nobody else is.
        # On a slow machine his share comes back while he asks: until it is used up.
        spoofed: list[int] = []
        while 429 not in spoofed and len(spoofed) < 100:
            forged = {"X-Forwarded-For": f"203.0.113.{len(spoofed)}"}
            spoofed.append(stranger.ask("POST", "/api/v1/login", FAILED_LOGIN, **forged))
        assert (spoofed[:20], spoofed[-1]) == ([401] * 20, 429)
        assert neighbour.ask("POST", "/api/v1/login", FAILED_LOGIN) == 401
        failed = [one["address"] for one in alice.platform_log(what=["login.failed"])]
        assert failed == [NEIGHBOUR, *[STRANGER] * spoofed.count(401)]

        # Events come as they happen: this one while the stream stays open.
        now = datetime.now(UTC)
        asked = replace(sample_action(), valid_from=now - timedelta(minutes=1), expire_after=now + timedelta(minutes=9))
        alice.create_action(site.keys.alice.sign(Envelope(envelopes.ACTION, asked.to_payload())))
        with contextlib.closing(cast("Generator[Event, None, None]", alice.follow(asked.id))) as events:
            assert next(events).kind == "action"

        # With a certificate, and without.
        mutual = replace(settings, api=f"https://localhost:{proxy.mutual_port}")
        shown = replace(mutual, certificate_file=folder / "client.pem", key_file=folder / "client.key")
        with MigClient(shown, lambda: site.keys.alice, keep_session=False, environment={}) as client:
            assert client.dashboard()["agents"] == {}
        tls = TlsOptions(folder / "ca.pem", folder / "client.pem", folder / "client.key")
        enrolment = SampleAgent(site).enrolment().to_bytes()
        assert stranger.ask("POST", "/api/v1/enrol", enrolment) == 403
        assert enrolled(f"https://localhost:{proxy.mutual_port}", tls, enrolment) == 200
        with pytest.raises(RelayUnavailable):
            enrolled(f"https://localhost:{proxy.mutual_port}", TlsOptions(folder / "ca.pem"), enrolment)
        nobody = MigClient(mutual, lambda: site.keys.alice, keep_session=False, environment={})
        with pytest.raises((ApiError, ApiUnavailable)):
            nobody.dashboard()
        alice.close()
        nobody.close()


def enrolled(api: str, tls: TlsOptions, enrolment: bytes) -> int:
    """The status of an enrolment as the agent sends it; a proxy that says no is as good as none."""
    transport = HttpsTransport(api, "", tls=tls)
    try:
        status, _ = transport.exchange("POST", "/api/v1/enrol", body=enrolment, seconds=60, largest=1 << 16)
    finally:
        transport.close()
    if status in (400, 403):
        raise RelayUnavailable(f"it answered {status}")
    return status


def spoken(address: str, *pieces: bytes, source: str = "127.0.0.1") -> bytes:
    """What mig-api answers to bytes, to the end of the connection."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=60, source_address=(source, 0)) as connection:
        for piece in pieces:
            connection.sendall(piece)
        if not pieces:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while more := connection.recv(65536):
                answer += more
        return answer


HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def test_a_trusted_proxy_says_first_for_whom_it_speaks_and_nobody_else_may(make_site: Callable[..., ApiSite]) -> None:
    site = make_site(BOUNDED, trusted_proxies=("127.0.0.1",), proxy_protocol=True)
    line = b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n"

    said = spoken(site.address, line, HEALTH)
    slowly = spoken(site.address, *(bytes([one]) for one in line), HEALTH)
    itself = spoken(site.address, b"PROXY UNKNOWN\r\n", HEALTH)
    unsaid = spoken(site.address, HEALTH)
    silent = spoken(site.address)
    plain = spoken(site.address, HEALTH, source=STRANGER)
    pretended = spoken(site.address, line, HEALTH, source=STRANGER)

    assert [one.startswith(b"HTTP/1.1 200") for one in (said, slowly, itself, plain)] == [True] * 4
    assert (unsaid, silent) == (b"", b"")
    assert pretended.startswith(b"HTTP/1.1 400")


def test_connections_over_a_proxy_count_for_their_client(make_site: Callable[..., ApiSite]) -> None:
    site = make_site(BOUNDED, trusted_proxies=("127.0.0.1",), proxy_protocol=True)
    host, _, port = site.address.rpartition(":")
    with contextlib.ExitStack() as stack:
        for _ in range(BOUNDED.guests_an_address):
            held = stack.enter_context(socket.create_connection((host, int(port)), timeout=60))
            held.sendall(b"PROXY TCP4 203.0.113.9 192.0.2.1 1 2\r\n" + HEALTH.replace(b"Connection: close\r\n", b""))
            assert held.recv(12) == b"HTTP/1.1 200"

        one_more = spoken(site.address, b"PROXY TCP4 203.0.113.9 192.0.2.1 1 2\r\n", HEALTH)
        another = spoken(site.address, b"PROXY TCP4 203.0.113.10 192.0.2.1 1 2\r\n", HEALTH)

    assert one_more == b""
    assert another.startswith(b"HTTP/1.1 200")


def test_the_header_comes_before_tls_and_mig_api_listens_on_both_families(
    make_site: Callable[..., ApiSite], tmp_path: Path
) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    make_certificates(folder, names="DNS:localhost")
    port = free_port()
    site = make_site(
        listen=f"127.0.0.1:0, [::1]:{port}",
        trusted_proxies=("127.0.0.1",),
        proxy_protocol=True,
        tls=ServerTlsSettings(folder / "server.pem", folder / "server.key"),
    )
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    answers = []

    four = ("127.0.0.1", int(site.address.rpartition(":")[2]))
    for address, header in ((four, b"PROXY UNKNOWN\r\n"), (("::1", port), b"")):
        with socket.create_connection(address, timeout=60) as raw:
            raw.sendall(header)
            with context.wrap_socket(raw, server_hostname="localhost") as connection:
                connection.sendall(HEALTH)
                answers.append(connection.recv(12))

    assert answers == [b"HTTP/1.1 200"] * 2

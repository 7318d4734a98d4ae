"""Long polling through TLS and proxies, against a small server with the API's three routes on a queue in memory."""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING

import pytest

from mig_core.domain.messages import Kind
from mig_core.errors import (
    ConfigurationError,
    RelayUnavailable,
)
from mig_core.relay.https_agent import HttpsAgentRelay
from mig_core.relay.tls import TlsOptions
from mig_core.testing.certificates import make_certificates
from mig_core.testing.https_relay_site import Site
from mig_core.testing.relay_ends import AgentEnd, PlatformEnd, body, new_agent_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.server.stop()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def secure_site(site: Site, certificates: Path) -> Site:
    """The site behind TLS that asks for client certificates."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates / "ca.pem")
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    site.server.socket = context.wrap_socket(site.server.socket, server_side=True, do_handshake_on_connect=False)
    return site


def test_tls_with_a_client_certificate_works_and_closes_promptly(secure_site: Site, certificates: Path) -> None:
    agent = new_agent_id()
    secure_site.server.tokens[agent] = "token"
    tls = TlsOptions(certificates / "ca.pem", certificates / "client.pem", certificates / "client.key")
    relay = HttpsAgentRelay(secure_site.server.url.replace("http:", "https:"), agent, "token", tls=tls)
    platform = PlatformEnd(secure_site.platform_end()).open()
    receiver = AgentEnd(relay, agent).start()

    relay.publish(Kind.RESULT, body(answer=1))
    platform.send(agent, body(n=1))

    assert receiver.take(1) == [body(n=1)]
    assert platform.take(1)[0].body == body(answer=1)
    time.sleep(0.2)  # until it polls again
    began = time.monotonic()
    relay.close()
    assert time.monotonic() - began < 30  # a poll may take a minute
    platform.close()


@pytest.mark.parametrize(
    "options",
    [
        lambda folder: TlsOptions(),
        lambda folder: TlsOptions(folder / "ca.pem"),
    ],
    ids=["unknown authority", "no client certificate"],
)
def test_tls_without_the_right_papers_is_unavailable(
    secure_site: Site, certificates: Path, options: Callable[[Path], TlsOptions]
) -> None:
    url = secure_site.server.url.replace("http:", "https:")
    relay = HttpsAgentRelay(url, new_agent_id(), "token", tls=options(certificates))

    with pytest.raises(RelayUnavailable):
        relay.publish(Kind.RESULT, body(answer=1), timeout=0.5)
    relay.close()


def test_a_missing_certificate_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nothing\.pem: ca_file: cannot be used"):
        HttpsAgentRelay("https://127.0.0.1:9", new_agent_id(), "token", tls=TlsOptions(tmp_path / "nothing.pem"))


def test_a_proxy_is_used_when_the_settings_name_one(site: Site) -> None:
    agent = new_agent_id()
    site.server.tokens[agent] = "token"
    relay = HttpsAgentRelay("http://mig.invalid", agent, "token", proxy=site.server.url)

    relay.publish(Kind.RESULT, body(answer=1))  # a proxy sees the same request, with the whole URL in it

    assert site.server.requests == ["POST /api/v1/relay/exchange"]
    relay.close()


def test_a_proxy_is_taken_from_the_environment_unless_it_says_otherwise(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = new_agent_id()
    site.server.tokens[agent] = "token"
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    direct = HttpsAgentRelay(site.server.url, agent, "token")
    monkeypatch.setenv("no_proxy", "")
    proxied = HttpsAgentRelay(site.server.url, agent, "token")

    direct.publish(Kind.RESULT, body(answer=1))
    with pytest.raises(RelayUnavailable):
        proxied.publish(Kind.RESULT, body(answer=1), timeout=0.3)
    direct.close()
    proxied.close()

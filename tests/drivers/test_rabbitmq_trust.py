"""RabbitMQ believes what mig-api says about logins only when mig-api proves who it is: docs/operations.md, tried."""

from __future__ import annotations

import logging
import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import pika
import pytest

from mig_core.relay.private_rabbitmq import SERVER, PrivateRabbitMQ
from mig_core.testing.certificates import make_certificates
from mig_core.testing.rabbitmq import LoginAuthority
from mig_core.testing.services import service_missing

if TYPE_CHECKING:
    from collections.abc import Iterator

OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")


def settings(authority: Path) -> str:
    """The page's advanced.config, with another path for the authority's certificate."""
    (block,) = re.findall(r"^```erlang\n(.*?)^```$", OPERATIONS, re.MULTILINE | re.DOTALL)
    text, changed = re.subn(r'cacertfile, "[^"]*"', f'cacertfile, "{authority}"', block)
    assert changed == 1
    return text


def server_context(folder: Path, names: str) -> ssl.SSLContext:
    folder.mkdir()
    make_certificates(folder, names=names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return context


@pytest.fixture
def quiet_pika() -> Iterator[None]:
    logger = logging.getLogger("pika")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(before)


def gets_in(server: PrivateRabbitMQ, login: str) -> bool:
    try:
        pika.BlockingConnection(pika.URLParameters(server.amqp_url(login, "token"))).close()
    except pika.exceptions.ProbableAuthenticationError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.usefixtures("quiet_pika")
def test_somebody_between_rabbitmq_and_mig_api_cannot_let_anybody_in(tmp_path: Path) -> None:
    if not PrivateRabbitMQ.available():
        service_missing(f"no RabbitMQ here: {SERVER} or epmd is missing (apt-get install rabbitmq-server)")
    ours = server_context(tmp_path / "ours", "DNS:localhost")
    of_another_authority = server_context(tmp_path / "another", "DNS:localhost")
    state = tmp_path / "rabbitmq"
    state.mkdir(mode=0o700)
    (state / "advanced.config").write_text(settings(tmp_path / "ours" / "ca.pem"), encoding="ascii")
    entered = {}

    with LoginAuthority(ours) as authority, PrivateRabbitMQ(state, auth_url=authority.url) as server:
        authority.decide = lambda question, fields: True
        for name, shown in (("another", of_another_authority), ("ours", ours)):
            authority.tls = shown
            entered[name] = gets_in(server, f"agent-{name}")
        asked = {fields["username"] for _, fields in authority.asked}

    assert entered == {"another": False, "ours": True}
    assert asked == {"agent-ours"}


@pytest.mark.slow
@pytest.mark.usefixtures("quiet_pika")
def test_a_certificate_of_our_authority_for_another_name_lets_nobody_in(tmp_path: Path) -> None:
    if not PrivateRabbitMQ.available():
        service_missing(f"no RabbitMQ here: {SERVER} or epmd is missing (apt-get install rabbitmq-server)")
    shown = server_context(tmp_path / "ours", "DNS:elsewhere.example")
    state = tmp_path / "rabbitmq"
    state.mkdir(mode=0o700)
    (state / "advanced.config").write_text(settings(tmp_path / "ours" / "ca.pem"), encoding="ascii")

    with LoginAuthority(shown) as authority, PrivateRabbitMQ(state, auth_url=authority.url) as server:
        authority.decide = lambda question, fields: True
        entered = gets_in(server, "agent")

    assert not entered
    assert authority.asked == []

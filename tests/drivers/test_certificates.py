"""Certificates: ours satisfy RFC 5280 and the interpreters that insist on it, and what a refused one lacks is said."""

from __future__ import annotations

import base64
import ssl
import subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from mig_core.domain.certificates import advice, explained
from mig_core.errors import RelayUnavailable
from mig_core.relay.amqp_broker import Broker
from mig_core.relay.amqp_connection import AmqpConnection
from mig_core.relay.https_transport import HttpsTransport
from mig_core.relay.tls import TlsOptions
from mig_core.testing.certificates import AUTHORITY_EXTENSIONS, EXTENSIONS, make_certificates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
NAME = "127.0.0.1"


class Strict(TlsOptions):
    """What Python 3.13 and newer make by themselves."""

    def context(self) -> ssl.SSLContext:
        context = super().context()
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context


def handshake(folder: Path, *, client: ssl.SSLContext) -> None:
    """TLS between two ends in memory; the client looks at ``server.pem``."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.pem", folder / "server.key")
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        server.wrap_bio(there, back, server_side=True),
        client.wrap_bio(back, there, server_hostname=NAME),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue


def without(extensions: tuple[str, ...], name: str, instead: str = "") -> list[str]:
    kept = [one for one in extensions if not one.startswith(name)]
    return [*kept, instead] if instead else kept


def test_our_certificates_pass_the_strict_check(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)

    handshake(certificates, client=Strict(certificates / "ca.pem").context())


FOR_CLIENTS = without(EXTENSIONS, "extendedKeyUsage", "extendedKeyUsage=clientAuth")
LACKING = {
    "keyUsage=critical,keyCertSign,cRLSign": (without(AUTHORITY_EXTENSIONS, "keyUsage"), EXTENSIONS),
    "basicConstraints=critical,CA:true": (
        without(AUTHORITY_EXTENSIONS, "basicConstraints", "basicConstraints=CA:true"),
        EXTENSIONS,
    ),
    "subjectKeyIdentifier=hash": (
        without(AUTHORITY_EXTENSIONS, "subjectKeyIdentifier", "subjectKeyIdentifier=none"),
        without(EXTENSIONS, "authorityKeyIdentifier", "authorityKeyIdentifier=issuer:always"),
    ),
    "authorityKeyIdentifier=keyid": (
        AUTHORITY_EXTENSIONS,
        without(EXTENSIONS, "authorityKeyIdentifier", "authorityKeyIdentifier=none"),
    ),
    "keyUsage=critical,digitalSignature": (
        AUTHORITY_EXTENSIONS,
        without(EXTENSIONS, "keyUsage", "keyUsage=critical,keyCertSign"),
    ),
}


@pytest.mark.parametrize("extension", LACKING)
def test_the_extension_that_is_missing_is_named_and_the_place_that_says_how(tmp_path: Path, extension: str) -> None:
    authority, extensions = LACKING[extension]
    certificates = make_certificates(tmp_path, authority=authority, extensions=extensions)

    with pytest.raises(ssl.SSLCertVerificationError) as refused:
        handshake(certificates, client=Strict(certificates / "ca.pem").context())

    assert extension in advice(refused.value), str(refused.value)
    assert "docs/operations.md" in advice(refused.value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: make_certificates(folder, names="DNS:elsewhere.example"), "subjectAltName"),
        (lambda folder: make_certificates(folder, authority=["basicConstraints=critical,CA:false"]), "CA:true"),
        (
            lambda folder: make_certificates(folder, extensions=FOR_CLIENTS),
            "extendedKeyUsage=serverAuth",
        ),
    ],
    ids=["another name", "no authority", "not for servers"],
)
def test_other_reasons_for_a_refusal_come_with_advice_too(
    tmp_path: Path, make: Callable[[Path], Path], words: str
) -> None:
    certificates = make(tmp_path)

    with pytest.raises(ssl.SSLCertVerificationError) as refused:
        handshake(certificates, client=TlsOptions(certificates / "ca.pem").context())

    assert words in advice(refused.value), str(refused.value)


def test_an_error_about_something_else_is_left_as_it_is() -> None:
    assert advice(OSError("Connection refused; Missing Authority Key Identifier")) == ""
    assert explained(OSError("Connection refused")) == "Connection refused"


@pytest.fixture
def lax_server(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """An HTTPS server whose authority was made without key usage."""
    folder = make_certificates(tmp_path, authority=without(AUTHORITY_EXTENSIONS, "keyUsage"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    server = HTTPServer((NAME, 0), BaseHTTPRequestHandler)
    server.handle_error = lambda request, client_address: None  # type: ignore[method-assign]  # the handshakes fail
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server.server_port, folder / "ca.pem"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_agent_of_the_https_relay_is_told_what_its_authority_lacks(lax_server: tuple[int, Path]) -> None:
    port, authority = lax_server
    transport = HttpsTransport(f"https://{NAME}:{port}", "", tls=Strict(authority))

    with pytest.raises(RelayUnavailable, match=r"key usage extension.*keyUsage=critical,keyCertSign,cRLSign"):
        transport.exchange("GET", "/", body=None, seconds=5, largest=100)
    transport.close()


async def _open(port: int, authority: Path) -> None:
    broker = Broker.from_url(f"amqps://agent:token@{NAME}:{port}/mig", tls=Strict(authority))
    await AmqpConnection.open(broker)


def test_both_ends_of_the_amqp_relay_are_told_what_their_authority_lacks(lax_server: tuple[int, Path]) -> None:
    import asyncio

    with pytest.raises(RelayUnavailable, match=r"key usage extension.*keyUsage=critical,keyCertSign,cRLSign"):
        asyncio.run(_open(*lax_server))


def test_the_certificates_of_the_compose_environment_pass_the_strict_check(tmp_path: Path) -> None:
    file = tmp_path / "env"
    subprocess.run([ROOT / "compose" / "setup", "--file", file], check=True, capture_output=True)
    written = dict(line.split("=", 1) for line in file.read_text(encoding="ascii").splitlines())

    for name in ("MIG_TLS_CA", "MIG_API_CERTIFICATE", "MIG_RELAY_CERTIFICATE"):
        (tmp_path / name).write_bytes(base64.b64decode(written[name]))

    for name in ("MIG_API_CERTIFICATE", "MIG_RELAY_CERTIFICATE"):
        strictly = [
            "-x509_strict",
            "-purpose",
            "sslserver",
            "-CAfile",
            str(tmp_path / "MIG_TLS_CA"),
            str(tmp_path / name),
        ]
        subprocess.run(["openssl", "verify", *strictly], check=True, capture_output=True)

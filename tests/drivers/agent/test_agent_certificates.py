"""Authority, server's and client's certificate are exchanged under a running agent: docs/rotation.md, tried."""

from __future__ import annotations

import os
import shutil
import signal
import ssl
from typing import TYPE_CHECKING, Any

from mig_core.domain.command import CommandState
from mig_core.testing.certificates import make_certificates

if TYPE_CHECKING:
    from pathlib import Path

Endpoint = Any
Platform = Any
"""They live in conftest.py, which cannot be imported under this import mode."""


class Entrance:
    """Makes a platform ask everybody for a certificate, and notes what was shown.

    Args:
        server: whose ``server`` certificate is shown.
        clients: whose ``client`` certificates are let in.
    """

    def __init__(self, platform: Platform, server: Path, clients: tuple[Path, ...]) -> None:
        self.shown: list[bytes] = []
        """The client's certificate of each connection, in DER."""
        self._clients = clients
        self._accept = platform.server.get_request
        self.shows(server)
        platform.server.get_request = self._let_in

    def shows(self, server: Path) -> None:
        """From the next connection on."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(server / "server.pem", server / "server.key")
        for one in self._clients:
            context.load_verify_locations(one / "ca.pem")
        self._context = context

    def _let_in(self) -> tuple[ssl.SSLSocket, object]:
        plain, address = self._accept()
        plain.settimeout(10)  # nobody else is let in until this one has shown its certificate
        connection = self._context.wrap_socket(plain, server_side=True)
        connection.settimeout(None)
        self.shown.append(connection.getpeercert(binary_form=True) or b"")
        return connection, address


def test_authority_server_and_client_certificates_are_exchanged_in_the_same_process(
    endpoint: Endpoint, platform: Platform, tmp_path: Path
) -> None:
    for name in ("before", "after", "tls"):
        (tmp_path / name).mkdir()
    before, after = make_certificates(tmp_path / "before"), make_certificates(tmp_path / "after")
    clients = {ssl.PEM_cert_to_DER_cert((one / "client.pem").read_text()): one.name for one in (before, after)}
    tls = tmp_path / "tls"
    for file in ("ca.pem", "client.pem", "client.key"):
        shutil.copy(before / file, tls)
    entrance = Entrance(platform, server=before, clients=(before, after))
    endpoint.configuration.write_text(
        endpoint.configuration.read_text()
        .replace("http://", "https://")
        .replace(
            "[trust]",
            f'[platform.tls]\nca_file = "{tls}/ca.pem"\n'
            f'certificate_file = "{tls}/client.pem"\nkey_file = "{tls}/client.key"\n[trust]',
        )
    )

    def begun_again(times: int) -> bool:
        return str(endpoint.log).count("begins again") == times

    def heard_anew(times: int) -> None:
        """From the process that has begun so many times: what the one before it sent last may arrive until then."""
        platform.wait_for(lambda: str(endpoint.log).count(" with modules ") == times)
        told = len(platform.heartbeats)
        platform.wait_for(lambda: len(platform.heartbeats) > told + 1)

    endpoint.start()
    platform.wait_for(lambda: len(platform.heartbeats) > 1)
    pid = endpoint.pid
    assert {clients[one] for one in entrance.shown} == {"before"}

    # First everybody believes both authorities, then the server shows the new one's, then the old one is not believed.
    (tls / "ca.pem").write_text((before / "ca.pem").read_text() + (after / "ca.pem").read_text())
    os.kill(pid, signal.SIGHUP)
    platform.wait_for(lambda: begun_again(1))
    entrance.shows(after)
    connections = len(entrance.shown)
    platform.wait_for(lambda: len(entrance.shown) > connections)
    shutil.copy(after / "ca.pem", tls)
    os.kill(pid, signal.SIGHUP)
    platform.wait_for(lambda: begun_again(2))
    heard_anew(3)  # it has read its certificate

    shutil.copy(after / "client.pem", tls)  # and its key is still the old one
    os.kill(pid, signal.SIGHUP)
    platform.wait_for(lambda: "settings" in platform.heartbeats[-1].facts.failures)
    assert {clients[one] for one in entrance.shown} == {"before"}

    shutil.copy(after / "client.key", tls)
    os.kill(pid, signal.SIGHUP)
    platform.wait_for(lambda: clients[entrance.shown[-1]] == "after")

    command = endpoint.command(endpoint.action(("echo", {"word": "x"})))
    platform.send(command)
    assert platform.answer_to(command.command).state is CommandState.SUCCESS
    assert platform.heartbeats[-1].facts.pid == pid
    assert endpoint.stop() == 0

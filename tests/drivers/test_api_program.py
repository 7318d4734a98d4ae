"""``mig-api`` as a program: settings, sockets, TLS, signals."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mig_core.api.main import serve
from mig_core.client.client import MigClient
from mig_core.config.client import ClientSettings
from mig_core.config.server import ApiSettings, DatabaseSettings, ServerTlsSettings
from mig_core.errors import ApiError, ApiUnavailable, ConfigurationError
from mig_core.testing.api_site import ApiSite
from mig_core.testing.certificates import make_certificates

if TYPE_CHECKING:
    from pathlib import Path

    from mig_core.api.server import Server
    from mig_core.testing.keys import InvestigatorKeys


def test_the_program_serves_on_a_unix_socket_checks_itself_and_ends_at_once_on_sigterm(
    tmp_path: Path, api_store_url: str
) -> None:
    path = tmp_path / "api.sock"
    config = tmp_path / "api.toml"
    config.write_text(
        f'listen = "unix:{path}"\nstate = "{tmp_path}/state"\n[database]\nurl = "{api_store_url}"\n', encoding="utf-8"
    )
    program = [sys.executable, "-m", "mig_core.api.main", "--config", str(config)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

    checked = subprocess.run(
        [*program, "--check", "--within", "120"], env=environment, capture_output=True, text=True, check=False
    )
    with subprocess.Popen(program, env=environment, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "listens on" in line:
                break
        answer = _over_unix(path, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        mode = stat.S_IMODE(path.stat().st_mode)
        began = time.monotonic()
        running.send_signal(signal.SIGTERM)
        status = running.wait(60)
        took = time.monotonic() - began
        log = running.stderr.read()

    assert checked.returncode == 0, checked.stdout
    assert b'{"status":"ok"}' in answer
    assert mode == 0o660
    assert status == 0, log
    assert took < 20.0
    assert not path.exists()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "database.url"),
        ("surprise = 1", "surprise"),
        ('enrolment_secret_file = "/nonexistent/secret"\n[database]\nurl = "x"', "enrolment_secret_file"),
    ],
)
def test_a_setting_that_is_wrong_ends_the_program_with_its_name(tmp_path: Path, text: str, key: str) -> None:
    config = tmp_path / "api.toml"
    config.write_text(text, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

    done = subprocess.run(
        [sys.executable, "-m", "mig_core.api.main", "--config", str(config), "--check", "--within", "120"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert key in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_the_program_makes_the_schema_when_it_may(tmp_path: Path, empty_database_url: str) -> None:
    database = DatabaseSettings(url=empty_database_url, owner_url=empty_database_url, pool_size=1)
    settings = ApiSettings(state=tmp_path / "state", listen="127.0.0.1:0", database=database)
    answered: list[str] = []

    def started(server: Server, address: str) -> None:
        answered.append(address)
        server.should_exit = True

    asyncio.run(serve(settings, started=started))

    assert answered
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert (tmp_path / "state" / "bootstrap-secret").exists()


def test_over_tls_the_client_believes_only_its_own_authority(
    tmp_path: Path, api_settings: ApiSettings, store_url: str, investigator_keys: InvestigatorKeys
) -> None:
    certificates = make_certificates(tmp_path)
    tls = ServerTlsSettings(certificates / "server.pem", certificates / "server.key")
    site = ApiSite(api_settings.state, store_url, replace(api_settings, tls=tls), investigator_keys)
    site.start()
    alice = investigator_keys.alice
    address = f"https://{site.address}"
    plain = ClientSettings(api=address, fingerprint=alice.fingerprint)
    try:
        with MigClient(replace(plain, ca_file=certificates / "ca.pem"), lambda: alice, keep_session=False) as client:
            client.bootstrap(site.bootstrap_secret, "Alice", alice.public_key())
            numbers = client.dashboard()
        with MigClient(plain, lambda: alice, keep_session=False) as client, pytest.raises(ApiUnavailable) as distrust:
            client.dashboard()
    finally:
        site.stop()

    assert "agents" in numbers
    assert "ca_file" in distrust.value.next_step


def test_a_certificate_that_cannot_be_used_is_named(tmp_path: Path, api_store_url: str) -> None:
    settings = ApiSettings(
        state=tmp_path / "state",
        listen="127.0.0.1:0",
        database=DatabaseSettings(url=api_store_url, pool_size=1),
        tls=ServerTlsSettings(tmp_path / "missing.pem", tmp_path / "missing.key"),
    )

    with pytest.raises(ConfigurationError) as error:
        asyncio.run(serve(settings))

    assert error.value.key == "tls"


def test_a_login_signed_for_another_address_is_refused(
    api_settings: ApiSettings, store_url: str, investigator_keys: InvestigatorKeys
) -> None:
    settings = replace(api_settings, public_url="https://mig.example.net")
    site = ApiSite(settings.state, store_url, settings, investigator_keys)
    site.start()
    try:
        site.client(investigator_keys.alice).bootstrap(
            site.bootstrap_secret, "Alice", investigator_keys.alice.public_key()
        )
        with pytest.raises(ApiError) as refused:
            site.client(investigator_keys.alice).dashboard()
    finally:
        site.stop()

    assert refused.value.status == 401
    assert "signed for" in str(refused.value)


def _over_unix(path: Path, request: bytes) -> bytes:
    deadline = time.monotonic() + 60
    while True:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            try:
                connection.connect(str(path))
            except OSError:
                assert time.monotonic() < deadline
                continue
            connection.sendall(request)
            answer = b""
            while more := connection.recv(65536):
                answer += more
            return answer

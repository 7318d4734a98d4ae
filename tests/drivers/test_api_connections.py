"""Connections that send nothing, half a head, or one byte at a time: they are cut, and nobody else notices."""

from __future__ import annotations

import contextlib
import http.client
import os
import resource
import signal
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mig_core.api.connections import ConnectionLimits
from mig_core.config.server import ServerTlsSettings
from mig_core.testing.api_site import ApiSite, SampleAgent
from mig_core.testing.certificates import make_certificates
from mig_core.testing.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mig_core.config.server import ApiSettings
    from mig_core.testing.keys import InvestigatorKeys

QUICK = ConnectionLimits(guests=40, guests_an_address=20, agents=5, all=60, head_seconds=1.0, grace_seconds=0.1)
DESCRIPTORS = 256
LATE = 20.0
"""Seconds after which one who is not cut, or not served, is given up."""


@pytest.fixture
def quick_site(api_settings: ApiSettings, store_url: str, investigator_keys: InvestigatorKeys) -> Iterator[ApiSite]:
    site = ApiSite(api_settings.state, store_url, api_settings, investigator_keys, limits=QUICK)
    site.start()
    try:
        yield site
    finally:
        site.stop()


def connect(address: str, source: str = "127.0.0.1") -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=60, source_address=(source, 0))


def healthy(connection: socket.socket) -> bool:
    """Whether a whole answer of /healthz arrives."""
    answer = b""
    while b'"ok"}' not in answer and (more := connection.recv(65536)):
        answer += more
    return answer.startswith(b"HTTP/1.1 200")


def cut_after(connection: socket.socket, began: float, *, trickle: bytes = b"") -> float:
    """Seconds until the other side has ended the connection, while one byte is sent every tenth of a second.

    Args:
        began: just before the other side's deadline may have begun to run: this process may be late itself.
    """
    connection.settimeout(0.1)
    while time.monotonic() - began < LATE:
        try:
            if trickle:
                connection.send(trickle)
            if not connection.recv(65536):
                break
        except TimeoutError:
            continue
        except ConnectionError:
            break
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("beginning", "trickle"),
    [(b"", b""), (b"GET /healthz HTTP/1.1\r\nHost:", b""), (b"GET /healthz HTTP/1.1\r\nX: ", b"a"), (b"", b"\r\n")],
    ids=["nothing", "half a head", "a head that never ends", "empty lines"],
)
def test_who_sends_no_whole_head_is_cut_at_the_deadline(quick_site: ApiSite, beginning: bytes, trickle: bytes) -> None:
    began = time.monotonic()
    with connect(quick_site.address) as connection:
        connection.sendall(beginning)

        assert 0.5 < cut_after(connection, began, trickle=trickle) < LATE


def test_the_deadline_holds_for_a_second_request_too(quick_site: ApiSite) -> None:
    with connect(quick_site.address) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert healthy(connection)
        time.sleep(1.5)  # an idle connection is not late with anything
        began = time.monotonic()
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /heal")
        assert healthy(connection)

        assert 0.5 < cut_after(connection, began) < LATE


def test_many_who_come_at_once_from_one_address_are_served_in_turn_and_none_is_turned_away(
    quick_site: ApiSite,
) -> None:
    with contextlib.ExitStack() as stack:
        connections = []
        for _ in range(QUICK.guests_an_address + 10):
            connections.append(stack.enter_context(connect(quick_site.address)))
            with contextlib.suppress(OSError):
                connections[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

        answered = [healthy(connection) for connection in connections]

    assert all(answered)


def test_a_tls_handshake_that_never_ends_is_cut_too(
    tmp_path: Path, api_settings: ApiSettings, store_url: str, investigator_keys: InvestigatorKeys
) -> None:
    certificates = make_certificates(tmp_path)
    tls = ServerTlsSettings(certificates / "server.pem", certificates / "server.key")
    settings = replace(api_settings, tls=tls)
    site = ApiSite(settings.state, store_url, settings, investigator_keys, limits=QUICK)
    site.start()
    try:
        with connect(site.address) as silent, connect(site.address) as half:
            half.sendall(b"\x16\x03\x01")
            silent_seconds, half_seconds = cut_after(silent, time.monotonic()), cut_after(half, time.monotonic())
        context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
        with context.wrap_socket(connect(site.address), server_hostname="127.0.0.1") as good:
            good.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = good.recv(65536)
    finally:
        site.stop()

    assert max(silent_seconds, half_seconds) < LATE
    assert answer.startswith(b"HTTP/1.1 200")


def test_a_slow_poll_of_an_agent_is_no_late_head(quick_site: ApiSite) -> None:
    agent = SampleAgent(quick_site)
    agent.enrol()

    answer = agent.ask("GET", "/commands?session=one&wait=3")

    assert answer.status == 200


def test_agents_beyond_their_share_are_told_and_investigators_still_come_in(quick_site: ApiSite) -> None:
    alice = quick_site.first_investigator()
    agent = SampleAgent(quick_site)
    agent.enrol()
    head = f"Host: x\r\nAuthorization: Bearer {agent.id}:{agent.token}\r\n\r\n"
    request = f"POST /api/v1/relay/messages/heartbeat HTTP/1.1\r\nContent-Length: 1\r\n{head}x".encode()

    with contextlib.ExitStack() as stack:
        statuses = []
        for _ in range(QUICK.agents + 2):
            connection = stack.enter_context(connect(quick_site.address))
            connection.sendall(request)
            statuses.append(connection.recv(65536).split(b" ")[1])
        dashboard = alice.dashboard()

    assert statuses == [b"204"] * QUICK.agents + [b"503"] * 2
    assert dashboard["agents"] == {"online": 1}
    assert b'mig_connections_cut_total{why="too many agents"} 2' in quick_site.ask("GET", "/metrics").body


@pytest.mark.fault("slow head")
def test_three_hundred_silent_connections_do_not_silence_an_api_with_256_descriptors(
    tmp_path: Path, api_store_url: str
) -> None:
    port = free_port()
    config = tmp_path / "api.toml"
    config.write_text(
        f'listen = "127.0.0.1:{port}"\nstate = "{tmp_path}/state"\n'
        f'[database]\nurl = "{api_store_url}"\npool_size = 2\n',
        encoding="utf-8",
    )
    program = [sys.executable, "-m", "mig_core.api.main", "--config", str(config)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        program, env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=_few_descriptors
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "listens on" in line:
                break
        address = f"127.0.0.1:{port}"
        with contextlib.ExitStack() as stack:
            for source in ("127.0.0.1", *(f"127.0.0.{number}" for number in range(2, 12))):
                for _ in range(30):
                    silent = stack.enter_context(connect(address, source))
                    with contextlib.suppress(OSError):
                        silent.sendall(b"GET /healthz HTTP/1.1\r\n")

            elsewhere = [_seconds_until_healthy(port, "127.0.0.99") for _ in range(20)]
            same = _seconds_until_healthy(port, "127.0.0.1")
        open_ = len(os.listdir(f"/proc/{running.pid}/fd"))
        running.send_signal(signal.SIGTERM)
        log = running.stderr.read()
        status = running.wait(60)

    assert max(elsewhere) < LATE, log  # the first is behind all of them in the queue of the system
    assert sorted(elsewhere)[10] < 5  # and does not wait until they are cut
    assert same < LATE
    assert open_ < DESCRIPTORS
    assert "Traceback" not in log
    assert status == 0, log


def _few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))


def _seconds_until_healthy(port: int, source: str) -> float:
    """How long a newcomer takes to be answered, who tries again when cut off."""
    began = time.monotonic()
    while time.monotonic() - began < LATE:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15, source_address=(source, 0))
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                break
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
        finally:
            connection.close()
    return time.monotonic() - began

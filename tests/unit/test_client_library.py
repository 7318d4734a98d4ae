"""The client library's parts that need no API: action files, composing, event streams, proxies, sessions."""

from __future__ import annotations

import contextlib
import http.server
import itertools
import json
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.client.action_file import DEFAULT_TARGET, load_action_file, read_action_file
from mig_core.client.compose import compose_action
from mig_core.client.follow import PATIENCE, Event, follow_events, read_events
from mig_core.client.session import Session
from mig_core.client.through_proxy import ThroughProxy
from mig_core.client.transport import Transport
from mig_core.config.client import ClientSettings
from mig_core.domain.action import Operation, read_action
from mig_core.domain.ids import Fingerprint
from mig_core.errors import ApiUnavailable, ConfigurationError, InvalidDocument, SignatureInvalid
from mig_core.testing.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mig_core.domain.envelope import Envelope

NOW = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)

ORIGINAL = {
    "name": "Shellshock IOCs",
    "target": "environment->>'os'='linux'",
    "description": {"author": "Julien Vehent", "email": "", "url": "https://example.org", "revision": 201409251400},
    "threat": {"level": "alert", "family": "backdoor"},
    "operations": [{"module": "file", "parameters": {"searches": {"s1": {"paths": ["/usr"]}}}}],
    "syntaxversion": 2,
    "id": 0,
    "pgpsignatures": ["old"],
}


def read(document: object) -> Any:
    return read_action_file(json.dumps(document).encode(), subject="a.json", expiry=timedelta(minutes=5), now=NOW)


def test_an_action_of_the_original_becomes_one_of_version_3() -> None:
    action = read(ORIGINAL)

    assert action.name == "Shellshock IOCs"
    assert action.target == "environment->>'os'='linux'"
    assert action.description == "author: Julien Vehent\nurl: https://example.org\nrevision: 201409251400"
    assert action.threat == "level: alert\nfamily: backdoor"
    assert action.operations == (Operation("file", {"searches": {"s1": {"paths": ["/usr"]}}}),)
    assert action.expire_after == NOW + timedelta(minutes=5)


def test_a_version_3_file_gets_a_new_id_and_window() -> None:
    first = compose_action([Operation("file", {})], name="x", target="all", expiry=timedelta(hours=1), now=NOW)

    again = read_action_file(first.to_payload(), subject="a.json", expiry=timedelta(minutes=1), now=NOW)

    assert again.id != first.id
    assert again.expire_after == NOW + timedelta(minutes=1)
    assert (again.name, again.target, again.operations) == (first.name, first.target, first.operations)


def test_what_the_command_line_says_goes_before_the_file() -> None:
    action = read_action_file(
        json.dumps(ORIGINAL).encode(), subject="a", expiry=timedelta(minutes=1), target="all", name="mine"
    )

    assert (action.target, action.name) == ("all", "mine")


def test_a_file_without_a_target_asks_who_is_online() -> None:
    assert read({**ORIGINAL, "target": ""}).target == DEFAULT_TARGET


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"syntaxversion": 1}, "syntaxversion"),
        ({"operations": []}, "operations"),
        (
            {"operations": [{"module": "file", "parameters": "H4sI", "iscompressed": True}]},
            "operations[0].iscompressed",
        ),
        ({"operations": [{"module": "FILE!", "parameters": {}}]}, "operations[0].module"),
        ({"target": "name ="}, "target"),
        ({"tragets": "all"}, "tragets"),
        ({"description": ["a"]}, "description"),
    ],
)
def test_a_fault_in_a_file_is_named(change: dict[str, object], path: str) -> None:
    with pytest.raises(InvalidDocument) as refused:
        read({**ORIGINAL, **change})

    assert refused.value.path == path


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidDocument, match=r"missing\.json"):
        load_action_file(tmp_path / "missing.json", expiry=timedelta(minutes=1))


@given(st.binary(max_size=200))
def test_any_bytes_are_an_action_or_an_invalid_document(raw: bytes) -> None:
    with contextlib.suppress(InvalidDocument):
        read_action_file(raw, subject="a", expiry=timedelta(minutes=1))


def test_a_composed_action_begins_a_minute_ago_for_slow_clocks_and_reads_back() -> None:
    action = compose_action([Operation("file", {})], name="", target="all", expiry=timedelta(minutes=5), now=NOW)

    assert action.valid_from == NOW - timedelta(minutes=1)
    assert action.name == "file"
    assert read_action(action.to_payload()) == action


EVENTS = b'event: command\nid: 7\ndata: {"a":1}\n\n:\n\nevent: end\ndata: {}\n\n'


@given(st.lists(st.integers(0, len(EVENTS)), max_size=8))
def test_events_are_the_same_however_the_stream_is_cut(cuts: list[int]) -> None:
    places = sorted({0, len(EVENTS), *cuts})
    pieces = [EVENTS[start:end] for start, end in itertools.pairwise(places)]

    assert list(read_events(pieces, "u")) == [Event("command", {"a": 1}, "7"), None, Event("end", {}, "")]


def test_following_takes_up_where_the_stream_broke_and_gives_up_when_nothing_is_heard() -> None:
    asked: list[str] = []
    time = [0.0]

    def connect(position: str) -> Iterator[bytes]:
        asked.append(position)
        if len(asked) == 1:
            yield b'event: command\nid: 7\ndata: {"a":1}\n\n'
        raise ApiUnavailable("u", "broke")

    def sleep(seconds: float) -> None:
        time[0] += seconds

    seen: list[Event] = []
    with pytest.raises(ApiUnavailable):
        for event in follow_events(connect, "", "u", monotonic=lambda: time[0], sleep=sleep):
            seen.append(event)

    assert [one.position for one in seen] == ["7"]
    assert asked[:3] == ["", "7", "7"]
    assert PATIENCE < time[0] < PATIENCE * 2


@pytest.mark.parametrize("stream", [b"event: end\ndata: nonsense\n\n", b"event: end\ndata: []\n\n"])
def test_a_stream_of_something_else_is_no_usable_answer(stream: bytes) -> None:
    with pytest.raises(ApiUnavailable):
        list(read_events([stream], "u"))


def test_a_proxy_of_the_environment_carries_requests() -> None:
    transport = Transport(ClientSettings(api="https://mig.example.net/"), {"https_proxy": "proxy:3128"})

    way = transport._new_way()
    assert isinstance(way, ThroughProxy)
    assert str(way.pool.proxy) == "http://proxy:3128"


def test_an_address_that_is_none_is_a_setting_that_is_wrong() -> None:
    with pytest.raises(ConfigurationError, match="api"):
        Transport(ClientSettings(api="mig.example.net"), {})


def test_an_api_that_does_not_answer_is_named_with_a_next_step() -> None:
    with pytest.raises(ApiUnavailable) as away:
        Transport(ClientSettings(api="http://127.0.0.1:1"), {}).request("GET", "/dashboard")

    assert "http://127.0.0.1:1/api/v1/dashboard" in str(away.value)
    assert away.value.next_step


def test_an_answer_that_drips_for_ever_is_given_up() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    moments = itertools.count(step=120.0)

    def drip() -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while True:
                connection.sendall(b"[")
                time.sleep(0.01)

    threading.Thread(target=drip, daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    transport = Transport(ClientSettings(api=url), {}, monotonic=lambda: next(moments))

    with pytest.raises(ApiUnavailable, match="not come to its end"):
        transport.request("GET", "/dashboard")

    transport.close()
    listener.close()


def test_a_session_file_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    transport = Transport(ClientSettings(api="http://127.0.0.1:1"), {})
    session = Session(
        transport, "A" * 40, lambda: pytest.fail("no login is wanted"), folder=tmp_path, clock=lambda: NOW
    )
    session._keep("token", "2026-11-23T20:00:00Z")
    (path,) = tmp_path.iterdir()
    good = session._kept()

    os.chmod(path, 0o640)

    assert good == "token"
    assert session._kept() == ""


@pytest.mark.parametrize("key", ["api", "fingerprint"])
def test_a_session_file_of_another_login_with_the_same_name_is_not_used(tmp_path: Path, key: str) -> None:
    transport = Transport(ClientSettings(api="http://127.0.0.1:1"), {})
    session = Session(
        transport, "A" * 40, lambda: pytest.fail("no login is wanted"), folder=tmp_path, clock=lambda: NOW
    )
    session._keep("token", "2026-11-23T20:00:00Z")
    (path,) = tmp_path.iterdir()

    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {key: "other"}), encoding="utf-8")

    assert session._kept() == ""


@contextlib.contextmanager
def login_server() -> Iterator[str]:
    """What an API answers to logins: token-1, token-2 and so on."""
    numbers = itertools.count(1)

    class Logins(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer: dict[str, str] = {"nonce": "n"}
            if not self.path.endswith("/nonce"):
                answer = {"token": f"token-{next(numbers)}", "expires": "2026-11-23T20:00:00Z"}
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Logins) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class CountedSigner:
    """Signs nothing, and counts how often it is asked. It waits, as for a passphrase, until ``typed`` is set."""

    fingerprint = Fingerprint("A" * 40)

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.times = 0
        self.typed = threading.Event()
        self.given_up = False
        """Whether there will be no passphrase."""

    def sign(self, envelope: Envelope, *, check: bool = True) -> Envelope:
        self.times += 1
        self.asked.release()
        assert self.typed.wait(30)
        if self.given_up:
            raise SignatureInvalid(self.fingerprint, "GnuPG did not sign", next_step="is the passphrase right?")
        return envelope

    def check(self, envelope: Envelope) -> None: ...

    def public_key(self) -> bytes:
        return b""


def test_a_login_takes_files_of_sessions_away_that_ended_long_ago(tmp_path: Path) -> None:
    transport = Transport(ClientSettings(api="http://127.0.0.1:1"), {})
    session = Session(transport, "F" * 40, lambda: pytest.fail("no signer"), folder=tmp_path, clock=lambda: NOW)
    for name, days in (("session-old.json", 8), ("session-recent.json", 6), ("cases.json", 99)):
        (tmp_path / name).touch()
        written = (NOW - timedelta(days=days)).timestamp()
        os.utime(tmp_path / name, (written, written))

    session._keep("token", "2026-11-23T20:00:00Z")

    assert session._kept() == "token"
    left = {one.name for one in tmp_path.iterdir()}
    assert "session-old.json" not in left and {"session-recent.json", "cases.json"} < left and len(left) == 3


def test_a_login_that_fails_fails_for_all_who_wait_and_the_next_one_is_a_new_one(tmp_path: Path) -> None:
    with login_server() as url, ThreadPoolExecutor(8) as threads:
        signer = CountedSigner()
        signer.given_up = True
        transport = Transport(ClientSettings(api=url), {})
        session = Session(transport, signer.fingerprint, lambda: signer, folder=tmp_path, clock=lambda: NOW)

        begun = [threads.submit(session.token)]
        assert signer.asked.acquire(timeout=30)
        begun += [threads.submit(session.token) for _ in range(7)]
        eventually(lambda: sum(one.running() for one in begun) == 8)
        signer.typed.set()
        errors = {str(one.exception(30)) for one in begun}
        failed = signer.times
        signer.given_up = False
        again = session.token()

        assert len(errors) == 1 and "GnuPG did not sign" in errors.pop()
        assert (again, signer.times) == ("token-1", failed + 1)
        transport.close()


def test_all_who_wait_for_a_session_share_one_login(tmp_path: Path) -> None:
    with login_server() as url, ThreadPoolExecutor(8) as threads:
        signer = CountedSigner()
        transport = Transport(ClientSettings(api=url), {})
        session = Session(transport, signer.fingerprint, lambda: signer, folder=tmp_path, clock=lambda: NOW)

        begun = [threads.submit(session.token) for _ in range(8)]
        assert signer.asked.acquire(timeout=30)
        signer.typed.set()
        first = {one.result(30) for one in begun}
        expired = [threads.submit(session.renew, "token-1") for _ in range(8)]
        second = {one.result(30) for one in expired}

        assert (first, second, signer.times) == ({"token-1"}, {"token-2"}, 2)
        assert session.token() == "token-2"
        transport.close()

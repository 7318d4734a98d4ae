"""The syslog sink against a real rsyslog, and against servers that misbehave."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.testing.ports import free_port
from mig_dispatch.sinks import stream
from mig_dispatch.sinks.syslog import SyslogSink
from mig_dispatch.targets import StreamTarget, SyslogTarget, Tls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_dispatch.record import RecordMaker

STRICT = re.compile(
    rb"<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z|-) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) "
    rb'([!-~]{1,32}) (\[meta sequenceId="\d{1,10}"\]) (.*)',
    re.DOTALL,
)


@pytest.fixture(params=["tcp", "tls"])
def rsyslog(
    request: pytest.FixtureRequest, tmp_path: Path, needs_program: Any, certificates: Any, eventually: Any
) -> Iterator[tuple[SyslogTarget, Path]]:
    """A running rsyslog and the file it writes: one message a line."""
    program, port, output = needs_program("rsyslogd"), free_port(), tmp_path / "messages"
    secure = request.param == "tls"
    if secure and not list(Path("/usr/lib").glob("*/rsyslog/lmnsd_ossl.so")):
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            "rsyslog-openssl, rsyslog's TLS driver, is not installed"
        )
    driver = (
        f'global(defaultNetstreamDriver="ossl" defaultNetstreamDriverCAFile="{certificates.path("ca.pem")}" '
        f'defaultNetstreamDriverCertFile="{certificates.path("server.pem")}" '
        f'defaultNetstreamDriverKeyFile="{certificates.path("server.key")}")\n'
        'module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")\n'
        if secure
        else 'module(load="imtcp")\n'
    )
    configuration = tmp_path / "rsyslog.conf"
    configuration.write_text(
        f'global(workDirectory="{tmp_path}")\n{driver}'
        'template(name="all" type="string" string="%pri%|%timereported:::date-rfc3339%|%hostname%|%app-name%|%msgid%|'
        '%structured-data%|%msg%\\n")\n'
        f'input(type="imtcp" port="{port}" address="127.0.0.1")\n'
        f'*.* action(type="omfile" file="{output}" template="all")\n'
    )
    process = subprocess.Popen(
        [program, "-n", "-f", str(configuration), "-i", str(tmp_path / "pid")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    tls = Tls(*map(certificates.path, ("ca.pem", "client.pem", "client.key"))) if secure else Tls()
    try:
        eventually(lambda: _accepts(port))
        yield SyslogTarget(StreamTarget("localhost" if secure else "127.0.0.1", port, secure, tls), 16, 6), output
    finally:
        process.terminate()
        process.wait(60)


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_rsyslog_reads_every_message_in_order(
    rsyslog: tuple[SyslogTarget, Path], maker: RecordMaker, alerts: Any, eventually: Any
) -> None:
    target, output = rsyslog
    sink = SyslogSink(target, 60, maker)

    first = sink.deliver(alerts(count=300))
    second = sink.deliver(alerts(count=1, first=301))
    sink.close()

    assert (first.settled, first.trouble, second.settled) == (300, "", 1)
    eventually(lambda: output.exists() and output.read_bytes().count(b'"hostname"') >= 301)
    rows = [line.split("|", 6) for line in output.read_text().splitlines() if '"hostname"' in line]
    assert [json.loads(row[6])["event"]["n"] for row in rows] == list(range(1, 302))
    assert rows[0][:6] == [
        "134",
        "2026-11-23T06:28:15.214492Z",
        "web1.example",
        "mig-agent",
        "audit",
        '[meta sequenceId="1"]',
    ]


def test_messages_keep_the_grammar_of_rfc_5424_whatever_an_alert_says(alerts: Any, maker: RecordMaker) -> None:
    sink = SyslogSink(SyslogTarget(StreamTarget("127.0.0.1", 1, False), 23, 7), 60, maker)
    event = json.dumps({"text": '] "x" <1>1 \n\r\x00 ä'}, ensure_ascii=False).encode()

    match = STRICT.fullmatch(sink.message(alerts(event)[0]))

    assert match is not None
    assert match[1] == b"191"
    assert json.loads(match[8])["event"] == json.loads(event)
    assert b"\n" not in match[8]


def test_an_event_that_is_too_long_is_cut_and_arrives(alerts: Any, maker: RecordMaker) -> None:
    server = _Receiver()
    sink = SyslogSink(
        SyslogTarget(StreamTarget("127.0.0.1", server.port, False), 16, 6, max_message_bytes=1024), 5, maker
    )

    verdict = sink.deliver(alerts(b'{"n":1}', b'{"n":2,"process":{"exe":"/bin/sh","title":"' + b"x" * 3000 + b'"}}'))
    sink.close()

    assert (verdict.settled, dict(verdict.refused)) == (2, {})
    messages = server.messages()
    assert all(len(one) <= 1024 for one in messages)
    first, second = (json.loads(STRICT.fullmatch(one)[8])["event"] for one in messages)  # type: ignore[index]  # no match is a failure
    assert first == {"n": 1}
    assert (second["n"], second["process"]["exe"], second["cut"]) == (2, "/bin/sh", {"process.title": 3002})
    assert set(second["process"]["title"]) == {"x"}


def test_a_receiver_that_reads_nothing_is_given_up_and_gets_the_batch_again(alerts: Any, maker: RecordMaker) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sink = SyslogSink(
        SyslogTarget(StreamTarget("127.0.0.1", listener.getsockname()[1], False), 16, 6, max_message_bytes=1 << 20),
        0.5,
        maker,
    )
    started = time.monotonic()

    verdict = sink.deliver(alerts(*[b'{"n":"' + b"x" * 500000 + b'"}'] * 30))

    listener.close()
    assert verdict.settled == 0
    assert verdict.trouble
    assert time.monotonic() - started < 30


def test_a_receiver_that_dies_with_the_batch_half_taken_is_noticed_at_once(
    alerts: Any, maker: RecordMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_sent, unacknowledged = threading.Event(), stream._unacknowledged

    def asked(connection: socket.socket) -> int:
        all_sent.set()
        return unacknowledged(connection)

    monkeypatch.setattr(stream, "_unacknowledged", asked)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listener.bind(("127.0.0.1", 0))
    listener.listen()

    def die() -> None:
        connection, _ = listener.accept()
        all_sent.wait(60)  # what the small buffer does not hold waits with the sender
        connection.close()

    thread = threading.Thread(target=die)
    thread.start()
    sink = SyslogSink(SyslogTarget(StreamTarget("127.0.0.1", listener.getsockname()[1], False), 16, 6), 60, maker)
    started = time.monotonic()

    verdict = sink.deliver(alerts(*[b'{"n":"' + b"x" * 2000 + b'"}'] * 30))

    thread.join()
    listener.close()
    assert (verdict.settled, verdict.trouble) == (0, "the receiver went away before it had taken all")
    assert time.monotonic() - started < 30  # the time-out is a minute


def test_a_connection_the_receiver_closed_is_made_anew(alerts: Any, maker: RecordMaker, eventually: Any) -> None:
    server = _Receiver(connections=2, close_after=1)
    sink = SyslogSink(SyslogTarget(StreamTarget("127.0.0.1", server.port, False), 16, 6), 60, maker)

    first = sink.deliver(alerts(count=1))
    eventually(lambda: server.closed == 1)
    second = sink.deliver(alerts(count=1, first=2))
    sink.close()

    assert (first.settled, second.settled) == (1, 1)
    assert len(server.messages()) == 2


def test_a_receiver_without_a_certificate_of_our_authority_gets_nothing(
    alerts: Any, maker: RecordMaker, certificates: Any
) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    context = certificates.server_context()

    def accept() -> None:
        connection, _ = listener.accept()
        try:
            context.wrap_socket(connection, server_side=True).close()
        except OSError:
            connection.close()

    thread = threading.Thread(target=accept)
    thread.start()
    sink = SyslogSink(SyslogTarget(StreamTarget("localhost", listener.getsockname()[1], True), 16, 6), 60, maker)

    verdict = sink.deliver(alerts(count=1))

    thread.join()
    listener.close()
    assert verdict.settled == 0
    assert "certificate verify failed" in verdict.trouble


class _Receiver:
    """Reads octet-counted frames, strictly. ``close_after`` closes each connection after so many messages."""

    def __init__(self, connections: int = 1, close_after: int = 0) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.closed = 0
        self._messages: list[bytes] = []
        self._close_after = close_after
        self._thread = threading.Thread(target=self._serve, args=(connections,))
        self._thread.start()

    def messages(self) -> list[bytes]:
        """All messages, once the sender has closed."""
        self._thread.join(60)
        self._listener.close()
        return self._messages

    def _serve(self, connections: int) -> None:
        for _ in range(connections):
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rb") as stream:
                count = 0
                while not self._close_after or count < self._close_after:
                    digits = b""
                    while (one := stream.read(1)) not in (b" ", b""):
                        assert one.isdigit()
                        digits += one
                    if not digits:
                        break
                    message = stream.read(int(digits))
                    assert STRICT.fullmatch(message)
                    self._messages.append(message)
                    count += 1
            self.closed += 1

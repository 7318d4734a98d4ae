"""The HTTP sinks against a real HTTP server."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.testing.ports import free_port
from mig_dispatch.sinks.http import HttpSink, MozDefSink
from mig_dispatch.targets import Secret, Tls, WebTarget

if TYPE_CHECKING:
    from pathlib import Path

    from mig_dispatch.record import RecordMaker


def test_each_alert_is_one_request_with_the_original_record(
    http_receiver: Any, maker: RecordMaker, alerts: Any
) -> None:
    receiver = http_receiver()
    sink = HttpSink(WebTarget(receiver.url), 60, maker, "spool1")

    verdict = sink.deliver(alerts(b'{"alert":"disk 100% full"}', b'{"alert":"\xc3\xa4"}'))
    sink.close()

    assert (verdict.settled, verdict.trouble, dict(verdict.refused)) == (2, "", {})
    assert receiver.records() == [
        {"hostname": "web1.example", "environment": {"os": "linux"}, "tags": {"operator": "it"}, "event": event}
        for event in ({"alert": "disk 100% full"}, {"alert": "ä"})
    ]
    assert receiver.requests[0].headers["Content-Type"] == "application/json"
    assert [one.headers["Idempotency-Key"] for one in receiver.requests] == ["spool1-1", "spool1-2"]


def test_lines_carry_a_batch_in_one_compressed_request(http_receiver: Any, maker: RecordMaker, alerts: Any) -> None:
    receiver = http_receiver()
    sink = HttpSink(WebTarget(receiver.url, gzip=True, lines=True), 60, maker, "spool1")

    verdict = sink.deliver(alerts(count=50))
    sink.close()

    assert verdict.settled == 50
    assert len(receiver.requests) == 1
    assert receiver.requests[0].headers["Content-Type"] == "application/x-ndjson"
    assert [one["event"]["n"] for one in receiver.records()] == list(range(1, 51))


def test_the_line_a_batch_was_refused_for_is_found_and_order_is_kept(
    http_receiver: Any, maker: RecordMaker, alerts: Any
) -> None:
    accepted: list[int] = []

    def answer(request: Any) -> int:
        numbers = [one["event"]["n"] for one in request.records()]
        if 13 in numbers:
            return 422
        accepted.extend(numbers)
        return 200

    receiver = http_receiver(answer)
    sink = HttpSink(WebTarget(receiver.url, lines=True), 60, maker, "spool1")

    verdict = sink.deliver(alerts(count=40))
    sink.close()

    assert verdict.settled == 40
    assert verdict.refused == {12: "HTTP 422: no,\\r\\nnot this"}
    assert accepted == [number for number in range(1, 41) if number != 13]


@pytest.mark.parametrize("lines", [True, False])
def test_an_event_that_is_too_large_for_the_receiver_is_cut_and_arrives(
    http_receiver: Any, maker: RecordMaker, alerts: Any, lines: bool
) -> None:
    receiver = http_receiver(lambda request: 413 if len(request.body) > 3000 else 200)
    sink = HttpSink(WebTarget(receiver.url, lines=lines), 60, maker, "s")

    verdict = sink.deliver(alerts(b'{"n":1}', b'{"n":2,"exe":"/bin/sh","title":"' + b"x" * 9000 + b'"}'))
    sink.close()

    assert (verdict.settled, dict(verdict.refused)) == (2, {})
    arrived = receiver.requests[-1].records()[-1]["event"]
    assert (arrived["n"], arrived["exe"], arrived["cut"]) == (2, "/bin/sh", {"title": 9002})


@pytest.mark.parametrize("status", [400, 405, 410, 413, 415, 422])
def test_an_answer_about_the_alert_is_final(http_receiver: Any, maker: RecordMaker, alerts: Any, status: int) -> None:
    receiver = http_receiver(lambda _: status)
    sink = HttpSink(WebTarget(receiver.url), 60, maker, "s")

    verdict = sink.deliver(alerts(count=2))
    sink.close()

    assert (verdict.settled, len(verdict.refused), verdict.trouble) == (2, 2, "")


@pytest.mark.parametrize("status", [301, 302, 307, 401, 403, 404, 408, 429, 500, 502, 503])
def test_an_answer_about_anything_else_is_tried_again(
    http_receiver: Any, maker: RecordMaker, alerts: Any, status: int
) -> None:
    receiver = http_receiver(lambda _: status)
    receiver.headers = {"Retry-After": "7", "Location": "http://127.0.0.1:1/"}
    sink = HttpSink(WebTarget(receiver.url), 60, maker, "s")

    verdict = sink.deliver(alerts(count=2))
    sink.close()

    assert (verdict.settled, dict(verdict.refused)) == (0, {})
    assert f"HTTP {status}" in verdict.trouble
    assert len(receiver.requests) == 1
    assert verdict.retry_after == (0 if status < 400 else 7)


def test_what_was_accepted_before_trouble_is_not_sent_again(
    http_receiver: Any, maker: RecordMaker, alerts: Any
) -> None:
    receiver = http_receiver(lambda request: 503 if b'"n":3' in request.body else 200)
    sink = HttpSink(WebTarget(receiver.url), 60, maker, "s")

    verdict = sink.deliver(alerts(count=5))
    sink.close()

    assert verdict.settled == 2
    assert "HTTP 503" in verdict.trouble


def test_a_server_that_is_not_there_is_trouble(maker: RecordMaker, alerts: Any) -> None:
    sink = HttpSink(WebTarget(f"http://127.0.0.1:{free_port()}/"), 60, maker, "s")

    verdict = sink.deliver(alerts(count=1))

    assert verdict.settled == 0
    assert "refused" in verdict.trouble


def test_a_server_that_hangs_is_given_up_after_the_time_out(
    http_receiver: Any, maker: RecordMaker, alerts: Any
) -> None:
    receiver = http_receiver(lambda _: None)
    sink = HttpSink(WebTarget(receiver.url), 0.3, maker, "s")
    started = time.monotonic()

    verdict = sink.deliver(alerts(count=1))

    assert verdict.settled == 0
    assert verdict.trouble
    assert time.monotonic() - started < 30  # it hangs for a minute


def test_a_server_that_drips_its_answer_is_broken_off(maker: RecordMaker, alerts: Any) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while not done.wait(0.05):
                try:
                    connection.sendall(b"X-A: b\r\n")
                except OSError:
                    return

    threading.Thread(target=drip, daemon=True).start()
    sink = HttpSink(WebTarget(f"http://127.0.0.1:{listener.getsockname()[1]}/"), 1.5, maker, "s")

    def watch() -> None:
        while not done.wait(0.05):
            sink.watch(time.monotonic())

    watching = threading.Thread(target=watch)
    watching.start()
    started = time.monotonic()

    verdict = sink.deliver(alerts(count=1))

    took = time.monotonic() - started
    done.set()
    watching.join()
    listener.close()
    assert verdict.settled == 0
    assert verdict.trouble == "no whole answer within 1.5 s"
    assert took < 30


def test_the_token_is_read_from_its_file_and_again_after_a_refusal(
    http_receiver: Any, maker: RecordMaker, alerts: Any, tmp_path: Path
) -> None:
    receiver = http_receiver(lambda request: 200 if request.headers["Authorization"] == "Bearer new" else 401)
    token = tmp_path / "token"
    token.write_text("old\n")
    sink = HttpSink(WebTarget(receiver.url, secret=Secret(path=str(token))), 60, maker, "s")

    first = sink.deliver(alerts(count=1))
    token.write_text("new\n")
    second = sink.deliver(alerts(count=1))
    sink.close()

    assert "HTTP 401" in first.trouble
    assert "old" not in first.trouble
    assert second.settled == 1


@pytest.mark.parametrize("content", ["", "two\nlines\n", "x" * 20000])
def test_a_file_that_holds_no_token_is_trouble_that_names_it(
    http_receiver: Any, maker: RecordMaker, alerts: Any, tmp_path: Path, content: str
) -> None:
    token = tmp_path / "token"
    token.write_text(content)
    sink = HttpSink(WebTarget(http_receiver().url, secret=Secret(path=str(token))), 60, maker, "s")

    verdict = sink.deliver(alerts(count=1))

    assert verdict.settled == 0
    assert "bearer_file" in verdict.trouble


def test_both_sides_prove_themselves_with_certificates(
    http_receiver: Any, maker: RecordMaker, alerts: Any, certificates: Any
) -> None:
    receiver = http_receiver(tls=certificates.server_context(clients=True))
    whole = Tls(certificates.path("ca.pem"), certificates.path("client.pem"), certificates.path("client.key"))
    verdicts = {}

    for name, tls in (("whole", whole), ("no client", Tls(whole.ca_file)), ("no authority", Tls())):
        sink = HttpSink(WebTarget(receiver.url, tls=tls), 60, maker, "s")
        verdicts[name] = sink.deliver(alerts(count=1))
        sink.close()

    assert verdicts["whole"].settled == 1
    assert verdicts["no client"].settled == 0
    assert verdicts["no authority"].settled == 0
    assert "certificate verify failed" in verdicts["no authority"].trouble
    assert len(receiver.requests) == 1


def test_mozdef_gets_the_record_as_details(http_receiver: Any, maker: RecordMaker, alerts: Any) -> None:
    receiver = http_receiver()
    sink = MozDefSink(WebTarget(receiver.url), 60, maker, "s")

    sink.deliver(alerts(b'{"severity":"high"}'))
    sink.close()

    (event,) = receiver.records()
    assert set(event) == {
        *("timestamp", "category", "hostname", "processid", "processname"),
        *("severity", "source", "summary", "tags", "details"),
    }
    assert event["timestamp"] == "2026-11-23T06:28:15.214492Z"
    assert event["category"] == "mig"
    assert event["tags"] == ["mig-dispatch"]
    assert event["details"]["event"] == {"severity": "high"}
    assert event["details"]["hostname"] == "web1.example"


def test_a_proxy_is_used_when_one_is_given(http_receiver: Any, maker: RecordMaker, alerts: Any) -> None:
    proxy = http_receiver()
    sink = HttpSink(WebTarget("http://alerts.invalid/x", proxy=f"http://127.0.0.1:{proxy.port}"), 60, maker, "s")

    verdict = sink.deliver(alerts(count=1))
    sink.close()

    assert verdict.settled == 1
    assert proxy.requests[0].path == "http://alerts.invalid/x"

"""Splunk's HTTP Event Collector: header, envelope, and what its codes mean. The answers are those of its manual."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from mig_dispatch.sinks.splunk import SplunkSink
from mig_dispatch.targets import Secret, SplunkTarget, WebTarget

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mig_dispatch.record import RecordMaker

OK = (200, '{"text":"Success","code":0}')


@pytest.fixture
def sink(maker: RecordMaker, tmp_path: Path) -> Callable[..., SplunkSink]:
    """Makes a sink for a receiver."""

    def make(receiver: Any, **more: str) -> SplunkSink:
        token = tmp_path / "token"
        token.write_text("1111-2222\n")
        web = WebTarget(receiver.url, secret=Secret("Splunk", str(token), "token_file"))
        return SplunkSink(SplunkTarget(web, **more), 60, maker, "0123456789abcdef0123456789abcdef")

    return make


def _numbers(request: Any) -> list[int]:
    return [json.loads(line)["event"]["event"]["n"] for line in request.body.split(b"\n")]


def test_an_event_has_the_envelope_and_the_token(http_receiver: Any, sink: Any, alerts: Any) -> None:
    receiver = http_receiver(lambda _: OK)

    verdict = sink(receiver, index="security").deliver(alerts(count=2))

    assert (verdict.settled, dict(verdict.refused), verdict.trouble) == (2, {}, "")
    request = receiver.requests[0]
    assert request.headers["Authorization"] == "Splunk 1111-2222"
    assert request.headers["X-Splunk-Request-Channel"] == "01234567-89ab-cdef-0123-456789abcdef"
    assert json.loads(request.body.split(b"\n")[0]) == {
        "time": 1795415295.214492,
        "host": "web1.example",
        "source": "mig:audit",
        "sourcetype": "mig:alert",
        "index": "security",
        "fields": {"mig_id": "0123456789abcdef0123456789abcdef-1", "mig_module": "audit"},
        "event": {
            "hostname": "web1.example",
            "environment": {"os": "linux"},
            "tags": {"operator": "it"},
            "event": {"n": 1},
        },
    }


@pytest.mark.parametrize("counted_from", [0, 1, None])
def test_the_event_a_batch_was_refused_for_is_found_wherever_the_answer_points(
    http_receiver: Any, sink: Any, alerts: Any, counted_from: int | None
) -> None:
    accepted: list[int] = []

    def collector(request: Any) -> tuple[int, str]:
        numbers = _numbers(request)
        for place, number in enumerate(numbers):
            if number in (13, 30):  # those before it are taken, those behind are not looked at
                where = "" if counted_from is None else f',"invalid-event-number":{place + counted_from}'
                return 400, f'{{"text":"Invalid data format","code":6{where}}}'
            accepted.append(number)
        return OK

    receiver = http_receiver(collector)

    verdict = sink(receiver).deliver(alerts(count=40))

    assert verdict.settled == 40
    assert verdict.refused == dict.fromkeys((12, 29), "Invalid data format (code 6, HTTP 400)")
    assert set(accepted) == set(range(1, 41)) - {13, 30}
    if counted_from is not None:
        assert len(receiver.requests) < 14


@pytest.mark.parametrize(
    "answer",
    [
        (503, '{"text":"Server is busy","code":9,"invalid-event-number":1}'),
        (500, '{"text":"Internal server error","code":8}'),
        (403, '{"text":"Invalid token","code":4}'),
        (403, '{"text":"Token disabled","code":1}'),
        (400, '{"text":"Incorrect index","code":7,"invalid-event-number":1}'),
        (400, '{"text":"Data channel is missing","code":10}'),
        (200, "<html>please log in</html>"),
        (200, '{"text":"HEC is healthy","code":17}'),
        (200, '{"code":true}'),
        (400, "Bad Request"),
        (200, "[" * 1000),
    ],
)
def test_an_answer_about_anything_but_an_event_gives_none_up(
    http_receiver: Any, sink: Any, alerts: Any, answer: tuple[int, str]
) -> None:
    receiver = http_receiver(lambda _: answer)
    receiver.headers = {"Retry-After": "7"}

    verdict = sink(receiver).deliver(alerts(count=3))

    assert (verdict.settled, dict(verdict.refused)) == (0, {})
    assert f"HTTP {answer[0]}" in verdict.trouble
    assert verdict.retry_after == 7


def test_an_event_that_is_too_large_is_found_and_cut(http_receiver: Any, sink: Any, alerts: Any) -> None:
    receiver = http_receiver(lambda request: (413, "too large") if len(request.body) > 3000 else OK)

    verdict = sink(receiver).deliver(alerts(b'{"n":1}', b'{"n":2,"text":"' + b"x" * 9000 + b'"}', b'{"n":3}'))

    assert (verdict.settled, dict(verdict.refused)) == (3, {})
    cut = [one for one in receiver.requests if len(one.body) <= 3000 and b'"cut"' in one.body]
    assert json.loads(cut[-1].body.split(b"\n")[0])["event"]["event"]["cut"] == {"text": 9002}


def test_an_event_that_is_too_large_even_when_cut_is_given_up(http_receiver: Any, sink: Any, alerts: Any) -> None:
    receiver = http_receiver(lambda _: (413, "too large"))

    verdict = sink(receiver).deliver(alerts(b'{"n":2,"text":"' + b"x" * 9000 + b'"}'))

    assert verdict.refused == {0: "HTTP 413: too large"}

"""The bulk interface: what an answer of 200 says about each document.

The answers are those of Elasticsearch's and OpenSearch's manuals and of bug reports; no cluster runs here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from mig_dispatch.sinks.elasticsearch import BulkSink
from mig_dispatch.targets import BulkTarget, Secret, WebTarget

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mig_dispatch.record import RecordMaker

REJECTED = {"type": "es_rejected_execution_exception", "reason": "rejected execution of write"}
UNREADABLE = {"type": "mapper_parsing_exception", "reason": "failed to parse field [event.pid] of type [long]"}


def _documents(request: Any) -> list[tuple[str, Any]]:
    """Identity and source of each document in a request."""
    lines = request.body.split(b"\n")
    assert lines.pop() == b""
    return [
        (json.loads(action)["create"]["_id"], json.loads(source))
        for action, source in zip(lines[::2], lines[1::2], strict=True)
    ]


def _cluster(fate: Callable[[int, int], tuple[int, dict[str, str] | None]]) -> Callable[[Any], tuple[int, str]]:
    """An index that answers for each document what ``fate(n, attempt)`` says; one it has is a conflict."""
    held: set[str] = set()
    attempts: dict[str, int] = {}

    def answer(request: Any) -> tuple[int, str]:
        items = []
        for name, source in _documents(request):
            attempts[name] = attempts.get(name, 0) + 1
            status, error = fate(source["event"]["n"], attempts[name])
            if name in held:
                status, error = 409, {"type": "version_conflict_engine_exception", "reason": "document already exists"}
            if status == 201:
                held.add(name)
            items.append({"create": {"status": status, **({"error": error} if error else {})}})
        return 200, json.dumps({"errors": any("error" in one["create"] for one in items), "items": items})

    return answer


def _sink(receiver: Any, maker: RecordMaker) -> BulkSink:
    return BulkSink(BulkTarget(WebTarget(receiver.url), "mig-alerts"), 60, maker, "spool1")


def test_each_alert_is_created_under_its_identity_with_its_time(
    http_receiver: Any, maker: RecordMaker, alerts: Any
) -> None:
    receiver = http_receiver(_cluster(lambda _n, _attempt: (201, None)))
    sink = _sink(receiver, maker)

    verdict = sink.deliver(alerts(count=3))
    sink.close()

    assert (verdict.settled, dict(verdict.refused), verdict.trouble) == (3, {}, "")
    assert [name for name, _source in _documents(receiver.requests[0])] == ["spool1-1", "spool1-2", "spool1-3"]
    assert json.loads(receiver.requests[0].body.split(b"\n")[0])["create"]["_index"] == "mig-alerts"
    assert _documents(receiver.requests[0])[0][1] == {
        "@timestamp": "2026-11-23T06:28:15.214492Z",
        "module": "audit",
        "hostname": "web1.example",
        "environment": {"os": "linux"},
        "tags": {"operator": "it"},
        "event": {"n": 1},
    }
    assert receiver.requests[0].headers["Content-Type"] == "application/x-ndjson"


def test_one_that_is_refused_for_good_is_given_up_and_the_others_arrive(
    http_receiver: Any, maker: RecordMaker, alerts: Any
) -> None:
    receiver = http_receiver(_cluster(lambda n, _attempt: (400, UNREADABLE) if n == 2 else (201, None)))
    sink = _sink(receiver, maker)

    verdict = sink.deliver(alerts(count=3))
    sink.close()

    assert (verdict.settled, verdict.trouble) == (3, "")
    assert verdict.refused == {1: "mapper_parsing_exception 400: failed to parse field [event.pid] of type [long]"}
    assert len(receiver.requests) == 1


def test_what_a_busy_cluster_did_not_take_is_sent_again_and_nothing_else(
    http_receiver: Any, maker: RecordMaker, alerts: Any
) -> None:
    def fate(n: int, attempt: int) -> tuple[int, dict[str, str] | None]:
        if n == 4:
            return 400, UNREADABLE
        return (429, REJECTED) if n in (2, 5) and attempt == 1 else (201, None)

    receiver = http_receiver(_cluster(fate))
    sink = _sink(receiver, maker)
    batch = alerts(count=5)

    first = sink.deliver(batch)
    second = sink.deliver(batch[first.settled :])
    sink.close()

    assert (first.settled, dict(first.refused)) == (1, {})
    assert first.trouble == "es_rejected_execution_exception 429: rejected execution of write"
    assert [name for name, _source in _documents(receiver.requests[1])] == ["spool1-2", "spool1-5"]
    assert (second.settled, list(second.refused), second.trouble) == (4, [2], "")


def test_one_that_is_there_already_was_delivered(http_receiver: Any, maker: RecordMaker, alerts: Any) -> None:
    receiver = http_receiver(_cluster(lambda _n, _attempt: (201, None)))
    _sink(receiver, maker).deliver(alerts(count=2))  # and killed before the receipt

    again = _sink(receiver, maker).deliver(alerts(count=2))

    assert (again.settled, dict(again.refused), again.trouble) == (2, {}, "")


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (503, "unavailable_shards_exception", "primary shard is not active"),
        (403, "cluster_block_exception", "index [x] blocked by: [FORBIDDEN/12/index read-only / allow delete (api)]"),
        (403, "security_exception", "action is unauthorized"),
        (404, "index_not_found_exception", "no such index"),
        (400, "validation_exception", "this action would add [2] shards, but this cluster has [1000]/[1000] open"),
        (400, "index_closed_exception", "closed"),
        (400, "illegal_argument_exception", "pipeline with id [parse] does not exist"),
        (500, "something_new_exception", "?"),
    ],
)
def test_an_error_that_is_not_about_the_document_never_gives_it_up(
    http_receiver: Any, maker: RecordMaker, alerts: Any, status: int, kind: str, reason: str
) -> None:
    receiver = http_receiver(_cluster(lambda _n, _attempt: (status, {"type": kind, "reason": reason})))
    sink = _sink(receiver, maker)

    verdict = sink.deliver(alerts(count=2))
    sink.close()

    assert (verdict.settled, dict(verdict.refused)) == (0, {})
    assert kind in verdict.trouble


@pytest.mark.parametrize(
    "answer",
    [
        (200, "<html>please log in</html>"),
        (200, ""),
        (200, '{"errors":false}'),
        (200, '{"errors":false,"items":[{"create":{"status":201}}]}'),
        (200, '{"items":[{"create":{}},{"create":{}}]}'),
        (200, '{"items":[7,[]]}'),
        (400, '{"error":{"type":"illegal_argument_exception","reason":"Malformed action"},"status":400}'),
        (429, "busy"),
        (401, "no"),
    ],
)
def test_an_answer_that_does_not_speak_of_each_document_delivers_nothing(
    http_receiver: Any, maker: RecordMaker, alerts: Any, answer: tuple[int, str]
) -> None:
    sink = _sink(http_receiver(lambda _: answer), maker)

    verdict = sink.deliver(alerts(count=2))
    sink.close()

    assert (verdict.settled, dict(verdict.refused)) == (0, {})
    assert verdict.trouble


def test_a_bulk_that_is_too_large_is_halved_and_the_one_that_is_cut_arrives(
    http_receiver: Any, maker: RecordMaker, alerts: Any
) -> None:
    whole = _cluster(lambda _n, _attempt: (201, None))
    receiver = http_receiver(lambda request: (413, "too large") if len(request.body) > 4000 else whole(request))
    sink = _sink(receiver, maker)

    verdict = sink.deliver(alerts(*[b'{"n":%d}' % n for n in range(7)], b'{"n":7,"text":"' + b"x" * 9000 + b'"}'))
    sink.close()

    assert (verdict.settled, dict(verdict.refused), verdict.trouble) == (8, {}, "")
    (_name, last) = _documents(receiver.requests[-1])[-1]
    assert last["event"]["n"] == 7
    assert last["event"]["cut"] == {"text": 9002}


@pytest.mark.parametrize(
    ("scheme", "content", "header"),
    [("ApiKey", "a2V5OnNlY3JldA==\n", "ApiKey a2V5OnNlY3JldA=="), ("Basic", "mig:sécret\n", "Basic bWlnOnPDqWNyZXQ=")],
)
def test_the_cluster_is_shown_who_asks(
    http_receiver: Any, maker: RecordMaker, alerts: Any, tmp_path: Path, scheme: str, content: str, header: str
) -> None:
    receiver = http_receiver(_cluster(lambda _n, _attempt: (201, None)))
    secret = tmp_path / "secret"
    secret.write_text(content, encoding="utf-8")
    sink = BulkSink(BulkTarget(WebTarget(receiver.url, secret=Secret(scheme, str(secret))), "x"), 60, maker, "s")

    sink.deliver(alerts(count=1))
    sink.close()

    assert receiver.requests[0].headers["Authorization"] == header


def test_why_alerts_were_given_up_is_counted_shown_and_kept(
    serving: Any, http_receiver: Any, eventually: Any, tmp_path: Path
) -> None:
    receiver = http_receiver(_cluster(lambda n, _attempt: (400, UNREADABLE) if n % 2 else (201, None)))
    service = serving({"name": "es", "kind": "elasticsearch", "url": receiver.url, "index": "mig"})

    service.send(*[b'{"n":%d}' % n for n in range(10)])

    eventually(lambda: service.sink("es")["spooled"] == 0)
    sink = service.sink("es")
    assert (sink["delivered"], sink["dead_lettered"]) == (5, 5)
    assert sink["refusals"] == ["mapper_parsing_exception 400: 5"]
    assert len((service.state / "dead" / "es.jsonl").read_text().splitlines()) == 5
    assert receiver.requests[0].path.startswith("/alerts/_bulk?filter_path=errors,items.*.status")

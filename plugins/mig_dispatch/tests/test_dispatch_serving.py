"""The whole module in one process: alerts in, real receivers out, and the counters that must add up."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mig_core.domain.document import dump
from mig_core.domain.result import ModuleResult
from mig_core.errors import MigError
from mig_core.plugin.module import Context
from mig_core.plugin.network import Backoff
from mig_core.plugin.persistent import MAX_STATUS_BYTES, Incoming
from mig_dispatch import DispatchModule, record
from mig_dispatch.delivery import Delivery
from mig_dispatch.settings import MAX_SINKS, SinkSettings
from mig_dispatch.targets import FileTarget

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FAST = {"retry_min": "20ms", "retry_max": "50ms"}


def _events(first: int, count: int) -> list[bytes]:
    return [b'{"n":%d}' % number for number in range(first, first + count)]


def _adds_up(sink: dict[str, Any]) -> bool:
    settled = sink["delivered"] + sink["dead_lettered"] + sink["damaged"]
    return bool(sink["received"] == settled + sink["spooled"])


def test_alerts_reach_every_sink_in_order_and_the_counters_add_up(
    serving: Any, http_receiver: Any, tmp_path: Path, eventually: Any
) -> None:
    receiver, path = http_receiver(), tmp_path / "alerts.jsonl"
    service = serving(
        {"name": "web", "kind": "http", "url": receiver.url, "format": "lines", **FAST},
        {"name": "disk", "kind": "file", "path": str(path)},
    )

    for first in range(1, 1001, 100):
        service.send(*_events(first, 100))

    eventually(lambda: service.sink("web")["spooled"] == service.sink("disk")["spooled"] == 0)
    assert [one["event"]["n"] for one in receiver.records()] == list(range(1, 1001))
    assert [json.loads(line)["event"]["n"] for line in path.read_text().splitlines()] == list(range(1, 1001))
    for name in ("web", "disk"):
        sink = service.sink(name)
        assert (sink["received"], sink["delivered"], sink["last_error"]) == (1000, 1000, "")
        eventually(lambda name=name: service.sink(name)["last_success"])
    eventually(lambda: service.statuses and service.statuses[-1]["received"] == 1000)


def test_a_hung_server_stops_only_its_own_sink(serving: Any, http_receiver: Any, eventually: Any) -> None:
    hung, well = http_receiver(lambda _: None), http_receiver()
    service = serving(
        {"name": "hung", "kind": "http", "url": hung.url, "timeout": "300ms", **FAST},
        {"name": "well", "kind": "http", "url": well.url, **FAST},
    )

    service.send(*_events(1, 50))

    eventually(lambda: service.sink("well")["delivered"] == 50)
    eventually(lambda: service.sink("hung")["failures"] >= 2)
    sink = service.sink("hung")
    assert (sink["delivered"], sink["spooled"]) == (0, 50)
    assert sink["last_error"]
    assert any("sink hung" in text for _level, text in service.logged)


def test_an_outage_is_waited_out_and_nothing_is_lost_or_repeated(
    serving: Any, http_receiver: Any, eventually: Any
) -> None:
    up = threading.Event()
    receiver = http_receiver(lambda _: 200 if up.is_set() else 503)
    service = serving({"name": "web", "kind": "http", "url": receiver.url, **FAST})
    service.send(*_events(1, 30))
    eventually(lambda: service.sink("web")["failures"] >= 3)
    failed = len(receiver.requests)

    up.set()
    eventually(lambda: service.sink("web")["delivered"] == 30)

    delivered = [record["event"]["n"] for one in receiver.requests[failed + 1 :] for record in one.records()]
    assert delivered[-29:] == list(range(2, 31))
    eventually(lambda: any("delivers again" in text for _level, text in service.logged))


def test_what_is_refused_for_good_becomes_a_dead_letter_and_the_rest_goes_on(
    serving: Any, http_receiver: Any, eventually: Any
) -> None:
    receiver = http_receiver(lambda request: 422 if b'"n":7}' in request.body else 200)
    service = serving({"name": "web", "kind": "http", "url": receiver.url, **FAST})

    service.send(*_events(1, 20))

    eventually(lambda: service.sink("web")["spooled"] == 0)
    sink = service.sink("web")
    assert (sink["delivered"], sink["dead_lettered"]) == (19, 1)
    (letter,) = (service.state / "dead" / "web.jsonl").read_text().splitlines()
    assert json.loads(letter)["event"] == {"n": 7}
    assert json.loads(letter)["reason"].startswith("HTTP 422")


def test_counters_and_alerts_survive_a_restart(serving: Any, stop: Any, http_receiver: Any, eventually: Any) -> None:
    down = http_receiver(lambda request: 503 if b'"n":6}' in request.body else 200)
    sink = {"name": "web", "kind": "http", "url": down.url, "batch": 1, **FAST}
    service = serving(sink)
    service.send(*_events(1, 10))
    eventually(lambda: service.sink("web")["delivered"] == 5)
    stop(service)
    up = http_receiver()

    again = serving({**sink, "url": up.url})

    eventually(lambda: again.sink("web")["spooled"] == 0)
    counters = again.sink("web")
    assert (counters["received"], counters["delivered"]) == (10, 10)
    assert [one["event"]["n"] for one in up.records()] == [6, 7, 8, 9, 10]


def test_a_sink_that_was_taken_out_comes_back_and_what_it_missed_is_counted(
    serving: Any, stop: Any, http_receiver: Any, tmp_path: Path, eventually: Any
) -> None:
    web = {"name": "web", "kind": "http", "url": http_receiver().url, "format": "lines", **FAST}
    disk = {"name": "disk", "kind": "file", "path": str(tmp_path / "out")}
    both = serving(web, disk, spool_mb=8)
    both.send(*_events(1, 5))
    eventually(lambda: both.sink("disk")["delivered"] == 5)
    stop(both)
    alone = serving(web, spool_mb=8)
    for number in range(6, 16):
        alone.send(b'{"n":%d,"p":"%s"}' % (number, b"x" * 500_000))
    eventually(lambda: alone.sink("web")["spooled"] == 0)
    stop(alone)

    again = serving(web, disk, spool_mb=8)

    eventually(lambda: again.sink("disk")["spooled"] == 0)
    sink = again.sink("disk")
    assert sink["received"] == 15
    assert sink["damaged"] > 0
    assert _adds_up(sink)
    eventually(lambda: any(f"{sink['damaged']} alerts could not be read" in text for _level, text in again.logged))


def test_a_full_spool_holds_the_sources_back_and_drops_nothing(
    serving: Any, http_receiver: Any, eventually: Any
) -> None:
    up = threading.Event()
    receiver = http_receiver(lambda _: 200 if up.is_set() else 503)
    service = serving({"name": "web", "kind": "http", "url": receiver.url, "format": "lines", **FAST}, spool_mb=8)
    padding = b"x" * 500_000
    sent = threading.Semaphore(0)

    def source() -> None:
        for number in range(40):
            service.send(b'{"n":%d,"p":"%s"}' % (number, padding))
            sent.release()

    thread = threading.Thread(target=source)
    thread.start()
    eventually(lambda: service.ask().elements["spool_full"])
    held = service.sink("web")["received"]
    assert held < 20
    assert service.ask().elements["spool_bytes"] <= 8 << 20

    up.set()
    thread.join(60)

    eventually(lambda: service.sink("web")["delivered"] == 40)
    accepted = {one["event"]["n"] for one in receiver.records()}
    assert accepted == set(range(40))


def test_a_module_that_stops_while_the_spool_is_full_gives_the_alerts_back(
    serving: Any, http_receiver: Any, eventually: Any
) -> None:
    service = serving(
        {"name": "web", "kind": "http", "url": http_receiver(lambda _: 503).url, "retry_min": "1m"}, spool_mb=8
    )
    raised: list[BaseException] = []

    def source() -> None:
        try:
            while True:
                service.send(b'{"p":"%s"}' % (b"x" * 900_000))
        except MigError as error:
            raised.append(error)

    thread = threading.Thread(target=source)
    thread.start()
    eventually(lambda: service.ask().elements["spool_full"])

    service.stopping.set()
    thread.join(60)

    assert "is stopping" in str(raised[0])


def test_a_hung_sink_does_not_hold_up_the_end(serving: Any, http_receiver: Any, stop: Any, eventually: Any) -> None:
    hung = http_receiver(lambda _: None)
    service = serving({"name": "hung", "kind": "http", "url": hung.url, "timeout": "1m"})
    service.send(*_events(1, 1))
    eventually(lambda: hung.requests)
    started = time.monotonic()

    stop(service)

    assert time.monotonic() - started < 30  # the time-out is a minute


@pytest.mark.parametrize(
    ("raw", "event"),
    [
        (b"disk 100% full", {"alert_text": "disk 100% full"}),
        (b'["a"]', {"alert_text": '["a"]'}),
        (b'{"a":1,"a":2}', {"alert_text": '{"a":1,"a":2}'}),
        (b'{"a":NaN}', {"alert_text": '{"a":NaN}'}),
        (b"\xff\xfe", {"alert_text": "\ufffd\ufffd"}),
        (b"", {"alert_text": ""}),
        (b'{"a":\n 1}', {"a": 1}),
        (b'{"a":"%s%n"}', {"a": "%s%n"}),
    ],
)
def test_an_alert_that_is_not_a_json_object_is_wrapped(raw: bytes, event: dict[str, Any]) -> None:
    alert = record.unpack(1, record.pack(Incoming(1, "audit", raw), "2026-11-23T06:28:15Z"))

    assert json.loads(alert.event) == event
    assert b"\n" not in alert.event
    assert (alert.module, alert.received) == ("audit", "2026-11-23T06:28:15Z")


@given(raw=st.binary(max_size=300), module=st.text(max_size=100))
def test_any_alert_makes_a_record_of_one_line_of_json(raw: bytes, module: str) -> None:
    maker = record.RecordMaker("h", {}, {})

    line = maker.record(record.unpack(1, record.pack(Incoming(1, module, raw), "")))

    assert b"\n" not in line
    assert isinstance(json.loads(line)["event"], dict)


def test_a_text_too_long_for_the_spool_is_cut_and_says_so() -> None:
    alert = record.unpack(1, record.pack(Incoming(1, "audit", b"\x01" * (3 << 20)), ""))

    event = json.loads(alert.event)
    assert event["alert_bytes"] == 3 << 20
    assert len(event["alert_text"]) == 1 << 18


def test_the_pause_doubles_with_jitter_up_to_its_limit_and_heeds_the_receiver() -> None:
    class Pauses(Delivery):
        def __init__(self) -> None:
            self.settings = SinkSettings("a", "file", FileTarget("/x", 1, 1), retry_min=1.0, retry_max=60.0)
            self._backoff = Backoff(1.0, 60.0, chance=random.Random(7).random)

    pauses = Pauses()

    drawn = [pauses.pause(0) for _ in range(50)]

    assert all(1 <= one <= min(60, 2 ** (number + 1)) for number, one in enumerate(drawn))
    assert len(set(drawn)) == 50
    assert Pauses().pause(30) == 30
    assert Pauses().pause(3600) == 60


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[Any]:
    """A private socket that gives one answer to one question."""
    listeners: list[socket.socket] = []

    def answer(content: bytes) -> tuple[str, list[bytes]]:
        path, asked = str(tmp_path / f"socket{len(listeners)}"), []
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        listener.listen()
        listeners.append(listener)

        def once() -> None:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as stream:
                asked.append(stream.readline())
                with contextlib.suppress(OSError):
                    connection.sendall(content)

        threading.Thread(target=once, daemon=True).start()
        return path, asked

    yield answer
    for one in listeners:
        one.close()


def _run(socket_path: str, seconds: float = 60) -> ModuleResult:
    module = DispatchModule()
    context = Context(deadline=time.monotonic() + seconds, persist_socket=socket_path)
    return module.run(module.parse_parameters({}), context)


def test_an_investigator_reads_the_counters_of_every_sink(
    serving: Any, http_receiver: Any, answering: Any, eventually: Any
) -> None:
    service = serving({"name": "web", "kind": "http", "url": http_receiver(lambda _: 500).url, "retry_min": "1m"})
    service.send(*_events(1, 3))
    eventually(lambda: service.sink("web")["failures"] == 1)
    path, asked = answering(dump(service.ask().to_json()) + b"\n")

    result = _run(path)

    assert json.loads(asked[0])["parameters"] == {}
    assert result.found
    assert _adds_up(service.sink("web"))
    lines = list(DispatchModule().lines(result, found_only=True))
    assert lines[0].startswith("dispatch: 3 alerts received, spool 0.0 of 64.0 MB")
    assert lines[1].startswith("sink web (http): 0 delivered, 0 dead-lettered, 3 spooled since ")
    assert "HTTP 500: no,\\r\\nnot this" in lines[1]
    masked = DispatchModule().mask(result).elements
    assert isinstance(masked, dict)
    assert "no," not in json.dumps(masked)


def test_a_module_that_is_not_running_is_a_failed_result(tmp_path: Path) -> None:
    for path in ("", str(tmp_path / "nothing")):
        result = _run(path)

        assert not result.success
        assert result.errors
        assert not result.coverage.complete


def test_the_heartbeat_has_room_for_as_many_sinks_as_there_may_be(
    serving: Any, http_receiver: Any, eventually: Any
) -> None:
    receiver = http_receiver(lambda _: 500)
    receiver.said = "\U0001f4a5" * 1000
    names = [f"{number}".rjust(32, "x") for number in range(MAX_SINKS)]
    service = serving(*({"name": name, "kind": "mozdef", "url": receiver.url} for name in names))

    service.send(b"{}")

    eventually(lambda: service.statuses and all(one["last_error"] for one in service.statuses[-1]["sinks"]))
    assert len(dump(service.statuses[-1])) < MAX_STATUS_BYTES - 100


@example(elements={"sinks": [{"name": []}], "held_by": [[]]})
@given(
    elements=st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["sinks", "name", "received", "last_error", "damaged"]), inner, max_size=5
            )
        ),
    )
)
def test_lines_and_mask_cope_with_whatever_an_endpoint_answers(elements: Any) -> None:
    result = ModuleResult(True, True, elements)

    lines = list(DispatchModule().lines(result, found_only=False))

    assert all(one.isprintable() or "\x1b" not in one for one in lines)
    DispatchModule().mask(result)

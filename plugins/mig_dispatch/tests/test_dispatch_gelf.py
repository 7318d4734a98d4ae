"""GELF over HTTP and over TCP."""

from __future__ import annotations

import json
import re
import socket
import threading
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from mig_dispatch.record import Alert, RecordMaker
from mig_dispatch.sinks.gelf import GelfMaker, GelfStreamSink, make_gelf_sink
from mig_dispatch.targets import GelfTarget, StreamTarget, WebTarget

if TYPE_CHECKING:
    from mig_core.domain.document import JSON

EVENT = {
    "type": "SYSCALL",
    "id": 7,
    "result": True,
    "odd name!": "x",
    "process": {"exe": "/usr/bin/touch", "pid": 9, "title": "y" * 5000},
    "keys": ["passwd"],
    "nothing": None,
}


def test_a_message_has_what_graylog_requires_and_the_whole_event(
    http_receiver: Any, maker: RecordMaker, alerts: Any
) -> None:
    receiver = http_receiver(lambda _: 202)
    sink = make_gelf_sink(GelfTarget(WebTarget(receiver.url), None, level=4), 60, maker, "s")

    verdict = sink.deliver(alerts(json.dumps(EVENT).encode()))
    sink.close()

    assert verdict.settled == 1
    message = json.loads(receiver.requests[0].body)
    assert json.loads(message.pop("full_message")) == EVENT
    assert message == {
        "version": "1.1",
        "host": "web1.example",
        "short_message": "audit: SYSCALL",
        "timestamp": 1795415295.214492,
        "level": 4,
        "_module": "audit",
        "_mig_id": "s-1",
        "_environment_os": "linux",
        "_tag_operator": "it",
        "_type": "SYSCALL",
        "_result": "true",
        "_odd_name_": "x",
        "_process_exe": "/usr/bin/touch",
        "_process_pid": 9,
        "_keys": '["passwd"]',
    }


def test_over_tcp_each_message_ends_with_a_nul(maker: RecordMaker, alerts: Any, eventually: Any) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    received = bytearray()

    def take() -> None:
        connection, _ = listener.accept()
        with connection:
            while part := connection.recv(65536):
                received.extend(part)

    threading.Thread(target=take, daemon=True).start()
    target = GelfTarget(None, StreamTarget("127.0.0.1", listener.getsockname()[1], False))
    sink = make_gelf_sink(target, 60, maker, "s")
    assert isinstance(sink, GelfStreamSink)

    verdict = sink.deliver(alerts(b'{"n":1,"text":"a\\u0000b"}', b'{"n":2}'))
    sink.close()

    assert verdict.settled == 2
    eventually(lambda: received.count(b"\0") == 2)
    first, second, end = received.split(b"\0")
    assert json.loads(json.loads(first)["full_message"])["text"] == "a\0b"
    assert json.loads(second)["_n"] == 2
    assert end == b""
    listener.close()


def test_a_message_that_would_be_too_long_is_cut_and_says_so(maker: RecordMaker, alerts: Any) -> None:
    form = GelfMaker(maker, "s", 6, 4096)
    event = {"n": 1, "process": {"exe": "/bin/sh", "title": '"' * 100_000}}

    raw = form.message(alerts(json.dumps(event).encode())[0])

    assert len(raw) <= 4096
    cut = json.loads(json.loads(raw)["full_message"])
    assert cut["process"]["exe"] == "/bin/sh"
    assert cut["cut"]["process.title"] > 100_000


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(event=st.dictionaries(st.text(max_size=12), _VALUES, max_size=6), module=st.text(max_size=10))
def test_whatever_an_event_holds_the_message_keeps_the_format(event: dict[str, JSON], module: str) -> None:
    form = GelfMaker(RecordMaker("", {}, {"id": "x"}), "s", 6, 65536)
    raw = json.dumps(event).encode()

    message = json.loads(form.message(Alert(1, "nonsense", module, raw)))

    assert message["short_message"]
    assert message["host"]
    assert json.loads(message["full_message"]) == event
    for name, value in message.items():
        if name.startswith("_"):
            assert re.fullmatch(r"_[\w.\-]*", name, re.ASCII)
            assert name != "_id"
            assert isinstance(value, str | int | float)
            assert not isinstance(value, bool)

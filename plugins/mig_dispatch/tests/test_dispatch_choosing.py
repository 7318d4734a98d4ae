"""``where`` and ``aggregate``: what a sink gets, how often, and that the books add up whatever happens."""

from __future__ import annotations

import json
import random
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.plugin.network import Backoff
from mig_dispatch.batches import Batch
from mig_dispatch.deadletters import DeadLetters
from mig_dispatch.delivery import Delivery
from mig_dispatch.receipts import Receipts
from mig_dispatch.record import Alert
from mig_dispatch.selection import Choice, Likeness
from mig_dispatch.settings import read_settings
from mig_dispatch.sinks.base import Verdict
from mig_dispatch.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mig_core.domain.document import JSON

START = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


def _adds_up(sink: dict[str, Any]) -> bool:
    parts = ("delivered", "merged", "unwanted", "dead_lettered", "damaged", "dropped", "spooled")
    return bool(sink["received"] == sum(sink[part] for part in parts))


def test_a_sink_gets_what_its_where_means_and_the_rest_is_counted(
    serving: Any, http_receiver: Any, eventually: Any, tmp_path: Path
) -> None:
    receiver = http_receiver()
    chosen = {
        "name": "chosen",
        "kind": "http",
        "url": receiver.url,
        "where": "module = 'audit' AND (event.type LIKE 'USER%' OR event.process.pid = '7') AND event.x IS NULL",
    }
    service = serving(chosen, {"name": "all", "kind": "file", "path": str(tmp_path / "out")})

    service.send(b'{"type":"USER_LOGIN"}', b'{"type":"EXECVE"}', b'{"process":{"pid":7}}', b"not json")
    service.send(b'{"type":"USER_LOGIN"}', module="fswatch")
    service.send(b'{"type":"USER_LOGIN","x":1}')

    eventually(lambda: service.sink("chosen")["spooled"] == 0 and service.sink("all")["delivered"] == 6)
    sink = service.sink("chosen")
    assert [record["event"] for record in receiver.records()] == [{"type": "USER_LOGIN"}, {"process": {"pid": 7}}]
    assert (sink["delivered"], sink["unwanted"]) == (2, 4)
    assert _adds_up(sink)


def test_the_same_alert_goes_out_once_with_a_count(serving: Any, http_receiver: Any, eventually: Any) -> None:
    receiver = http_receiver()
    service = serving({"name": "s", "kind": "http", "url": receiver.url, "aggregate": "1s"})

    service.send(*[b'{"type":"X","time":"t%d","process":{"pid":%d,"exe":"/bin/a"}}' % (n, n) for n in range(50)])
    service.send(b'{"type":"X","process":{"exe":"/bin/b"}}')

    eventually(lambda: service.sink("s")["spooled"] == 0)
    records = receiver.records()
    sink = service.sink("s")
    assert sum(record["count"] for record in records) == 51
    assert len(records) <= 4  # a stretch of the clock may end in between
    assert records[0]["event"]["time"] == "t0"
    assert records[0]["last"] >= "2026"
    assert sink["delivered"] == len(records)
    assert sink["merged"] == 51 - len(records)
    assert _adds_up(sink)


class _Clock:
    def __init__(self) -> None:
        self.time = START

    def now(self) -> datetime:
        return self.time


class _Sink:
    """A receiver that does what it is told; it remembers how many alerts it took."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.taken: list[Alert] = []
        self.refused = 0

    def deliver(self, alerts: Sequence[Alert]) -> Verdict:
        settled = self.chance.randint(0, len(alerts))
        refused = {place: "HTTP 422: no" for place in range(settled) if self.chance.random() < 0.1}
        self.refused += sum(max(1, alerts[place].count) for place in refused)
        self.taken += [alert for place, alert in enumerate(alerts[:settled]) if place not in refused]
        return Verdict(settled, refused, "" if settled == len(alerts) else "busy")

    def watch(self, now: float) -> None:
        pass

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.mark.parametrize("seed", range(25))
def test_the_books_add_up_whatever_a_sink_settles_and_whenever_it_is_killed(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    clock, sink = _Clock(), _Sink(chance)
    table: JSON = {
        "name": "s",
        "kind": "http",
        "url": "http://127.0.0.1:1/",
        "where": "event.k <> '3'",
        "aggregate": "1m",
        "batch": 7,
    }
    settings = read_settings({"sinks": [table]}).sinks[0]
    stopping, stopped = threading.Event(), threading.Event()
    stopped.set()  # a thread that is to stop does not pause
    sent = unwanted = 0
    spool = Spool(tmp_path / "spool", max_bytes=64 << 20, new_id=lambda: "id")
    receipts = Receipts(spool, ["s"])

    def start() -> Delivery:
        return Delivery(
            settings,
            sink,
            spool,
            receipts,
            DeadLetters(tmp_path / "dead", 1 << 20),
            stopping=stopped,
            backoff=Backoff(0.01, 0.011, chance=lambda: 0.0),
            now=clock.now,
            log=lambda _level, _text: None,
            idle=0,
        )

    delivery = start()
    kills = 0
    for _ in range(120):
        if chance.random() < 0.5:
            kind = chance.randint(0, 4)
            event = b'{"k":%d,"serial":%d}' % (kind, sent)
            spool.append([f'{{"at":"{clock.time:%Y-%m-%dT%H:%M:%S}Z","module":"a"}}\n'.encode() + event], stopping)
            sent += 1
            unwanted += kind == 3
        clock.time += timedelta(seconds=chance.choice((0, 1, 40)))
        delivery.step()
        if chance.random() < 0.05:
            delivery, kills = start(), kills + 1
    clock.time += timedelta(minutes=2)
    for _ in range(400):
        delivery.step()
        if receipts.of("s").next == spool.next:
            break

    receipt = receipts.of("s")
    assert receipt.next - receipt.since == sent
    assert receipt.unwanted == unwanted
    assert receipt.delivered + receipt.merged + receipt.dead == sent - unwanted
    at_least = sum(max(1, alert.count) for alert in sink.taken) + sink.refused
    assert at_least >= sent - unwanted
    if not kills:
        assert at_least == sent - unwanted
        assert receipt.delivered == len(sink.taken)
        assert receipt.dead == sink.refused
    receipts.close()
    spool.close()


def test_an_alert_that_stands_for_more_has_an_identity_of_its_own(alerts: Any) -> None:
    batch = Batch()

    for alert in alerts(count=3):
        batch.take(alert, b"same")

    ready = batch.ready(10, 1 << 20)
    assert [(alert.number, alert.count) for alert in ready] == [(1, 3)]
    assert ready[0].identity("s") == "s-1-3"


def test_what_is_compared_may_be_chosen_and_null_is_not_nothing(alerts: Any) -> None:
    chosen, usual = Likeness(60, ["process.exe"]), Likeness(60, [])

    one, other, null, bare = alerts(
        b'{"n":1,"process":{"exe":"/a","pid":1}}',
        b'{"n":2,"process":{"exe":"/a","pid":2}}',
        b'{"n":1,"process":{"exe":null}}',
        b'{"n":1}',
    )

    assert chosen.key(one) == chosen.key(other)
    assert usual.key(one) != usual.key(other)
    assert len({chosen.key(one), chosen.key(null), chosen.key(bare)}) == 3


@given(event=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=4))
def test_a_condition_is_total(event: dict[str, Any]) -> None:
    where = (
        read_settings(
            {
                "sinks": [
                    {"name": "s", "kind": "file", "path": "/x", "where": "event.a = '1' OR NOT event->'b'->>'c' ~ '^x'"}
                ]
            }
        )
        .sinks[0]
        .where
    )
    alert = Alert(1, "", "m", json.dumps(event).encode())

    wanted = Choice(where, lambda: START).wants(alert)

    assert wanted == (str(event.get("a")) == "1")

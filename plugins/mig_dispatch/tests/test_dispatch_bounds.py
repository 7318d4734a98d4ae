"""One sink that takes nothing harms no other: its bounds, what is dropped for it, and who is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mig_dispatch import DispatchModule

if TYPE_CHECKING:
    from pathlib import Path

BIG = b'{"text":"' + b"x" * 500_000 + b'"}'


def _adds_up(sink: dict[str, Any]) -> bool:
    parts = ("delivered", "merged", "unwanted", "dead_lettered", "damaged", "dropped", "spooled")
    return bool(sink["received"] == sum(sink[part] for part in parts))


def test_a_dead_sink_loses_its_oldest_when_the_spool_is_full_and_the_others_go_on(
    serving: Any, http_receiver: Any, eventually: Any, tmp_path: Path
) -> None:
    dead = {"name": "dead", "kind": "http", "url": http_receiver(lambda _: 503).url, "retry_min": "50ms"}
    service = serving(dead, {"name": "local", "kind": "file", "path": str(tmp_path / "out")}, spool_mb=8)

    for _ in range(60):
        service.send(BIG)

    eventually(lambda: service.sink("local")["delivered"] == 60)
    counters = service.sink("dead")
    assert counters["dropped"] > 20
    assert counters["delivered"] == 0
    assert _adds_up(counters)
    assert service.sink("local")["dropped"] == 0
    assert service.ask().elements["held_by"] == ["dead"]
    first = next(iter(DispatchModule().lines(service.ask(), found_only=True)))
    assert first.endswith("held by dead")
    assert any("other sinks go on" in text for _level, text in service.logged)


def test_a_sinks_own_bound_holds_before_the_spool_is_full(serving: Any, http_receiver: Any, eventually: Any) -> None:
    service = serving(
        {
            "name": "dead",
            "kind": "http",
            "url": http_receiver(lambda _: 503).url,
            "retry_min": "50ms",
            "wait_mb": 2,
        }
    )

    service.send(*[BIG] * 12)

    eventually(lambda: service.sink("dead")["dropped"] >= 7)
    assert _adds_up(service.sink("dead"))


def test_an_alert_that_waited_too_long_is_dropped_and_counted(
    serving: Any, http_receiver: Any, eventually: Any
) -> None:
    service = serving(
        {
            "name": "dead",
            "kind": "http",
            "url": http_receiver(lambda _: 503).url,
            "retry_min": "50ms",
            "retry_max": "100ms",
            "wait_for": "300ms",
        }
    )

    service.send(b'{"n":1}', b'{"n":2}')

    eventually(lambda: service.sink("dead")["dropped"] == 2)
    assert _adds_up(service.sink("dead"))

"""The parts of persistent modules that need no process: lines, window, queue, batches, plan, documents."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.agent.alerts import lines as alert_lines
from mig_core.agent.alerts.batches import AlertBatches
from mig_core.agent.alerts.held import HeldAlerts
from mig_core.agent.alerts.module_log import ModuleLog
from mig_core.agent.alerts.queue import AlertQueue, Lane
from mig_core.agent.alerts.window import AlertWindow
from mig_core.agent.operations.launcher import Catalogue
from mig_core.agent.persistent.plan import make_plan
from mig_core.config.agent import AgentSettings
from mig_core.config.loader import load_settings
from mig_core.domain.agent import AgentFacts, Heartbeat, read_heartbeat
from mig_core.domain.ids import AgentId
from mig_core.errors import ConfigurationError
from mig_core.plugin.persistent import MAX_LINE_BYTES, WINDOW, WINDOW_BYTES, Incoming

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
NOW = datetime(2026, 1, 2, tzinfo=UTC)


@given(alert=st.dictionaries(st.text(), JSON), number=st.integers(0, 10**18 - 1))
def test_an_alert_survives_both_lines(alert: Any, number: int) -> None:
    raw = alert_lines.encode(alert)
    line = alert_lines.from_source(number, raw)
    passed_on = alert_lines.to_sink(number, b"audit", raw)

    assert line.endswith(b"\n") and b"\n" not in line[:-1]
    assert json.loads(line) == {"class": "alert", "id": number, "alert": json.loads(raw)}
    assert alert_lines.read_source(line[:-1]) == (number, raw)
    assert alert_lines.read_sink(passed_on[:-1]) == (number, "audit", raw)
    assert json.loads(passed_on)["module"] == "audit"


@given(line=st.binary() | st.binary().map(lambda raw: b'{"class":"alert","id":' + raw))
def test_any_other_line_is_no_alert_and_breaks_nothing(line: bytes) -> None:
    alert_lines.read_source(line)
    alert_lines.read_sink(line)
    assert alert_lines.read_source(b'{"class": "alert", "id": 1, "alert": {}}') is None


@pytest.mark.parametrize("key_length", [1, 1 << 19, 2 << 20])
@pytest.mark.parametrize("sizes", [[], [10, 3 << 20], [1 << 19, 1 << 19, 1 << 19], [(1 << 20) - 600]])
def test_a_long_alert_is_cut_to_a_line_and_says_so(sizes: list[int], key_length: int) -> None:
    alert: Any = {str(number) + "k" * key_length: "\u20ac" * (size // 3) for number, size in enumerate(sizes)}
    whole = len(json.dumps(alert, ensure_ascii=False, separators=(",", ":")).encode())

    raw = alert_lines.encode(alert)

    assert len(alert_lines.to_sink(10**17, b"m" * 32, raw)) <= MAX_LINE_BYTES
    assert ("cut" in json.loads(raw)) == (whole > alert_lines.MAX_ALERT_BYTES)


class Wire:
    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.gone = False

    def write(self, line: bytes) -> bool:
        self.lines.append(line)
        return not self.gone


def test_a_window_is_bounded_by_number_and_bytes_and_opens_again(tmp_path: Path) -> None:
    wire = Wire()
    small, large = AlertWindow(wire.write, tmp_path / "a"), AlertWindow(wire.write, tmp_path / "b")

    assert all(small.send(b"{}", 0) for _ in range(WINDOW))
    assert not small.send(b"{}", 0.01)
    assert large.send(b"x" * (WINDOW_BYTES + 1), 0)
    assert not large.send(b"{}", 0)
    small.accepted(1)
    large.accepted(1)

    assert small.send(b"{}", 0) and not small.send(b"{}", 0)
    assert large.send(b"x" * WINDOW_BYTES, 0) and not large.send(b"{}", 0)


def test_a_source_that_waits_goes_on_when_there_is_room_and_gives_up_at_the_end(tmp_path: Path) -> None:
    window = AlertWindow(Wire().write, tmp_path / "unsent")
    for _ in range(WINDOW):
        window.send(b"{}", 0)
    outcomes: list[bool] = []
    threads = [threading.Thread(target=lambda: outcomes.append(window.send(b"{}", None))) for _ in range(2)]
    for thread in threads:
        thread.start()

    window.accepted(1)
    while not outcomes:
        pass
    window.close(gone=False)
    for thread in threads:
        thread.join()

    assert outcomes == [True, False]


def test_what_a_window_holds_at_the_end_comes_first_the_next_time(tmp_path: Path) -> None:
    path = tmp_path / "unsent"
    wire = Wire()
    window = AlertWindow(wire.write, path)
    for number in range(5):
        window.send(b'{"n":%d}' % number, 0)
    window.accepted(2)
    wire.gone = True
    assert window.send(b'{"n":5}', 0)
    window.close(gone=True)
    assert window.finish(5.0) == 4
    path.write_bytes(path.read_bytes() + b"no alert\n[]\n")

    wire = Wire()
    window = AlertWindow(wire.write, path)
    assert window.restore() == 4
    window.send(b'{"n":6}', 0)

    assert [json.loads(line)["alert"]["n"] for line in wire.lines] == [2, 3, 4, 5, 6]
    assert [json.loads(line)["id"] for line in wire.lines] == [1, 2, 3, 4, 5]
    window.accepted(3)
    assert path.exists()
    window.accepted(4)
    assert not path.exists()
    assert window.finish(0.01) == 1


def test_the_queue_sends_a_window_and_all_of_it_again_to_a_new_sink() -> None:
    queue, lanes = AlertQueue(100), (Lane(b"a"), Lane(b"b"))
    for identifier in range(1, 2001):
        for lane in lanes:
            queue.put(lane, identifier, b"{}")

    first = queue.take()
    assert queue.take() == b""
    queue.again()
    assert queue.take() == first
    assert first.count(b"\n") == WINDOW
    assert queue.accepted(103) == set(lanes)

    assert (lanes[0].accepted, lanes[1].accepted, lanes[0].held) == (2, 1, 1998)
    assert queue.take().count(b"\n") == 3
    assert len(queue) == 4000 - 3


def test_the_queue_sends_one_alert_at_least_however_large() -> None:
    queue, lane = AlertQueue(0), Lane(b"a")
    queue.put(lane, 1, b"{}")
    queue.put(lane, 2, b"x" * (WINDOW_BYTES + 1))

    assert queue.take().count(b"\n") == 1
    queue.accepted(1)
    assert len(queue.take()) > WINDOW_BYTES
    queue.accepted(2)
    assert (lane.held, lane.held_bytes, queue.sent_bytes, len(queue)) == (0, 0, 0, 0)


def test_a_batch_whose_handler_raised_comes_again_and_only_then_counts_as_safe() -> None:
    accepted: list[int] = []
    stopping, done = threading.Event(), threading.Event()
    calls: list[int] = []

    def handler(batch: Sequence[Incoming]) -> None:
        calls.append(len(batch))
        assert batch[0].raw == b"{}"
        if len(calls) == 1:
            raise OSError("no room")

    def accept(number: int) -> None:
        accepted.append(number)
        done.set()

    batches = AlertBatches(accept, stopping)
    for number in (7, 8, 9):
        batches.put(Incoming(number, "source", b"{}"))
    batches.start(handler)
    with pytest.raises(RuntimeError):
        batches.start(handler)

    assert done.wait(60)
    stopping.set()
    batches.wake()
    batches.finish(60)
    assert (calls, accepted) == ([3, 3], [9])


def test_held_alerts_are_found_again_until_they_are_forgotten(tmp_path: Path) -> None:
    held = HeldAlerts(tmp_path / "held")
    held.keep("audit", [b'{"n":1}', b'{"n":2}'])

    assert [(name, list(filter(None, alerts))) for name, alerts in HeldAlerts(tmp_path / "held").load()] == [
        ("audit", [b'{"n":1}', b'{"n":2}'])
    ]
    held.forget("audit")
    held.forget("audit")
    assert held.load() == []


def test_a_module_that_talks_without_end_is_cut_short_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    clock = [0.0]
    log = ModuleLog("audit", lambda: clock[0])
    for number in range(1000):
        log.say(20, f"line {number}\x1b[31m\nforged")
    clock[0] = 1.0
    log.say(10**9, "after")

    messages = [one.getMessage() for one in caplog.records]
    caplog.clear()
    assert messages[-2:] == ["[audit] 800 lines were left out", "[audit] after"]


class Checker:
    def check_config(self, name: str, table: Mapping[str, Any]) -> None:
        if "bad" in table:
            raise ConfigurationError("agent.toml", f"persistent.{name}.bad", "is bad", next_step="mend it")


def test_each_wrong_table_is_named_and_keeps_only_its_own_module_from_running() -> None:
    catalogue = Catalogue(
        modules=dict.fromkeys(("audit", "dispatch", "queue", "file", "watch", "dated"), False),
        failures={"torn": "SyntaxError"},
        persistent={"audit": False, "dispatch": True, "queue": True, "watch": False, "dated": False},
        detectors=frozenset({"audit", "watch"}),
    )
    tables: dict[str, object] = {
        "audit": {"rules": ["-w /etc"], "deep": {"list": [1, 2.5, True]}},
        "dispatch": {},
        "queue": {},
        "file": {},
        "watch": {"bad": 1},
        "torn": {},
        "no/such": {},
        "dated": {"deep": {"when": [NOW]}},
    }

    plan = make_plan(tables, catalogue, Checker())

    assert (set(plan.modules), plan.sink) == ({"audit", "dispatch"}, "dispatch")
    assert plan.detectors == {"audit"}
    assert plan.failures["watch"] == "agent.toml: persistent.watch.bad: is bad; mend it"
    assert plan.failures["dated"].startswith("agent.toml: persistent.dated.deep.when: cannot be used")
    assert "only one may" in plan.failures["queue"]
    assert "cannot be loaded: SyntaxError" in plan.failures["torn"]
    assert "is not installed" in plan.failures["no/such"]
    assert make_plan({"audit": 3}, catalogue, Checker()).failures["audit"] == (
        "agent.toml: persistent.audit: must be a table, got 3"
    )


def test_the_settings_keep_a_modules_table_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text('[persistent.audit]\nrules = ["-w /etc"]\n[persistent.audit.limits]\nbacklog = 3\n')

    settings = load_settings(AgentSettings, role="agent", path=path, environment={})

    assert settings.persistent == {"audit": {"rules": ["-w /etc"], "limits": {"backlog": 3}}}
    path.write_text("persistent = 3\n")
    with pytest.raises(ConfigurationError, match="persistent: must be a table"):
        load_settings(AgentSettings, role="agent", path=path, environment={})


def test_a_heartbeat_carries_the_health_of_persistent_modules_and_may_lack_it() -> None:
    facts = AgentFacts(AgentId("a" * 32), "web1", "1", "daemon", 1, NOW)
    heartbeat = Heartbeat(facts, 1, NOW, {"commands": 1}, {"audit": {"state": "running"}})
    payload = json.loads(heartbeat.to_payload())

    assert read_heartbeat(heartbeat.to_payload()) == heartbeat
    del payload["persistent"]
    assert read_heartbeat(json.dumps(payload).encode()) == replace(heartbeat, persistent={})

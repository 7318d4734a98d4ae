"""The running detector: alerts in, matches out; rules of actions until their window ends."""

from __future__ import annotations

import json
import re
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.domain.document import dump
from mig_core.domain.times import format_time
from mig_core.errors import ConfigurationError, MigError
from mig_core.plugin.persistent import Incoming
from mig_sigma import SigmaModule
from mig_sigma.loading import find
from mig_sigma.rule import document
from mig_sigma.watching import Watching

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mig_core.domain.result import ModuleResult
    from mig_sigma.rule import Rule

START = datetime(2026, 1, 1, tzinfo=UTC)
ACTION = "0197f9f0-0000-7000-8000-000000000001"


class Service:
    """The agent's side, in memory."""

    def __init__(self, config: Mapping[str, Any], state: Path) -> None:
        self.config = config
        self.hostname = "web1"
        self.environment: Mapping[str, Any] = {}
        self.tags: Mapping[str, str] = {}
        self.state = state
        self.stopping = threading.Event()
        self.logged: list[str] = []
        self.statuses: list[Mapping[str, Any]] = []
        self.alerts: list[Any] = []
        self.room = True

    def log(self, level: int, message: str) -> None:
        self.logged.append(message)

    def status(self, status: Mapping[str, Any]) -> None:
        self.statuses.append(status)

    def alert(self, alert: Mapping[str, Any], *, timeout: float | None = None) -> bool:
        if self.room:
            self.alerts.append(json.loads(json.dumps(alert)))
        return self.room

    def answer_with(self, handler: Callable[[object], ModuleResult]) -> None:
        self.handler = handler

    def take_alerts(self, handler: Callable[[Sequence[Incoming]], None]) -> None:
        self.take = handler


@pytest.fixture
def detector(tmp_path: Path) -> Callable[..., tuple[Watching, Service, list[datetime]]]:
    def make(**config: Any) -> tuple[Watching, Service, list[datetime]]:
        service, clock = Service(config, tmp_path), [START]
        return Watching(service, lambda: clock[0]), service, clock

    return make


@pytest.fixture
def brought(rule: Callable[..., Rule]) -> dict[str, Any]:
    made = rule("    a:\n        Image|endswith: /nmap\n    condition: a\n")
    rules = dump(document([made])).decode()
    return {"rules": rules, "action": ACTION, "window_ends": format_time(START + timedelta(hours=1))}


def incoming(raw: bytes, module: str = "audit") -> list[Incoming]:
    return [Incoming(1, module, raw)]


def test_a_match_is_an_alert_with_rule_event_and_parents(
    detector: Callable[..., Any], program: Callable[..., bytes]
) -> None:
    watching, service, _clock = detector()

    watching.look(incoming(program("nginx", exe="/usr/sbin/nginx", pid=10, ppid=0)))
    watching.look(incoming(program("sh", exe="/bin/sh", pid=11, ppid=10)))

    assert len(service.alerts) == 1
    match = service.alerts[0]
    assert (match["type"], match["level"], match["rule"]["title"]) == (
        "sigma_match", "high", "Shell Started By A Server",
    )  # fmt: skip
    assert match["rule"]["origin"] == "builtin"
    assert match["rule"]["tags"]
    assert match["event"]["process"]["pid"] == 11
    assert [one["exe"] for one in match["parents"]] == ["/usr/sbin/nginx"]
    assert watching.status()["matches"] == 1


def test_an_alert_that_is_no_json_is_counted_and_ends_nothing(detector: Callable[..., Any]) -> None:
    watching, _service, _clock = detector()

    watching.look([*incoming(b'{"type":"\\u00"}'), *incoming(b'{"paths":3,"record_types":[],"result":true}')])

    assert watching.status()["alerts"] == 2
    assert watching.status()["unreadable"] >= 1


def test_what_was_missed_is_told_and_counted(detector: Callable[..., Any]) -> None:
    watching, service, _clock = detector()

    watching.look(incoming(b'{"type":"alerts_missed","count":12}', "agent"))

    assert service.alerts[0] == {"schema": 1, "type": "sigma_missed", "time": "2026-01-01T00:00:00Z", "alerts": 12}
    assert watching.status()["missed"] == 12


def test_a_match_that_is_not_taken_any_more_is_looked_at_again(
    detector: Callable[..., Any], program: Callable[..., bytes]
) -> None:
    watching, service, _clock = detector()
    service.room = False

    with pytest.raises(MigError):
        watching.look(incoming(program("x", exe="/memfd:x (deleted)")))


def test_events_that_are_not_whole_are_counted(detector: Callable[..., Any], program: Callable[..., bytes]) -> None:
    watching, _service, _clock = detector()

    watching.look(incoming(program("x").replace(b'"complete":true', b'"complete":false')))

    assert watching.status()["incomplete"] == 1


def test_the_rules_of_an_action_are_in_force_until_its_window_ends_and_over_a_restart(
    detector: Callable[..., Any], brought: dict[str, Any], program: Callable[..., bytes]
) -> None:
    watching, service, clock = detector(builtin=False)
    nmap = incoming(program("nmap", exe="/usr/bin/nmap"))

    answer = watching._answer(brought)
    watching.look(nmap)
    again, second, later = detector(builtin=False)
    again.look(nmap)
    later[0] = START + timedelta(hours=2)
    third, fourth, _ = detector(builtin=False)

    assert answer.success
    assert [one["rule"]["origin"] for one in (*service.alerts, *second.alerts)] == [ACTION, ACTION]
    assert third.status()["rules"] == 1  # its clock stands
    clock[0] = START + timedelta(hours=2)
    assert watching._temporary.expired() == [ACTION]
    watching._renew()
    watching.look(nmap)
    assert len(service.alerts) == 1
    assert fourth.alerts == []


def test_only_a_signed_action_may_bring_or_end_rules(detector: Callable[..., Any], brought: dict[str, Any]) -> None:
    watching, _service, _clock = detector()

    for question in (
        brought | {"action": ""},
        brought | {"window_ends": ""},
        brought | {"action": "../../x"},
        {"forget": ACTION},
    ):
        answer = watching._answer(question)
        assert not answer.success
    assert watching.status()["actions"] == 0
    assert not watching._answer(brought | {"window_ends": "2025-01-01T00:00:00Z"}).success


def test_rules_can_be_ended_before_their_time(detector: Callable[..., Any], brought: dict[str, Any]) -> None:
    watching, _service, _clock = detector(builtin=False)
    watching._answer(brought)

    gone = watching._answer({"forget": ACTION, "action": "0197f9f0-0000-7000-8000-000000000002"})

    assert (gone.found, watching.status()["rules"], list(watching._temporary.all())) == (True, 0, [])


def test_the_list_names_every_rule_with_its_matches_and_why_one_is_idle(
    detector: Callable[..., Any], program: Callable[..., bytes]
) -> None:
    watching, _service, _clock = detector(minimum_level="high")
    watching.look(incoming(program("x", exe="/memfd:x (deleted)")))

    answer = watching._answer({"list": True})

    rows = list(SigmaModule().rows(answer))
    assert len(rows) == 10
    assert {row["state"] for row in rows if row["level"] == "medium"} == {"below the level high"}
    assert [row["matches"] for row in rows if row["title"] == "Program Started From Memory"] == [1]
    assert any("matches=1" in line for line in SigmaModule().lines(answer, found_only=False))


def test_files_and_folders_of_the_settings_are_loaded_and_what_cannot_be_is_said(
    tmp_path: Path, rule: Callable[..., Rule], detector: Callable[..., Any]
) -> None:
    folder = tmp_path / "of the settings"
    folder.mkdir()
    made = rule("    a:\n        Image: x\n    condition: a\n")
    (folder / "ours.json").write_bytes(dump(document([made])))
    (folder / "broken.yml").write_text("title: [", encoding="utf-8")

    watching, _service, _clock = detector(rules=[str(folder), str(tmp_path / "missing.json")])
    answer = watching._answer({})

    assert watching.status()["rules"] == 11
    assert watching.status()["problems"] == 2
    assert not answer.coverage.complete
    assert len(answer.errors) == 2
    assert len(find([str(folder / "ours.json"), str(folder / "ours.json")], builtin=False).problems) == 1


def test_without_pysigma_a_file_of_sigmas_own_form_is_named_with_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sigma.collection", None)
    (tmp_path / "rule.yml").write_text("title: x", encoding="utf-8")

    problems = find([str(tmp_path / "rule.yml")], builtin=True).problems

    assert "mig-plugin-sigma[rules]" in "".join(problems.values())


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"rules": "x"}, "must be a list"),
        ({"rules": ["x"]}, r"rules\[0\]: must be an absolute path"),
        ({"rulez": []}, "did you mean rules"),
        ({"minimum_level": "loud"}, "must be one of"),
        ({"builtin": 1}, "must be true or false"),
        ({"exclude": [1]}, r"exclude\[0\]: must be a string"),
    ],
)
def test_a_wrong_setting_is_named(config: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SigmaModule().check_config(config)

    assert re.search(problem, f"{caught.value}; {caught.value.next_step}")

"""What the agent tells the platform of itself: facts, heartbeats, enrolment."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.agent.operations.environment import gather_environment
from mig_core.agent.platform.enrolment import Enroller
from mig_core.agent.platform.facts import FactsHolder
from mig_core.agent.platform.given import Given
from mig_core.agent.platform.heartbeat import Heartbeats
from mig_core.domain import envelope as envelopes
from mig_core.domain.agent import AgentFacts, read_enrolment, read_heartbeat
from mig_core.domain.envelope import read_envelope
from mig_core.errors import PluginError, RelayDenied, RelayUnavailable
from mig_core.identity import AgentKey, verify_agent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = AgentKey(bytes(range(32)))
FACTS = AgentFacts(
    id=KEY.agent_id, name="web1", version="1", mode="daemon", pid=1, started=NOW, environment={"os": "linux"}
)


def test_the_facts_of_this_machine_are_in_their_documented_form() -> None:
    gathered: Any = gather_environment("")

    environment = gathered["environment"]
    assert environment["os"] == "linux"
    assert environment["arch"] not in ("x86_64", "aarch64")
    for address in environment["addresses"]:
        ipaddress.ip_interface(address)
    assert gathered["name"]
    json.dumps(gathered)


def test_the_configured_name_wins() -> None:
    assert gather_environment("web1.example.net")["name"] == "web1.example.net"


class _Implementation:
    def __init__(self, answer: Any) -> None:
        self.plugin_name = "cloud"
        self.answer = answer

    def function(self, environment: Any) -> Any:
        assert environment["os"] == "linux"
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class _Hooks:
    """As pluggy's hook caller presents implementations."""

    def __init__(self, *answers: Any) -> None:
        self.mig_agent_environment = self
        self.answers = answers

    def get_hookimpls(self) -> list[_Implementation]:
        return [_Implementation(answer) for answer in self.answers]


def test_hooks_add_facts_and_a_hook_that_raises_spoils_nothing() -> None:
    gathered: Any = gather_environment("", _Hooks({"zone": "a"}, RuntimeError("no cloud"), None))

    assert gathered["environment"]["zone"] == "a"
    assert gathered["environment"]["os"] == "linux"


class _Gatherer:
    def __init__(self) -> None:
        self.broken = False

    def gather(self, name: str) -> dict[str, Any]:
        if self.broken:
            raise PluginError("environment", "took too long")
        return {"name": name or "found", "version": "2", "environment": {"os": "linux", "init": "systemd"}}


def test_facts_that_cannot_be_gathered_stay_as_they_were_and_are_reported() -> None:
    gatherer = _Gatherer()
    holder = FactsHolder(FACTS, name="", gatherer=gatherer, failures=lambda: {"broken": "why"})
    holder.refresh()
    gatherer.broken = True

    holder.refresh()

    facts = holder.current()
    assert (facts.name, facts.version, facts.environment["init"]) == ("found", "2", "systemd")
    assert set(facts.failures) == {"broken", "environment"}


def test_heartbeat_numbers_grow_even_if_the_clock_goes_back_and_the_agent_restarts(tmp_path: Path) -> None:
    clock = [NOW]

    def made() -> Heartbeats:
        return Heartbeats(
            KEY,
            tmp_path / "sequence",
            facts=lambda: FACTS,
            statistics=lambda: {"operations": 3},
            clock=lambda: clock[0],
        )

    numbers = []
    for offset in (0, 0, -3600, -3600, 10):
        clock[0] = NOW + timedelta(seconds=offset)
        envelope = read_envelope(made().make(), expected_type=envelopes.HEARTBEAT)
        verify_agent(envelope, KEY.public_key)
        heartbeat = read_heartbeat(envelope.payload)
        assert heartbeat.statistics == {"operations": 3}
        numbers.append(heartbeat.sequence)

    assert numbers == sorted(set(numbers))


def test_a_damaged_heartbeat_number_does_not_stop_the_agent(tmp_path: Path) -> None:
    (tmp_path / "sequence").write_bytes(b"\x00\x00")

    heartbeats = Heartbeats(KEY, tmp_path / "sequence", facts=lambda: FACTS, statistics=dict, clock=lambda: NOW)

    assert heartbeats.make()


class _Platform:
    """Answers enrolments one after the other."""

    def __init__(self, *answers: tuple[int, Any] | Exception) -> None:
        self.answers = list(answers)
        self.bodies: list[bytes] = []

    def exchange(
        self, method: str, path: str, *, body: bytes | None, seconds: float, largest: int
    ) -> tuple[int, bytes]:
        assert (method, path) == ("POST", "/api/v1/enrol")
        self.bodies.append(body or b"")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, content = answer
        return status, content if isinstance(content, bytes) else json.dumps(content).encode()


def enroller(
    platform: _Platform, tmp_path: Path, secret: str = "", clock: Callable[[], datetime] = lambda: NOW
) -> Enroller:
    return Enroller(
        platform,
        KEY,
        facts=lambda: FACTS,
        relay="https",
        secret=lambda: secret,
        token_file=tmp_path / "relay.token",
        given=Given(tmp_path / "given.json"),
        clock=clock,
    )


def test_an_enrolment_is_signed_with_the_key_it_carries_and_the_token_is_kept_private(tmp_path: Path) -> None:
    platform = _Platform((200, {"state": "online", "token": "T", "relay": "https"}))

    token = enroller(platform, tmp_path, "open sesame").enrol(lambda _: False)

    assert token == "T"
    envelope = read_envelope(platform.bodies[0], expected_type=envelopes.ENROL)
    enrolment = read_enrolment(envelope.payload)
    assert verify_agent(envelope, enrolment.public_key) == KEY.agent_id
    assert (enrolment.secret, enrolment.relay, enrolment.sent) == ("open sesame", "https", NOW)
    assert (tmp_path / "relay.token").stat().st_mode & 0o777 == 0o600
    assert enroller(platform, tmp_path).saved_token() == "T"


def test_an_agent_without_secret_asks_again_until_it_is_approved(tmp_path: Path) -> None:
    platform = _Platform(
        (202, {"state": "pending"}),
        RelayUnavailable("the API is away"),
        (503, {"title": "busy"}),
        (403, {"detail": "not you"}),
        (200, b"<html>a proxy</html>"),
        (200, {"state": "offline", "token": "T"}),
    )
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return False

    token = enroller(platform, tmp_path).enrol(wait)

    assert token == "T"
    assert len(waits) == 5
    assert all(5 <= seconds <= 60 for seconds in waits)


def test_what_the_first_enrolment_gives_is_kept_and_no_later_one_changes_it(tmp_path: Path) -> None:
    first = {"state": "online", "token": "T", "tags": {"site": "berlin"}, "relayurl": "amqps://broker:5671/mig"}
    later = {**first, "tags": {"site": "paris"}, "relayurl": "amqps://elsewhere:5671/mig"}
    moments = iter([NOW, NOW + timedelta(seconds=1), NOW + timedelta(seconds=2)])
    platform = _Platform((200, first), (200, {**first, "token": "U"}), (200, {**later, "token": "V"}))
    agent = enroller(platform, tmp_path, clock=lambda: next(moments))

    token = agent.enrol(lambda _: True)
    agent.enrol_once()

    asked = [read_enrolment(read_envelope(body, expected_type=envelopes.ENROL).payload) for body in platform.bodies]
    assert token == "U", "the token of where it listens"
    assert [one.relay for one in asked] == ["https", "amqp", "amqp"]
    gift = Given(tmp_path / "given.json").gift()
    assert (gift.tags, gift.relay) == ({"site": "berlin"}, "amqps://broker:5671/mig")


def test_tags_of_its_own_settings_win_over_those_that_it_was_given() -> None:
    facts = FactsHolder(
        replace(FACTS, tags={"site": "here"}),
        name="",
        gatherer=_Gatherer(),
        failures=dict,
        given=lambda: {"site": "there", "team": "blue"},
    )

    assert facts.current().tags == {"site": "here", "team": "blue"}


def test_an_agent_that_is_stopped_while_it_waits_gives_up(tmp_path: Path) -> None:
    assert enroller(_Platform((202, {"state": "pending"})), tmp_path).enrol(lambda _: True) == ""


def test_a_refused_enrolment_says_what_the_platform_said(tmp_path: Path) -> None:
    with pytest.raises(RelayDenied, match="wrong secret"):
        enroller(_Platform((403, {"title": "Forbidden", "detail": "wrong secret"})), tmp_path).enrol_once()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"relay":"amqp","token":"T"}'])
def test_a_token_that_cannot_be_used_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "relay.token").write_bytes(content)

    assert enroller(_Platform(), tmp_path).saved_token() == ""

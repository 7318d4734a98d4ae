"""Whether a target means an agent, also when not everything about the agent is known."""

from __future__ import annotations

import time
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mig_core.domain.agent import AgentFacts
from mig_core.domain.ids import AgentId
from mig_core.domain.target import UNKNOWN, AgentView, Answer, Verdict, addresses_of, match, parse_target
from mig_core.testing.target_strategies import NOW, agent_views, target_texts

ACTION = "0197f9f0-0000-7000-8000-00000000000a"
WEB1 = AgentView(
    id="a" * 32,
    name="web1",
    version="1.0",
    mode="daemon",
    relay="https",
    pid=4711,
    environment={"os": "linux", "arch": "amd64", "cpus": 4, "gone": None, "cloud": {"zone": "eu-1"}},
    tags={"operator": "it"},
    addresses=["10.1.2.3/24", "fe80::1/64"],
    status="online",
    heartbeat=NOW - timedelta(seconds=30),
    starttime=NOW - timedelta(days=3),
    answered=lambda answer, action: (answer, action) == (Answer.FOUND, ACTION),
)
ITSELF = replace(WEB1, status=UNKNOWN, heartbeat=UNKNOWN, starttime=UNKNOWN, answered=UNKNOWN)


def verdict(text: str, agent: AgentView = WEB1) -> Verdict:
    return match(parse_target(text), agent, now=NOW)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all", True),
        ("web*", True),
        ("web?", True),
        ("web", False),
        ("WEB*", False),
        ("name ILIKE 'WEB_'", True),
        ("name > 'web'", True),
        ("name < 'Z'", False),
        ("os = 'linux' AND tags.operator IN ('it', 'opsec')", True),
        ("environment->>'cpus' = '4'", True),
        ("environment->'cloud'->>'zone' LIKE 'eu-%'", True),
        ('environment.cloud = \'{"zone": "eu-1"}\'', True),
        ("environment.os.deeper = 'x'", False),
        ("pid BETWEEN 4000 AND 5000", True),
        ("heartbeattime > NOW() - interval '1 minute'", True),
        ("heartbeattime > NOW() - interval '10 seconds'", False),
        ("started_at < '2026-11-21'", True),
        ("10.1.2.0/24", True),
        ("address = '10.1.2.3'", True),
        ("address <<= '10.1.2.4'", False),
        ("address <<= '::/0'", True),
        (f"found('{ACTION}')", True),
        (f"notfound('{ACTION}') OR noanswer('{ACTION}')", False),
        ("name ~ '^web\\d$'", True),
        ("name ~ '^\\D+$'", False),
        ("name ~* 'WEB[[:digit:]]'", True),
        ("name !~ 'db'", True),
    ],
)
def test_a_target_means_the_agent_or_not(text: str, expected: bool) -> None:
    assert verdict(text) is (Verdict.YES if expected else Verdict.NO)


@pytest.mark.parametrize(
    "text",
    ["tags.team = 'x'", "tags.team <> 'x'", "NOT tags.team = 'x'", "tags.team NOT IN ('x')", "environment.gone !~ 'x'"],
)
def test_a_missing_key_answers_no_to_a_test_and_to_its_opposite(text: str) -> None:
    assert verdict(text) is Verdict.NO


def test_a_missing_key_can_be_asked_for() -> None:
    assert verdict("tags.team IS NULL AND environment.gone IS NULL") is Verdict.YES
    assert verdict("tags.team = 'x' OR tags.team IS NULL") is Verdict.YES
    assert verdict("tags.team IS NOT NULL") is Verdict.NO


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("status = 'online'", Verdict.UNKNOWN),
        ("NOT status = 'online'", Verdict.UNKNOWN),
        ("status = 'online' AND name = 'web1'", Verdict.UNKNOWN),
        ("status = 'online' AND name = 'db1'", Verdict.NO),
        ("status = 'online' OR name = 'web1'", Verdict.YES),
        ("status = 'online' OR name = 'db1'", Verdict.UNKNOWN),
        ("status = 'online' AND tags.team = 'x'", Verdict.NO),
        ("NOT (status = 'online' AND tags.team = 'x')", Verdict.UNKNOWN),
        ("NOT (status = 'online' OR name = 'web1')", Verdict.NO),
        ("status IS NULL", Verdict.NO),
        ("heartbeat_at IS NULL", Verdict.UNKNOWN),
        ("heartbeat_at > NOW() - interval '1 hour'", Verdict.UNKNOWN),
        (f"found('{ACTION}')", Verdict.UNKNOWN),
        (f"NOT found('{ACTION}') AND os = 'windows'", Verdict.NO),
    ],
)
def test_what_cannot_be_known_decides_nothing(text: str, expected: Verdict) -> None:
    assert verdict(text, ITSELF) is expected


def test_a_view_of_nothing_still_answers_what_holds_for_all() -> None:
    nothing = AgentView()

    assert verdict("all", nothing) is Verdict.YES
    assert verdict("NOT all", nothing) is Verdict.NO
    assert verdict("10.0.0.0/8 ", nothing) is Verdict.UNKNOWN
    assert verdict("tags.k = 'x'", nothing) is Verdict.UNKNOWN


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(target_texts, agent_views(), st.sets(st.sampled_from([field.name for field in fields(AgentView)])))
def test_an_agent_never_refuses_what_full_knowledge_says_is_meant_for_it(
    text: str, agent: AgentView, hidden: set[str]
) -> None:
    target = parse_target(text)
    partial = replace(agent, **dict.fromkeys(hidden, UNKNOWN))

    full = match(target, agent, now=NOW)
    seen = match(target, partial, now=NOW)

    assert full is not Verdict.UNKNOWN
    assert seen in (full, Verdict.UNKNOWN)


def test_an_agent_sees_itself_without_what_only_the_platform_knows() -> None:
    facts = AgentFacts(
        id=AgentId("a" * 32),
        name="web1",
        version="1.0",
        mode="daemon",
        pid=1,
        started=datetime(2026, 1, 1, tzinfo=UTC),
        environment={"os": "linux", "addresses": ["192.0.2.7/24", "fe80::1%eth0/64", "nonsense", 7]},
        tags={},
    )

    itself = AgentView.of_itself(facts, relay="amqp")

    assert verdict("os = 'linux' AND relay = 'amqp'", itself) is Verdict.YES
    assert verdict("192.0.2.0/24", itself) is Verdict.YES
    assert verdict("fe80::1", itself) is Verdict.YES
    assert verdict("started_at < NOW()", itself) is Verdict.UNKNOWN
    assert verdict("status = 'retired'", itself) is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["192.0.2.2/24", "2001:DB8::1"], ["192.0.2.2/24", "2001:db8::1"]),
        (["::FFFF:10.1.2.3/128", "::ffff:a01:203"], ["::ffff:10.1.2.3/128", "::ffff:10.1.2.3"]),
        (["fe80::1%eth0/64", "fe80::2%eth0"], ["fe80::1/64", "fe80::2"]),
        (["", "/24", "10.0.0.1/", "10.0.0.1/33", "10.0.0.1/-1", "10.0.0.1/²", "01.2.3.4", "x" * 1000, None, {}], []),
        ("10.0.0.1", []),
        (None, []),
    ],
)
def test_only_addresses_that_a_database_accepts_are_kept(value: object, expected: list[str]) -> None:
    assert addresses_of({"addresses": value}) == expected


@pytest.mark.parametrize(
    "pattern", ["(?:a+)+$", "(?:a|aa)+$", "(?:a*)*b", "(?:.*a){20}", "(?:a?){120}a{120}b", "(?:[a-z]+)*\\d"]
)
def test_a_pattern_made_to_backtrack_for_hours_takes_no_time(pattern: str) -> None:
    target = parse_target(f"name ~ '{pattern}'")
    started = time.process_time()

    match(target, AgentView(name="a" * 5000 + "!"), now=NOW)

    assert time.process_time() - started < 5


def test_a_like_pattern_of_many_wildcards_takes_no_time() -> None:
    started = time.process_time()

    answer = verdict("name LIKE '" + "%a" * 500 + "b'", AgentView(name="a" * 1000))

    assert answer is Verdict.NO
    assert time.process_time() - started < 5

"""PostgreSQL and Python give the same answer to every target."""

from __future__ import annotations

import ipaddress
import json
import time
import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg import sql

from mig_core.domain.addresses import address_text
from mig_core.domain.target import AgentView, Answer, Verdict, match, parse_target
from mig_core.domain.target.regex import parse_regex
from mig_core.domain.target.regex_tree import to_postgres
from mig_core.store.target_sql import compile_target
from mig_core.testing.target_strategies import ACTIONS, NOW, agent_views, quoted, regexes, target_texts, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.testing.postgres import PostgresServer

SCHEMA: LiteralString = """
CREATE TABLE agents (
    number integer PRIMARY KEY, id text, name text COLLATE {collation}, version text COLLATE {collation},
    mode text COLLATE {collation}, status text, relay text, pid bigint,
    heartbeat_at timestamptz, started_at timestamptz, environment jsonb NOT NULL, tags jsonb NOT NULL,
    addresses inet[] NOT NULL
);
CREATE TABLE commands (action_id uuid, agent_id text, state text, found boolean);
"""
COMMANDS: dict[Answer, tuple[str, bool | None]] = {
    Answer.FOUND: ("success", True),
    Answer.NOTFOUND: ("success", False),
    Answer.NOANSWER: ("expired", None),
}


@pytest.fixture(scope="module")
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    name = f"mig_target_{uuid.uuid4().hex}"
    postgres_server.run_sql(f'CREATE DATABASE "{name}"', database="postgres")
    yield postgres_server.url(database=name)
    postgres_server.run_sql(f'DROP DATABASE "{name}" WITH (FORCE)', database="postgres")


@pytest.fixture(scope="module")
def database(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        # A collation unlike Python's order, where the server has one: the condition must not depend on it.
        row = connection.execute(
            "SELECT max(collname) FROM pg_collation WHERE collname IN ('C', 'en-x-icu')"
        ).fetchone()
        connection.execute(sql.SQL(SCHEMA).format(collation=sql.Identifier(row[0] if row else "C")))
        # A zone with summer time: days and offsets must not depend on it.
        connection.execute("SET timezone = 'America/New_York'")
        connection.execute("SET statement_timeout = '20s'")
        yield connection


def selected(database: psycopg.Connection[Any], text: str, agents: list[AgentView]) -> tuple[set[int], set[int]]:
    """The numbers of the agents that PostgreSQL selects, and those that Python matches, at one now."""
    target = parse_target(text)
    condition, parameters = compile_target(target)
    with database.transaction(force_rollback=True):
        row = database.execute("SELECT now()").fetchone()
        now: datetime = row[0] if row else NOW
        moved = [shifted(agent, now - NOW) for agent in agents]
        for number, agent in enumerate(moved):
            insert(database, number, agent)
        query = sql.SQL("SELECT a.number FROM agents a WHERE {}").format(condition)
        by_postgres = {number for (number,) in database.execute(query, parameters)}
    verdicts = [match(target, agent, now=now) for agent in moved]
    assert Verdict.UNKNOWN not in verdicts
    return by_postgres, {number for number, verdict in enumerate(verdicts) if verdict is Verdict.YES}


def shifted(agent: AgentView, difference: timedelta) -> AgentView:
    """The agent with its heartbeat as near to the database's now as it was to NOW."""
    return replace(agent, heartbeat=agent.heartbeat + difference) if isinstance(agent.heartbeat, datetime) else agent


def insert(database: psycopg.Connection[Any], number: int, agent: AgentView) -> None:
    values = (
        *(number, agent.id, agent.name, agent.version, agent.mode, agent.status, agent.relay, agent.pid),
        *(agent.heartbeat, agent.starttime, json.dumps(agent.environment), json.dumps(agent.tags), agent.addresses),
    )
    database.execute("INSERT INTO agents VALUES (%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s::jsonb,%s::jsonb,%s::inet[])", values)
    assert callable(agent.answered)
    for answer, (state, found) in COMMANDS.items():
        for action in ACTIONS:
            if agent.answered(answer, action):
                database.execute("INSERT INTO commands VALUES (%s, %s, %s, %s)", (action, agent.id, state, found))


def distinct(agents: list[AgentView]) -> list[AgentView]:
    """The agents with ids that differ, as a database has them."""
    return list({agent.id: agent for agent in agents}.values())


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(text=target_texts, agents=st.lists(agent_views(), min_size=1, max_size=4).map(distinct))
def test_postgresql_and_python_select_the_same_agents(
    database: psycopg.Connection[Any], text: str, agents: list[AgentView]
) -> None:
    by_postgres, by_python = selected(database, text, agents)

    assert by_postgres == by_python


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**128 - 1) | st.integers(0, 2**50) | st.integers(0xFFFF << 32, (1 << 48) - 1))
def test_an_address_is_written_as_the_database_writes_it(database: psycopg.Connection[Any], number: int) -> None:
    address = ipaddress.IPv6Address(number)

    row = database.execute("SELECT host(%s::inet)", (address.exploded,)).fetchone()

    assert row == (address_text(address),)


@settings(max_examples=400, deadline=None)
@given(pattern=regexes, ignore_case=st.booleans(), subjects=st.lists(texts, min_size=1, max_size=6))
@example(pattern="(?:a|)*$", ignore_case=False, subjects=["", "b"])
@example(pattern="()*", ignore_case=False, subjects=[""])
@example(pattern="(?:(?:^a)*b)*$", ignore_case=True, subjects=["aab", "A", "b"])
def test_a_regular_expression_finds_the_same_in_both(
    database: psycopg.Connection[Any], pattern: str, ignore_case: bool, subjects: list[str]
) -> None:
    target = parse_target(f"name {'~*' if ignore_case else '~'} {quoted(pattern)}")
    rewritten = to_postgres(parse_regex(pattern, ignore_case=ignore_case))

    row = database.execute(
        'SELECT array_agg(t COLLATE "C" ~ %s::text ORDER BY n) FROM unnest(%s::text[]) WITH ORDINALITY AS s(t, n)',
        (rewritten, subjects),
    ).fetchone()

    by_python = [match(target, AgentView(name=subject), now=NOW) is Verdict.YES for subject in subjects]
    assert row is not None
    assert row[0] == by_python


@settings(max_examples=150, deadline=None)
@given(environment=st.dictionaries(texts, agent_views().map(lambda agent: agent.environment), max_size=3))
def test_a_json_value_reads_as_the_same_text_in_both(
    database: psycopg.Connection[Any], environment: dict[str, object]
) -> None:
    from mig_core.domain.target.jsontext import text_at

    for key in environment:
        row = database.execute("SELECT %s::jsonb ->> %s::text", (json.dumps(environment), key)).fetchone()

        assert row is not None
        assert row[0] == text_at(environment, (key,))


def test_an_injection_reaches_the_database_as_a_value_only(database: psycopg.Connection[Any]) -> None:
    attempts = [
        "x'); RESET ROLE; UPDATE agents SET name='owned'; COMMIT; SELECT ('",
        "' OR '1'='1",
        "%s",
        "%(name)s",
        "{}",
        "$1",
        "\\'; DROP TABLE agents; --",
    ]
    agent = AgentView(
        id="a",
        name="web1",
        version="1",
        mode="m",
        relay="https",
        pid=1,
        environment={},
        tags={},
        addresses=[],
        status="online",
        heartbeat=NOW,
        starttime=NOW,
        answered=lambda answer, action: False,
    )

    for attempt in attempts:
        for shape in (
            "name = {}",
            "name IN ({})",
            "tags->>{} = 'x'",
            "environment->{}->>'k' LIKE 'x'",
            "name ILIKE {}",
        ):
            condition, parameters = compile_target(parse_target(shape.format(quoted(attempt))))
            harmless, _ = compile_target(parse_target(shape.format("'x'")))

            assert condition == harmless
            assert any(attempt in parameter for parameter in parameters if isinstance(parameter, str | list))
            assert selected(database, shape.format(quoted(attempt)), [agent]) == (set(), set())

    assert database.execute("SELECT count(*) FROM agents").fetchone() == (0,)


@pytest.mark.parametrize(
    "pattern",
    [
        "(?:a?){120}a{120}b",
        "(?:.{0,20}){0,20}x",
        "(?:(?:a|aa)+)+$",
        "(?:[a-z]*){5}[^a]$",
        "(?:\\w{1,15}\\d){15}",
        "(?:^|a|$){8}",
    ],
)
def test_the_largest_expressions_are_quick_in_both(database: psycopg.Connection[Any], pattern: str) -> None:
    target = parse_target(f"name ~ '{pattern}'")
    subject = "a" * 1000 + "!"

    started = time.monotonic()
    match(target, AgentView(name=subject), now=NOW)
    database.execute('SELECT %s::text COLLATE "C" ~ %s::text', (subject, to_postgres(parse_regex(pattern)))).fetchone()

    assert time.monotonic() - started < 10


def test_the_largest_target_compiles_and_runs(database: psycopg.Connection[Any]) -> None:
    text = " OR ".join(["name='a'"] * 250)

    assert selected(database, text, []) == (set(), set())

"""Migrations and roles: applied once, whoever calls and however many at once; nothing is applied to what is unknown."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg
import pytest

from mig_core.errors import ConfigurationError, StoreError, StoreUnavailable
from mig_core.store.embedded.server import EmbeddedPostgres
from mig_core.store.migrate import Migration, migrations, upgrade
from mig_core.store.postgres import PostgresStore
from mig_core.store.roles import API, READER, SCHEDULER, create_groups, create_login

if TYPE_CHECKING:
    from pathlib import Path

    from mig_core.testing.postgres import PostgresServer

PRESENT = [one.version for one in migrations()]


async def _open_and_close(url: str) -> None:
    async with PostgresStore(url, pool_size=1) as store:
        assert await store.ready()


def test_migrations_are_numbered_without_a_gap() -> None:
    assert list(range(1, len(PRESENT) + 1)) == PRESENT


def test_an_upgrade_applies_everything_once(empty_database_url: str) -> None:
    first = upgrade(empty_database_url)
    second = upgrade(empty_database_url)

    assert (first, second) == (PRESENT, [])
    asyncio.run(_open_and_close(empty_database_url))


def test_of_many_upgrades_at_once_one_applies_and_all_succeed(empty_database_url: str) -> None:
    with ThreadPoolExecutor(6) as threads:
        outcomes = list(threads.map(upgrade, [empty_database_url] * 6))

    assert sorted(outcomes, key=len) == [[]] * 5 + [PRESENT]


def test_roles_can_be_made_by_many_databases_of_one_server_at_once(
    empty_database_url: str, postgres_server: PostgresServer
) -> None:
    upgrade(empty_database_url)
    names = [f"mig_race_{number}" for number in range(3)]

    def make(name: str) -> None:
        with psycopg.connect(postgres_server.url(database="postgres"), autocommit=True) as connection:
            create_groups(connection)
        create_login(empty_database_url, name, "secret", group=API)

    try:
        with ThreadPoolExecutor(9) as threads:
            list(threads.map(make, names * 3))

        members = postgres_server.run_sql(
            "SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member"
            " WHERE r.rolname LIKE 'mig_race_%'"
        )
        assert members == "3"
        verifier = postgres_server.run_sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'mig_race_0'")
        assert verifier.startswith("SCRAM-SHA-256$")
    finally:
        for name in names:
            postgres_server.run_sql(f"DROP ROLE IF EXISTS {name}")


@pytest.mark.parametrize(("name", "group"), [("Robert'); --", API), (API, API), ("fine", "postgres")])
def test_a_login_with_an_unusable_name_or_group_is_refused(name: str, group: str) -> None:
    with pytest.raises(StoreError, match="login"):
        create_login("postgresql://unused", name, None, group=group)


def test_an_owner_that_is_no_superuser_makes_everything_in_many_databases_at_once(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    if not isinstance(postgres_server, EmbeddedPostgres):
        pytest.skip("needs a server of its own, without our roles")

    with EmbeddedPostgres(tmp_path / "server", durable=False) as server:
        server.run_sql("CREATE ROLE owner LOGIN CREATEROLE", database="postgres")
        urls = []
        for number in range(4):
            server.run_sql(f"CREATE DATABASE db{number} OWNER owner", database="postgres")
            urls.append(server.url("owner", f"db{number}"))

        with ThreadPoolExecutor(4) as threads:
            outcomes = list(threads.map(upgrade, urls))
        create_login(urls[0], "api_login", None, group=API)

        assert outcomes == [PRESENT] * 4
        asyncio.run(_open_and_close(server.url("api_login", "db0")))
        server.run_sql("CREATE ROLE plain LOGIN", database="postgres")
        with pytest.raises(StoreError, match="permission denied") as refused:
            create_login(server.url("plain", "db0"), "another", None, group=API)
        assert "CREATEROLE" in refused.value.next_step


def test_a_schema_from_the_future_is_left_alone(empty_database_url: str) -> None:
    newer = [*migrations(), Migration(len(PRESENT) + 1, "future", "CREATE TABLE future ()")]
    upgrade(empty_database_url, available=newer)

    with pytest.raises(ConfigurationError, match="newer release"):
        upgrade(empty_database_url)
    with pytest.raises(ConfigurationError, match="newer release"):
        asyncio.run(_open_and_close(empty_database_url))


def test_a_store_does_not_open_on_a_database_without_the_schema(empty_database_url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is version 0") as refused:
        asyncio.run(_open_and_close(empty_database_url))

    assert "mig-admin db upgrade" in refused.value.next_step


def test_a_migration_whose_text_changed_after_it_was_applied_is_noticed(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    changed = [replace(migrations()[0], text="SELECT 1"), *migrations()[1:]]

    with pytest.raises(ConfigurationError, match="another text"):
        upgrade(empty_database_url, available=changed)


def test_a_migration_that_fails_leaves_nothing_behind(empty_database_url: str) -> None:
    broken = Migration(len(PRESENT) + 1, "broken", "CREATE TABLE half (); SELECT 1 / 0")

    with pytest.raises(StoreError, match="division by zero"):
        upgrade(empty_database_url, available=[*migrations(), broken])

    assert upgrade(empty_database_url) == []
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT to_regclass('half')").fetchone() == (None,)


def test_an_upgrade_without_a_server_says_so() -> None:
    with pytest.raises(StoreUnavailable) as refused:
        upgrade("postgresql:///mig?host=/nonexistent&port=1")

    assert "owner_url" in refused.value.next_step


FORBIDDEN = {
    API: [
        "DELETE FROM actions",
        "DELETE FROM investigators",
        "INSERT INTO commands (id) VALUES (gen_random_uuid())",
        "UPDATE commands SET results = '[]'",
        "UPDATE actions SET target = 'all'",
        "SELECT body FROM relay_inbound FOR UPDATE",
        "DELETE FROM schema_versions",
        "CREATE TABLE mine ()",
    ],
    SCHEDULER: [
        "SELECT * FROM investigators",
        "SELECT * FROM sessions",
        "SELECT * FROM login_nonces",
        "SELECT token_digest FROM agents",
        "UPDATE agents SET public_key = ''",
        "UPDATE actions SET envelope = ''",
        "INSERT INTO actions (id) VALUES (gen_random_uuid())",
        "INSERT INTO agents (id) VALUES ('x')",
        "CREATE TABLE mine ()",
    ],
    READER: [
        "SELECT * FROM investigators",
        "SELECT * FROM sessions",
        "SELECT * FROM actions",
        "SELECT results FROM commands",
        "SELECT reason FROM commands",
        "SELECT public_key FROM agents",
        "SELECT token_digest FROM agents",
        "UPDATE agents SET name = ''",
        "DELETE FROM commands",
        "SELECT * FROM relay_messages",
        "SELECT * FROM counters",
        "SELECT mig_uuid7(now())",
        "CREATE TABLE mine ()",
    ],
}


@pytest.mark.parametrize(
    ("role", "statement"), [(role, statement) for role, statements in FORBIDDEN.items() for statement in statements]
)
def test_each_role_is_kept_from_what_it_does_not_need(
    store_connection: psycopg.Connection, role: str, statement: str
) -> None:
    store_connection.execute(f"SET ROLE {role}")

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        store_connection.execute(statement)


def test_the_reading_role_sees_what_targets_may_ask_about(store_connection: psycopg.Connection) -> None:
    store_connection.execute(f"SET ROLE {READER}")

    store_connection.execute("SELECT id, name, status, environment, tags, addresses, heartbeat_at FROM agents")
    store_connection.execute("SELECT action_id, agent_id, state, found FROM commands")


@pytest.fixture(scope="module")
def store_connection(postgres_server: PostgresServer, store_template: str) -> object:
    """One database for the questions of this file that change nothing."""
    name = f"{store_template}_roles"
    postgres_server.run_sql(f'CREATE DATABASE "{name}" TEMPLATE "{store_template}"')
    with psycopg.connect(postgres_server.url(database=name), autocommit=True) as connection:
        yield connection
    postgres_server.run_sql(f'DROP DATABASE "{name}" WITH (FORCE)')

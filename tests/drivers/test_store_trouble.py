"""What the store does when the database goes away, or when somebody writes past it."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from mig_core.domain.target import parse_target
from mig_core.errors import InvalidDocument, StoreUnavailable, TargetError
from mig_core.store.agent_rows import page_of_ids
from mig_core.store.database import Database, StoreLimits
from mig_core.store.postgres import PostgresStore
from mig_core.store.rows import FannedOut
from mig_core.testing.store_samples import (
    NOW,
    action,
    answer,
    enrolled,
    enrolment,
    fanned_out,
    scheduled,
)

if TYPE_CHECKING:
    from mig_core.store.database import Cursor
    from mig_core.testing.postgres import PostgresServer

END_ALL = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE '{}'
"""


def test_a_watch_survives_the_loss_of_its_connection(
    store: PostgresStore, store_runner: asyncio.Runner, store_database: str, postgres_server: PostgresServer
) -> None:
    async def scenario() -> None:
        async with store.wakeups.watch("agent") as watch:
            ended = await asyncio.to_thread(
                postgres_server.run_sql, END_ALL.format("mig-wakeups"), database=store_database
            )
            woken_by_the_reconnect = await watch.wait(60)
            await store.agents.enrol(enrolment("web1"), approved=True, token_digest=b"t", now=NOW)

            assert ended == "1"
            assert woken_by_the_reconnect
            assert await watch.wait(60)

    store_runner.run(scenario())


def test_transactions_go_on_after_the_database_dropped_every_connection(
    store: PostgresStore, store_runner: asyncio.Runner, store_database: str, postgres_server: PostgresServer
) -> None:
    async def scenario() -> None:
        await enrolled(store, "web1")
        await asyncio.to_thread(postgres_server.run_sql, END_ALL.format("mig%"), database=store_database)

        assert await asyncio.gather(*(store.agents.count(parse_target("all"), now=NOW) for _ in range(8))) == [1] * 8
        assert await store.ready()

    store_runner.run(scenario())


def test_a_transaction_is_one_although_its_connection_was_used_without(
    store_runner: asyncio.Runner, store_url: str
) -> None:
    """One connection: what is done on it first commits by itself, what comes after is undone as a whole."""

    async def scenario() -> None:
        database = Database(store_url, pool_size=1, limits=StoreLimits())
        await database.open()

        async def count(cursor: Cursor) -> None:
            await cursor.execute("INSERT INTO counters VALUES (%s, 1)", (name,))

        async def fail(cursor: Cursor) -> None:
            await count(cursor)
            raise ValueError(name)

        async def counted(cursor: Cursor) -> list[str]:
            await cursor.execute("SELECT name FROM counters ORDER BY name")
            return [row["name"] for row in await cursor.fetchall()]

        try:
            name = "one"
            await database.statement(count)
            name = "two"
            with pytest.raises(ValueError, match="two"):
                await database.transaction(fail)
            name = "three"
            with pytest.raises(ValueError, match="three"):
                await database.statement(fail)

            assert await database.transaction(counted) == ["one", "three"]
        finally:
            await database.close()

    store_runner.run(scenario())


def test_one_transaction_gets_past_any_number_of_dead_connections(
    store_runner: asyncio.Runner, store_url: str, store_database: str, postgres_server: PostgresServer
) -> None:
    async def scenario() -> None:
        database = Database(store_url, pool_size=8, limits=StoreLimits())
        await database.open()
        try:
            all_are_in = asyncio.Barrier(8)

            async def meet(cursor: Cursor) -> None:
                await cursor.execute("SELECT 1")
                await all_are_in.wait()

            await asyncio.gather(*(database.transaction(meet) for _ in range(8)))
            ended = await asyncio.to_thread(postgres_server.run_sql, END_ALL.format("mig%"), database=store_database)

            await database.transaction(lambda cursor: cursor.execute("SELECT 1"))

            assert int(ended) == 8
        finally:
            await database.close()

    store_runner.run(scenario())


def test_who_is_told_to_end_while_its_connection_dies_ends_and_does_not_try_again(
    store_runner: asyncio.Runner, store_url: str, store_database: str, postgres_server: PostgresServer
) -> None:
    async def scenario() -> None:
        database = Database(store_url, pool_size=1, limits=StoreLimits())
        await database.open()
        began: list[int] = []

        async def work(cursor: Cursor) -> None:
            began.append(1)
            await cursor.execute("SELECT pg_sleep(600)")

        try:
            task = asyncio.create_task(database.transaction(work))
            while not began:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            # At the same moment: nothing else runs in this thread in between. The driver tells of the connection only.
            postgres_server.run_sql(END_ALL.format("mig%"), database=store_database)
            task.cancel()

            done, _ = await asyncio.wait({task}, timeout=60)
            assert done
            assert task.cancelled()
            assert began == [1]
        finally:
            await database.close()

    store_runner.run(scenario())


def test_a_cancel_that_is_lost_where_a_connection_is_waited_for_is_heeded(
    store_runner: asyncio.Runner, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        database = Database(store_url, pool_size=1, limits=StoreLimits())
        await database.open()
        getconn, worked = database._pool.getconn, []

        async def one_that_comes_at_the_same_moment() -> Any:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(600)
            return await getconn()

        async def work(cursor: Cursor) -> None:
            worked.append(cursor)

        try:
            with monkeypatch.context() as patch:
                patch.setattr(database._pool, "getconn", one_that_comes_at_the_same_moment)
                task = asyncio.create_task(database.transaction(work))
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait({task}, timeout=60)

            assert task.cancelled()
            assert worked == []
            await database.transaction(lambda cursor: cursor.execute("SELECT 1"))  # its connection was given back
        finally:
            await database.close()

    store_runner.run(scenario())


def test_a_database_that_is_gone_is_unavailable_and_not_ready(
    store_runner: asyncio.Runner,
    empty_database_url: str,
    postgres_server: PostgresServer,
) -> None:
    name = empty_database_url.split("/")[3].split("?")[0]

    async def scenario() -> None:
        database = Database(empty_database_url, pool_size=1, limits=StoreLimits(connection=0.3))
        await database.open()
        sql = f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false;' + END_ALL.format("mig%").replace(
            "current_database()", f"'{name}'"
        )
        await asyncio.to_thread(postgres_server.run_sql, sql)
        try:
            with pytest.raises(StoreUnavailable):
                await database.transaction(lambda cursor: cursor.execute("SELECT 1"))
        finally:
            await database.close()

    store_runner.run(scenario())


def test_a_store_that_cannot_connect_says_so(store_runner: asyncio.Runner) -> None:
    store = PostgresStore("postgresql:///mig?host=/nonexistent&port=1", limits=StoreLimits(connect=0.3))

    with pytest.raises(StoreUnavailable, match="does not let this program in"):
        store_runner.run(store.open())


@pytest.mark.parametrize(
    "change",
    [
        "state = 'queued'",
        "state = 'sent'",
        "state = 'failed'",
        "results = '[]'",
        "state = 'nonsense'",
        "position = NULL",
    ],
)
def test_the_database_itself_keeps_a_final_command_as_it_is(
    store: PostgresStore, store_runner: asyncio.Runner, store_url: str, change: str
) -> None:
    async def scenario() -> None:
        (command,) = await fanned_out(store, "web1")
        await store.commands.record([answer(command)], NOW)

    store_runner.run(scenario())

    with psycopg.connect(store_url) as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(f"UPDATE commands SET {change}")


def test_a_target_that_runs_too_long_is_refused_and_ends_its_action(
    store_runner: asyncio.Runner, store_url: str
) -> None:
    async def scenario() -> None:
        asked = action(target="name = 'web1'")
        async with PostgresStore(store_url, pool_size=1, limits=StoreLimits(target=0.05)) as store:
            await enrolled(store, "web1")
            await scheduled(store, asked)
            # A slow table stands for a slow expression: whoever reads it waits for this lock.
            with psycopg.connect(store_url) as connection:
                connection.execute("LOCK TABLE agents IN ACCESS EXCLUSIVE MODE")
                with pytest.raises(TargetError, match="longer"):
                    await store.agents.count(asked.parsed_target(), now=NOW)
                assert await store.actions.fan_out(asked.id, asked.parsed_target(), now=NOW) == FannedOut(0)

            assert "longer" in (await store.actions.get(asked.id)).reason

    store_runner.run(scenario())


def test_a_follower_waits_for_the_earlier_position_however_late_it_is_committed(
    store: PostgresStore, store_runner: asyncio.Runner, store_url: str
) -> None:
    async def scenario() -> None:
        one, two = await fanned_out(store, "web1", "web2")
        with psycopg.connect(store_url) as slow:
            await asyncio.to_thread(slow.execute, "UPDATE actions SET closed = closed + 1")
            statement = "UPDATE commands SET state = 'failed', finished_at = now(), position = 1 WHERE id = %s"
            await asyncio.to_thread(slow.execute, statement, (one.id,))

            quick = asyncio.create_task(store.commands.record([answer(two)], NOW))
            done, _ = await asyncio.wait({quick}, timeout=0.1)
            during = await store.commands.finished_since(one.action, position="")
            await asyncio.to_thread(slow.commit)

        await quick
        after = await store.commands.finished_since(one.action, position="")
        assert (done, during) == (set(), [])
        assert [(row.id, row.position) for row in after] == [(one.id, "1"), (two.id, "2")]

    store_runner.run(scenario())


def test_positions_that_were_not_given_out_are_refused(store: PostgresStore, store_runner: asyncio.Runner) -> None:
    for position in ("-1", "x", "9" * 30, "\u0661"):
        with pytest.raises(InvalidDocument):
            store_runner.run(store.commands.finished_since(enrolled.__name__, position=position))  # type: ignore[arg-type]  # not looked at


def test_expiry_with_nothing_to_expire_changes_nothing(store: PostgresStore, store_runner: asyncio.Runner) -> None:
    assert store_runner.run(store.actions.expire(now=NOW, grace=timedelta())) == 0


def test_an_agent_that_is_renamed_while_a_page_is_read_hides_nobody_behind_it(
    store: PostgresStore, store_runner: asyncio.Runner, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def found_and_renamed(*arguments: Any, **options: Any) -> list[str]:
        ids = await page_of_ids(*arguments, **options)
        async with await psycopg.AsyncConnection.connect(store_url) as owner:
            await owner.execute("UPDATE agents SET name = 'zzz' WHERE name = 'web2'")
        return ids

    async def scenario() -> None:
        await enrolled(store, "web1", "web2", "web3", "web4")
        monkeypatch.setattr("mig_core.store.agents.page_of_ids", found_and_renamed)
        _, following = await store.agents.list(now=NOW, limit=2)
        monkeypatch.setattr("mig_core.store.agents.page_of_ids", page_of_ids)

        rows, _ = await store.agents.list(now=NOW, cursor=following, limit=2)

        assert [row.name for row in rows] == ["web3", "web4"]

    store_runner.run(scenario())


def test_a_schema_that_is_changed_meanwhile_is_noticed_by_nobody(store_url: str) -> None:
    # Its result has another type then, and PostgreSQL refuses to run what was prepared before.
    async def run() -> None:
        async with PostgresStore(store_url, pool_size=1) as store:

            async def read(cursor: Cursor) -> object:
                await cursor.execute("SELECT * FROM schedulers")
                return await cursor.fetchall()

            for change in ("ADD COLUMN note text", "ALTER COLUMN note TYPE integer USING 0"):
                for _ in range(3):
                    await store._database.transaction(read)
                    await store._database.statement(read)
                with psycopg.connect(store_url) as connection:
                    connection.execute(f"ALTER TABLE schedulers {change}")

                assert await store._database.statement(read) == []
                assert await store._database.transaction(read) == []

    asyncio.run(run())

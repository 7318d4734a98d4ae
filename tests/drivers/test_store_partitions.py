"""Commands by the week: an older database is carried over whole, and what is old goes a week at a time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from mig_core.domain.command import ActionState, CommandState
from mig_core.errors import NotFound
from mig_core.store.migrate import migrations, upgrade
from mig_core.store.postgres import PostgresStore
from mig_core.store.rows import FannedOut
from mig_core.testing.store_samples import LEASE, NOW, action, answer, enrolled, module_result, scheduled

if TYPE_CHECKING:
    from mig_core.domain.action import Action
    from mig_core.domain.ids import ActionId

WEEK = timedelta(days=7)
COMMANDS = """
    SELECT id::text, action_id::text, agent_id, agent_name, state, reason, found, complete, results::text, results_size,
           queued_at, sent_at, finished_at, position, signed_answer, signature FROM commands ORDER BY id
"""
# Two actions of the release before: one under way (a command queued, one leased, one sent, one answered), one ended.
BEFORE = """
    INSERT INTO agents (id, name, public_key, status, relay, version, mode, pid, environment, tags, addresses, modules,
                        failures, enrolled_at, enrolment_sent_at)
    SELECT repeat(letter, 32), letter, sha256(letter::bytea), 'online', 'https', '1', 'daemon', 1, '{}', '{}', '{}',
           '{}', '{}', now(), now() FROM unnest('{a,b,c,d}'::text[]) AS letter;
    INSERT INTO actions (id, name, target, envelope, state, valid_from, expire_after, created_at, created_by, signers,
                         targeted, closed, final_counts, final_found, final_partial, finished_at)
    VALUES ('01900000-0000-7000-8000-000000000001', 'under way', 'all', 'e', 'inflight', now(),
            now() + interval '1 day', now(), 'F', '{F}', 4, 1, NULL, NULL, NULL, NULL),
           ('01900000-0000-7000-8000-000000000002', 'ended', 'all', 'e', 'completed', now(), now(),
            now() - interval '9 days', 'F', '{F}', 1, 1, '{"failed": 1}', 0, 0, now() - interval '8 days');
    INSERT INTO commands (id, action_id, agent_id, agent_name, state, reason, found, complete, results, results_size,
                          queued_at, leased_until, sent_at, finished_at, position, signed_answer, signature)
    SELECT mig_uuid7(now()), '01900000-0000-7000-8000-000000000001'::uuid, repeat(letter, 32), letter, state, '', found,
           false,
           results, coalesce(length(results::text), 0), now(), leased, sent, ended, place, signed::bytea, signed::bytea
      FROM (VALUES ('a', 'queued', NULL::boolean, NULL::jsonb, NULL::timestamptz, NULL::timestamptz, NULL::timestamptz,
                    NULL::bigint, NULL::bytea),
                   ('b', 'queued', NULL, NULL, now() - interval '1 hour', NULL, NULL, NULL, NULL),
                   ('c', 'sent', NULL, NULL, now(), now(), NULL, NULL, NULL),
                   ('d', 'success', true, '[{"n": 1}]', now(), now(), now(), 1, 'signed'))
           AS t(letter, state, found, results, leased, sent, ended, place, signed)
    UNION ALL
    SELECT mig_uuid7(now() - interval '9 days'), '01900000-0000-7000-8000-000000000002'::uuid, repeat('a', 32), 'a',
           'failed', 'why', false, false, '[]', 2, now(), NULL, now(), now(), 1, NULL, NULL
"""
UNDER_WAY = "01900000-0000-7000-8000-000000000001"


def _partitions(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'commands'::regclass ORDER BY 1"
        ).fetchall()
    return [str(name) for (name,) in rows]


def test_a_database_with_rows_is_carried_over_whole_and_its_actions_go_on(empty_database_url: str) -> None:
    known = migrations()
    before = next(one.version for one in known if one.name == "partitions") - 1
    upgrade(empty_database_url, available=known[:before])
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(BEFORE.encode())
        was = connection.execute(COMMANDS).fetchall()

    upgrade(empty_database_url)

    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute(COMMANDS).fetchall() == was
    now = datetime.now(UTC)
    under_way: ActionId = UNDER_WAY  # type: ignore[assignment]  # an id as text

    async def goes_on() -> None:
        async with PostgresStore(empty_database_url, pool_size=2) as store:
            row = await store.actions.get(under_way)
            assert (row.counts, row.found, row.partial) == (
                {CommandState.QUEUED: 2, CommandState.SENT: 1, CommandState.SUCCESS: 1},
                1,
                1,
            )
            claimed = await store.commands.claim_unsent(["https"], limit=10, lease=LEASE, now=now)
            assert {one.agent[0] for one in claimed} == {"a", "b"}
            await store.commands.mark_sent([one.id for one in claimed], now)
            commands, _ = await store.commands.list(under_way)
            await store.commands.record([answer(one) for one in commands if not one.state.is_final], now)
            assert await store.actions.settle(now) == [under_way]
            assert (await store.actions.get(under_way)).counts == {CommandState.SUCCESS: 4}
            asked = action("after the upgrade")
            await scheduled(store, asked)
            assert await store.actions.fan_out(asked.id, asked.parsed_target(), now=now) == FannedOut(4)
            # Both old ones go, and the table as it was with them; the new one stays.
            assert await store.actions.forget(before=now + 3 * WEEK) == 2
            assert (await store.actions.get(asked.id)).targeted == 4

    assert "commands_before" in _partitions(empty_database_url)
    asyncio.run(goes_on())
    assert "commands_before" in _partitions(empty_database_url)  # the new action lies in the same week

    async def ends() -> None:
        async with PostgresStore(empty_database_url, pool_size=2) as store:
            await store.actions.expire(now=now + 4 * WEEK, grace=timedelta())
            await store.actions.settle(now)
            assert await store.actions.forget(before=now + 4 * WEEK) == 1

    asyncio.run(ends())
    assert "commands_before" not in _partitions(empty_database_url)


async def _answered(store: PostgresStore, name: str, at: datetime) -> Action:
    """An action that was fanned out, answered and ended at one moment."""
    asked = action(name)
    await scheduled(store, asked)
    await store.actions.fan_out(asked.id, asked.parsed_target(), now=at)
    commands, _ = await store.commands.list(asked.id)
    await store.commands.record([answer(one, results=[module_result()]) for one in commands], at)
    await store.actions.settle(at)
    return asked


def test_what_is_old_goes_with_its_week_and_nobody_sees_it_before(
    store: PostgresStore, store_runner: asyncio.Runner, store_url: str
) -> None:
    monday = datetime(2031, 1, 6, tzinfo=UTC)

    async def scenario() -> None:
        await enrolled(store, "web0", "web1")
        first = await _answered(store, "first", monday)
        early = await _answered(store, "early", monday + WEEK + timedelta(days=1))
        late = await _answered(store, "late", monday + WEEK + timedelta(days=3))
        weeks = {"commands_20310106", "commands_20310113"}
        assert weeks <= set(_partitions(store_url))

        assert await store.actions.forget(before=monday + WEEK + timedelta(days=2)) == 2

        assert weeks & set(_partitions(store_url)) == {"commands_20310113"}
        for gone in (first, early):
            assert (await store.commands.list(gone.id))[0] == []
            assert await store.commands.finished_since(gone.id, position="") == []
            with pytest.raises(NotFound):
                await store.commands.get(gone.id, (await store.commands.list(late.id))[0][0].agent)
        assert len((await store.commands.list(late.id))[0]) == 2
        assert (await store.actions.get(late.id)).counts == {CommandState.SUCCESS: 2}

        assert await store.actions.forget(before=monday + 3 * WEEK) == 1
        assert weeks & set(_partitions(store_url)) == set()

    store_runner.run(scenario())


def test_a_week_stays_while_an_action_of_it_is_under_way(
    store: PostgresStore, store_runner: asyncio.Runner, store_url: str
) -> None:
    at = datetime(2031, 1, 6, tzinfo=UTC)

    async def scenario() -> None:
        await enrolled(store, "web0")
        await _answered(store, "ended", at)
        asked = action("under way")
        await scheduled(store, asked)
        await store.actions.fan_out(asked.id, asked.parsed_target(), now=at)

        await store.actions.forget(before=at + 5 * WEEK)

        assert "commands_20310106" in _partitions(store_url)
        assert (await store.actions.get(asked.id)).state is ActionState.INFLIGHT

    store_runner.run(scenario())


def test_who_reads_answers_is_not_waited_for(
    store: PostgresStore, store_runner: asyncio.Runner, store_url: str
) -> None:
    at = datetime(2031, 1, 6, tzinfo=UTC)

    async def scenario() -> None:
        await enrolled(store, "web0")
        await _answered(store, "ended", at)

    store_runner.run(scenario())
    with psycopg.connect(store_url) as reader:
        reader.execute("SELECT count(*) FROM commands")

        store_runner.run(store.actions.forget(before=at + 5 * WEEK))

        assert "commands_20310106" in _partitions(store_url)
    store_runner.run(store.actions.forget(before=at + 5 * WEEK))
    assert "commands_20310106" not in _partitions(store_url)


def test_actions_at_once_in_a_week_that_has_no_partition_make_it_once(
    store: PostgresStore, store_runner: asyncio.Runner, store_url: str
) -> None:
    at = datetime(2031, 1, 6, tzinfo=UTC)

    async def scenario() -> list[FannedOut | None]:
        await enrolled(store, "web0", "web1")
        asked = [action(f"number {number}") for number in range(4)]
        for one in asked:
            await scheduled(store, one)
        return list(
            await asyncio.gather(*(store.actions.fan_out(one.id, one.parsed_target(), now=at) for one in asked))
        )

    assert store_runner.run(scenario()) == [FannedOut(2)] * 4
    assert _partitions(store_url).count("commands_20310106") == 1


def test_partitions_are_made_ahead(store: PostgresStore, store_runner: asyncio.Runner, store_url: str) -> None:
    store_runner.run(store.actions.make_room(datetime(2031, 1, 8, tzinfo=UTC)))

    assert {"commands_20310106", "commands_20310113"} <= set(_partitions(store_url))


def test_the_sums_of_an_action_under_way_are_those_of_its_commands(
    store: PostgresStore, store_runner: asyncio.Runner, store_url: str
) -> None:
    async def scenario() -> None:
        await enrolled(store, *(f"web{number}" for number in range(6)))
        asked = action()
        await scheduled(store, asked)
        await store.actions.fan_out(asked.id, asked.parsed_target(), now=NOW)
        claimed = await store.commands.claim_unsent(["https"], limit=4, lease=LEASE, now=NOW)
        await store.commands.mark_sent([one.id for one in claimed], NOW)
        commands, _ = await store.commands.list(asked.id)
        sent = [one for one in commands if one.id in {command.id for command in claimed}]
        said = [module_result(found=False), module_result(complete=False), module_result()]
        await store.commands.record(
            [answer(one, results=[result]) for one, result in zip(sent, said, strict=False)], NOW
        )
        (unfit,) = await store.commands.claim_unsent(["https"], limit=1, lease=LEASE, now=NOW)
        await store.commands.abandon(unfit.id, "too large", NOW, lease=NOW + LEASE)

        row = await store.actions.get(asked.id)

        with psycopg.connect(store_url) as connection:
            counted = connection.execute("SELECT state, count(*) FROM commands GROUP BY state").fetchall()
        assert {state.value: number for state, number in row.counts.items()} == dict(counted)
        assert (row.found, row.partial, sum(row.counts.values())) == (2, 1, 6)

    store_runner.run(scenario())


def test_what_another_release_left_to_be_sent_holds_nobody_up(
    store: PostgresStore, store_runner: asyncio.Runner, store_url: str
) -> None:
    async def scenario() -> None:
        (agent,) = await enrolled(store, "web0")
        with psycopg.connect(store_url) as connection:
            connection.execute(
                "INSERT INTO unsent_commands (id, action_id, agent_id) VALUES (mig_uuid7(now()), %s, %s)",
                (UNDER_WAY, agent),
            )

        assert await store.commands.claim_unsent(["https"], limit=10, lease=LEASE, now=NOW) == []
        await store.actions.expire(now=NOW, grace=timedelta())

        with psycopg.connect(store_url) as connection:
            assert connection.execute("SELECT count(*) FROM unsent_commands").fetchone() == (0,)

    store_runner.run(scenario())

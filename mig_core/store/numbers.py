"""Counters that outlive processes, and the sums of the dashboard."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from mig_core.domain.agent import AgentState
from mig_core.domain.ids import uuid7
from mig_core.store.encoding import clean_text
from mig_core.store.rows import Watched

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mig_core.store.database import Cursor, Database

DASHBOARD_PERIOD = timedelta(hours=24)

_SUMS = {
    "agents": "SELECT status AS key, count(*) AS value FROM agents GROUP BY status",
    "actions": "SELECT state AS key, count(*) AS value FROM actions GROUP BY state",
    # Ids begin with the moment they were made, so the primary key finds the commands of a period.
    "commands": "SELECT state AS key, count(*) AS value FROM commands WHERE id >= %(since)s::uuid GROUP BY state",
    "versions": "SELECT version AS key, count(*) AS value FROM agents WHERE status = %(online)s GROUP BY version",
}
COUNTED = 100_000
"""Entries of a queue that are counted: more are too many anyway."""
_QUEUES = {
    # Ids of these follow the time, so that their first one is found without looking at the others.
    "commands": ("queued_at", "commands WHERE state = 'queued'", "ORDER BY id LIMIT 1"),
    "inbound": ("put_at", "relay_inbound", "ORDER BY id LIMIT 1"),
    "proposals": ("min(created_at)", "proposals WHERE state = 'open'", ""),
    "enrolments": ("min(enrolled_at)", "agents WHERE status = 'pending'", ""),
}
_WAITING = " UNION ALL ".join(
    f"SELECT '{name}' AS key, (SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT {COUNTED}) counted) AS number,"  # noqa: S608 - constants
    f" coalesce(extract(epoch FROM %(now)s - (SELECT {moment} FROM {table} {order})), 0)::float8 AS seconds"
    for name, (moment, table, order) in _QUEUES.items()
)
_LATENCIES = """
    SELECT kind, le, sum(count)::bigint AS count, sum(seconds)::float8 AS seconds FROM (
        SELECT kind, le, count, seconds FROM latencies
        UNION ALL
        SELECT f.kind, (SELECT min(l.le) FROM latencies l WHERE l.kind = f.kind AND l.le >= f.seconds), 1, f.seconds
          FROM latencies_fresh f
    ) both_kinds GROUP BY kind, le ORDER BY kind, le
"""
# What agents say of themselves is bounded here: their numbers are added up, and one that lies must not break the sum.
_SPOOL = """
    SELECT coalesce(sum(CASE WHEN jsonb_typeof(spool->'answers') = 'number'
                             THEN least(greatest((spool->>'answers')::numeric, 0), 1e9) END), 0)::float8 AS answers,
           coalesce(sum(CASE WHEN jsonb_typeof(spool->'bytes') = 'number'
                             THEN least(greatest((spool->>'bytes')::numeric, 0), 1e15) END), 0)::float8 AS bytes
      FROM agents WHERE status IN ('online', 'idle') AND spool <> '{}'
"""
RELAY_STATE_LIFETIME = timedelta(minutes=2)
"""What a scheduler said of a relay so long ago says nothing about now."""

_RELAY_IS = """
    INSERT INTO relay_states (relay, problem, since, said_at) VALUES (%(relay)s, %(problem)s, %(now)s, %(now)s)
        ON CONFLICT (relay) DO UPDATE
       SET problem = excluded.problem, said_at = excluded.said_at,
           since = CASE WHEN relay_states.problem = excluded.problem THEN relay_states.since ELSE excluded.since END
"""
# Each line is something that somebody should look into.
_ALARMS = """
    SELECT 'messages_set_aside' AS key, count(*) AS value FROM set_aside
    UNION ALL
    SELECT 'agents_with_a_full_spool', count(*) FROM agents
     WHERE status IN ('online', 'idle') AND spool->'full' = 'true'
    UNION ALL
    SELECT 'agents_that_lost_answers', count(*) FROM agents
     WHERE status IN ('online', 'idle') AND jsonb_typeof(spool->'lost') = 'array' AND spool->'lost' <> '[]'
    UNION ALL
    SELECT 'agents_in_two_sessions', count(*) FROM agents
     WHERE status IN ('online', 'idle', 'offline') AND two_sessions_at > %(yesterday)s
    UNION ALL
    SELECT 'agents_whose_ledger_went_back', count(*) FROM agents
     WHERE status IN ('online', 'idle', 'offline') AND ledger_back_at > %(last_week)s
    UNION ALL
    SELECT 'agents_under_a_name_that_is_not_theirs', count(*) FROM agents
     WHERE status IN ('online', 'idle', 'offline') AND shown_name <> name
    UNION ALL
    SELECT 'relay_' || relay || '_in_trouble', 1 FROM relay_states WHERE problem <> '' AND said_at > %(lately)s
"""


class PostgresNumbers:
    """:class:`mig_core.store.base.Numbers` in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, increments: Mapping[str, int]) -> None:
        """See the protocol."""
        if not increments:
            return
        names = sorted(increments)  # one order for all, against deadlocks

        async def work(cursor: Cursor) -> None:
            statement = """
                INSERT INTO counters (name, value) SELECT * FROM unnest(%s::text[], %s::bigint[])
                    ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value
            """
            await cursor.execute(statement, ([clean_text(one) for one in names], [increments[one] for one in names]))

        await self._database.transaction(work)

    async def counters(self) -> Mapping[str, int]:
        """See the protocol."""

        async def work(cursor: Cursor) -> Mapping[str, int]:
            await cursor.execute("SELECT name, value FROM counters ORDER BY name")
            return {row["name"]: row["value"] for row in await cursor.fetchall()}

        return await self._database.transaction(work)

    async def watched(self, now: datetime) -> Watched:
        """See the protocol."""

        async def work(cursor: Cursor) -> Watched:
            await cursor.execute(_WAITING, {"now": now})
            queues = await cursor.fetchall()
            await cursor.execute(_LATENCIES)
            latencies: dict[str, list[tuple[float, int]]] = {}
            sums: dict[str, float] = {}
            for row in await cursor.fetchall():
                latencies.setdefault(row["kind"], []).append((row["le"], row["count"]))
                sums[row["kind"]] = sums.get(row["kind"], 0.0) + row["seconds"]
            await cursor.execute(_SPOOL)
            spool = await cursor.fetchone() or {}
            await cursor.execute("SELECT pg_database_size(current_database()) AS bytes")
            size = await cursor.fetchone()
            return Watched(
                waiting={row["key"]: row["number"] for row in queues},
                oldest={row["key"]: max(0.0, row["seconds"]) for row in queues},
                latencies=latencies,
                latency_sums=sums,
                spool=spool,
                database_bytes=0 if size is None else size["bytes"],
            )

        return await self._database.transaction(work)

    async def fold(self) -> None:
        """See the protocol."""

        async def work(cursor: Cursor) -> None:
            await cursor.execute("SELECT mig_fold_latencies()")

        await self._database.transaction(work)

    async def relay_is(self, relay: str, problem: str, now: datetime) -> None:
        """See the protocol."""
        values = {"relay": clean_text(relay), "problem": clean_text(problem)[:500], "now": now}

        async def work(cursor: Cursor) -> None:
            await cursor.execute(_RELAY_IS, values)

        await self._database.transaction(work)

    async def relay_problem(self, relay: str, now: datetime) -> str:
        """See the protocol."""

        async def work(cursor: Cursor) -> str:
            await cursor.execute(
                "SELECT problem FROM relay_states WHERE relay = %s AND said_at > %s",
                (clean_text(relay), now - RELAY_STATE_LIFETIME),
            )
            row = await cursor.fetchone()
            return "" if row is None else str(row["problem"])

        return await self._database.transaction(work)

    async def dashboard(self, now: datetime) -> Mapping[str, Mapping[str, int]]:
        """See the protocol."""
        parameters = {"since": uuid7(now - DASHBOARD_PERIOD, bytes(10)), "online": AgentState.ONLINE.value}

        async def work(cursor: Cursor) -> Mapping[str, Mapping[str, int]]:
            sums = {}
            times = {
                "lately": now - RELAY_STATE_LIFETIME,
                "yesterday": now - timedelta(days=1),
                "last_week": now - timedelta(days=7),
            }
            for name, statement in _SUMS.items():
                await cursor.execute(statement, parameters)
                sums[name] = {row["key"]: row["value"] for row in await cursor.fetchall()}
            await cursor.execute(_ALARMS, times)
            sums["alarms"] = {row["key"]: row["value"] for row in await cursor.fetchall() if row["value"]}
            return sums

        return await self._database.transaction(work)

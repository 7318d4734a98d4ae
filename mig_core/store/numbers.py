"""Counters that outlive processes, and the sums of the dashboard."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mig_core.domain.ids import uuid7
from mig_core.store.encoding import clean_text
from mig_core.store.rows import Watched

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mig_core.store.database import Cursor, Database, Row

log = logging.getLogger(__name__)

DASHBOARD_PERIOD = timedelta(hours=24)

# Kept by the database with every change of an agent (migration 0015): their rows are many, and wide.
_AGENTS = """
    SELECT status, version, spool_full, answers_lost, renamed, sum(number)::bigint AS value FROM (
        SELECT * FROM agent_counts UNION ALL SELECT * FROM agent_counts_fresh
    ) counted GROUP BY 1, 2, 3, 4, 5 HAVING sum(number) > 0
"""
_RARE = """
    SELECT 'agents_in_two_sessions' AS key, count(*) AS value FROM agents
     WHERE two_sessions_at > %(yesterday)s AND status IN ('online', 'idle', 'offline')
    UNION ALL
    SELECT 'agents_whose_ledger_went_back', count(*) FROM agents
     WHERE ledger_back_at > %(last_week)s AND status IN ('online', 'idle', 'offline')
"""
_ACTIONS = "SELECT state AS key, count(*) AS value FROM actions GROUP BY state"
# Ids of commands begin with the moment they were made, and actions know between which ids theirs are: none is read.
_COMMANDS = """
    WITH asked AS (
        SELECT id, state, targeted, final_counts, first_command, last_command FROM actions
         WHERE last_command >= %(since)s::uuid AND targeted > 0
    ), final AS (
        SELECT key AS state, value::bigint AS number FROM asked, jsonb_each_text(coalesce(final_counts, '{}'))
    ), queued AS (
        SELECT count(*) AS number FROM asked
          JOIN unsent_commands u ON u.action_id = asked.id AND u.id BETWEEN asked.first_command AND asked.last_command
         WHERE asked.state = 'inflight' AND u.again_at IS NULL
    ), sums AS (
        SELECT state, sum(number)::bigint AS value FROM final GROUP BY state
        UNION ALL
        SELECT 'queued', number FROM queued
        UNION ALL
        SELECT 'sent', (SELECT coalesce(sum(targeted), 0) FROM asked) - (SELECT coalesce(sum(number), 0) FROM final)
               - (SELECT number FROM queued)
    )
    SELECT state AS key, value FROM sums WHERE value > 0
"""
COUNTED = 100_000
"""Entries of a queue that are counted: more are too many anyway."""
_QUEUES = {
    # Ids of these follow the time, so that their first one is found without looking at the others.
    "commands": (
        "coalesce(u.again_at, (SELECT c.queued_at FROM commands c WHERE c.id = u.id))",
        "unsent_commands u",
        "ORDER BY u.id LIMIT 1",
    ),
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
    SELECT 'relay_' || relay || '_in_trouble', 1 FROM relay_states WHERE problem <> '' AND said_at > %(lately)s
    UNION ALL
    SELECT 'no_scheduler_works', 1 FROM (SELECT max(at) AS last FROM fleet_history) schedulers WHERE last < %(silent)s
"""


HISTORY_STEP = timedelta(minutes=5)
"""Schedulers write one of these, so the last says also when one last worked."""
HISTORY_KEPT = timedelta(days=8)
_KEEP_HISTORY = """
    INSERT INTO fleet_history (at, agents)
    SELECT %(at)s, (SELECT coalesce(jsonb_object_agg(status, number), '{}')
                      FROM (SELECT status, count(*) AS number FROM agents GROUP BY 1) counted)
     WHERE NOT EXISTS (SELECT FROM fleet_history WHERE at = %(at)s) ON CONFLICT DO NOTHING
"""


def _alarms_of(kind: Row) -> Iterator[str]:
    """What is to be looked into about agents of one kind."""
    if kind["status"] in ("online", "idle"):
        if kind["spool_full"]:
            yield "agents_with_a_full_spool"
        if kind["answers_lost"]:
            yield "agents_that_lost_answers"
    if kind["renamed"] and kind["status"] in ("online", "idle", "offline"):
        yield "agents_under_a_name_that_is_not_theirs"


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
            await cursor.execute("SELECT mig_fold_latencies(), mig_fold_agent_counts()")

        await self._database.transaction(work)

    async def keep_history(self, now: datetime) -> None:
        """See the protocol."""
        at = datetime.fromtimestamp(now.timestamp() // HISTORY_STEP.total_seconds() * HISTORY_STEP.total_seconds(), UTC)

        async def work(cursor: Cursor) -> int:
            await cursor.execute(_KEEP_HISTORY, {"at": at})
            if not cursor.rowcount:
                return 0
            await cursor.execute("DELETE FROM fleet_history WHERE at < %s", (at - HISTORY_KEPT,))
            # Seldom enough to look at all agents: what the counts are short of is added.
            await cursor.execute("SELECT mig_recount_agents() AS wrong")
            row = await cursor.fetchone()
            return 0 if row is None else int(row["wrong"])

        if wrong := await self._database.transaction(work):
            log.error("agents of %d kinds were counted wrongly, and are counted anew: who changed them by hand?", wrong)
            await self.count({"agents.recounted": 1})

    async def history(self, since: datetime) -> Sequence[tuple[datetime, Mapping[str, int]]]:
        """See the protocol."""

        async def work(cursor: Cursor) -> Sequence[tuple[datetime, Mapping[str, int]]]:
            await cursor.execute("SELECT at, agents FROM fleet_history WHERE at >= %s ORDER BY at", (since,))
            return [(row["at"], row["agents"]) for row in await cursor.fetchall()]

        return await self._database.transaction(work)

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
        parameters = {
            "since": uuid7(now - DASHBOARD_PERIOD, bytes(10)),
            "lately": now - RELAY_STATE_LIFETIME,
            "silent": now - 2 * HISTORY_STEP - timedelta(minutes=1),
            "yesterday": now - timedelta(days=1),
            "last_week": now - timedelta(days=7),
        }

        async def work(cursor: Cursor) -> Mapping[str, Mapping[str, int]]:
            await cursor.execute(_AGENTS, parameters)
            agents, versions, alarms = Counter[str](), Counter[str](), Counter[str]()
            for row in await cursor.fetchall():
                agents[row["status"]] += row["value"]
                if row["status"] == "online":
                    versions[row["version"]] += row["value"]
                alarms.update(dict.fromkeys(_alarms_of(row), row["value"]))
            await cursor.execute(_RARE, parameters)
            alarms.update({row["key"]: row["value"] for row in await cursor.fetchall() if row["value"]})
            sums: dict[str, Mapping[str, int]] = {"agents": agents, "versions": versions}
            for name, statement in (("actions", _ACTIONS), ("commands", _COMMANDS), ("alarms", _ALARMS)):
                await cursor.execute(statement, parameters)
                sums[name] = {row["key"]: int(row["value"]) for row in await cursor.fetchall() if row["value"]}
            return {**sums, "alarms": {**sums["alarms"], **alarms}}

        return await self._database.snapshot(work)

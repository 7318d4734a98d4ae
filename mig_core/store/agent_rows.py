"""Agents between the domain and the table: columns, rows, facts; and the one way targets are evaluated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from mig_core.domain.agent import AgentState
from mig_core.domain.ids import AgentId
from mig_core.domain.target import addresses_of
from mig_core.store.encoding import clean_text, jsonb
from mig_core.store.rows import AgentRow
from mig_core.store.target_sql import compile_target

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mig_core.domain.agent import AgentFacts
    from mig_core.domain.target import Target
    from mig_core.store.database import Cursor, Database, Row

COLUMNS = (
    "id, name, shown_name, two_sessions_at, ledger_back_at, public_key, status, relay, version, mode, pid, environment,"
    " tags, modules, failures, statistics,"
    " persistent, spool, started_at, heartbeat_at, heartbeat_sent_at, enrolled_at, enrolled_with, given_tags,"
    " given_relay, retired_at"
)
APPROVED = "('online', 'idle', 'offline')"
"""SQL's list of the states in which an agent may receive and answer; actions reach these."""

TARGETABLE = (AgentState.ONLINE, AgentState.IDLE, AgentState.OFFLINE)

SET_FACTS = """
    name = %(name)s, version = %(version)s, mode = %(mode)s, pid = %(pid)s, environment = %(environment)s::jsonb,
    tags = %(tags)s::jsonb, addresses = %(addresses)s::inet[], modules = %(modules)s, failures = %(failures)s::jsonb,
    started_at = %(started_at)s
"""


def facts_parameters(facts: AgentFacts) -> dict[str, object]:
    """The values of SET_FACTS, in forms PostgreSQL accepts whatever the agent sent."""
    return {
        "id": facts.id,
        "name": clean_text(facts.name),
        "version": clean_text(facts.version),
        "mode": clean_text(facts.mode),
        "pid": facts.pid,
        "environment": jsonb(facts.environment),
        "tags": jsonb(facts.tags),
        "addresses": addresses_of(facts.environment),
        "modules": [clean_text(one) for one in facts.modules],
        "failures": jsonb(facts.failures),
        "started_at": facts.started,
    }


def agent_row(row: Row) -> AgentRow:
    """The domain's words for a row of COLUMNS."""
    return AgentRow(
        id=AgentId(row["id"]),
        name=row["name"],
        shown_name=row["shown_name"],
        two_sessions_at=row["two_sessions_at"],
        ledger_back_at=row["ledger_back_at"],
        public_key=row["public_key"],
        state=AgentState(row["status"]),
        relay=row["relay"],
        version=row["version"],
        mode=row["mode"],
        pid=row["pid"],
        environment=row["environment"],
        tags=row["tags"],
        modules=tuple(row["modules"]),
        failures=row["failures"],
        statistics=row["statistics"],
        persistent=row["persistent"],
        spool=row["spool"],
        started_at=row["started_at"],
        heartbeat_at=row["heartbeat_at"],
        heartbeat_sent_at=row["heartbeat_sent_at"],
        enrolled_at=row["enrolled_at"],
        enrolled_with=row["enrolled_with"],
        given_tags=row["given_tags"],
        given_relay=row["given_relay"],
        retired_at=row["retired_at"],
    )


async def targeted(database: Database, cursor: Cursor, target: Target) -> list[str]:
    """Ids of the agents a new action with this target reaches.

    Raises:
        TargetError: PostgreSQL cannot evaluate it, or not in time.
    """
    condition, parameters = compile_target(target)
    statement = sql.SQL(
        "SELECT coalesce(array_agg(a.id), '{{}}') AS ids FROM agents a WHERE a.status = ANY(%s) AND {}"
    ).format(condition)
    async with database.as_reader(cursor):
        await cursor.execute(statement, [list(TARGETABLE), *parameters])
        row = await cursor.fetchone()
    ids: list[str] = row["ids"] if row is not None else []
    return ids


async def page_of_ids(
    database: Database,
    cursor: Cursor,
    target: Target | None,
    states: Sequence[AgentState],
    after: tuple[str, str] | None,
    limit: int,
    *,
    retired_after: datetime | None = None,
) -> list[str]:
    """Ids of the next agents by name, as the reading role sees them; of the retired those since ``retired_after``.

    Raises:
        TargetError: as :func:`targeted`.
    """
    conditions: list[sql.Composable] = []
    parameters: list[object] = []
    if states:
        conditions.append(sql.SQL("a.status = ANY(%s)"))
        parameters.append([one.value for one in states])
    if retired_after is not None:
        conditions.append(sql.SQL("(a.status <> 'retired' OR a.retired_at > %s)"))
        parameters.append(retired_after)
    if after is not None:
        conditions.append(sql.SQL("(a.name, a.id) > (%s, %s)"))
        parameters.extend(after)
    if target is not None:
        condition, values = compile_target(target)
        conditions.append(condition)
        parameters.extend(values)
    where = sql.SQL(" WHERE {}").format(sql.SQL(" AND ").join(conditions)) if conditions else sql.SQL("")
    statement = sql.SQL("SELECT a.id FROM agents a{} ORDER BY a.name, a.id LIMIT %s").format(where)
    async with database.as_reader(cursor):
        # Along the names until the page is full. How many agents a target fits PostgreSQL can only guess: so few that
        # it would read and sort all of them.
        await cursor.execute("SET LOCAL enable_sort = off")
        await cursor.execute(statement, [*parameters, limit])
        page = [row["id"] for row in await cursor.fetchall()]
        await cursor.execute("SET LOCAL enable_sort TO DEFAULT")
        return page

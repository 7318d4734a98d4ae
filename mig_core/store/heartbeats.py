"""Signs of life, many in one statement: their values travel as one array a column."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from mig_core.domain.agent import AgentState
from mig_core.domain.ids import AgentId
from mig_core.store.agent_rows import APPROVED, facts_parameters
from mig_core.store.encoding import jsonb

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mig_core.domain.agent import Heartbeat
    from mig_core.store.database import Cursor

STALE_PAUSE = timedelta(minutes=5)
"""How often a second process of an agent is noted whose heartbeats change nothing."""

_COLUMNS = {
    "id": "text",
    "sequence": "bigint",
    "sent": "timestamptz",
    "status": "text",
    "name": "text",
    "version": "text",
    "mode": "text",
    "pid": "bigint",
    "environment": "text",
    "tags": "text",
    "addresses": "text",
    "modules": "text",
    "failures": "text",
    "started_at": "timestamptz",
    "statistics": "text",
    "persistent": "text",
    "spool": "text",
}
# Rows are locked in the order of the ids first, one order for all, against deadlocks.
_BEAT = f"""
    WITH said AS (
        SELECT * FROM unnest({", ".join(f"%({name})b::{kind}[]" for name, kind in _COLUMNS.items())})
            AS said ({", ".join(_COLUMNS)})
    ), locked AS MATERIALIZED (
        SELECT id FROM agents WHERE id = ANY(%(id)b) AND status IN {APPROVED} ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE agents SET name = said.name, version = said.version, mode = said.mode, pid = said.pid,
           environment = said.environment::jsonb, tags = said.tags::jsonb, addresses = said.addresses::inet[],
           modules = said.modules::text[], failures = said.failures::jsonb, started_at = said.started_at,
           status = said.status, statistics = said.statistics::jsonb, persistent = said.persistent::jsonb,
           spool = said.spool::jsonb, heartbeat_at = %(now)s, heartbeat_sent_at = said.sent,
           heartbeat_sequence = said.sequence
      FROM locked JOIN said USING (id)
     WHERE agents.id = locked.id AND agents.status IN {APPROVED} AND agents.heartbeat_sequence < said.sequence
    RETURNING agents.id
"""  # noqa: S608 - constants
_STALE = "SELECT mig_stale_session(%(id)s, %(started_at)s, %(pid)s::bigint, %(now)s, %(lately)s)"


async def record_heartbeats(cursor: Cursor, heartbeats: Sequence[Heartbeat], now: datetime) -> Sequence[AgentId]:
    """See :meth:`mig_core.store.base.Agents.beat`; in the transaction of ``cursor``."""
    changed: dict[AgentId, None] = {}
    stale: list[dict[str, object]] = []
    waiting = sorted(heartbeats, key=lambda one: (one.facts.id, one.sequence))
    while waiting:
        # Of one agent the earlier first, so that both count: each statement takes one of each agent.
        rows: dict[AgentId, dict[str, object]] = {}
        later = []
        for one in waiting:
            if one.facts.id in rows:
                later.append(one)
            else:
                rows[one.facts.id] = _values(one)
        columns = {name: [row[name] for row in rows.values()] for name in _COLUMNS}
        await cursor.execute(_BEAT, {**columns, "now": now})
        accepted = {AgentId(row["id"]): None for row in await cursor.fetchall()}
        changed |= accepted
        stale += [row for agent, row in rows.items() if agent not in accepted]
        waiting = later
    # Of an agent that sent a newer one at the same moment nothing is stale.
    stale = [row | {"now": now, "lately": now - STALE_PAUSE} for row in stale if row["id"] not in changed]
    if stale:
        await cursor.executemany(_STALE, stale)
    return list(changed)


def _values(heartbeat: Heartbeat) -> dict[str, object]:
    facts = facts_parameters(heartbeat.facts)
    return facts | {
        "addresses": _array(facts["addresses"]),
        "modules": _array(facts["modules"]),
        "statistics": jsonb(heartbeat.statistics),
        "persistent": jsonb(heartbeat.persistent),
        "spool": jsonb(heartbeat.spool),
        "sequence": heartbeat.sequence,
        "sent": heartbeat.sent,
        "status": (AgentState.OFFLINE if heartbeat.leaving else AgentState.ONLINE).value,
    }


def _array(texts: object) -> str:
    """Texts as PostgreSQL writes an array: an array of arrays could not be taken apart again."""
    assert isinstance(texts, list)
    quoted = (str(one).replace("\\", "\\\\").replace('"', '\\"') for one in texts)
    return "{" + ",".join(f'"{one}"' for one in quoted) + "}"

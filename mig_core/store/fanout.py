"""From one action to its commands: targets found by the reading role, commands made in one statement.

Where the relay's queue lies in this database their messages are made in the same statement: the commands are sent when
it is committed, and nobody has to claim, hand over and mark them.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mig_core.errors import TargetError
from mig_core.store.agent_rows import APPROVED, targeted
from mig_core.store.encoding import as_uuid
from mig_core.store.notify import notify
from mig_core.store.retiring import LOCK as RETIRING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mig_core.domain.ids import ActionId
    from mig_core.domain.target import Target
    from mig_core.store.database import Cursor, Database, Row
    from mig_core.store.rows import AtOnce

log = logging.getLogger(__name__)

# Whoever holds the row is fanning it out, or cancelling it: in both cases there is nothing to do here.
_CLAIM = "SELECT id, expire_after FROM actions WHERE id = %s AND state = 'scheduled' FOR NO KEY UPDATE SKIP LOCKED"
_INSERT = f"""
    WITH chosen AS (
        SELECT id, shown_name, relay FROM agents WHERE id = ANY(%(agents)s) AND status IN {APPROVED} ORDER BY id
    ), made AS (
        INSERT INTO commands (id, action_id, agent_id, agent_name, state, queued_at, sent_at)
        SELECT mig_uuid7(%(now)s), %(action)s, id, shown_name,
               CASE WHEN relay = %(relay)s THEN 'sent' ELSE 'queued' END, %(now)s,
               CASE WHEN relay = %(relay)s THEN %(now)s::timestamptz END
          FROM chosen
        RETURNING id, agent_id, state
    ), handed AS (
        INSERT INTO relay_messages (agent_id, body, expires, tail)
        SELECT agent_id, convert_to(format(%(head)s, id, agent_id), 'UTF8'), %(expires)s, %(tail)s::uuid
          FROM made WHERE state = 'sent'
        RETURNING agent_id
    )
    SELECT (SELECT count(*) FROM made) AS made, array_agg(agent_id) AS handed FROM handed
"""  # noqa: S608 - a constant
# No agent is retired until the commands are committed; then its own are closed.
_PREPARE = f"SELECT pg_advisory_xact_lock_shared({RETIRING}), mig_commands_partition(%s)"
_TAIL = "INSERT INTO relay_tails (id, body, expires) VALUES (%s, %b, %s)"
# The commands' ids all begin with this moment: that is where they are found.
_BEGIN = """
    UPDATE actions SET state = 'inflight', targeted = %(count)s, first_command = mig_least_id(%(now)s),
           last_command = (left(mig_least_id(%(now)s)::text, 13) || '-ffff-ffff-ffffffffffff')::uuid,
           final_counts = '{}', final_found = 0, final_partial = 0
     WHERE id = %(action)s
"""


async def fan_out(
    database: Database, cursor: Cursor, action: ActionId, target: Target, now: datetime, at_once: AtOnce | None
) -> int | None:
    """See :meth:`mig_core.store.base.Actions.fan_out`; in the transaction of ``cursor``."""
    await cursor.execute(_CLAIM, (as_uuid(action),))
    row = await cursor.fetchone()
    if row is None:
        return None
    reason = "no agent matches the target"
    try:
        async with cursor.connection.transaction():
            agents = await targeted(database, cursor, target)
    except TargetError as error:
        # It would fail again at every try; better an action that says so than one that waits for ever.
        log.warning("action %s: %s", action, error)
        agents, reason = [], str(error)
    count = await _make(cursor, row, agents, now, at_once) if agents else 0
    if count:
        await cursor.execute(_BEGIN, {"count": count, "action": row["id"], "now": now})
    else:
        await cursor.execute(
            "UPDATE actions SET state = 'completed', reason = %s, finished_at = %s, final_counts = '{}',"
            " final_found = 0, final_partial = 0 WHERE id = %s",
            (reason, now, row["id"]),
        )
    await notify(cursor, "action", [action])
    return count


async def _make(cursor: Cursor, action: Row, agents: Sequence[str], now: datetime, at_once: AtOnce | None) -> int:
    """Makes the commands, and the messages of those that are sent at once; returns how many there are."""
    await cursor.execute(_PREPARE, (now,))
    parameters = {"agents": agents, "action": action["id"], "now": now, "relay": None, "head": ""}
    parameters |= {"tail": None, "expires": action["expire_after"]}
    if at_once is not None and action["expire_after"] > now:
        await cursor.execute(_TAIL, (action["id"], at_once.tail, action["expire_after"]))
        parameters |= {"relay": at_once.relay, "head": at_once.head, "tail": action["id"]}
    await cursor.execute(_INSERT, parameters)
    made = await cursor.fetchone()
    assert made is not None
    handed = made["handed"] or ()
    await notify(cursor, "relay", handed)
    if made["made"] > len(handed):
        await notify(cursor, "outbox")
    return int(made["made"])

"""From one action to its commands: targets found by the reading role, commands made in one statement."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mig_core.errors import TargetError
from mig_core.store.agent_rows import APPROVED, targeted
from mig_core.store.encoding import as_uuid
from mig_core.store.notify import notify

if TYPE_CHECKING:
    from datetime import datetime

    from mig_core.domain.ids import ActionId
    from mig_core.domain.target import Target
    from mig_core.store.database import Cursor, Database

log = logging.getLogger(__name__)

# Whoever holds the row is fanning it out, or cancelling it: in both cases there is nothing to do here.
_CLAIM = "SELECT id FROM actions WHERE id = %s AND state = 'scheduled' FOR NO KEY UPDATE SKIP LOCKED"
_INSERT = f"""
    WITH chosen AS (
        SELECT id, shown_name FROM agents WHERE id = ANY(%(agents)s) AND status IN {APPROVED} ORDER BY id FOR KEY SHARE
    )
    INSERT INTO commands (id, action_id, agent_id, agent_name, state, queued_at)
    SELECT mig_uuid7(%(now)s), %(action)s, chosen.id, chosen.shown_name, 'queued', %(now)s FROM chosen
"""  # noqa: S608 - a constant
# The commands' ids all begin with this moment: that is where they are found.
_BEGIN = """
    UPDATE actions SET state = 'inflight', targeted = %(count)s, first_command = mig_least_id(%(now)s),
           last_command = (left(mig_least_id(%(now)s)::text, 13) || '-ffff-ffff-ffffffffffff')::uuid,
           final_counts = '{}', final_found = 0, final_partial = 0
     WHERE id = %(action)s
"""


async def fan_out(database: Database, cursor: Cursor, action: ActionId, target: Target, now: datetime) -> int | None:
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
    count = 0
    if agents:
        await cursor.execute("SELECT mig_commands_partition(%s)", (now,))
        await cursor.execute(_INSERT, {"agents": agents, "action": row["id"], "now": now})
        count = cursor.rowcount
    if count:
        await cursor.execute(_BEGIN, {"count": count, "action": row["id"], "now": now})
        await notify(cursor, "outbox")
    else:
        await cursor.execute(
            "UPDATE actions SET state = 'completed', reason = %s, finished_at = %s, final_counts = '{}',"
            " final_found = 0, final_partial = 0 WHERE id = %s",
            (reason, now, row["id"]),
        )
    await notify(cursor, "action", [action])
    return count

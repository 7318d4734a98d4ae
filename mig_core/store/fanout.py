"""From one action to its commands: targets found by the reading role, commands made in one statement.

Where the relay's queue lies in this database their messages are made in the same statement: the commands are sent when
it is committed, and nobody has to claim, hand over and mark them. Of the others as many as the scheduler can hand over
at once are its own from the beginning.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mig_core.domain.ids import ActionId, AgentId, CommandId
from mig_core.errors import TargetError
from mig_core.store.agent_rows import APPROVED, targeted
from mig_core.store.encoding import as_uuid
from mig_core.store.notify import notify
from mig_core.store.retiring import LOCK as RETIRING
from mig_core.store.rows import FannedOut, Unsent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mig_core.domain.target import Target
    from mig_core.store.database import Cursor, Database, Row
    from mig_core.store.rows import AtOnce, Claim

log = logging.getLogger(__name__)

# Whoever holds the row is fanning it out, or cancelling it: in both cases there is nothing to do here.
_CLAIM = """
    SELECT id, envelope, expire_after FROM actions WHERE id = %s AND state = 'scheduled' FOR NO KEY UPDATE SKIP LOCKED
"""
_INSERT = f"""
    WITH chosen AS MATERIALIZED (
        SELECT mig_uuid7(%(now)s) AS id, agent_id, shown_name, relay,
               CASE WHEN relay = %(relay)s THEN 'sent' ELSE 'queued' END AS state,
               relay = ANY(%(claiming)s) AND row_number() OVER (ORDER BY agent_id) <= %(most)s AS claimed
          FROM (SELECT id AS agent_id, shown_name, relay FROM agents
                 WHERE id = ANY(%(agents)s) AND status IN {APPROVED} ORDER BY id) AS fitting
    ), made AS (
        INSERT INTO commands (id, action_id, agent_id, agent_name, state, queued_at, sent_at)
        SELECT id, %(action)s, agent_id, shown_name, state, %(now)s,
               CASE WHEN state = 'sent' THEN %(now)s::timestamptz END
          FROM chosen
    ), handed AS (
        INSERT INTO relay_messages (agent_id, body, expires, tail)
        SELECT agent_id, convert_to(format(%(head)s, id, agent_id), 'UTF8'), %(expires)s, %(tail)s::uuid
          FROM chosen WHERE state = 'sent'
    ), unsent AS (
        INSERT INTO unsent_commands (id, action_id, agent_id, leased_until, leased_by)
        SELECT id, %(action)s, agent_id, CASE WHEN claimed THEN %(until)s::timestamptz END,
               CASE WHEN claimed THEN %(number)s::bigint END
          FROM chosen WHERE state = 'queued'
    )
    SELECT count(*) AS made, array_agg(agent_id) FILTER (WHERE state = 'sent') AS handed,
           array_agg(id || ' ' || agent_id || ' ' || relay) FILTER (WHERE claimed AND state = 'queued') AS claimed
      FROM chosen
"""  # noqa: S608 - a constant
# No agent is retired until the commands are committed; then its own are closed. What is queued is noted by
# the statement itself, not by the trigger.
_PREPARE = f"""
    SELECT pg_advisory_xact_lock_shared({RETIRING}), mig_commands_partition(%s), set_config('mig.unsent', 'noted', true)
"""
_TAIL = "INSERT INTO relay_tails (id, body, expires) VALUES (%s, %b, %s)"
# The commands' ids all begin with this moment: that is where they are found.
_BEGIN = """
    UPDATE actions SET state = 'inflight', targeted = %(count)s, first_command = mig_least_id(%(now)s),
           last_command = (left(mig_least_id(%(now)s)::text, 13) || '-ffff-ffff-ffffffffffff')::uuid,
           final_counts = '{}', final_found = 0, final_partial = 0
     WHERE id = %(action)s
"""


async def fan_out(
    database: Database,
    cursor: Cursor,
    action: ActionId,
    target: Target,
    now: datetime,
    at_once: AtOnce | None,
    claim: Claim | None,
    number: int,
) -> FannedOut | None:
    """See :meth:`mig_core.store.base.Actions.fan_out`; in the transaction of ``cursor``.

    Args:
        number: under which this scheduler leases.
    """
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
    made = await _make(cursor, row, agents, now, at_once, claim, number) if agents else FannedOut(0)
    if made.count:
        await cursor.execute(_BEGIN, {"count": made.count, "action": row["id"], "now": now})
    else:
        await cursor.execute(
            "UPDATE actions SET state = 'completed', reason = %s, finished_at = %s, final_counts = '{}',"
            " final_found = 0, final_partial = 0 WHERE id = %s",
            (reason, now, row["id"]),
        )
    await notify(cursor, "action", [action])
    return made


async def _make(
    cursor: Cursor,
    action: Row,
    agents: Sequence[str],
    now: datetime,
    at_once: AtOnce | None,
    claim: Claim | None,
    number: int,
) -> FannedOut:
    """Makes the commands, and the messages of those that are sent at once."""
    await cursor.execute(_PREPARE, (now,))
    parameters = {"agents": agents, "action": action["id"], "now": now, "relay": None, "head": ""}
    parameters |= {
        "tail": None,
        "expires": action["expire_after"],
        "claiming": [],
        "most": 0,
        "until": None,
        "number": number,
    }
    if claim is not None:
        parameters |= {"claiming": list(claim.relays), "most": claim.limit, "until": now + claim.lease}
    if at_once is not None and action["expire_after"] > now:
        await cursor.execute(_TAIL, (action["id"], at_once.tail, action["expire_after"]))
        parameters |= {"relay": at_once.relay, "head": at_once.head, "tail": action["id"]}
    await cursor.execute(_INSERT, parameters)
    made = await cursor.fetchone()
    assert made is not None
    handed, claimed = made["handed"] or (), made["claimed"] or ()
    await notify(cursor, "relay", handed)
    if made["made"] > len(handed) + len(claimed):
        await notify(cursor, "outbox")
    return FannedOut(made["made"], tuple(_unsent(one, action) for one in claimed))


def _unsent(claimed: str, action: Row) -> Unsent:
    command, agent, relay = claimed.split(" ", 2)
    identifier = ActionId(str(action["id"]))
    return Unsent(
        CommandId(command), AgentId(agent), relay, identifier, bytes(action["envelope"]), action["expire_after"]
    )

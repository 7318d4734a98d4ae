"""Closing commands: the one way a command becomes final, whoever says so.

Final commands of an action are numbered (``position``), and followers read on from the last number they saw. So that
none is passed over, numbers must become visible in their order: whoever closes commands first locks the action's row
and holds it until the commit. Locks are always taken in the same order: actions by id, then commands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.store.notify import notify

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from mig_core.store.database import Cursor

LOCK_ACTIONS = """
    SELECT id, targeted, closed, final_counts, final_found, final_partial FROM actions WHERE id = ANY(%s) ORDER BY id
       FOR NO KEY UPDATE
"""
FORGET_UNSENT = "DELETE FROM unsent_commands WHERE id = ANY(%s)"
"""Of commands that are sent or final: nobody has to hand them over any more."""
_ACTIONS_OF = "SELECT DISTINCT action_id FROM commands WHERE id = ANY(%s) AND state IN ('queued', 'sent')"
_CLOSE = """
    WITH open AS (
        SELECT c.id FROM commands c
         WHERE c.id = ANY(%(ids)s) AND c.action_id = ANY(%(actions)s) AND c.state IN ('queued', 'sent')
         ORDER BY c.id FOR NO KEY UPDATE
    ), numbered AS (
        SELECT c.id, a.closed + row_number() OVER (PARTITION BY c.action_id ORDER BY c.id) AS position,
               CASE WHEN %(silent)s THEN
                    CASE WHEN c.state = 'sent' THEN 'never answered'
                         WHEN EXISTS (SELECT FROM unsent_commands u WHERE u.id = c.id AND u.leased_until IS NOT NULL)
                         THEN 'never answered, and it is not known whether the relay has taken it'
                         ELSE 'never handed to the relay' END || ': agent '
                    || CASE WHEN g.status = 'online' THEN 'online, last heartbeat ' ELSE g.status || ' since ' END
                    || coalesce(to_char(g.heartbeat_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                                'its enrolment')
               ELSE %(reason)s END AS reason
          FROM open JOIN commands c USING (id) JOIN actions a ON a.id = c.action_id JOIN agents g ON g.id = c.agent_id
    ), closed AS (
        UPDATE commands c
           SET state = %(state)s, reason = numbered.reason, finished_at = %(now)s, position = numbered.position
          FROM numbered WHERE c.id = numbered.id
        RETURNING c.action_id, c.position
    ), last AS (
        SELECT action_id, max(position) AS position, count(*) AS number FROM closed GROUP BY action_id
    )
    UPDATE actions a
       SET closed = last.position, final_counts = coalesce(a.final_counts, '{}') || jsonb_build_object(
               %(state)s, coalesce((a.final_counts->>%(state)s)::bigint, 0) + last.number)
      FROM last WHERE a.id = last.action_id RETURNING a.id, last.number
"""
_SETTLE = """
    WITH ended AS (
        SELECT a.id, a.first_command, a.last_command FROM actions a
         WHERE a.state = 'inflight' AND (%(only)s::uuid[] IS NULL OR a.id = ANY(%(only)s))
           AND NOT EXISTS (SELECT FROM commands c WHERE c.action_id = a.id AND c.position IS NULL
                              AND c.id BETWEEN a.first_command AND a.last_command)
         ORDER BY a.id FOR NO KEY UPDATE SKIP LOCKED
    ), sums AS (
        SELECT action_id, jsonb_object_agg(state, number) AS counts, sum(found) AS found, sum(partial) AS partial
          FROM (SELECT action_id, state, count(*) AS number, count(*) FILTER (WHERE found) AS found,
                       count(*) FILTER (WHERE state = 'success' AND NOT complete) AS partial
                  FROM ended JOIN commands c ON c.action_id = ended.id
                   AND c.id BETWEEN ended.first_command AND ended.last_command GROUP BY action_id, state) AS by_state
         GROUP BY action_id
    )
    UPDATE actions a
       SET state = CASE WHEN a.cancel_envelope IS NULL THEN 'completed' ELSE 'cancelled' END, finished_at = %(now)s,
           final_counts = coalesce(sums.counts, '{}'), final_found = coalesce(sums.found, 0),
           final_partial = coalesce(sums.partial, 0)
      FROM ended LEFT JOIN sums ON sums.action_id = ended.id
     WHERE a.id = ended.id RETURNING a.id
"""


async def close_commands(
    cursor: Cursor, commands: Sequence[UUID], state: str, reason: str, now: datetime, *, silent: bool = False
) -> int:
    """Closes those of the commands that are open, without an answer; returns how many.

    Args:
        cursor: of the transaction; it may hold locks of actions already, but none of commands.
        commands: their ids.
        state: ``cancelled`` or ``expired``.
        reason: the same for all.
        now: when it happens.
        silent: the reason says instead, for each, since when its agent is silent.
    """
    await cursor.execute(_ACTIONS_OF, (list(commands),))
    actions = [row["action_id"] for row in await cursor.fetchall()]
    if not actions:
        return 0
    await cursor.execute(LOCK_ACTIONS, (actions,))
    parameters = {
        "ids": list(commands),
        "actions": actions,
        "state": state,
        "reason": reason,
        "silent": silent,
        "now": now,
    }
    await cursor.execute(_CLOSE, parameters)
    changed = await cursor.fetchall()
    await cursor.execute(FORGET_UNSENT, (list(commands),))
    await notify(cursor, "action", (str(row["id"]) for row in changed))
    return sum(row["number"] for row in changed)


async def withdraw(cursor: Cursor, commands: Sequence[UUID], now: datetime) -> None:
    """Closes commands of cancelled actions that no relay was given; the transaction as for :func:`close_commands`."""
    await close_commands(cursor, commands, "cancelled", "cancelled before it was sent", now)


async def settle_actions(cursor: Cursor, now: datetime, *, only: Sequence[UUID] | None = None) -> list[str]:
    """Ends actions under way whose every command is final (of ``only``, if given), with their final sums."""
    await cursor.execute(_SETTLE, {"now": now, "only": None if only is None else list(only)})
    ended = [str(row["id"]) for row in await cursor.fetchall()]
    await notify(cursor, "action", ended)
    return ended

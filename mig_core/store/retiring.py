"""Taking agents out for good, giving them other tokens, and who came in whose place; each within a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.domain.ids import AgentId
from mig_core.errors import NotFound
from mig_core.store.agent_rows import APPROVED, COLUMNS, agent_row
from mig_core.store.books import close_commands
from mig_core.store.encoding import clean_text
from mig_core.store.notify import notify

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mig_core.store.database import Cursor
    from mig_core.store.rows import AgentRow

LOCK = "hashtext('mig_retiring')"
"""SQL's key of the advisory lock that keeps an agent from being retired while a fan-out makes its command."""
_ALONE = f"SELECT pg_advisory_xact_lock({LOCK})"
_RETIRE = f"""
    UPDATE agents SET status = 'retired', token_digest = NULL, admitted = false,
           retired_at = coalesce(retired_at, %(now)s), dismiss_at = %(now)s
     WHERE id = %(agent)s RETURNING {COLUMNS}
"""  # noqa: S608 - a constant
# Action by action: there is no index by agent.
_OPEN_COMMANDS = """
    SELECT c.id FROM actions a
      JOIN commands c ON c.action_id = a.id AND c.agent_id = %s AND c.id BETWEEN a.first_command AND a.last_command
     WHERE a.state = 'inflight' AND c.position IS NULL
"""


_RENEW = f"""
    WITH renewed AS (
        UPDATE agents SET token_digest = NULL WHERE id = ANY(%s) AND status IN {APPROVED} RETURNING id, shown_name
    ) SELECT id, mig_log_add('agent.token_renewed', '', id, shown_name, '{{}}') FROM renewed ORDER BY id
"""  # noqa: S608 - a constant


async def retire_agent(cursor: Cursor, agent: AgentId, now: datetime) -> AgentRow:
    """The agent, retired; its open commands are closed with the reason.

    Raises:
        NotFound
    """
    # Commands that are being made are there afterwards; a fan-out that begins now leaves this agent out.
    await cursor.execute(_ALONE)
    await cursor.execute("SELECT 1 FROM agents WHERE id = %s FOR UPDATE", (clean_text(agent),))
    if await cursor.fetchone() is None:
        raise NotFound("agent", agent)
    await cursor.execute(_OPEN_COMMANDS, (agent,))
    commands = [row["id"] for row in await cursor.fetchall()]
    await close_commands(cursor, commands, "expired", "never answered: the agent was retired", now)
    await cursor.execute("DELETE FROM unsent_cancels WHERE agent_id = %s", (agent,))
    await cursor.execute(_RETIRE, {"now": now, "agent": agent})
    row = await cursor.fetchone()
    assert row is not None
    await notify(cursor, "login", [agent])
    await notify(cursor, "agent", [agent])
    return agent_row(row)


async def retire_silent_agent(cursor: Cursor, agent: AgentId, since: datetime, now: datetime) -> bool:
    """Retires the agent if nothing was heard of it since; whether it did."""
    await cursor.execute(_ALONE)
    await cursor.execute(
        """
        SELECT 1 FROM agents WHERE id = %s AND status <> 'retired'
           AND coalesce(heartbeat_at, enrolment_sent_at) <= %s FOR UPDATE
        """,
        (clean_text(agent), since),
    )
    if await cursor.fetchone() is None:
        return False
    await retire_agent(cursor, agent, now)
    return True


async def tokens_renewed(cursor: Cursor, agents: Sequence[AgentId]) -> Sequence[AgentId]:
    """Makes the tokens of those that are approved worthless; returns whose they were."""
    await cursor.execute(_RENEW, ([clean_text(one) for one in agents],))
    renewed = [AgentId(row["id"]) for row in await cursor.fetchall()]
    await notify(cursor, "login", renewed)
    return renewed


async def agents_on_machine_of(cursor: Cursor, agent: AgentRow) -> Sequence[AgentRow]:
    """Others that say they run on the machine of this one, by when they enrolled: the latest twenty."""
    machine = agent.environment.get("machine")
    if not isinstance(machine, str) or not machine:
        return []
    await cursor.execute(
        f"""
        SELECT {COLUMNS} FROM agents WHERE left(environment->>'machine', 64) = %s AND id <> %s AND status <> 'pending'
         ORDER BY enrolled_at DESC, id LIMIT 20
        """,  # noqa: S608 - a constant
        (clean_text(machine[:64]), agent.id),
    )
    return [agent_row(row) for row in await cursor.fetchall()][::-1]

"""Taking an agent out for good, within a transaction: what it still has to answer ends, and its key is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.errors import NotFound
from mig_core.store.agent_rows import COLUMNS, agent_row
from mig_core.store.books import close_commands
from mig_core.store.encoding import clean_text

if TYPE_CHECKING:
    from datetime import datetime

    from mig_core.domain.ids import AgentId
    from mig_core.store.database import Cursor
    from mig_core.store.rows import AgentRow

_RETIRE = f"""
    UPDATE agents SET status = 'retired', token_digest = NULL, admitted = false, retired_at = coalesce(retired_at, %s)
     WHERE id = %s RETURNING {COLUMNS}
"""  # noqa: S608 - a constant
# Action by action: there is no index by agent.
_OPEN_COMMANDS = """
    SELECT c.id FROM actions a
      JOIN commands c ON c.action_id = a.id AND c.agent_id = %s AND c.id BETWEEN a.first_command AND a.last_command
     WHERE a.state = 'inflight' AND c.position IS NULL
"""


async def retire_agent(cursor: Cursor, agent: AgentId, now: datetime) -> AgentRow:
    """The agent, retired; its open commands are closed with the reason.

    Raises:
        NotFound
    """
    # The lock makes a fan-out wait that is about to add a command for this agent, and then leave it out.
    await cursor.execute("SELECT 1 FROM agents WHERE id = %s FOR UPDATE", (clean_text(agent),))
    if await cursor.fetchone() is None:
        raise NotFound("agent", agent)
    await cursor.execute(_OPEN_COMMANDS, (agent,))
    commands = [row["id"] for row in await cursor.fetchall()]
    await close_commands(cursor, commands, "expired", "never answered: the agent was retired", now)
    await cursor.execute("DELETE FROM unsent_cancels WHERE agent_id = %s", (agent,))
    await cursor.execute(_RETIRE, (now, agent))
    row = await cursor.fetchone()
    assert row is not None
    return agent_row(row)

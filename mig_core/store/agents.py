"""Agents: enrolment, approval, heartbeats, states, and lists by target."""

from __future__ import annotations

import hmac
from datetime import timedelta
from typing import TYPE_CHECKING

from mig_core.domain.agent import AgentState
from mig_core.domain.ids import AgentId
from mig_core.errors import Conflict, NotFound
from mig_core.store.acting import who_acts
from mig_core.store.agent_rows import (
    APPROVED,
    COLUMNS,
    agent_row,
    page_of_ids,
    targeted,
)
from mig_core.store.database import page_limit
from mig_core.store.encoding import clean_text, read_cursor, write_cursor
from mig_core.store.enrolling import Asking, Enrolling
from mig_core.store.heartbeats import record_heartbeats
from mig_core.store.notify import notify
from mig_core.store.pending_agents import forget_pending
from mig_core.store.retiring import agents_on_machine_of, retire_agent, retire_silent_agent, tokens_renewed
from mig_core.store.rows import AgentEvent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mig_core.domain.agent import Enrolment, Heartbeat
    from mig_core.domain.target import Target
    from mig_core.store.database import Cursor, Database, Row
    from mig_core.store.rows import AgentRow

WITH_APPROVAL = "(approved)"
"""What admitted an agent that an investigator approved."""

_EVENTS = "SELECT happened_at, kind, detail FROM agent_events WHERE agent_id = %s ORDER BY id DESC LIMIT 100"
_NOT_ADMITTED = f"""
    SELECT id FROM agents WHERE relay = %s AND NOT admitted AND status IN {APPROVED} ORDER BY id LIMIT %s
"""  # noqa: S608 - a constant
_TO_DISMISS = """
    SELECT id FROM agents WHERE relay = %s AND dismiss_at <= %s ORDER BY dismiss_at, id LIMIT %s
"""
DISMISSED_AGAIN = timedelta(minutes=2)
"""After an agent was retired: longer than a scheduler has for handing over what it has claimed."""
_DISMISSED = """
    UPDATE agents
       SET dismiss_at = CASE WHEN dismiss_at < retired_at + %(once_more)s THEN retired_at + %(once_more)s END
     WHERE id = ANY(%(agents)s) AND dismiss_at <= %(now)s
"""
_AGE = """
    UPDATE agents
       SET status = CASE WHEN heartbeat_at > %(offline)s THEN 'idle' ELSE 'offline' END
     WHERE (status = 'online' AND heartbeat_at <= %(idle)s) OR (status = 'idle' AND heartbeat_at <= %(offline)s)
    RETURNING status
"""


class PostgresAgents:
    """:class:`mig_core.store.base.Agents` in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._enrolling = Enrolling(database)

    async def enrol(
        self, enrolment: Enrolment, *, approved: bool, token_digest: bytes, now: datetime, secret_digest: bytes = b""
    ) -> AgentRow:
        """See the protocol."""
        return await self._enrolling.enrol(
            Asking(enrolment, approved, token_digest, now, secret_digest, acts=who_acts())
        )

    async def approve(self, agent: AgentId, now: datetime) -> AgentRow:
        """See the protocol."""

        async def work(cursor: Cursor) -> AgentRow:
            row = await _locked(cursor, agent)
            if row["status"] == AgentState.RETIRED:
                raise Conflict(f"agent {agent} is retired", next_step="let it enrol anew with a new key")
            if row["status"] == AgentState.PENDING:
                await cursor.execute(
                    f"UPDATE agents SET status = 'offline', enrolled_with = %s WHERE id = %s RETURNING {COLUMNS}",  # noqa: S608 - a constant
                    (WITH_APPROVAL, agent),
                )
                row = await cursor.fetchone() or row
                await notify(cursor, "agent", [agent])
            return agent_row(row)

        return await self._database.transaction(work)

    async def retire(self, agent: AgentId, now: datetime) -> AgentRow:
        """See the protocol."""

        async def work(cursor: Cursor) -> AgentRow:
            return await retire_agent(cursor, agent, now)

        return await self._database.transaction(work)

    async def retire_silent(self, agents: Sequence[AgentId], since: datetime, now: datetime) -> Sequence[AgentId]:
        """See the protocol."""
        retired = []
        for agent in sorted(set(agents)):

            async def work(cursor: Cursor, agent: AgentId = agent) -> bool:
                return await retire_silent_agent(cursor, agent, since, now)

            # Each in a transaction of its own: an action's row is locked for each of its open commands.
            if await self._database.transaction(work):
                retired.append(agent)
        return retired

    async def renew_tokens(self, agents: Sequence[AgentId]) -> Sequence[AgentId]:
        """See the protocol."""

        async def work(cursor: Cursor) -> Sequence[AgentId]:
            return await tokens_renewed(cursor, agents)

        return await self._database.transaction(work)

    async def same_machine(self, agent: AgentRow) -> Sequence[AgentRow]:
        """See the protocol."""

        async def work(cursor: Cursor) -> Sequence[AgentRow]:
            return await agents_on_machine_of(cursor, agent)

        return await self._database.transaction(work)

    async def get(self, agent: AgentId) -> AgentRow:
        """See the protocol."""

        async def work(cursor: Cursor) -> AgentRow:
            return agent_row(await _locked(cursor, agent, lock=""))

        return await self._database.transaction(work)

    async def events(self, agent: AgentId) -> Sequence[AgentEvent]:
        """See the protocol."""

        async def work(cursor: Cursor) -> Sequence[AgentEvent]:
            await cursor.execute(_EVENTS, (clean_text(agent),))
            return [AgentEvent(row["happened_at"], row["kind"], row["detail"]) for row in await cursor.fetchall()]

        return await self._database.transaction(work)

    async def list(
        self,
        *,
        target: Target | None = None,
        states: Sequence[AgentState] = (),
        now: datetime,
        cursor: str = "",
        limit: int = 100,
        retired_after: datetime | None = None,
    ) -> tuple[Sequence[AgentRow], str]:
        """See the protocol. ``now`` is not used: the database's own clock answers NOW()."""
        length = page_limit(limit)
        after = None
        if cursor:
            name, identifier = read_cursor(cursor, parts=2)
            after = (name, identifier)

        async def work(sql_cursor: Cursor) -> tuple[Sequence[AgentRow], str]:
            ids = await page_of_ids(
                self._database, sql_cursor, target, states, after, length, retired_after=retired_after
            )
            await sql_cursor.execute(
                f"SELECT {COLUMNS} FROM agents WHERE id = ANY(%s) ORDER BY name, id",  # noqa: S608 - a constant
                (ids,),
            )
            rows = [agent_row(row) for row in await sql_cursor.fetchall()]
            return rows, write_cursor(rows[-1].name, rows[-1].id) if rows and len(ids) == length else ""

        # One snapshot: the last one's name is where the next page begins, and must be the one it was found by.
        return await self._database.snapshot(work)

    async def count(self, target: Target, *, now: datetime) -> int:
        """See the protocol. ``now`` is not used: the database's own clock answers NOW()."""

        async def work(cursor: Cursor) -> int:
            return len(await targeted(self._database, cursor, target))

        return await self._database.transaction(work)

    async def token_matches(self, agent: AgentId, digest: bytes) -> bool:
        """See the protocol."""

        async def work(cursor: Cursor) -> bool:
            await cursor.execute(
                f"SELECT token_digest FROM agents WHERE id = %s AND status IN {APPROVED}",  # noqa: S608 - a constant
                (clean_text(agent),),
            )
            row = await cursor.fetchone()
            stored = row["token_digest"] if row is not None else None
            return hmac.compare_digest(stored or b"", digest) and bool(stored)

        return await self._database.transaction(work)

    async def tokens_match(self, given: Sequence[tuple[AgentId, bytes]]) -> Sequence[bool]:
        """See the protocol."""

        async def work(cursor: Cursor) -> Mapping[str, bytes]:
            await cursor.execute(
                f"SELECT id, token_digest FROM agents WHERE id = ANY(%s) AND status IN {APPROVED}",  # noqa: S608 - a constant
                ([clean_text(agent) for agent, _ in given],),
            )
            return {row["id"]: row["token_digest"] for row in await cursor.fetchall() if row["token_digest"]}

        stored = await self._database.transaction(work)
        return [agent in stored and hmac.compare_digest(stored[agent], digest) for agent, digest in given]

    async def public_keys(self, agents: Sequence[AgentId]) -> Mapping[AgentId, bytes]:
        """See the protocol."""

        async def work(cursor: Cursor) -> Mapping[AgentId, bytes]:
            await cursor.execute(
                f"SELECT id, public_key FROM agents WHERE id = ANY(%s) AND status IN {APPROVED}",  # noqa: S608 - a constant
                ([clean_text(one) for one in set(agents)],),
            )
            return {AgentId(row["id"]): row["public_key"] for row in await cursor.fetchall()}

        return await self._database.statement(work)

    async def beat(self, heartbeats: Sequence[Heartbeat], now: datetime) -> Sequence[AgentId]:
        """See the protocol."""

        async def work(cursor: Cursor) -> Sequence[AgentId]:
            return await record_heartbeats(cursor, heartbeats, now)

        return await self._database.transaction(work)

    async def age(self, *, now: datetime, idle_after: timedelta, offline_after: timedelta) -> Mapping[AgentState, int]:
        """See the protocol."""

        async def work(cursor: Cursor) -> Mapping[AgentState, int]:
            await cursor.execute(_AGE, {"idle": now - idle_after, "offline": now - offline_after})
            counts = {AgentState.IDLE: 0, AgentState.OFFLINE: 0}
            for row in await cursor.fetchall():
                counts[AgentState(row["status"])] += 1
            return counts

        return await self._database.transaction(work)

    async def forget_pending(self, *, before: datetime) -> int:
        """See the protocol."""

        return await self._database.transaction(lambda cursor: forget_pending(cursor, before))

    async def not_admitted(self, relay: str, *, limit: int) -> Sequence[AgentId]:
        """See the protocol."""

        async def work(cursor: Cursor) -> Sequence[AgentId]:
            await cursor.execute(_NOT_ADMITTED, (relay, limit))
            return [AgentId(row["id"]) for row in await cursor.fetchall()]

        return await self._database.transaction(work)

    async def mark_admitted(self, agents: Sequence[AgentId]) -> None:
        """See the protocol."""

        async def work(cursor: Cursor) -> None:
            await cursor.execute(
                f"UPDATE agents SET admitted = true WHERE id = ANY(%s) AND status IN {APPROVED}",  # noqa: S608 - a constant
                (list(agents),),
            )

        await self._database.transaction(work)

    async def to_dismiss(self, relay: str, *, limit: int, now: datetime) -> Sequence[AgentId]:
        """See the protocol."""

        async def work(cursor: Cursor) -> Sequence[AgentId]:
            await cursor.execute(_TO_DISMISS, (relay, now, limit))
            return [AgentId(row["id"]) for row in await cursor.fetchall()]

        return await self._database.transaction(work)

    async def mark_dismissed(self, agents: Sequence[AgentId], now: datetime) -> None:
        """See the protocol."""

        async def work(cursor: Cursor) -> None:
            await cursor.execute(_DISMISSED, {"agents": list(agents), "now": now, "once_more": DISMISSED_AGAIN})

        await self._database.transaction(work)

    async def dismiss_later(self, agents: Sequence[AgentId], until: datetime) -> None:
        """See the protocol."""

        async def work(cursor: Cursor) -> None:
            await cursor.execute(
                "UPDATE agents SET dismiss_at = %s WHERE id = ANY(%s) AND dismiss_at IS NOT NULL", (until, list(agents))
            )

        await self._database.transaction(work)


async def _locked(cursor: Cursor, agent: AgentId, *, lock: str = "FOR UPDATE") -> Row:
    await cursor.execute(f"SELECT {COLUMNS} FROM agents WHERE id = %s {lock}", (clean_text(agent),))  # noqa: S608 - constants
    row = await cursor.fetchone()
    if row is None:
        raise NotFound("agent", agent)
    return row

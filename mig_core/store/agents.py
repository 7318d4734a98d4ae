"""Agents: enrolment, approval, heartbeats, states, and lists by target."""

from __future__ import annotations

import hmac
from datetime import timedelta
from typing import TYPE_CHECKING

from mig_core.domain.agent import AgentState
from mig_core.domain.ids import AgentId
from mig_core.errors import Conflict, NoRoom, NotFound
from mig_core.store.agent_rows import (
    APPROVED,
    COLUMNS,
    SET_FACTS,
    agent_row,
    facts_parameters,
    page_of_ids,
    targeted,
)
from mig_core.store.database import page_limit
from mig_core.store.encoding import clean_text, jsonb, read_cursor, write_cursor
from mig_core.store.enrolment_secrets import use_secret
from mig_core.store.heartbeats import record_heartbeats
from mig_core.store.notify import notify
from mig_core.store.retiring import agents_on_machine_of, retire_agent, retire_silent_agent, tokens_renewed
from mig_core.store.rows import AgentEvent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mig_core.domain.agent import Enrolment, Heartbeat
    from mig_core.domain.target import Target
    from mig_core.store.database import Cursor, Database, Row
    from mig_core.store.rows import AgentRow

WITH_SETTINGS, WITH_APPROVAL = "(settings)", "(approved)"
"""What admitted an agent that no named secret did."""
MOST_PENDING = 5_000
"""So many agents may wait for approval: anybody can ask for it."""
STILL_ASKING = timedelta(minutes=10)
"""Agents that wait for approval ask every minute. Who was silent so long goes first when there are too many."""

_INSERT = f"""
    INSERT INTO agents (id, name, public_key, status, relay, version, mode, pid, environment, tags, addresses, modules,
                        failures, started_at, heartbeat_at, enrolled_at, enrolment_sent_at, token_digest, enrolled_with,
                        given_tags, given_relay)
    VALUES (%(id)s, %(name)s, %(public_key)s, %(status)s, %(relay)s, %(version)s, %(mode)s, %(pid)s,
            %(environment)s::jsonb, %(tags)s::jsonb, %(addresses)s::inet[], %(modules)s, %(failures)s::jsonb,
            %(started_at)s, %(heartbeat_at)s, %(now)s, %(sent)s, %(token)s, %(with)s, %(given_tags)s::jsonb,
            %(given_relay)s)
    ON CONFLICT (id) DO NOTHING RETURNING {COLUMNS}
"""  # noqa: S608 - constants
_REFRESH = f"""
    UPDATE agents SET {SET_FACTS}, status = %(status)s, enrolment_sent_at = %(sent)s,
           admitted = admitted AND relay = %(relay)s, relay = %(relay)s,
           heartbeat_at = coalesce(%(heartbeat_at)s, heartbeat_at), token_digest = coalesce(%(token)s, token_digest),
           enrolled_with = CASE WHEN %(with)s = '' THEN enrolled_with ELSE %(with)s END,
           given_tags = CASE WHEN %(with)s = '' THEN given_tags ELSE %(given_tags)s::jsonb END,
           given_relay = CASE WHEN %(with)s = '' THEN given_relay ELSE %(given_relay)s END
     WHERE id = %(id)s RETURNING {COLUMNS}
"""  # noqa: S608 - constants
_EVENTS = "SELECT happened_at, kind, detail FROM agent_events WHERE agent_id = %s ORDER BY id DESC LIMIT 100"
_NOT_ADMITTED = f"""
    SELECT id FROM agents WHERE relay = %s AND NOT admitted AND status IN {APPROVED} ORDER BY id LIMIT %s
"""  # noqa: S608 - a constant
_PENDING = "SELECT count(*) AS number FROM agents WHERE status = 'pending'"
_PENDING_AFTER = f"""
    WITH forgotten AS (SELECT mig_forget_pending(%(before)s) AS number)
    SELECT ({_PENDING}) - (SELECT number FROM forgotten) AS number
"""  # noqa: S608 - a constant; a statement sees the table as it was before it
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

    async def enrol(
        self, enrolment: Enrolment, *, approved: bool, token_digest: bytes, now: datetime, secret_digest: bytes = b""
    ) -> AgentRow:
        """See the protocol."""
        parameters = facts_parameters(enrolment.facts) | {
            "public_key": enrolment.public_key,
            "relay": enrolment.relay,
            "sent": enrolment.sent,
            "now": now,
        }

        async def work(cursor: Cursor) -> AgentRow:
            await cursor.execute(
                "SELECT public_key, status, enrolment_sent_at FROM agents WHERE id = %s FOR UPDATE",
                (enrolment.facts.id,),
            )
            known = await cursor.fetchone()
            admit, admitted = approved, False
            if known is not None:
                _check_enrolment(known, enrolment)
                admitted = known["status"] != AgentState.PENDING
                admit = approved or admitted
            given: dict[str, object] = {"with": "", "given_tags": jsonb({}), "given_relay": ""}
            if not admitted and approved:
                given["with"] = WITH_SETTINGS
            elif not admitted and secret_digest:
                secret = await use_secret(cursor, secret_digest, now)
                given = {"with": secret.name, "given_tags": jsonb(secret.tags), "given_relay": secret.relay}
                admit = True
            parameters.update(given)
            parameters["status"] = (AgentState.ONLINE if admit else AgentState.PENDING).value
            parameters["token"] = token_digest if admit else None
            parameters["heartbeat_at"] = now if admit else None
            if known is None and not admit:
                await _require_room(cursor, now)
            await cursor.execute(_INSERT if known is None else _REFRESH, parameters)
            row = await cursor.fetchone()
            if row is None:
                raise Conflict(f"agent {enrolment.facts.id} enrols twice at the same moment")
            if admit:
                await notify(cursor, "agent", [enrolment.facts.id])
            return agent_row(row)

        return await self._database.transaction(work)

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

        return await self._database.transaction(work)

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

        return await self._database.transaction(work)

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

        async def work(cursor: Cursor) -> int:
            await cursor.execute("SELECT mig_forget_pending(%s) AS number", (before,))
            row = await cursor.fetchone()
            return 0 if row is None else int(row["number"])

        return await self._database.transaction(work)

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


async def _require_room(cursor: Cursor, now: datetime) -> None:
    """Returns when one more agent may wait for approval. Those that ask no more make room."""
    for pending in (_PENDING, _PENDING_AFTER):
        await cursor.execute(pending, {"before": now - STILL_ASKING})
        row = await cursor.fetchone()
        if row is not None and row["number"] < MOST_PENDING:
            return
    raise NoRoom(
        f"{MOST_PENDING} agents wait for approval, more may not",
        next_step="approve or retire them (mig agents --state pending), or give agents the enrolment secret",
    )


def _check_enrolment(known: Row, enrolment: Enrolment) -> None:
    agent = enrolment.facts.id
    if known["status"] == AgentState.RETIRED:
        raise Conflict(
            f"agent {agent} is retired", next_step="remove its key on the endpoint: it enrols as a new agent"
        )
    if known["public_key"] != enrolment.public_key:
        raise Conflict(f"agent {agent} enrolled with another key before")
    if enrolment.sent <= known["enrolment_sent_at"]:
        raise Conflict(f"agent {agent} enrolled later than this: a replay, or its clock went back")


async def _locked(cursor: Cursor, agent: AgentId, *, lock: str = "FOR UPDATE") -> Row:
    await cursor.execute(f"SELECT {COLUMNS} FROM agents WHERE id = %s {lock}", (clean_text(agent),))  # noqa: S608 - constants
    row = await cursor.fetchone()
    if row is None:
        raise NotFound("agent", agent)
    return row
